"""The reflective registration recovers the plane of a head, however it lies, and is not misled by a lesion or a cut."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.case import Case, Scan
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.midline import Plane
from adumbra.core.geometry.reflection import mirrored, plane_reflection, sub_grid
from adumbra.phantom.anatomy.template import interpolate_all, template
from adumbra.preprocessing.pipeline import network_case
from adumbra.preprocessing.reflection import register_mirrored, with_reflection
from adumbra.preprocessing.regions import RegionReader

SIDE_MM = 4.0


def head(*, turn_deg=(0.0, 0.0), shift_mm=0.0, lesion=False, first=0):
    """The symmetric template, turned about z (yaw) and y (roll) and shifted along x; ``first`` slices are cut away.

    Returns the image, the brain, the grid, and the true mirror image of each voxel's place, (N, 3) for the brain.
    """
    yaw, roll = np.radians(turn_deg)
    about_z = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(roll), 0, np.sin(roll)], [0, 1, 0], [-np.sin(roll), 0, np.cos(roll)]])
    mni_from_subject = np.eye(4)
    mni_from_subject[:3, :3] = about_z @ about_y
    mni_from_subject[:3, 3] = [-shift_mm, -18.0, 12.0]
    affine = np.diag([SIDE_MM, SIDE_MM, SIDE_MM, 1.0])
    affine[:3, 3] = [-110 + first * SIDE_MM, -110, -95]
    grid = Grid((56 - first, 56, 48), affine)
    points = grid.world_mm(np.indices(grid.shape).reshape(3, -1).T) @ mni_from_subject[:3, :3].T
    points = (points + mni_from_subject[:3, 3]).T.astype(np.float32)
    maps = template()
    grey, white, depth = (v.reshape(grid.shape) for v in interpolate_all(
        [maps.grey / 255.0, maps.white / 255.0, maps.depth_mm], maps.affine, points))  # fmt: skip
    brain = depth < 0
    image = (1.0 * grey + 0.7 * white + 0.2 * brain).astype(np.float32)
    image += np.random.default_rng(0).normal(0, 0.03, grid.shape).astype(np.float32) * brain
    if lesion:
        place = points.reshape(3, *grid.shape) - np.array([34.0, -10.0, 14.0]).reshape(3, 1, 1, 1)
        image[(np.sqrt((place**2).sum(axis=0)) < 26) & brain] *= 2.5
    mirror = points[:, brain.ravel()] * np.array([[-1.0], [1.0], [1.0]])
    other = (mirror.T - mni_from_subject[:3, 3]) @ mni_from_subject[:3, :3]
    return image, brain, grid, other


def error_mm(matrix, brain, grid, other):
    own = grid.world_mm(np.argwhere(brain))
    return np.linalg.norm(own @ matrix[:3, :3].T + matrix[:3, 3] - other, axis=1)


def test_a_head_is_mirrored_in_its_own_plane_however_it_lies():
    image, brain, grid, other = head(turn_deg=(14.0, -6.0), shift_mm=7.0)
    masks = {"brain": Scan(brain, grid, grid)}
    case = with_reflection(Case("sub-a", {"dwi": Scan(image, grid, grid)}, masks), ("dwi", "adc"))
    assert case.reflection is not None
    assert np.percentile(error_mm(case.reflection, brain, grid, other), 95) < 2.0
    difference = np.abs(image - mirrored(image, grid, case.reflection))[brain]
    assert np.median(difference) < 0.08  # of a signal of 0.9; noise of 0.03 in both, and interpolation
    assert case.provenance[-1].stage == "preprocessing.reflection"
    assert not case.provenance[-1].warning
    with pytest.raises(MissingInput, match="brain mask"):
        with_reflection(Case("sub-a", case.scans), ("dwi",))


def test_a_large_lesion_of_one_side_does_not_move_the_plane_and_shows_in_the_difference():
    image, brain, grid, other = head(turn_deg=(8.0, 4.0), lesion=True)
    result = register_mirrored([image], brain, grid)
    assert np.percentile(error_mm(result.matrix, brain, grid, other), 95) < 2.5
    difference = image - mirrored(image, grid, result.matrix)
    right = grid.world_mm(np.argwhere(difference > 0.6))[:, 0]
    assert len(right) > 400
    assert (right > 0).mean() > 0.97


def test_a_head_cut_at_one_side_keeps_its_plane_and_is_reported():
    image, brain, grid, other = head(first=18)  # 37 mm of the brain are missing on the left
    result = register_mirrored([image], brain, grid)
    assert np.median(error_mm(result.matrix, brain, grid, other)) < 3.0
    assert result.covered < 0.9
    line = result.conversion()
    assert line.warning
    assert "for only" in line.what


def test_a_region_of_an_aligned_case_brings_its_mirror_images():
    image, brain, grid, _ = head(turn_deg=(6.0, 0.0))
    scans = {"dwi": Scan(image, grid, grid)}
    plane = plane_reflection(Plane((float(np.cos(0.1)), float(np.sin(0.1)), 0.0), 2.0))
    case = Case("sub-a", scans, {"brain": Scan(brain, grid, grid)}, reflection=plane)
    whole = network_case(case, spacing_mm=SIDE_MM)
    part = sub_grid(whole.grid, [10, 15, 14], (16, 16, 16))
    region = RegionReader(case, SIDE_MM)(part)
    expected = mirrored(whole.scans["dwi"].data, whole.grid, whole.reflection)[10:26, 15:31, 14:30]
    assert region.mirrors["dwi"].grid.coincides(part)
    inside = expected > -1  # beside voxels that are clipped the order of clipping and interpolation matters
    assert (np.abs(region.mirrors["dwi"].data - expected)[inside] < 2e-3).mean() > 0.9
    assert np.abs(region.mirrors["dwi"].data - region.scans["dwi"].data).max() > 0.5
    assert RegionReader(replace(case, reflection=None), SIDE_MM)(part).mirrors == {}


def test_without_the_networks_images_the_brain_mask_alone_is_compared():
    _, brain, grid, other = head(turn_deg=(5.0, 0.0))
    result = register_mirrored([], brain, grid)
    assert np.percentile(error_mm(result.matrix, brain, grid, other), 95) < 4.0
