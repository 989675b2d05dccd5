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
def test_what_was_written_is_read(probability, tmp_path):
    written = calibration(probability)
    write_calibration(tmp_path / "c.json", written)
    assert read_calibration(tmp_path / "c.json") == written


def test_the_moved_threshold_calls_the_same_voxels():
    """σ(logit(0.8) / 2) = 2 / 3, by hand: odds of 4 become odds of 2."""
    fitted, p = calibration(), np.linspace(0.01, 0.99, 99, dtype=np.float32)
    assert fitted.moved(0.8) == pytest.approx(2 / 3)
    assert np.array_equal(fitted.apply(p) >= fitted.moved(0.555), p >= 0.555)
    assert fitted.apply(p).dtype == np.float32


def test_without_a_map_probabilities_stay():
    plain = Calibration("lesion", "dropout", 20, ("aa",))
    p = np.array([0.2, 0.7], dtype=np.float32)
    assert plain.apply(p) is p
    assert plain.moved(0.6) == pytest.approx(0.6)


@pytest.mark.parametrize(
    "other", [{"target": "thrombus"}, {"posterior": "laplace"}, {"weights": ("aa",)}, {"weights": ("bb", "aa")}]
)
def test_a_calibration_of_something_else_is_refused(other):
    asked = {"target": "lesion", "posterior": "dropout", "weights": ("aa", "bb")}
    require_for(calibration(), **asked)
    with pytest.raises(WeightsRejected, match="fitted for the"):
        require_for(calibration(), **asked | other)


@pytest.mark.parametrize("damage", ["not json", "{}", '{"format": "adumbra-calibration-1"}', "[1]", '{"format": "x"}'])
def test_what_is_none_is_refused(damage, tmp_path):
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


def test_a_map_with_level_parts_keeps_every_mask():
    """Both 0.4 and 0.6 become 0.5; a threshold between them must still part them, and so must every other."""
    fitted = calibration(Isotonic((0.3, 0.4, 0.6, 0.7), (0.1, 0.5, 0.5, 0.9), cases=NAMES))
    p = np.linspace(0.01, 0.99, 99, dtype=np.float32)
    for threshold in (0.2, 0.455, 0.505, 0.595, 0.8):
        assert np.array_equal(fitted.apply(p) >= fitted.moved(threshold), p >= threshold)
    assert np.abs(fitted.apply(p) - fitted.probability.apply(p)).max() <= 1e-3


def test_the_calibration_that_ships_is_of_the_weights_that_ship() -> None:
    network = load("lesion")
    assert network.calibration is not None
    found = read_calibration(network.calibration)
    require_for(found, target="lesion", posterior=default_posterior(network), weights=(network.card.sha256,))
    assert found.volume is not None
    assert (found.volume.level, found.draws, len(found.cases)) == (0.95, 20, 40)
