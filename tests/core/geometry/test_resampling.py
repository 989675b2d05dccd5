"""Resampling: exact where voxels coincide, correct where it interpolates."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from adumbra.core.case import scan_from_array
from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid, reorient, respaced
from adumbra.core.geometry.resampling import resample, within_view

ALL_ORIENTATIONS = [
    "".join(codes) for axes in itertools.permutations(("RL", "AP", "SI")) for codes in itertools.product(*axes)
]


def turned(angles_deg, translation_mm=(0.0, 0.0, 0.0)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    affine[:3, 3] = translation_mm
    return affine


def grid_of(shape, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape, affine)


def world_ramp(grid):
    """f(x, y, z) = 2x - 3y + 5z + 7 in world mm: linear interpolation must give it back on any grid."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return (grid.world_mm(index) @ [2.0, -3.0, 5.0] + 7.0).astype(np.float32)


def test_the_same_grid_gives_the_same_bytes_in_a_new_array(rng):
    data, grid = rng.random((5, 6, 7), dtype=np.float32), grid_of((5, 6, 7), (1.3, 0.7, 5.0))
    data.setflags(write=False)
    out = resample(data, grid, Grid(grid.shape, grid.affine))
    assert np.array_equal(out, data)
    assert out.flags.writeable
    assert not np.shares_memory(out, data)


@pytest.mark.parametrize("axcodes", ALL_ORIENTATIONS)
def test_flips_and_permutations_are_exact(axcodes, rng):
    data = rng.random((4, 5, 6), dtype=np.float32)
    tilted = Grid((4, 5, 6), turned((4, -3, 7), (10, 20, 30)) @ np.diag([0.9, 1.1, 5.0, 1.0]))
    expected, target = reorient(data, tilted, axcodes)
    assert np.array_equal(resample(data, tilted, target), expected)
    assert np.array_equal(resample(expected > 0.5, target, tilted), data > 0.5)


def test_a_scan_returns_to_its_native_grid_bit_by_bit(rng):
    stored = rng.random((6, 4, 5), dtype=np.float32)
    lps = turned((3, 2, 1)) @ np.diag([-2.0, -2.0, 3.0, 1.0])
    scan = scan_from_array(stored, lps[:, [1, 2, 0, 3]])
    assert np.array_equal(resample(scan.data, scan.grid, scan.native), stored)


def test_a_shift_of_one_voxel_is_a_copy_with_a_filled_edge():
    data = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    out = resample(data, grid_of((2, 3, 4)), grid_of((2, 3, 4), origin=(0, 0, 1)), fill=-9.0)
    assert np.array_equal(out[:, :, :3], data[:, :, 1:])
    assert (out[:, :, 3] == -9.0).all()


def test_a_crop_and_a_pad_are_copies(rng):
    data = rng.random((8, 8, 8), dtype=np.float32)
    crop = resample(data, grid_of((8, 8, 8)), grid_of((3, 4, 2), origin=(2, 1, 5)))
    assert np.array_equal(crop, data[2:5, 1:5, 5:7])
    back = resample(crop, grid_of((3, 4, 2), origin=(2, 1, 5)), grid_of((8, 8, 8)))
    assert back.sum() == pytest.approx(crop.sum())
    assert np.array_equal(back[2:5, 1:5, 5:7], crop)


def test_half_a_voxel_is_the_mean_of_two_neighbours():
    data = np.array([0.0, 2.0, 6.0], dtype=np.float32).reshape(3, 1, 1)
    out = resample(data, grid_of((3, 1, 1)), grid_of((2, 1, 1), origin=(0.5, 0, 0)))
    assert out.ravel() == pytest.approx([1.0, 4.0])


@pytest.mark.parametrize("moving_from_fixed", [None, turned((5, -8, 12), (3, -2, 4))])
def test_a_linear_field_survives_tilted_and_sheared_grids(moving_from_fixed):
    sheared = turned((10, 5, -7), (-30, -30, -30)) @ np.diag([1.5, 1.5, 3.0, 1.0])
    sheared[:3, 1] += 0.2 * sheared[:3, 0]  # No orthonormal directions belong to this.
    source = Grid((60, 60, 40), sheared)
    target = Grid((8, 9, 10), turned((-4, 3, 2), (10, 15, 20)))
    out = resample(world_ramp(source), source, target, moving_from_fixed=moving_from_fixed, antialias=False)
    in_view = within_view(source, target, moving_from_fixed)
    through = target.affine if moving_from_fixed is None else moving_from_fixed @ target.affine
    expected = world_ramp(Grid(target.shape, through))
    assert in_view.all()
    assert np.abs(out - expected).max() < 1e-2


def test_the_transform_goes_from_fixed_to_moving():
    moving = np.zeros((9, 9, 9), dtype=np.float32)
    moving[6, 4, 4] = 1.0
    shift = turned((0, 0, 0), (2.5, 0, 0))  # The fixed point (3.5, 4, 4) is the moving point (6, 4, 4).
    out = resample(moving, grid_of((9, 9, 9)), grid_of((9, 9, 9), origin=(0.5, 0, 0)), moving_from_fixed=shift)
    assert np.argwhere(out == 1.0).tolist() == [[3, 4, 4]]


