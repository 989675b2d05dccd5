"""Masks of simulated raters."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from adumbra.core.types import Mask, Volume
from adumbra.phantom.annotator import (
    CONVENTIONS,
    AnnotatorConvention,
    annotate,
    annotate_by,
    lumen_mask,
    sample_convention,
)


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


SPACING = (2.0, 2.0, 3.0)


def half_dead(radius: int = 6, rim: int = 8) -> Volume:
    """A core of fraction 1 whose rim falls to 0 over some voxels, beside a dot of two voxels."""
    lines = np.indices((48, 48, 12), np.float32) - np.array([22, 22, 6], np.float32).reshape(3, 1, 1, 1)
    away = np.sqrt(lines[0] ** 2 + lines[1] ** 2 + (2 * lines[2]) ** 2)
    fraction = np.clip(1 - (away - radius) / rim, 0, 1).astype(np.float32)
    fraction[44, 44, 6:8] = 0.9
    return fraction


def annotated(convention: AnnotatorConvention, fraction: Volume, seed: int = 0) -> Mask:
    rng = np.random.default_rng(seed)
    return annotate_by(convention, rng, fraction, spacing_mm=SPACING, contrast=2.0, noise=0.02)


@pytest.mark.parametrize("rim", [True, False])
@pytest.mark.parametrize("bias_mm", [-2.0, 2.0])
def test_masks_are_nested_by_level(rim: bool, bias_mm: float) -> None:
    conventions = [
        AnnotatorConvention("test", level, 0.6, includes_faint_rim=rim, bias_mm=bias_mm)
        for level in (0.2, 0.3, 0.4, 0.5, 0.6)
    ]
    for fraction in (half_dead(), half_dead(3, 14)):
        masks = [annotated(c, fraction) for c in conventions]
        sizes = [int(m.sum()) for m in masks]
        assert all((inner <= outer).all() for outer, inner in pairwise(masks))
        assert sizes[0] > sizes[-1] > 0


def test_only_a_strict_annotator_leaves_out_the_rim_and_every_one_includes_the_core() -> None:
    fraction = half_dead(5, 14)
    masks = {name: annotated(replace(c, missed_dots=0.0), fraction) for name, c in CONVENTIONS.items()}
    assert masks["strict"].sum() < 0.7 * masks["average"].sum() < 0.7 * masks["generous"].sum()
    assert all(mask[fraction > 0.95].mean() > 0.95 for mask in masks.values())
    assert fraction[masks["average"]].min() >= 0.4 * 0.4 * 0.9


def test_the_bias_moves_the_border_by_one_voxel_at_most() -> None:
    fraction = np.zeros((30, 30, 5), np.float32)
    fraction[10:20, 10:20, 2] = 1.0
    exact = AnnotatorConvention("test", 0.5)
    assert annotated(exact, fraction).sum() == 100
    for bias_mm, size in ((0.5, 100), (1.2, 140), (9.0, 140), (-9.0, 100)):  # a peak is never left out
        assert annotated(replace(exact, bias_mm=bias_mm), fraction).sum() == size
    blurred = ndimage.gaussian_filter(fraction, (1.5, 1.5, 0))
    tight, plain = (annotated(replace(exact, bias_mm=b), blurred).sum() for b in (-1.2, 0.0))
    assert 0.5 * plain < tight < plain


def test_a_dot_of_two_voxels_is_segmented_unless_the_annotator_misses_it_or_ignores_its_size() -> None:
    fraction = half_dead()
    dot = np.zeros(fraction.shape, bool)
    dot[44, 44, 6:8] = True
    exact = AnnotatorConvention("test", 0.4)
    assert annotated(exact, fraction)[dot].all()
    assert not annotated(replace(exact, least_voxels=3), fraction)[dot].any()
    hits = [annotated(replace(exact, missed_dots=0.4), fraction, seed)[dot].sum() for seed in range(40)]
    assert {0, 1, 2} == set(hits)  # slice by slice
    assert all(annotated(replace(exact, missed_dots=1.0), fraction)[fraction > 0.95] | dot[fraction > 0.95])


def test_an_invisible_infarct_and_a_healthy_head_have_no_mask() -> None:
    average = CONVENTIONS["average"]
    assert not annotated(average, np.zeros((9, 9, 4), np.float32)).any()
    faint = annotate_by(average, np.random.default_rng(0), half_dead(), spacing_mm=SPACING, contrast=1.1, noise=0.02)
    noisy = annotate_by(average, np.random.default_rng(0), half_dead(), spacing_mm=SPACING, contrast=2.0, noise=0.9)
    assert not faint.any()
    assert not noisy.any()


def test_sampled_conventions_cover_their_ranges_and_all_names() -> None:
    rng = np.random.default_rng(0)
    sampled = [sample_convention(rng) for _ in range(400)]
    levels = [c.level for c in sampled]
    assert {c.name for c in sampled} == set(CONVENTIONS)
    assert 0.2 <= min(levels) < 0.25
    assert 0.55 < max(levels) <= 0.6
    assert min(c.bias_mm for c in sampled) < -0.8
    assert max(c.bias_mm for c in sampled) > 0.8
    assert 0.2 < np.mean([not c.includes_faint_rim for c in sampled]) < 0.4
