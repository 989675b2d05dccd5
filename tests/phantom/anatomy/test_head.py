"""Anatomy of the head: deformation, fractions, sinuses, depth."""

import numpy as np
import pytest
from scipy import ndimage

from adumbra.phantom.anatomy.head import CAVITIES_MM, Head, in_subject, sample_head
from adumbra.phantom.anatomy.template import template

FRACTIONS = ("grey", "white", "csf", "vitreous", "soft", "air", "bone")


@pytest.fixture(scope="module")
def subject() -> Head:
    return sample_head(np.random.default_rng(11))[0]


def test_template_points_are_mapped_to_their_place_in_the_subject(subject: Head) -> None:
    index = np.random.default_rng(0).integers(3, np.array(subject.grid.shape) - 3, (300, 3))
    world, template_mm = subject.grid.world_mm(index), subject.mni_mm[(slice(None), *index.T)].T.astype(np.float64)
    np.testing.assert_allclose(in_subject(subject, template_mm), world, atol=0.02)


def test_points_beyond_the_grid_stay_beyond_it(subject: Head) -> None:
    below = np.array([[20.0, -20.0, -130.0], [-20.0, -40.0, -120.0]])
    points = in_subject(subject, below)
    assert (points[:, 2] < subject.grid.affine[2, 3]).all()
    assert np.abs(points[:, 2] - below[:, 2]).max() < 40


@pytest.mark.parametrize("spacing_mm", [4.0, 3.0])
def test_a_head_has_its_size_whatever_the_spacing(spacing_mm: float) -> None:
    subject, parameters = sample_head(np.random.default_rng(2), spacing_mm=spacing_mm)
    assert subject.grid.spacing_mm == pytest.approx((spacing_mm,) * 3)
    assert 900 < subject.tissue.sum() * subject.grid.voxel_ml < 1900
    assert parameters["smallest_jacobian"] >= 0.25
    assert subject.age == parameters["age"]


def test_fractions_sum_to_one_everywhere(subject: Head) -> None:
    fractions = {name: getattr(subject, name) for name in FRACTIONS}
    assert all(volume.min() >= 0 for volume in fractions.values())
    np.testing.assert_allclose(sum(fractions.values()), 1, atol=1e-5)


def test_air_is_around_the_head_bone_around_the_brain_and_neither_in_it(subject: Head) -> None:
    inside = subject.depth_mm < 0
    assert subject.air[inside].max() < 1e-5
    assert subject.bone[inside].max() < 1e-5
    assert subject.air[[0, -1], :, -20:].min() == 1
    skull = (subject.depth_mm > 5) & (subject.depth_mm < 6) & (subject.mni_mm[2] > 20)  # fluid ends before, scalp after
    assert subject.bone[skull].mean() > 0.6
    vault = subject.mni_mm[2] > 20
    assert subject.soft[vault & (subject.depth_mm > 25)].max() == 0


def test_sinuses_hold_air_enclosed_by_the_head() -> None:
    air = np.zeros(len(CAVITIES_MM))
    for seed in range(6):
        head = sample_head(np.random.default_rng(seed))[0]
        for n, (centre, _) in enumerate(CAVITIES_MM):
            near = (np.abs(head.mni_mm - np.reshape(centre, (3, 1, 1, 1))) < 3).all(axis=0)
            air[n] = max(air[n], head.air[near].max(initial=0))
    assert (air > 0.9).all()


def test_the_suprasellar_cistern_is_fluid(subject: Head) -> None:
    near = (np.abs(subject.mni_mm - np.reshape((0, 0, -22), (3, 1, 1, 1))) < 4).all(axis=0)
    assert (subject.csf + subject.tissue)[near].min() > 0.95


def test_same_seed_same_head() -> None:
    one, two = (sample_head(np.random.default_rng(4), spacing_mm=4.0)[0] for _ in range(2))
    assert all(getattr(one, n).tobytes() == getattr(two, n).tobytes() for n in (*FRACTIONS, "mni_mm", "depth_mm"))


def test_depth_is_the_templates_near_the_brain_and_close_to_it_far_away(subject: Head) -> None:
    t = template()
    index = subject.mni_mm - t.affine[:3, 3].reshape(3, 1, 1, 1)
    known = ndimage.map_coordinates(t.depth_mm, index, order=1, mode="nearest")
    wrong = np.abs(subject.depth_mm - known)
    assert wrong[known < 2].max() < 0.02
    assert wrong.max() < 3
    assert wrong.mean() < 0.2
