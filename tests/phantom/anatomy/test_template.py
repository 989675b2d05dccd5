"""The template: interpolation, ellipsoids and blocks."""

import numpy as np
import pytest
from scipy import ndimage

from adumbra.phantom.anatomy.head import sample_head
from adumbra.phantom.anatomy.template import block_around, interpolate, put_ellipsoid


def _coordinates(*sizes: int) -> np.ndarray:
    """Voxels of 1 mm about the origin as their own millimetres, (3, X, Y, Z)."""
    return np.stack(np.meshgrid(*(np.arange(n) - n // 2 for n in sizes), indexing="ij")).astype(np.float32)


def test_interpolation_is_linear_and_0_outside() -> None:
    volume = np.zeros((9, 8, 7), np.float32)
    volume[3:6, 2:7, 1:4] = np.random.default_rng(0).random((3, 5, 3))
    affine = np.diag([2.0, 3.0, 1.5, 1.0])
    affine[:3, 3] = (-4, -9, -3)
    points = np.float32([7, 14, 6])[:, None, None, None] * np.random.default_rng(1).uniform(-1, 1, (3, 20, 20, 20))
    index = (points - affine[:3, 3].reshape(3, 1, 1, 1)) / np.diag(affine)[:3].reshape(3, 1, 1, 1)
    expected = ndimage.map_coordinates(volume, index, order=1, mode="constant")
    np.testing.assert_allclose(interpolate(volume, affine, points.astype(np.float32)), expected, atol=1e-4)
    assert not interpolate(np.zeros_like(volume), affine, points.astype(np.float32)).any()


def test_an_ellipsoid_has_its_volume_whichever_way_it_is_turned() -> None:
    points = _coordinates(40, 40, 40)
    turned = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    along_x, along_y = np.zeros((2, 40, 40, 40), np.float32)
    put_ellipsoid(along_x, points, (1, 2, 0), (12, 6, 8), edge_mm=1.0)
    put_ellipsoid(along_y, points, (1, 2, 0), (12, 6, 8), axes=turned, edge_mm=1.0)
    expected = 4 / 3 * np.pi * 12 * 6 * 8
    assert along_x.sum() == pytest.approx(expected, rel=0.02)
    assert along_y.sum() == pytest.approx(expected, rel=0.02)
    assert along_x[31, 22, 20] == 1  # 10 mm along x from its centre
    assert along_x[21, 32, 20] == 0
    assert along_y[21, 32, 20] == 1


def test_a_block_contains_all_voxels_of_a_box() -> None:
    subject = sample_head(np.random.default_rng(11))[0]
    low, high = (-31.0, 2.0, 6.0), (-20.0, 30.0, 22.0)
    inside = np.all([(c > a) & (c < b) for c, a, b in zip(subject.mni_mm, low, high, strict=True)], axis=0)
    block = block_around(subject.mni_mm, low, high)
    assert inside.any()
    assert inside[block].sum() == inside.sum()
    assert all(inside[block].any(axis=(1, 2))[[0, -1]])  # and is no larger than it must be
    assert block_around(subject.mni_mm, (300, 0, 0), (310, 1, 1)) is None
