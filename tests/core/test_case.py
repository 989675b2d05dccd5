"""Grid, Scan and Case, on numbers that can be checked by hand."""

import itertools

import numpy as np
import pytest

from adumbra.core.case import Case, Conversion, Grid, Scan, scan_from_array
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import reorient, respaced

OBLIQUE = np.array([[1.9, 0.2, 0.1, -90.0], [-0.2, 1.9, 0.3, -110.0], [-0.1, -0.3, 4.9, -40.0], [0, 0, 0, 1]])


def _grid(spacing=(2.0, 2.0, 2.0), shape=(10, 12, 8)) -> Grid:
    return Grid(shape, np.diag([*spacing, 1.0]))


def test_spacing_and_voxel_volume() -> None:
    grid = _grid((2.0, 3.0, 5.0))
    assert grid.spacing_mm == (2.0, 3.0, 5.0)
    assert grid.voxel_ml == pytest.approx(0.030)
    assert grid.axcodes == "RAS"
    assert grid.obliquity_deg == 0


def test_world_and_index_are_inverse_on_an_oblique_grid() -> None:
    grid = Grid((10, 12, 8), OBLIQUE)
    index = np.array([[0.0, 0.0, 0.0], [3.5, 2.0, 7.0]])
    assert np.allclose(grid.index(grid.world_mm(index)), index)
    assert grid.obliquity_deg > 1


def test_a_grid_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        _grid().affine[0, 0] = 7.0


def test_distance_is_that_of_the_farthest_corner() -> None:
    moved = np.diag([2.0, 2.0, 2.0, 1.0])
    moved[:3, 3] = [3.0, 4.0, 0.0]
    assert _grid().distance_mm(Grid((10, 12, 8), moved)) == pytest.approx(5.0)
    assert _grid().distance_mm(_grid(shape=(10, 12, 9))) == float("inf")
    assert _grid().coincides(_grid())


@pytest.mark.parametrize("codes", ["".join(c) for c in itertools.product("RL", "AP", "SI")] + ["SAR", "PIL", "AIR"])
def test_reorienting_there_and_back_is_exact(codes: str) -> None:
    data = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    grid = Grid((4, 5, 6), OBLIQUE)
    turned, turned_grid = reorient(data, grid, codes)
    assert turned_grid.axcodes == codes
    peak = np.unravel_index(turned.argmax(), turned.shape)
    before = np.unravel_index(data.argmax(), data.shape)
    assert np.allclose(turned_grid.world_mm(np.array(peak)), grid.world_mm(np.array(before)))
    back, back_grid = reorient(turned, turned_grid, grid.axcodes)
    assert np.array_equal(back, data)
    assert back_grid.coincides(grid)


def test_respacing_preserves_the_centre_and_the_field_of_view() -> None:
    grid = Grid((100, 80, 20), OBLIQUE)
    other = respaced(grid, (2.0, 2.0, 2.0))
    middle = lambda g: g.world_mm((np.array(g.shape) - 1) / 2)  # noqa: E731
    assert np.allclose(middle(other), middle(grid))
    extent = np.array(other.shape) * other.spacing_mm
    assert np.abs(extent - np.array(grid.shape) * grid.spacing_mm).max() <= 1.0


def test_a_scan_is_reoriented_to_ras_and_records_its_native_grid() -> None:
    data = np.zeros((3, 4, 5), np.int16)
    data[0, 0, 0] = 7
    scan = scan_from_array(data, np.diag([-1.0, -1.0, 1.0, 1.0]))
    assert scan.grid.axcodes == "RAS"
    assert scan.native.axcodes == "LPS"
    assert scan.data.dtype == np.float32
    assert scan.data[2, 3, 0] == 7


def test_a_scans_data_cannot_be_changed_and_must_fit_its_grid() -> None:
    scan = scan_from_array(np.zeros((3, 4, 5), np.float32), np.eye(4))
    with pytest.raises(ValueError, match="read-only"):
        scan.data[0, 0, 0] = 1
    with pytest.raises(GridMismatch):
        Scan(np.zeros((2, 2, 2), np.float32), scan.grid, scan.native)


def test_a_case_on_several_grids_has_no_grid() -> None:
    dwi = scan_from_array(np.zeros((3, 4, 5), np.float32), np.eye(4))
    flair = scan_from_array(np.zeros((3, 4, 5), np.float32), np.diag([2.0, 2.0, 2.0, 1.0]))
    assert Case("a", {"dwi": dwi, "adc": dwi}).grid is dwi.grid
    with pytest.raises(GridMismatch, match="flair"):
        _ = Case("a", {"dwi": dwi, "flair": flair}).grid


def test_a_missing_scan_is_named() -> None:
    with pytest.raises(MissingInput, match="adc"):
        Case("a", {}).scan("adc")


def test_conversions_are_added_and_nothing_else_changes() -> None:
    case = Case("a", {})
    note = Conversion("preprocessing.alignment", "case", "Aligned")
    assert case.updated(note).provenance == (note,)
    assert case.provenance == ()
    with pytest.raises(TypeError):
        case.scans["dwi"] = None  # type: ignore[index]
