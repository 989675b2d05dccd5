"""The vessel sign on images that are drawn: a dark tube on SWI, a bright one on the other side on TOF."""

import json
from math import isnan

import numpy as np
import pytest
from scipy import ndimage

from adumbra.clinic.vessel_sign import CANNOT, SignImages, measure_sign, vessel_sign
from adumbra.core.atlas.lumen import Lumen, lumen_atlas
from adumbra.core.atlas.vessels import BASILAR, BRANCHES_OF
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.midline import Plane
from adumbra.core.geometry.reflection import plane_reflection

M1 = Lumen(2.5, 2.75, 3.0)
MIRROR = plane_reflection(Plane((1.0, 0.0, 0.0), 0.0))


def grid_of(spacing=(1.0, 1.0, 1.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (-34, -14, -14)
    return Grid(tuple(int(n / s) for n, s in zip((68, 28, 28), spacing, strict=True)), affine)


def radius_from(grid, x):
    """Distance of each voxel from an axis along y through (x, ., 0)."""
    places = grid.world_mm(np.argwhere(np.ones(grid.shape, dtype=bool))).T.reshape(3, *grid.shape)
    return np.hypot(places[0] - x, places[2]), places[1]


def images(*, width=5.0, loss=0.6, artery=3.0, layer=0.0, spacing=(1.0, 1.0, 1.0), tof=True):
    """SWI with a dark tube on the right, TOF with an artery on the left, and the contour of the tube."""
    grid = grid_of(spacing)
    distance, along = radius_from(grid, 20.0)
    swi = np.full(grid.shape, 100.0, dtype=np.float32)
    swi[distance <= width / 2] -= np.float32(100 * loss)
    swi[distance <= width / 5] += np.float32(100 * layer)
    bright = np.full(grid.shape, 100.0, dtype=np.float32)
    bright[radius_from(grid, -22.0)[0] <= artery / 2] = 300.0
    soft = ndimage.gaussian_filter(bright, 0.4)
    mask = (distance <= width / 2) & (np.abs(along) <= 6)
    return mask, SignImages(swi, grid, soft if tof else None, MIRROR)


def test_the_widths_are_those_of_the_tubes() -> None:
    mask, pictures = images()
    measures = measure_sign(mask, pictures)
    assert measures.blooming_mm == pytest.approx(5.0, abs=0.5)
    assert measures.loss == pytest.approx(0.6, abs=0.02)
    assert measures.contralateral_mm == pytest.approx(3.0, abs=0.6)
    assert measures.voxels_across == pytest.approx(5.0, abs=0.5)


def test_a_wide_dark_vessel_has_the_sign() -> None:
    mask, pictures = images()
    result = vessel_sign([mask], pictures, lumen=M1)
    assert result.probability == 1.0
    assert result.sentence().startswith("Susceptibility vessel sign present: blooming ")
    assert "expected lumen 2.8 mm" in result.sentence() or "expected lumen 2.7 mm" in result.sentence()
    assert "on TOF" in result.sentence()
    json.dumps(result.as_json())


def test_a_faint_vessel_has_no_sign_and_a_narrow_one_has_none_either() -> None:
    assert vessel_sign([images(loss=0.08)[0]], images(loss=0.08)[1], lumen=M1).probability == 0.0
    mask, pictures = images(width=3.0, artery=5.0)
    result = vessel_sign([mask], pictures, lumen=M1)
    assert result.probability == 0.0
    assert "absent" in result.sentence()


def test_the_expected_lumen_stands_in_for_the_other_side() -> None:
    mask, pictures = images(tof=False)
    result = vessel_sign([mask], pictures, lumen=M1)
    assert isnan(result.contralateral.median)
    assert result.compared_mm == (M1.median_mm,)
    assert result.probability == 1.0
    alone = vessel_sign([mask], pictures)
    assert isnan(alone.probability)
    assert "neither" in alone.sentence()


def test_draws_without_the_clot_are_undefined() -> None:
    mask, pictures = images()
    result = vessel_sign([mask, np.zeros_like(mask)], pictures, lumen=M1)
    assert result.blooming.undefined_share == 0.5
    assert result.probability == 1.0


def test_a_rim_that_is_darker_than_the_core_is_two_layered() -> None:
    mask, pictures = images(width=7.0, layer=0.3)
    result = vessel_sign([mask], pictures, lumen=M1)
    assert result.layering.median > 0.1
    assert result.layers == "two-layered"
    mask, pictures = images(width=7.0, layer=-0.2)
    assert vessel_sign([mask], pictures, lumen=M1).layers == "not two-layered"


def test_layers_cannot_be_said_on_coarse_images() -> None:
    mask, pictures = images(width=5.0, layer=0.3, spacing=(1.0, 1.0, 2.0))
    result = vessel_sign([mask], pictures, lumen=M1)
    assert result.voxels_across < 4.0
    assert result.layers == CANNOT
    assert CANNOT in result.sentence()


def test_images_lie_on_one_grid_and_a_mask_is_needed() -> None:
    _, pictures = images()
    with pytest.raises(MissingInput):
        vessel_sign([], pictures)
    with pytest.raises(GridMismatch):
        SignImages(pictures.swi, Grid((2, 2, 2), np.eye(4)))


def test_every_named_artery_has_an_expected_lumen() -> None:
    atlas = lumen_atlas()
    assert set(atlas) == {*BRANCHES_OF, BASILAR}
    assert all(0.0 < lumen.low_mm <= lumen.median_mm <= lumen.high_mm < 6.0 for lumen in atlas.values())
    assert 2.5 < atlas["M1"].median_mm < 3.0  # 2.7 mm by the calibration of the phantom's radii.
