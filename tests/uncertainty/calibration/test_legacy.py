"""Calibration files of version 0.1.0 are read with the same values."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from adumbra.uncertainty.calibration.io import read_calibration

FILES = Path(__file__).parents[2] / "core" / "legacy_files"
EXPECTED = json.loads((FILES / "expected.json").read_text("utf-8"))["calibration"]
P = np.array([0.1, 0.5, 0.9])


def plain(part: object) -> dict[str, object] | None:
    """The class and the fields of a fitted part, as in ``expected.json``."""
    return None if part is None else {"class": type(part).__name__} | json.loads(json.dumps(asdict(part)))


@pytest.mark.parametrize("name", EXPECTED)
def test_every_field_has_the_value_of_the_old_version(name: str) -> None:
    calibration, expected = read_calibration(FILES / name), EXPECTED[name]
    assert (calibration.target, calibration.posterior, calibration.draws) == (
        expected["target"],
        expected["posterior"],
        expected["draws"],
    )
    assert list(calibration.weights) == expected["weights"]
    stored = json.loads((FILES / name).read_text("utf-8"))["cases"]
    assert dict(calibration.cases) == stored
    assert list(calibration.cases) == list(expected["cases"])
    for part in ("probability", "threshold", "volume"):
        assert plain(getattr(calibration, part)) == expected[part]


@pytest.mark.parametrize("name", EXPECTED)
def test_probabilities_and_thresholds_are_those_of_the_old_version(name: str) -> None:
    calibration, expected = read_calibration(FILES / name), EXPECTED[name]
    if (local := expected.get("probability.apply([0.1, 0.5, 0.9], bands=[0, 1, 3])")) is not None:
        assert calibration.probability is not None
        assert calibration.probability.apply(P, bands=np.array([0, 1, 3])).tolist() == pytest.approx(local, rel=1e-6)
        return
    assert calibration.apply(P).tolist() == pytest.approx(expected["apply([0.1, 0.5, 0.9])"], rel=1e-6)
    assert calibration.calibrated_threshold(0.5) == pytest.approx(expected["moved(0.5)"], rel=1e-6)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_format_of_the_file_is_unchanged(name: str) -> None:
    """The calibration of the manifest of a run has the same form, so old manifests are read too."""
    assert read_calibration(FILES / name).as_json() == json.loads((FILES / name).read_text("utf-8"))
