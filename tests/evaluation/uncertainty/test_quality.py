"""All measures of one case of a few voxels, and over cases."""

import json
from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Estimate, Maps, VolumeDraws
from adumbra.evaluation.uncertainty.quality import (
    MAXIMA,
    case_quality,
    failure_indicators,
    plain_table,
    uncertainty_quality,
)

GRID = Grid((6, 6, 6), np.diag([10.0, 10.0, 10.0, 1.0]))  # a voxel is 1 ml
BRAIN = np.ones(GRID.shape, dtype=bool)


def case(*, wrong=2, uncertain_errors=True, volumes=(7.0, 8.0, 9.0), detected=True):
    """A cube of 8 voxels is predicted, or nothing at all; the truth lacks some of them."""
    truth = np.zeros(GRID.shape, dtype=bool)
    truth[2:4, 2:4, 2:4] = True
    mask = truth & detected
    truth.ravel()[np.flatnonzero(truth)[:wrong]] = False
    probability = np.where(mask, 0.9, 0.01).astype(np.float32)
    errors = mask != truth
    uncertain = errors if uncertain_errors else mask & truth
    entropy = np.where(uncertain, 0.6, 0.1).astype(np.float32)
    zeros = np.zeros(GRID.shape, dtype=np.float32)
    maps = Maps("lesion", GRID, probability, entropy, entropy, zeros, zeros, mask, 0.5, len(volumes))
    return maps, VolumeDraws("lesion", volumes, (1,) * len(volumes)), truth


def evaluated(interval=(6.0, 9.0), **options):
    maps, draws, truth = case(**options)
    return case_quality(maps, draws, truth, BRAIN, Estimate(8.0, *interval, 0.95, "ml"))


def test_a_case_by_hand():
    values = evaluated().values
    assert values["dice"] == pytest.approx(2 * 6 / (8 + 6))
    assert values["auroc"] == 1.0, "both errors are the most uncertain voxels"
    assert values["auprc"] == pytest.approx(1.0)
    assert values["excess_aurc"] == pytest.approx(0.0)
    right, wrong, background = 6 * -np.log(0.9), 2 * -np.log(0.1), 208 * -np.log(0.99)
    assert values["nll_brain"] == pytest.approx((right + wrong + background) / 216, rel=1e-5)
    assert values["brier_brain"] == pytest.approx((6 * 0.01 + 2 * 0.81 + 208 * 0.0001) / 216, rel=1e-5)
    assert values["ece_brain"] == pytest.approx((8 * (0.9 - 0.75) + 208 * 0.01) / 216, rel=1e-4)
    assert values["qu_brats"] < values["qu_brats_oracle"]


def test_uncertain_right_voxels_rank_errors_last():
    """The 6 uncertain ones of 216 voxels are right; the errors are 2 of the other 210, all tied."""
    assert evaluated(uncertain_errors=False).values["auroc"] == pytest.approx(0.5 * 208 / 214)


def test_failure_indicators_by_hand():
    maps, draws, _ = case()
    indicators = failure_indicators(maps, draws)
    assert indicators["expected_dice_loss"] == pytest.approx(1 - 2 * 7.2 / (7.2 + 208 * 0.01 + 8), rel=1e-5)
    assert indicators["mean_entropy"] == pytest.approx((2 * 0.6 + 6 * 0.1) / 8, rel=1e-5)
    assert indicators["volume_cv"] == pytest.approx(np.std([7, 8, 9], ddof=1) / 8)
    empty = replace(maps, mask=np.zeros(GRID.shape, dtype=bool), probability=np.zeros(GRID.shape, dtype=np.float32))
    nothing = failure_indicators(empty, VolumeDraws("lesion", (0.0,), (0,)))
    assert all(np.isnan(value) for value in nothing.values())


def test_means_and_coverage_over_cases():
    cases = {f"sub-{n}": evaluated(wrong=n, interval=(5.0, 9.0)) for n in range(5)}
    result = uncertainty_quality(cases, generator=np.random.default_rng(0))
    assert result.means["dice"].value == pytest.approx(np.mean([2 * (8 - n) / (16 - n) for n in range(5)]))
    assert result.means["dice"].low < result.means["dice"].value < result.means["dice"].high
    assert result.volumes.covered == 4, "true volumes are 8, 7, 6, 5 and 4 ml"
    assert result.associations["mean_entropy"].rho == pytest.approx(-1.0)
    assert result.brain.count.sum() == 5 * 216
    assert json.loads(json.dumps(plain_table(result)))["means"]["dice"]["cases"] == 5


def test_a_case_without_the_target_does_not_decide_the_association():
    cases = {f"sub-{n}": evaluated(wrong=n) for n in range(4)}
    with_empty = uncertainty_quality(cases | {"sub-empty": evaluated(wrong=8)}, generator=np.random.default_rng(0))
    assert with_empty.associations["mean_entropy"].cases == 4
    assert with_empty.means["dice"].cases == 5


def test_no_case_is_refused():
    with pytest.raises(ValueError, match="one at least"):
        uncertainty_quality({}, generator=np.random.default_rng(0))


@pytest.mark.parametrize("measure", MAXIMA)
def test_every_map_can_be_the_uncertainty(measure):
    maps, draws, truth = case()
    result = case_quality(maps, draws, truth, BRAIN, Estimate(8.0, 7.0, 9.0, 0.95, "ml"), measure=measure)
    assert 0.0 <= result.values["auroc"] <= 1.0
