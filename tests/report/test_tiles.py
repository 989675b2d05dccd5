"""Slices in radiological convention: a marked voxel lies where the letters say, and proportions are true."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.results import Maps
from adumbra.report.tiles import (
    LETTERS,
    PLANES,
    Tile,
    box_around,
    box_centred_on,
    intensity_windows,
    key_slice,
    pixels_per_mm,
    representative_slices,
    tile,
)

WHOLE = (slice(0, 10), slice(0, 12), slice(0, 6))
GRID = Grid((10, 12, 6), np.diag([1.0, 1.0, 4.0, 1.0]))


def marked(index: tuple[int, int, int]) -> np.ndarray:
    volume = np.zeros(GRID.shape, dtype=np.float32)
    volume[index] = 1.0
    return volume


def place(plane: str, index: tuple[int, int, int]) -> tuple[float, float]:
    """The position (across, down) of a marked voxel as fractions of the picture."""
    at = tile(plane, index[PLANES[plane]], WHOLE, GRID, pixels_per_mm=5)
    rows, columns = np.nonzero(at.cut(marked(index), smooth=False) > 0.5)
    height, width = at.size[1], at.size[0]
    return float((columns.mean() + 0.5) / width), float((rows.mean() + 0.5) / height)


def test_the_patients_right_front_is_at_the_upper_left_of_an_axial_picture() -> None:
    across, down = place("axial", (9, 11, 3))
    assert (across, down) == pytest.approx((0.05, 0.5 / 12))
    assert LETTERS["axial"] == ("R", "L")


def test_the_patients_left_back_is_at_the_lower_right_of_an_axial_picture() -> None:
    assert place("axial", (0, 0, 3)) == pytest.approx((0.95, 11.5 / 12))


def test_the_patients_right_top_is_at_the_upper_left_of_a_coronal_picture() -> None:
    assert place("coronal", (9, 4, 5)) == pytest.approx((0.05, 0.5 / 6))
    assert LETTERS["coronal"] == ("R", "L")


def test_the_face_is_at_the_left_and_the_top_up_in_a_sagittal_picture() -> None:
    assert place("sagittal", (4, 11, 5)) == pytest.approx((0.5 / 12, 0.5 / 6))
    assert LETTERS["sagittal"] == ("A", "P")


def test_a_marker_on_the_patients_left_in_scanner_space_is_drawn_at_the_right() -> None:
    """The file is stored towards left and back, and is reoriented to RAS+ first."""
    native = Grid((10, 12, 6), np.array([[-2, 0, 0, 9], [0, -2, 0, 11], [0, 0, 5, 0], [0, 0, 0, 1.0]]))
    stored = np.zeros(native.shape, dtype=np.float32)
    i, j, k = np.round(native.index(np.array([-9.0, 1.0, 10.0]))).astype(int)
    stored[i, j, k] = 1.0  # 9 mm towards the patient's left
    volume, grid = reorient(stored, native)
    at = tile("axial", 2, WHOLE, grid, pixels_per_mm=5)
    columns = np.nonzero(at.cut(volume, smooth=False) > 0.5)[1]
    assert columns.min() > 0.85 * at.size[0]


@pytest.mark.parametrize("plane", PLANES)
def test_a_voxels_pixel_is_where_it_is_drawn(plane: str) -> None:
    index = (7, 2, 4)
    at = tile(plane, index[PLANES[plane]], WHOLE, GRID, pixels_per_mm=5)
    x, y = at.pixel(index)
    assert at.cut(marked(index), smooth=False)[int(y), int(x)] == 1.0


def test_thick_slices_keep_their_true_proportions() -> None:
    assert tile("coronal", 0, WHOLE, GRID, pixels_per_mm=5).size == (50, 120)  # 10 mm wide, 6 slices of 4 mm high
    assert tile("axial", 0, WHOLE, GRID, pixels_per_mm=5).size == (50, 60)


def test_a_picture_is_never_much_wider_than_high() -> None:
    assert pixels_per_mm(WHOLE, GRID, height=120) == 10.0
    flat = Grid((10, 12, 6), np.diag([30.0, 1.0, 4.0, 1.0]))
    assert tile("axial", 0, WHOLE, flat, pixels_per_mm=pixels_per_mm(WHOLE, flat, height=300)).size == (450, 18)


def test_a_crop_holds_the_mask_and_its_margin() -> None:
    mask = marked((5, 5, 3)) > 0
    assert box_around(mask, GRID, margin_mm=2.0) == (slice(3, 8), slice(3, 8), slice(2, 5))
    assert box_around(np.zeros_like(mask), GRID) == WHOLE


def test_a_crop_at_the_border_is_moved_inwards() -> None:
    assert box_centred_on((0, 11, 3), GRID, side_mm=8.0) == (slice(0, 8), slice(4, 12), slice(2, 4))
    assert box_centred_on((5, 5, 3), GRID, side_mm=500.0) == WHOLE


def test_the_representative_slices_include_the_key_slice(maps: Maps) -> None:
    box = (slice(0, 36), slice(0, 40), slice(0, 14))
    chosen = representative_slices(maps, box)
    assert key_slice(maps) == int(maps.mask.sum(axis=(0, 1)).argmax())
    assert key_slice(maps) in chosen
    assert list(chosen) == sorted(set(chosen))
    assert len(chosen) == 6


def test_slices_keep_their_distance_where_there_is_room(maps: Maps) -> None:
    thin = replace(maps, grid=Grid(maps.grid.shape, np.diag([4.0, 4.0, 3.0, 1.0])))
    chosen = representative_slices(thin, (slice(0, 36), slice(0, 40), slice(0, 14)))
    assert min(np.diff(chosen)) >= 2  # 6 mm


def test_without_mask_and_entropy_the_slices_are_spread(maps: Maps) -> None:
    nothing = np.zeros_like(maps.entropy)
    empty = replace(maps, mask=nothing > 0, entropy=nothing)
    assert representative_slices(empty, (slice(0, 36), slice(0, 40), slice(2, 14))) == (2, 4, 6, 8, 10, 12)
    assert len(representative_slices(empty, (slice(0, 36), slice(0, 40), slice(5, 8)))) == 3  # a crop of three slices


def test_contrast_is_that_of_the_brain() -> None:
    volume = np.zeros(GRID.shape, dtype=np.float32)
    volume[5:] = np.linspace(1, 2, 5 * 12 * 6, dtype=np.float32).reshape(5, 12, 6)
    volume[0] = 1e6
    limits = intensity_windows({"dwi": volume, "flat": np.zeros_like(volume)}, volume * (volume < 10) > 0)
    assert limits["dwi"] == pytest.approx((1.01, 1.995), abs=0.01)
    assert limits["flat"] == (0.0, 1.0)


def test_a_tile_is_a_value() -> None:
    assert tile("axial", 0, WHOLE, GRID, pixels_per_mm=5) == Tile("axial", 0, WHOLE, (50, 60))
