"""The alignment to the atlas is compared with the true coordinates of simulated heads."""

import numpy as np
import pytest

from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.phantom.anatomy.head import sample_head
from adumbra.preprocessing.atlas.alignment import align_to_atlas

CONTRASTS = {"dwi": (1.0, 0.75, 0.1), "adc": (0.8, 0.75, 3.0), "tof": (0.7, 0.8, 0.4)}


@pytest.fixture(scope="module")
def subject():
    return sample_head(np.random.default_rng(5), spacing_mm=4.0)[0]


def image_of(subject, contrast, *, infarct=False):
    grey, white, fluid = CONTRASTS[contrast]
    image = grey * subject.grey + white * subject.white + fluid * subject.csf + 0.3 * subject.soft
    if infarct:  # most of one hemisphere above the base
        x, _, z = subject.mni_mm
        image = np.where((x > 12) & (z > -5) & (subject.depth_mm < -3), 2.2 * image, image)
    image = image + np.random.default_rng(0).normal(0, 0.04, image.shape)
    return image.astype(np.float32), subject.depth_mm < 0


def turned(grid, deg):
    angle = np.radians(deg)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Grid(grid.shape, matrix @ grid.affine)


def error_mm(alignment, subject, brain, grid=None, planes=slice(None)):
    estimated = alignment.coordinates(grid or subject.grid)
    return np.linalg.norm(estimated - subject.mni_mm[..., planes], axis=0)[brain]


@pytest.mark.parametrize(("contrast", "infarct", "deg"), [("dwi", True, 0.0), ("adc", False, 25.0)])
def test_any_contrast_is_aligned_and_brings_the_maps_of_the_atlas(subject, contrast, infarct, deg):
    image, brain = image_of(subject, contrast, infarct=infarct)
    grid = turned(subject.grid, deg)
    alignment = align_to_atlas(image, grid, brain=brain)
    errors = error_mm(alignment, subject, brain, grid)
    assert np.median(errors) < 4.5
    assert np.percentile(errors, 95) < 9.0
    assert alignment.implausible == ()
    assert not alignment.conversion("dwi").warning
    if deg:
        return
    priors = alignment.tissue_priors(grid)
    assert set(priors) == {"grey", "white", "fluid"}
    assert np.corrcoef(priors["white"][brain], subject.white[brain])[0, 1] > 0.6
    labels = alignment.territories(grid)
    x = subject.mni_mm[0]
    assert (x[(labels % 2 == 1)] > -8).mean() > 0.99  # odd labels are those of the right
    assert (labels[brain] > 0).mean() > 0.8
    distance = alignment.midline.distances_mm(grid.world_mm(np.argwhere(brain)))
    assert np.median(np.abs(distance - x[brain] * 0.93)) < 4.0  # heads are smaller than the template


def test_a_slab_is_aligned_and_its_share_of_the_brain_is_stated(subject):
    image, brain = image_of(subject, "tof")
    low = int(np.argwhere(brain)[:, 2].min()) + 8
    planes = slice(low, low + 15)  # 60 mm
    grid = subject.grid
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world_mm([0, 0, low])
    slab = Grid((*grid.shape[:2], 15), affine)
    alignment = align_to_atlas(image[..., planes], slab, brain=brain[..., planes])
    assert np.median(error_mm(alignment, subject, brain[..., planes], slab, planes)) < 6.0
    assert 0.2 < alignment.covered < 0.75
    assert alignment.implausible == ()


def test_what_is_no_brain_is_reported(subject):
    grid = Grid((30, 30, 30), np.diag([2.0, 2.0, 2.0, 1.0]))
    distance = np.linalg.norm(np.indices(grid.shape) - 15.0, axis=0)
    volume = np.random.default_rng(0).random(grid.shape, dtype=np.float32)
    alignment = align_to_atlas(volume, grid, brain=distance < 12)  # a ball of 24 mm radius
    assert alignment.implausible
    assert alignment.conversion("swi").warning
    assert "implausibly" in alignment.conversion("swi").what


def test_a_mask_that_is_empty_or_of_another_grid_is_refused(subject):
    volume = np.ones(subject.grid.shape, dtype=np.float32)
    with pytest.raises(MissingInput, match="empty"):
        align_to_atlas(volume, subject.grid, brain=volume < 0)
    with pytest.raises(GridMismatch, match="shape"):
        align_to_atlas(volume, Grid((4, 4, 4), subject.grid.affine), brain=volume > 0)
