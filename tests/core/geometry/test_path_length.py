import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.path_length import path_length_mm


def grid_of(mask, spacing=(1.0, 1.0, 1.0)):
    return Grid(mask.shape, np.diag([*spacing, 1.0]))


def line(*voxels, shape=(20, 20, 20)):
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(np.array(voxels).T)] = True
    return mask


def test_a_row_of_voxels_is_as_long_as_its_voxels():
    mask = line(*[(x, 5, 5) for x in range(3, 13)])
    assert path_length_mm(mask, grid_of(mask)) == pytest.approx(10.0)


def test_the_spacing_counts_along_the_row():
    mask = line(*[(5, 5, z) for z in range(4)])
    grid = grid_of(mask, (0.5, 0.5, 2.0))
    assert path_length_mm(mask, grid) == pytest.approx(4 * 2.0)  # four voxels of 2 mm, as solid boxes


def test_a_bend_is_measured_along_its_course():
    """An L of ten and ten voxels: 19 mm along the middle of its arms, and less where the corner is rounded."""
    mask = line(*[(x, 5, 5) for x in range(10)], *[(9, y, 5) for y in range(6, 15)])
    assert 8 + np.sqrt(2) + 8 + 1 <= path_length_mm(mask, grid_of(mask)) <= 19.0


def test_components_add_up():
    mask = line((1, 1, 1), (2, 1, 1), (10, 10, 10))
    assert path_length_mm(mask, grid_of(mask)) == pytest.approx(2.0 + 1.0)


def test_nothing_has_no_length():
    mask = np.zeros((4, 4, 4), dtype=bool)
    assert path_length_mm(mask, grid_of(mask)) == 0.0
