"""Volumes with their intervals, the order of uncertain regions, and the notes beside them."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.clinic.findings import estimate, findings
from adumbra.clinic.uncertain_regions import uncertain_regions
from adumbra.core.entropy import UNCERTAIN_NATS, binary_entropy
from adumbra.core.errors import InputRejected, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Estimate, Maps, VolumeDraws

SHAPE = (21, 16, 10)
GRID = Grid(SHAPE, np.array([[2, 0, 0, 100], [0, 2, 0, -30], [0, 0, 5, 7], [0, 0, 0, 1]], dtype=float))
BRAIN = np.ones(SHAPE, dtype=bool)  # its middle is index 10 of the first axis: 120 mm in scanner coordinates


def maps_of(probability: np.ndarray, *, share: float = 0.25, draws: int = 20) -> Maps:
    """Maps of a mean probability, a given share of whose entropy is epistemic."""
    entropy = binary_entropy(probability).astype(np.float32)
    epistemic = (share * entropy).astype(np.float32)
    mask = probability >= np.float32(0.5)
    return Maps(
        "lesion", GRID, probability, entropy, entropy - epistemic, epistemic, np.zeros_like(entropy), mask, 0.5, draws
    )


def scene() -> np.ndarray:
    p = np.zeros(SHAPE, dtype=np.float32)
    p[2:5, 4:7, 4] = 0.99  # certain
    p[5, 4:7, 4] = 0.5  # left, 3 voxels of ln 2
    p[15:17, 8:12, 2] = 0.2  # right, 8 voxels of 0.5 nats
    p[10, 2, 8] = 0.4  # on the midline, 1 voxel
    p[0, 0, 0] = 0.05  # 0.199 nats: below the threshold of uncertain voxels
    return p


def constant_draws(volume_ml: float, n: int = 20, components: int = 1) -> VolumeDraws:
    return VolumeDraws("lesion", (volume_ml,) * n, (components,) * n)


def test_regions_by_hand() -> None:
    first, second, third = uncertain_regions(maps_of(scene()), brain=BRAIN)
    assert (first.rank, second.rank, third.rank) == (1, 2, 3)
    assert (first.side, second.side, third.side) == ("right", "left", "midline")
    assert first.volume_ml == pytest.approx(8 * 0.02)
    assert first.mean_entropy == pytest.approx(0.5004, abs=1e-4)
    assert first.mean_probability == pytest.approx(0.2)
    assert first.inside == 0.0
    assert second.mean_entropy == pytest.approx(np.log(2))
    assert second.inside == 1.0
    assert second.index == (5, 4, 4)
    assert second.position_mm == (110.0, -22.0, 27.0)
    assert third.index == (10, 2, 8)
    assert all(region.epistemic_share == pytest.approx(0.25) for region in (first, second, third))


def test_uncertain_voxels_have_a_probability_of_nine_percent_or_more() -> None:
    low, high = (binary_entropy(np.array([p])).item() for p in (0.0885, 0.0895))
    assert low < UNCERTAIN_NATS < high


def test_uncertain_regions_outside_the_brain_are_not_listed() -> None:
    brain = BRAIN.copy()
    brain[15:17] = False
    assert [region.volume_ml for region in uncertain_regions(maps_of(scene()), brain=brain)] == pytest.approx(
        [0.06, 0.02]
    )


def test_no_more_regions_than_requested_and_ties_in_the_order_of_the_volume() -> None:
    p = np.zeros(SHAPE, dtype=np.float32)
    p[1::4, 1::4, 1::4] = 0.5
    regions = uncertain_regions(maps_of(p), brain=BRAIN, most=4)
    assert [region.index for region in regions] == [(1, 1, 1), (1, 1, 5), (1, 1, 9), (1, 5, 1)]


def test_a_certain_map_has_no_regions() -> None:
    assert uncertain_regions(maps_of(np.zeros(SHAPE, dtype=np.float32)), brain=BRAIN) == ()


def test_volume_and_count_with_their_intervals() -> None:
    draws = VolumeDraws("lesion", tuple(0.2 + 0.01 * i for i in range(21)), tuple(range(21)))
    result = findings(maps_of(scene(), draws=21), draws, brain=BRAIN, level=0.9)
    assert result.volume_ml.value == pytest.approx(12 * 0.02)
    assert (result.volume_ml.low, result.volume_ml.high) == (pytest.approx(0.21), pytest.approx(0.39))
    assert (result.components.value, result.components.low, result.components.high) == pytest.approx((1, 1, 19))
    assert (result.volume_ml.unit, result.volume_ml.level, result.target) == ("ml", 0.9, "lesion")
    assert result.notes == ()


def test_equal_draws_have_an_interval_of_no_width() -> None:
    assert estimate(3.0, [3.0] * 5, level=0.95, unit="ml") == estimate(3.0, [3.0], level=0.95, unit="ml")


def test_an_empty_mask_does_not_exclude_a_stroke() -> None:
    empty = maps_of(np.full(SHAPE, 0.02, dtype=np.float32))
    result = findings(empty, constant_draws(0.0), brain=BRAIN)
    assert result.notes == (
        "No voxel reached the threshold of 0.50 in the analysed region: "
        "this is not a statement that there is no stroke.",
    )
    assert result.volume_ml.value == 0.0
    assert result.components.value == 0.0
    assert any(
        "Some draws contain a lesion" in note for note in findings(empty, constant_draws(0.1), brain=BRAIN).notes
    )


def test_a_note_says_that_draws_are_few() -> None:
    assert any(
        "rests on 3 draws only" in n
        for n in findings(maps_of(scene(), draws=3), constant_draws(0.24, 3), brain=BRAIN).notes
    )
    assert not findings(maps_of(scene(), draws=10), constant_draws(0.24, 10), brain=BRAIN).notes


def test_a_note_says_that_the_volume_lies_outside_its_interval() -> None:
    assert any(
        "outside the interval" in note for note in findings(maps_of(scene()), constant_draws(0.3), brain=BRAIN).notes
    )


def test_the_note_on_a_calibrated_interval_says_in_which_direction_masks_err() -> None:
    for low, high, error in ((0.3, 0.9, "small"), (0.01, 0.1, "large")):
        calibrated = Estimate(0.2, low, high, 0.9, "ml")
        result = findings(maps_of(scene()), constant_draws(0.24), brain=BRAIN, calibrated_interval=calibrated)
        assert any(f"similar held-out cases were too {error}" in note for note in result.notes)


def test_a_calibrated_interval_replaces_that_of_the_draws() -> None:
    """The draws agree on 0.3 ml, and the mask has 0.24 ml; the calibrated interval covers both."""
    result = findings(
        maps_of(scene()), constant_draws(0.3), brain=BRAIN, calibrated_interval=Estimate(0.31, 0.1, 0.9, 0.9, "ml")
    )
    assert (result.volume_ml.low, result.volume_ml.high, result.volume_ml.level) == (0.1, 0.9, 0.9)
    assert result.volume_ml.by == "calibration"
    assert result.volume_ml.value == findings(maps_of(scene()), constant_draws(0.3), brain=BRAIN).volume_ml.value
    assert not result.notes


def test_draws_of_another_run_are_refused() -> None:
    with pytest.raises(InputRejected, match="20 draws"):
        findings(maps_of(scene()), constant_draws(0.24, 5), brain=BRAIN)
    with pytest.raises(InputRejected, match="thrombus"):
        findings(maps_of(scene()), replace(constant_draws(0.24), target="thrombus"), brain=BRAIN)
    with pytest.raises(InputRejected, match="level"):
        findings(maps_of(scene()), constant_draws(0.24), brain=BRAIN, level=1.0)


def test_without_a_brain_there_are_no_findings() -> None:
    with pytest.raises(MissingInput, match="brain"):
        findings(maps_of(scene()), constant_draws(0.24), brain=np.zeros(SHAPE, dtype=bool))
