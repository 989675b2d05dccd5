"""The lines of cases of a few voxels, by hand."""

import numpy as np
import pytest

from adumbra.evaluation.uncertainty.curves import curves, mean_curves
from adumbra.evaluation.uncertainty.quality import quality
from evaluation.uncertainty.test_quality import judged


def test_the_lines_of_a_case_by_hand():
    """Of 216 voxels the 2 wrong ones are the most uncertain: kept last, they alone make the risk."""
    found = curves(judged())
    shares, risk = found.risk
    assert shares.tolist() == pytest.approx(np.linspace(0, 1, 101).tolist())
    assert risk[:99] == pytest.approx(np.zeros(99))
    assert risk[-1] == pytest.approx(2 / 216)
    probability, share = (line[np.isfinite(line)] for line in found.brain)
    assert probability.tolist() == pytest.approx([0.01, 0.9])
    assert share.tolist() == pytest.approx([0.0, 6 / 8])


def test_the_lines_of_cases_are_means_and_their_reliability_is_of_all_voxels():
    cases = {"a": judged(wrong=2), "b": judged(wrong=4)}
    both = mean_curves(quality(cases, generator=np.random.default_rng(0)))
    assert both.risk[1][-1] == pytest.approx((2 + 4) / 2 / 216)
    share = both.brain[1][np.isfinite(both.brain[1])]
    assert share.tolist() == pytest.approx([0.0, 10 / 16])


def test_lines_that_no_case_has_are_undefined():
    """Nothing is called and nothing is there: no lesion can be kept."""
    assert np.isnan(curves(judged(wrong=8, called=False)).retention[1]).all()
