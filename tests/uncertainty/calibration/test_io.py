"""Calibration files: written, read, and refused for other weights."""

import json

import numpy as np
import pytest

from adumbra.core.errors import MissingInput, WeightsRejected
from adumbra.networks.registry import load
from adumbra.posterior.registry import default_posterior
from adumbra.uncertainty.calibration.calibrators import Isotonic, Temperature, VectorScaling
from adumbra.uncertainty.calibration.conformal import ControlledThreshold, VolumeInterval
from adumbra.uncertainty.calibration.io import Calibration, read_calibration, require_for, write_calibration

CASES = {"sub-1": "ab", "sub-2": ""}
NAMES = tuple(CASES)
MAPS = (
    Temperature(2.0, cases=NAMES),
    VectorScaling(0.8, -0.1, cases=NAMES),
    Isotonic((0.1, 0.9), (0.2, 0.7), cases=NAMES),
)


def calibration(probability=MAPS[0]):
    volume = VolumeInterval("lesion", 1.5, 0.9, "both", 20, 0.1, 0.1, cases=NAMES)
    threshold = ControlledThreshold(0.2, 0.1, 0.09, cases=NAMES)
    return Calibration("lesion", "dropout", 20, ("aa", "bb"), probability, threshold, volume, CASES)


@pytest.mark.parametrize("probability", MAPS)
def test_a_written_calibration_is_read(probability, tmp_path):
    written = calibration(probability)
    write_calibration(tmp_path / "c.json", written)
    assert read_calibration(tmp_path / "c.json") == written


def test_the_calibrated_threshold_gives_the_same_mask():
    """σ(logit(0.8) / 2) = 2 / 3, by hand: odds of 4 become odds of 2."""
    fitted, p = calibration(), np.linspace(0.01, 0.99, 99, dtype=np.float32)
    assert fitted.calibrated_threshold(0.8) == pytest.approx(2 / 3)
    assert np.array_equal(fitted.apply(p) >= fitted.calibrated_threshold(0.555), p >= 0.555)
    assert fitted.apply(p).dtype == np.float32


def test_without_a_map_probabilities_are_unchanged():
    plain = Calibration("lesion", "dropout", 20, ("aa",))
    p = np.array([0.2, 0.7], dtype=np.float32)
    assert plain.apply(p) is p
    assert plain.calibrated_threshold(0.6) == pytest.approx(0.6)


@pytest.mark.parametrize(
    "other", [{"target": "thrombus"}, {"posterior": "laplace"}, {"weights": ("aa",)}, {"weights": ("bb", "aa")}]
)
def test_a_calibration_of_something_else_is_refused(other):
    own = {"target": "lesion", "posterior": "dropout", "weights": ("aa", "bb")}
    require_for(calibration(), **own)
    with pytest.raises(WeightsRejected, match="fitted for the"):
        require_for(calibration(), **own | other)


@pytest.mark.parametrize("damage", ["not json", "{}", '{"format": "adumbra-calibration-1"}', "[1]", '{"format": "x"}'])
def test_a_damaged_file_is_refused(damage, tmp_path):
    (tmp_path / "c.json").write_text(damage)
    with pytest.raises(WeightsRejected, match=r"c\.json"):
        read_calibration(tmp_path / "c.json")
    with pytest.raises(MissingInput):
        read_calibration(tmp_path / "none.json")


def test_an_impossible_value_is_refused(tmp_path):
    plain = calibration().as_json()
    plain["probability"]["temperature"] = -1.0
    (tmp_path / "c.json").write_text(json.dumps(plain))
    with pytest.raises(WeightsRejected):
        read_calibration(tmp_path / "c.json")


def test_a_map_with_constant_parts_preserves_every_mask():
    """Both 0.4 and 0.6 become 0.5, and a threshold between them must still separate them."""
    fitted = calibration(Isotonic((0.3, 0.4, 0.6, 0.7), (0.1, 0.5, 0.5, 0.9), cases=NAMES))
    p = np.linspace(0.01, 0.99, 99, dtype=np.float32)
    for threshold in (0.2, 0.455, 0.505, 0.595, 0.8):
        assert np.array_equal(fitted.apply(p) >= fitted.calibrated_threshold(threshold), p >= threshold)
    assert np.abs(fitted.apply(p) - fitted.probability.apply(p)).max() <= 1e-3


def test_the_released_calibration_is_of_the_released_weights() -> None:
    network = load("lesion")
    assert network.calibration is not None
    result = read_calibration(network.calibration)
    require_for(result, target="lesion", posterior=default_posterior(network), weights=(network.card.sha256,))
    assert result.volume is not None
    assert (result.volume.level, result.draws, len(result.cases)) == (0.95, 20, 40)
