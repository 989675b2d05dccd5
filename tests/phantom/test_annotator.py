"""Masks of simulated raters."""

import numpy as np

from adumbra.phantom.annotator import annotate, lumen_mask


def test_annotation_uses_half_of_the_maximum_and_omits_invisible_components() -> None:
    fraction = np.zeros((20, 20, 8), np.float32)
    fraction[4:8, 4:8, 3:5] = 1.0
    fraction[8, 5, 3] = 0.4  # below half of the maximum beside it
    fraction[15, 15, 4] = 0.3  # a component of its own, visible at high contrast only
    low = annotate(fraction, contrast=1.5, noise=0.01)
    high = annotate(fraction, contrast=2.0, noise=0.01)
    assert low[5, 5, 3]
    assert not low[8, 5, 3]
    assert not low[15, 15, 4]
    assert high[15, 15, 4]
    assert not annotate(fraction, contrast=2.0, noise=0.9).any()


def test_a_lumen_narrower_than_a_voxel_keeps_its_length_and_a_wide_one_its_border() -> None:
    fraction = np.zeros((30, 12, 12), np.float32)
    fraction[5:25, 5, 5] = 0.3
    fraction[5:25, 6, 5] = 0.1
    thin = lumen_mask(fraction)
    assert thin[5:25, 5, 5].all()
    assert thin.sum() == 20
    fraction[5:25, 3:9, 3:9] = 1.0
    fraction[5:25, 9, 3:9] = 0.3
    assert lumen_mask(fraction).sum() == 20 * 36
    assert not lumen_mask(np.zeros((4, 4, 4), np.float32)).any()
