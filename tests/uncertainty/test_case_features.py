"""Features of a case by hand, on volumes of a few voxels, and the sources of an interval's width."""

import json
from math import isnan, log

import numpy as np
import pytest
from scipy.stats import norm

from adumbra.core.case_features import CaseFeatures
from adumbra.core.errors import GridMismatch, InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Estimate, VolumeDraws
from adumbra.uncertainty.case_features import (
    MemberMasks,
    ProbabilitySum,
    case_features,
    log_volume,
    variance_parts,
    volume_of,
    width_shares,
)
from adumbra.uncertainty.maps import summarise

GRID = Grid((4, 1, 1), np.diag([10.0, 10.0, 10.0, 1.0]))  # voxels of 1 ml
INSIDE = np.array([True, True, True, False]).reshape(4, 1, 1)


def volume(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32).reshape(4, 1, 1)


def features_of(draws: list[np.ndarray], members: int = 1) -> CaseFeatures:
    masks, probability = MemberMasks(members), ProbabilitySum(INSIDE)
    _, volumes = summarise(
        probability.passing(draws), target="lesion", grid=GRID, within=INSIDE, threshold=0.5, draw_masks=masks
    )
    return case_features(volumes, masks, probability, grid=GRID, brain=INSIDE, threshold=0.5)


def features(draw_ml: tuple[float, ...], members: tuple[int, ...], dice: float = 0.9) -> CaseFeatures:
    return CaseFeatures("lesion", draw_ml, members, dice, 1.0, 1.0, (1.0,) * 9, 0.0, 1400.0)


TWO = [volume(0.9, 0.9, 0.2, 1.0), volume(0.9, 0.1, 0.2, 1.0)]


def test_features_by_hand() -> None:
    """The mean is 0.9, 0.5 and 0.2. The masks have 2 and 1 voxels, of which one is common: a Dice of 2/3."""
    result = features_of(TWO * 2, members=2)
    assert result.draw_ml == pytest.approx((2.0, 1.0, 2.0, 1.0))
    assert result.members == (0, 1, 0, 1)
    assert result.member_dice == pytest.approx(2 / 3)
    assert (result.mean_mask_ml, result.brain_ml, result.member_count) == (pytest.approx(2.0), pytest.approx(3.0), 2)
    assert result.expected_ml == pytest.approx(1.6)
    assert result.threshold_ml == pytest.approx((3.0, 3.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0))
    entropy = -sum(p * log(p) + (1 - p) * log(1 - p) for p in (0.9, 0.5, 0.2))
    assert result.entropy_nat_ml == pytest.approx(entropy, rel=1e-6)


def test_the_dice_of_one_network_is_that_of_its_draws() -> None:
    """Two of four draws have the second voxel: 4 of 6 pairs differ, Σ c (c - 1) / (3 Σ c) = (12 + 2) / 18."""
    result = features_of(TWO * 2)
    assert result.members == (0, 0, 0, 0)
    assert result.member_dice == pytest.approx(14 / 18)


def test_a_noisy_member_is_represented_by_the_majority_of_its_draws() -> None:
    """The second member has the second voxel in one draw of three, so its mask lacks it: the Dice is 2/3 again."""
    noisy = [volume(0.9, p, 0.2, 1.0) for p in (0.1, 0.9, 0.1)]
    draws = [volume for other in noisy for volume in (TWO[0], other)]
    assert features_of(draws, members=2).member_dice == pytest.approx(2 / 3)


def test_undefined_and_empty_agreement() -> None:
    nothing = volume(0.0, 0.0, 0.0, 0.0)
    assert isnan(features_of(TWO[:1]).member_dice)
    assert isnan(features_of(TWO[:1], members=5).member_dice)
    assert features_of([nothing, nothing]).member_dice == 1.0
    assert features_of([nothing, nothing], members=2).member_dice == 1.0
    assert features_of([TWO[0], nothing], members=2).member_dice == 0.0


