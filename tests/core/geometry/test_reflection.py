"""The mirrored hemisphere shows at each voxel the value of the other side."""

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.midline import Plane
from adumbra.core.geometry.reflection import (
    index_reflection,
    mirror_channels,
    mirrored,
    mirrored_box,
    plane_reflection,
    sub_grid,
)

GRID = Grid((20, 16, 12), np.array([[2.0, 0, 0, -19], [0, 2, 0, -15], [0, 0, 2, -11], [0, 0, 0, 1]]))
MIDDLE = plane_reflection(Plane((1.0, 0.0, 0.0), 0.0))


def tilted(deg: float, offset_mm: float) -> np.ndarray:
    angle = np.radians(deg)
    return plane_reflection(Plane((float(np.cos(angle)), float(np.sin(angle)), 0.0), offset_mm))


def test_a_reflection_is_its_own_inverse_and_exchanges_the_sides():
    matrix = tilted(12.0, 3.0)
    np.testing.assert_allclose(matrix @ matrix, np.eye(4), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(-1.0)
    np.testing.assert_allclose(plane_reflection(Plane((1.0, 0.0, 0.0), 5.0)) @ [7.0, 1.0, 2.0, 1.0], [3, 1, 2, 1])


def test_a_symmetric_volume_equals_its_mirror_image_exactly():
    half = np.random.default_rng(0).random((10, 16, 12), dtype=np.float32)
    whole = np.concatenate([half, half[::-1]])
    assert np.array_equal(mirrored(whole, GRID, MIDDLE), whole)


def test_a_lesion_of_one_side_is_the_difference_from_the_mirror_image():
    half = np.random.default_rng(0).random((10, 16, 12), dtype=np.float32)
    whole = np.concatenate([half, half[::-1]])
    whole[3:5, 6:9, 4:7] += 5.0
    difference = whole - mirrored(whole, GRID, MIDDLE)
    assert np.argwhere(difference > 2).min(axis=0).tolist() == [3, 6, 4]
    assert np.argwhere(difference > 2).max(axis=0).tolist() == [4, 8, 6]
    assert np.array_equal(difference, -difference[::-1])


def test_beyond_the_field_of_view_the_mirror_image_is_zero():
    volume = np.ones(GRID.shape, dtype=np.float32)
    image = mirrored(volume, GRID, plane_reflection(Plane((1.0, 0.0, 0.0), 10.0)))
    assert (image[:10] == 0).all()  # the mirror images of x < 0 lie beyond 20 mm
    assert (image[10:] == 1).all()


@pytest.mark.parametrize("box", [(4, 2, 3), (0, 0, 0), (12, 8, 4)])
def test_a_part_is_mirrored_like_the_whole(box):
    volume = np.random.default_rng(1).random((2, *GRID.shape), dtype=np.float32)
    reflection = index_reflection(tilted(10.0, 4.0), GRID)
    whole = np.stack([mirrored(v, GRID, tilted(10.0, 4.0)) for v in volume])
    np.testing.assert_allclose(mirror_channels(volume, reflection), whole, atol=1e-5)
    part = tuple(slice(start, start + 8) for start in box)
    image = mirrored_box(lambda b: volume[(slice(None), *b)], GRID.shape, reflection, part)
    np.testing.assert_allclose(image, whole[(slice(None), *part)], atol=1e-5)


def test_a_box_without_a_mirror_image_is_zero():
    reflection = index_reflection(plane_reflection(Plane((1.0, 0.0, 0.0), 500.0)), GRID)
    volume = np.ones((1, *GRID.shape), dtype=np.float32)
    assert (mirror_channels(volume, reflection) == 0).all()


def test_the_grid_of_a_padded_part_keeps_the_place_of_its_voxels():
    part = sub_grid(GRID, [3, -2, 0], (4, 4, 4))
    np.testing.assert_allclose(part.world_mm([0, 2, 1]), GRID.world_mm([3, 0, 1]))
