"""The way from the template to the subject and back."""

import numpy as np
import pytest

from adumbra.phantom.anatomy import head, in_subject


def test_template_points_come_to_where_the_subject_has_them() -> None:
    subject, _ = head(np.random.default_rng(11))
    index = np.random.default_rng(0).integers(3, np.array(subject.grid.shape) - 3, (300, 3))
    world, template_mm = subject.grid.world_mm(index), subject.mni_mm[(slice(None), *index.T)].T.astype(np.float64)
    np.testing.assert_allclose(in_subject(subject, template_mm), world, atol=0.02)


def test_points_beyond_the_grid_stay_beyond_it() -> None:
    subject, _ = head(np.random.default_rng(11))
    below = np.array([[20.0, -20.0, -130.0], [-20.0, -40.0, -120.0]])
    found = in_subject(subject, below)
    assert (found[:, 2] < subject.grid.affine[2, 3]).all()
    assert np.abs(found[:, 2] - below[:, 2]).max() < 40


@pytest.mark.parametrize("spacing_mm", [4.0, 3.0])
def test_a_head_has_its_size_whatever_the_spacing(spacing_mm: float) -> None:
    subject, drawn = head(np.random.default_rng(2), spacing_mm=spacing_mm)
    assert subject.grid.spacing_mm == pytest.approx((spacing_mm,) * 3)
    assert 900 < subject.tissue.sum() * subject.grid.voxel_ml < 1900
    assert drawn["smallest_jacobian"] >= 0.25
    total = subject.tissue + subject.csf + subject.vitreous + subject.soft
    assert total.max() <= 1.001
