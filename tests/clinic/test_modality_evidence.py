"""What a modality contributes to a region, by hand."""

import json

import numpy as np
import pytest

from adumbra.clinic.modality_evidence import (
    LEAST_INFORMATION,
    WithheldProbabilities,
    modality_changes,
    settling_modality,
)

LN2 = float(np.log(2.0))


def volume(p: float) -> np.ndarray:
    return np.full((2, 2, 2), p, dtype=np.float32)


def test_the_reduction_of_entropy_by_hand() -> None:
    withheld = WithheldProbabilities(volume(0.0), {"flair": volume(0.0), "adc": volume(0.5)})
    first, second = modality_changes(withheld, np.array([0, 3]))
    assert (first.modality, second.modality) == ("adc", "flair")
    assert first.information_nats == pytest.approx(LN2)
    assert first.change == pytest.approx(-0.5)
    assert (second.information_nats, second.change) == (0.0, 0.0)
    assert settling_modality((first, second)) == "adc"
    assert first.sentence == (
        "Without ADC the mean probability is 0.50 instead of 0.00; ADC lowers the entropy by 0.69 nats per voxel."
    )
    json.dumps(first.as_json(), allow_nan=False)


def test_a_modality_may_raise_the_entropy() -> None:
    (change,) = modality_changes(WithheldProbabilities(volume(0.5), {"dwi": volume(1.0)}), np.array([1]))
    assert change.information_nats == pytest.approx(-LN2)
    assert "DWI raises the entropy by 0.69 nats" in change.sentence
    assert settling_modality((change,)) is None


def test_too_little_information_settles_nothing() -> None:
    p, q = 0.3, 0.31
    changes = modality_changes(WithheldProbabilities(volume(p), {"dwi": volume(q)}), np.array([1]))
    assert 0.0 < changes[0].information_nats < LEAST_INFORMATION
    assert settling_modality(changes) is None
    assert settling_modality(()) is None


def test_only_the_voxels_of_the_region_count() -> None:
    other = volume(0.5)
    other[0, 0, 0] = 0.9
    (change,) = modality_changes(WithheldProbabilities(volume(0.5), {"dwi": other}), np.array([0]))
    assert change.probability_without == pytest.approx(0.9)