def test_features_of_other_draws_are_refused() -> None:
    masks, probability = MemberMasks(), ProbabilitySum(INSIDE)
    with pytest.raises(InputRejected, match="same draws"):
        case_features(VolumeDraws("lesion", (), ()), masks, probability, grid=GRID, brain=INSIDE, threshold=0.5)
    masks.add(INSIDE)
    with pytest.raises(InputRejected, match="same draws"):
        case_features(VolumeDraws("lesion", (3.0,), (1,)), masks, probability, grid=GRID, brain=INSIDE, threshold=0.5)
    with pytest.raises(GridMismatch):
        masks.add(np.zeros((2, 1, 1), dtype=bool))


@pytest.mark.parametrize("dice", [0.75, float("nan")])
def test_features_go_through_json(dice: float) -> None:
    before = features((1.0, 2.0), (0, 1), dice)
    after = CaseFeatures.from_json(json.loads(json.dumps(before.as_json(), allow_nan=False)))
    assert repr(after) == repr(before)  # nan is not equal to itself
    with pytest.raises(TypeError):
        CaseFeatures.from_json({"target": "lesion"})


def test_the_scale_and_its_inverse() -> None:
    assert volume_of(log_volume(np.array([0.0, 0.01, 5.0, 300.0]))) == pytest.approx([0.0, 0.01, 5.0, 300.0])
    assert volume_of(-3.0) == 0.0
    assert log_volume(0.1) == pytest.approx(log(2.0))


def test_variance_parts_by_hand() -> None:
    """On the scale the first member has 1 and 3 (mean 2, variance 2), the second 4 and 4; the means' variance is 2."""
    ml = tuple(float(volume_of(g)) for g in (1.0, 4.0, 3.0, 4.0))
    between, within = variance_parts(features(ml, (0, 1, 0, 1)))
    assert (between, within) == (pytest.approx(2.0), pytest.approx(2.0))
    assert variance_parts(features((5.0, 5.0, 5.0), (0, 0, 0))) == (0.0, 0.0)


def test_shares_of_the_width_by_hand() -> None:
    """The interval has an equivalent variance of 8: members 2, annotators 2, and the calibration the other 4."""
    ml = tuple(float(volume_of(g)) for g in (1.0, 4.0, 3.0, 4.0))
    half = 8**0.5 * norm.ppf(0.975)
    ends = [float(volume_of(7.0 + side * half)) for side in (-1, 1)]
    interval = Estimate(5.0, ends[0], ends[1], 0.95, "ml", by="calibration")
    shares = width_shares(interval, features(ml, (0, 1, 0, 1)), within_source="annotators")
    assert shares is not None
    assert (shares.members, shares.within, shares.calibration) == pytest.approx((0.25, 0.25, 0.5))
    assert shares.within_source == "annotators"


def test_a_calibration_that_narrows_has_no_share() -> None:
    interval = Estimate(1.0, 0.99, 1.01, 0.95, "ml", by="calibration")
    shares = width_shares(interval, features((1.0, 9.0), (0, 1)), within_source="draws")
    assert shares is not None
    assert (shares.members, shares.within, shares.calibration) == (1.0, 0.0, 0.0)


def test_an_interval_of_the_draws_has_no_calibration() -> None:
    by_draws = Estimate(1.0, 0.5, 2.0, 0.95, "ml")
    shares = width_shares(by_draws, features((1.0, 2.0, 1.0, 1.5), (0, 1, 0, 1)), within_source="draws")
    assert shares is not None
    assert shares.members + shares.within == pytest.approx(1.0)
    assert shares.calibration == pytest.approx(0.0)
    assert width_shares(by_draws, features((1.0, 1.0), (0, 0)), within_source="draws") is None


@pytest.mark.parametrize(("low", "high"), [(1.0, float("inf")), (2.0, 2.0)])
def test_an_unbounded_or_empty_interval_has_no_shares(low: float, high: float) -> None:
    interval = Estimate(2.0, low, high, 0.95, "ml", by="calibration")
    assert width_shares(interval, features((1.0, 2.0), (0, 1)), within_source="draws") is None
