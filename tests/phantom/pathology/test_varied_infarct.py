"""Infarcts of randomised examinations: sizes, places, shapes and frequencies."""

from collections import Counter

import numpy as np
import pytest

from adumbra.core.geometry.components import label_components
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head, sample_head
from adumbra.phantom.pathology.lesion import LesionShape, Pattern
from adumbra.phantom.pathology.sites import in_brainstem, in_cerebellum
from adumbra.phantom.pathology.varied_infarct import sample_varied_infarct, sample_varied_pattern
from adumbra.phantom.presets import preset_named


@pytest.fixture(scope="module")
def subject() -> Head:
    return sample_head(np.random.default_rng(5), spacing_mm=2.0)[0]


def infarct(subject: Head, seed: int, pattern: Pattern, shape: LesionShape | None = None) -> Volume:
    return sample_varied_infarct(np.random.default_rng(seed), subject, pattern=pattern, lesion_shape=shape)


def cube() -> LesionShape:
    volume = np.zeros((40, 40, 40), np.uint8)
    volume[8:30, 8:30, 8:30] = 1
    affine = np.eye(4)
    affine[:3, 3] = [18, -40, 0]  # 10.6 ml around (37, -21, 19)
    return LesionShape("cube", volume, affine)


def test_healthy_heads_brainstem_and_cerebellum_have_their_share_with_and_without_real_shapes() -> None:
    probabilities, rng = preset_named("lesion-both").patterns, np.random.default_rng(0)
    assert sum(probabilities.values()) == pytest.approx(1)
    for shape in (None, cube()):
        counts = Counter(
            sample_varied_pattern(rng, probabilities=probabilities, lesion_shape=shape) for _ in range(4000)
        )
        assert 0.15 < counts["none"] / 4000 < 0.20
        assert 0.065 < counts["brainstem"] / 4000 < 0.095
        assert 0.085 < counts["cerebellum"] / 4000 < 0.115
        assert (counts["lesion-mask"] / 4000 > 0.25) == (shape is not None)


def test_a_healthy_head_has_no_infarct(subject: Head) -> None:
    assert not infarct(subject, 0, "none").any()


@pytest.mark.parametrize(
    ("pattern", "least_ml", "most_ml"),
    [("large", 25, 330), ("lacune", 0.016, 3.2), ("brainstem", 0.03, 4.0), ("cerebellum", 0.016, 50)],
)
def test_sizes(subject: Head, pattern: Pattern, least_ml: float, most_ml: float) -> None:
    for seed in range(3):
        amount = infarct(subject, seed, pattern)
        assert amount.min() >= 0
        assert amount.max() <= 1
        assert not amount[subject.tissue <= 0.02].any()
        assert least_ml <= (amount > 0.2).sum() * subject.grid.voxel_ml <= most_ml


def test_brainstem_and_cerebellar_infarcts_lie_there(subject: Head) -> None:
    for seed in range(4):
        stem, cerebellum = infarct(subject, seed, "brainstem"), infarct(subject, seed, "cerebellum")
        assert stem[in_brainstem(subject.mni_mm)].sum() > 0.99 * stem.sum() > 0
        assert cerebellum[in_cerebellum(subject.mni_mm)].sum() > 0.99 * cerebellum.sum() > 0


def test_a_large_infarct_stays_on_its_side_in_few_components(subject: Head) -> None:
    for seed in range(2):
        amount = infarct(subject, seed, "large")
        right = amount[subject.mni_mm[0] > 0].sum() / amount.sum()
        assert not 0.05 < right < 0.95
        labels, count = label_components(amount > 0.5)
        assert count < 60
        assert np.bincount(labels.reshape(-1))[1:].max() > 0.5 * (labels > 0).sum()


def test_some_large_infarcts_have_a_rim_that_is_partly_dead(subject: Head) -> None:
    faint = []
    for seed in range(5):
        amount = infarct(subject, seed, "large")
        faint.append(((amount > 0.15) & (amount < 0.6)).sum() / (amount > 0.15).sum())
    assert max(faint) > 0.35
    assert min(faint) < 0.30


def test_a_cortical_infarct_spares_white_matter(subject: Head) -> None:
    for seed in (1, 3):
        amount = infarct(subject, seed, "cortical")
        grey, white = (amount[(amount > 0) & (tissue > 0.8)].mean() for tissue in (subject.grey, subject.white))
        assert grey > 2.5 * white


def test_emboli_go_down_to_two_voxels_and_most_are_below_a_tenth_of_a_millilitre(subject: Head) -> None:
    sizes: list[int] = []
    for seed in range(6):
        labels, count = label_components(infarct(subject, seed, "shower") > 0.35)
        sizes += np.bincount(labels.reshape(-1))[1:].tolist()
        assert 1 <= count <= 80
    assert min(sizes) == 2
    assert np.median(sizes) * subject.grid.voxel_ml < 0.12
    assert max(sizes) * subject.grid.voxel_ml < 4


def test_a_real_shape_is_deformed_grown_and_shrunk_but_keeps_its_place(subject: Head) -> None:
    shapes = [infarct(subject, seed, "lesion-mask", cube()) > 0.5 for seed in range(8)]
    volumes = np.array([s.sum() for s in shapes]) * subject.grid.voxel_ml
    assert volumes.max() > 1.5 * volumes.min() > 0
    for shape in shapes:
        assert label_components(shape)[1] < 25
        centre = subject.mni_mm[:, shape].mean(axis=1)
        assert np.abs(np.abs(centre) - (37, 21, 19)).max() < 22
    overlaps = [2 * (a & b).sum() / (a.sum() + b.sum()) for n, a in enumerate(shapes) for b in shapes[n + 1 :]]
    assert max(overlaps) < 0.92
