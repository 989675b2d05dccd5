"""Contours lie around their voxels, maps are clear at zero, letters and crosses have the right place."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from adumbra.core.results import Findings, Maps
from adumbra.report.figures import (
    ENTROPY,
    SEGMENTATION_COLOUR,
    TRUTH_COLOUR,
    Scene,
    colour_bar,
    data_uri,
    draw_cross,
    draw_frame,
    epistemic_scale,
    grey_slice,
    label_sides,
    region_picture,
    slice_with_contours,
    slice_with_map,
)
from adumbra.report.tiles import Tile, tile

BOX = (slice(0, 36), slice(0, 40), slice(0, 14))


@pytest.fixture
def scene(maps: Maps, brain: np.ndarray) -> Scene:
    dwi = brain.astype(np.float32) * 100
    return Scene({"dwi": dwi}, {"dwi": (0.0, 200.0)}, maps, None, BOX)


@pytest.fixture
def at(maps: Maps) -> Tile:
    level = int(maps.mask.sum(axis=(0, 1)).argmax())
    return tile("axial", level, BOX, maps.grid, pixels_per_mm=2)


def coloured(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.asarray(picture) == colour).all(axis=-1)


def test_a_scan_is_grey_in_its_window(scene: Scene, at: Tile) -> None:
    picture = grey_slice(scene, "dwi", at)
    assert picture.shape == (at.size[1], at.size[0], 3)
    assert picture[at.size[1] // 2, at.size[0] // 2] == pytest.approx([127.5] * 3)
    assert picture[0, 0] == pytest.approx([0, 0, 0])


def test_a_contour_surrounds_the_mask_and_leaves_it_free(scene: Scene, at: Tile) -> None:
    line = coloured(slice_with_contours(scene, "dwi", at), SEGMENTATION_COLOUR)
    inside = at.cut(scene.maps.mask, smooth=False) > 0.5
    assert line.any()
    assert not (line & inside).any()
    rows, columns = np.nonzero(line)
    rows_in, columns_in = np.nonzero(inside)
    assert (rows.min(), rows.max()) == (rows_in.min() - 2, rows_in.max() + 2)
    assert (columns.min(), columns.max()) == (columns_in.min() - 2, columns_in.max() + 2)


def test_the_contour_of_a_lesion_on_the_patients_left_is_on_the_right(scene: Scene, at: Tile) -> None:
    columns = np.nonzero(coloured(slice_with_contours(scene, "dwi", at), SEGMENTATION_COLOUR))[1]
    assert columns.min() > at.size[0] / 2


def test_the_contour_of_the_truth_lies_inside_so_that_equal_masks_show_both(scene: Scene, at: Tile) -> None:
    picture = slice_with_contours(replace(scene, truth=scene.maps.mask), "dwi", at)
    inside = at.cut(scene.maps.mask, smooth=False) > 0.5
    truth = coloured(picture, TRUTH_COLOUR)
    assert truth.any()
    assert coloured(picture, SEGMENTATION_COLOUR).any()
    assert not (truth & ~inside).any()


def test_a_map_is_clear_at_zero_and_opaque_at_its_top(scene: Scene, at: Tile) -> None:
    nothing, full = np.zeros_like(scene.maps.entropy), np.full_like(scene.maps.entropy, ENTROPY.top)
    np.testing.assert_allclose(slice_with_map(scene, "dwi", at, nothing, ENTROPY), grey_slice(scene, "dwi", at))
    solid = slice_with_map(scene, "dwi", at, full, ENTROPY)
    assert (solid[..., 0] > solid[..., 2] + 20).all()  # magma ends in a pale yellow


def test_the_epistemic_scale_holds_its_largest_value(maps: Maps) -> None:
    scale = epistemic_scale(maps)
    assert float(maps.epistemic.max()) <= scale.top + 1e-6 < float(maps.epistemic.max()) + 0.06
    assert epistemic_scale(replace(maps, epistemic=np.zeros_like(maps.epistemic))).top == 0.05


def test_letters_are_drawn_at_both_sides(at: Tile) -> None:
    black = np.zeros((at.size[1], at.size[0], 3), dtype=np.float32)
    drawn = np.asarray(label_sides(black, at, text="slice 3")).max(axis=-1) > 200
    width = at.size[0]
    assert drawn[:, : width // 5].any()
    assert drawn[:, -width // 5 :].any()
    assert not drawn[: at.size[1] // 3, width // 3 : 2 * width // 3].any()


def test_a_cross_is_open_around_its_region(scene: Scene, at: Tile, findings: Findings) -> None:
    region = replace(findings.regions[0], index=(18, 20, at.index))
    image = draw_cross(Image.new("RGB", at.size), at, region)
    drawn = np.asarray(image).max(axis=-1) > 0
    x, y = (int(v) for v in at.pixel(region.index))
    assert drawn[y, x + 14 : x + 20].all()
    assert not drawn[y - 8 : y + 8, x - 8 : x + 8].any()


def test_a_frame_holds_its_crop(at: Tile) -> None:
    image = draw_frame(Image.new("RGB", at.size), at, (slice(10, 20), slice(10, 20), slice(0, 1)))
    rows, columns = np.nonzero(np.asarray(image).max(axis=-1))
    assert columns.max() - columns.min() == pytest.approx(10 / 36 * at.size[0], abs=2)
    assert rows.max() - rows.min() == pytest.approx(10 / 40 * at.size[1], abs=2)


def test_a_region_is_shown_four_times(scene: Scene, findings: Findings) -> None:
    image = region_picture(scene, findings.regions[1], height=100)
    assert image.height == 100
    assert 370 < image.width < 420
    assert np.asarray(image)[:, 110:200].any()


def test_images_become_addresses_that_open(at: Tile) -> None:
    for kind in ("JPEG", "PNG"):
        address = data_uri(colour_bar(ENTROPY), kind=kind)
        head, content = address.split(",", 1)
        assert head == f"data:image/{kind.lower()};base64"
        opened = Image.open(io.BytesIO(base64.b64decode(content)))
        assert opened.size == (256, 12)
        assert not opened.getexif()
