"""Curves of cases of a few voxels, by hand."""

import numpy as np
import pytest

from adumbra.evaluation.uncertainty.curves import curves, mean_curves
from adumbra.evaluation.uncertainty.quality import uncertainty_quality
from evaluation.uncertainty.test_quality import evaluated


def test_the_curves_of_a_case_by_hand():
    """The 2 wrong ones of 216 voxels are the most uncertain: they are retained last, and all of the risk is theirs."""
    lines = curves(evaluated())
    shares, risk = lines.risk
    assert shares.tolist() == pytest.approx(np.linspace(0, 1, 101).tolist())
    assert risk[:99] == pytest.approx(np.zeros(99))
    assert risk[-1] == pytest.approx(2 / 216)
    probability, share = (line[np.isfinite(line)] for line in lines.brain)
    assert probability.tolist() == pytest.approx([0.01, 0.9])
    assert share.tolist() == pytest.approx([0.0, 6 / 8])


def test_the_curves_of_cases_are_means_and_their_reliability_is_of_all_voxels():
    cases = {"a": evaluated(wrong=2), "b": evaluated(wrong=4)}
    both = mean_curves(uncertainty_quality(cases, generator=np.random.default_rng(0)))
    assert both.risk[1][-1] == pytest.approx((2 + 4) / 2 / 216)
    share = both.brain[1][np.isfinite(both.brain[1])]
    assert share.tolist() == pytest.approx([0.0, 10 / 16])


def test_curves_that_no_case_has_are_undefined():
    """Neither mask has a voxel, so no lesion can be retained."""
    assert np.isnan(curves(evaluated(wrong=8, detected=False)).retention[1]).all()
