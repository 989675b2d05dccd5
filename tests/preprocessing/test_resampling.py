"""Scans on another grid: invalid voxels do not count, phase is averaged as an angle, native is unchanged."""

import numpy as np
import pytest

from adumbra.core.case import Case, Scan, scan_from_array
from adumbra.core.geometry.grid import Grid
from adumbra.preprocessing.resampling import resample_case, resample_phase, resample_scan


def line(shape=(4, 1, 1), spacing=1.0, origin=0.0):
    return Grid(shape, np.diag([spacing, 1.0, 1.0, 1.0]) + np.outer([origin, 0, 0, 0], [0, 0, 0, 1.0]))


def scan_of(values, grid, **metadata):
    return Scan(np.asarray(values, dtype=np.float32).reshape(grid.shape), grid, grid, **metadata)


def test_the_other_fields_of_a_scan_are_unchanged():
    lps = np.diag([-1.0, -1.0, 1.0, 1.0])
    stored = scan_from_array(np.ones((4, 4, 4), np.float32), lps, source="a.nii", b_value=800.0)
    out = resample_scan(stored, line((3, 3, 3), 2.0, -3.0))
    assert (out.source, out.b_value) == ("a.nii", 800.0)
    assert out.native.axcodes == "LPS"
    assert out.native is stored.native


def test_outside_the_view_is_zero_and_not_valid():
    out = resample_scan(scan_of([1, 2, 3, 4], line()), line(origin=2.0))
    assert out.data.ravel().tolist() == [3, 4, 0, 0]
    assert out.valid_mask.ravel().tolist() == [True, True, False, False]
    assert resample_scan(scan_of([1, 2, 3, 4], line()), line((2, 1, 1), origin=1.0)).valid_mask is None


def test_a_hole_does_not_influence_its_neighbours():
    holed = scan_of([4, 4, 0, 4], line(), valid_mask=np.array([1, 1, 0, 1], dtype=bool).reshape(4, 1, 1))
    out = resample_scan(holed, line((3, 1, 1), origin=0.25))
    assert out.data.ravel() == pytest.approx([4, 4, 0])
    assert out.valid_mask.ravel().tolist() == [True, True, False]


def test_a_hole_stays_a_hole_on_the_same_grid():
    valid_mask = np.array([1, 1, 0, 1], dtype=bool).reshape(4, 1, 1)
    out = resample_scan(scan_of([4, 4, 0, 4], line(), valid_mask=valid_mask), line())
    assert np.array_equal(out.valid_mask, valid_mask)


def test_phase_is_averaged_around_the_circle():
    wrapped = scan_of([np.pi - 0.1, -np.pi + 0.1, 0.2, 0.4], line())
    out = resample_phase(wrapped, line((3, 1, 1), origin=0.5))
    assert abs(out.data[0, 0, 0]) == pytest.approx(np.pi, abs=1e-5)
    assert out.data[2, 0, 0] == pytest.approx(0.3, abs=1e-5)
    assert out.data.dtype == np.float32


def test_phase_outside_the_view_is_zero_and_not_valid():
    out = resample_phase(scan_of([3, 3, 3, 3], line()), line(origin=2.0))
    assert out.data.ravel() == pytest.approx([3, 3, 0, 0])
    assert out.valid_mask.ravel().tolist() == [True, True, False, False]


def test_a_phase_of_small_range_is_averaged_too():
    high_pass_filter = scan_of([0.02, 0.04, -0.01, 0.01], line())
    out = resample_phase(high_pass_filter, line((3, 1, 1), origin=0.5))
    assert out.data.ravel() == pytest.approx([0.03, 0.015, 0.0], abs=1e-5)


def test_a_case_is_resampled_to_one_grid_and_noted(isles):
    grid = Grid((56, 56, 37), isles.scan("dwi").grid.affine @ np.diag([2.0, 2.0, 2.0, 1.0]))
    out = resample_case(isles, grid)
    assert out.grid.coincides(grid)
    assert out.masks["lesion"].data.dtype == bool
    before, after = (c.masks["lesion"] for c in (isles, out))
    assert after.data.sum() * grid.voxel_ml == pytest.approx(before.data.sum() * before.grid.voxel_ml, rel=0.15)
    assert out.provenance[-1].values["spacing_mm"] == [4.0, 4.0, 4.0]
    assert out.scan("flair").native is isles.scan("flair").native


def test_a_case_already_on_the_grid_keeps_its_bytes(rng):
    scan = Scan(rng.random((4, 4, 4), dtype=np.float32), line((4, 4, 4)), line((4, 4, 4)))
    assert np.array_equal(resample_case(Case("c", {"dwi": scan}), line((4, 4, 4))).scan("dwi").data, scan.data)