def test_antialias_averages_what_a_large_voxel_covers():
    stripes = (np.arange(60) % 2).astype(np.float32)[:, None, None] * np.ones((60, 6, 6), dtype=np.float32)
    source, target = grid_of((60, 6, 6)), grid_of((14, 6, 6), (4.0, 1.0, 1.0), (2.0, 0.0, 0.0))
    assert (resample(stripes, source, target, antialias=False) == 0.0).all()
    assert resample(stripes, source, target)[1:-1] == pytest.approx(0.5, abs=0.05)


def test_antialias_does_not_change_finer_axes():
    thick = np.zeros((3, 3, 3), dtype=np.float32)
    thick[:, :, 1] = 1.0
    source, target = grid_of((3, 3, 3), (1, 1, 5.0)), grid_of((3, 3, 11), (1, 1, 1.0))
    assert resample(thick, source, target)[1, 1] == pytest.approx(
        [0, 0.2, 0.4, 0.6, 0.8, 1, 0.8, 0.6, 0.4, 0.2, 0], abs=1e-5
    )


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (3.0, 3.0, 3.0), (0.9, 0.9, 6.0), (0.5, 0.5, 0.5)])
@pytest.mark.parametrize("tilt", [0.0, 17.0])
def test_a_mask_preserves_its_volume(spacing, tilt):
    source = grid_of((48, 48, 48))
    at = np.stack(np.meshgrid(*[np.arange(48)] * 3, indexing="ij"), axis=-1) - [23.8, 23.1, 23.4]
    ball = np.linalg.norm(at, axis=-1) < 14.0
    turn = turned((0, 0, 0), (23.5,) * 3) @ turned((tilt, tilt, 0)) @ turned((0, 0, 0), (-23.5,) * 3)
    target = respaced(Grid(source.shape, turn @ source.affine), spacing)
    moved = resample(ball, source, target)
    assert moved.dtype == bool
    assert moved.sum() * target.voxel_ml == pytest.approx(ball.sum() * source.voxel_ml, rel=0.04)


def test_a_single_voxel_does_not_vanish():
    spot = np.zeros((20, 20, 20), dtype=bool)
    spot[7, 11, 3] = True
    coarse = respaced(grid_of((20, 20, 20)), (4.0, 4.0, 5.0))
    moved = resample(spot, grid_of((20, 20, 20)), coarse)
    (index,) = np.argwhere(moved)
    assert np.abs(coarse.world_mm(index) - [7, 11, 3]).max() <= 2.5
    off_by_half = grid_of((20, 20, 20), origin=(0.5, 0.5, 0.5))
    assert resample(spot, grid_of((20, 20, 20)), off_by_half).sum() >= 1


def test_many_components_preserve_their_count_inside_the_view(rng):
    shower = np.zeros((60, 60, 20), dtype=bool)
    shower[5::12, 5::12, 4::8] = True
    target = respaced(grid_of((60, 60, 20)), (2.5, 2.5, 4.0))
    assert label_components(resample(shower, grid_of((60, 60, 20)), target))[1] == label_components(shower)[1] == 50
    elsewhere = grid_of((10, 10, 10), (2.5, 2.5, 2.5), origin=(200, 0, 0))
    assert not resample(shower, grid_of((60, 60, 20)), elsewhere).any()


def test_nearest_creates_no_new_value(rng):
    values = rng.integers(0, 4, (10, 10, 10)).astype(np.float32) * 10
    out = resample(values, grid_of((10, 10, 10)), Grid((9, 9, 9), turned((5, 6, 7))), interpolation="nearest")
    assert set(np.unique(out)) <= {0.0, 10.0, 20.0, 30.0}
    mask = resample(values > 15, grid_of((10, 10, 10)), Grid((9, 9, 9), turned((5, 6, 7))), interpolation="nearest")
    assert mask.dtype == bool
    assert np.array_equal(mask, out > 15)


@given(
    angles=st.tuples(*[st.floats(-40, 40)] * 3),
    shift=st.tuples(*[st.floats(-9, 9)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 4)] * 3),
)
def test_voxels_in_view_are_those_without_fill(angles, shift, spacing):
    source = Grid((7, 6, 5), turned((3, 2, 1)) @ np.diag([*spacing, 1.0]))
    target = Grid((9, 8, 7), turned(angles, shift))
    out = resample(np.ones(source.shape, dtype=np.float32), source, target, fill=-1.0, antialias=False)
    disagree = (out > 0) != within_view(source, target)
    # Only centres that lie on the very face of the field of view may be told apart by rounding.
    at = source.index(target.world_mm(np.argwhere(disagree)))
    to_face = np.minimum(np.abs(at + 0.5), np.abs(at - (np.asarray(source.shape) - 0.5))).min(axis=-1)
    assert (to_face < 1e-5).all()


def test_two_runs_give_the_same_bytes(rng):
    data, source = rng.random((30, 31, 20), dtype=np.float32), grid_of((30, 31, 20), (1, 1, 3.0))
    target = Grid((25, 25, 25), turned((5, 6, 7)) @ np.diag([1.7, 1.7, 1.7, 1.0]))
    assert resample(data, source, target).tobytes() == resample(data, source, target).tobytes()
