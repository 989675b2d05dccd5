"""Vessels on voxels: volumes by hand, partial volume kept."""

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.phantom.vasculature.lumen import occupied
from adumbra.phantom.vasculature.vessels import Tree


def tube(start: tuple[float, ...], end: tuple[float, ...], radius_mm: float) -> Tree:
    points = np.array([start, end])
    return Tree(points, np.array([-1, 0]), np.full(2, radius_mm), np.ones(2), np.zeros(2, np.intp), ("tube",))


def grid_of(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> Grid:
    return Grid(shape, np.diag([*spacing_mm, 1.0]))


@pytest.mark.parametrize("radius_mm", [0.1, 0.4, 1.35, 3.0])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.5, 0.7, 2.0)])
def test_a_tube_takes_its_volume(radius_mm: float, spacing_mm: tuple[float, float, float]) -> None:
    grid = grid_of(spacing_mm, (40, 40, 30))
    tree = tube((6.0, 8.0, 7.0), (13.0, 15.0, 19.0), radius_mm)
    length = np.linalg.norm(tree.points_mm[1] - tree.points_mm[0])
    share = occupied(tree, grid)
    assert share.max() <= 1.0
    loss = 0.06 if radius_mm > 1 else 1e-4  # where the points of a wide tube overfill a voxel, the rest is cut off
    assert share.sum() * grid.voxel_ml * 1000 == pytest.approx(np.pi * radius_mm**2 * length, rel=loss)


def test_a_wide_tube_is_full_inside_and_empty_outside() -> None:
    share = occupied(tube((10.0, 10.0, 2.0), (10.0, 10.0, 18.0), 3.0), grid_of((1.0, 1.0, 1.0), (21, 21, 21)))
    assert share[10, 10, 10] == pytest.approx(1.0, abs=0.05)
    assert share[12, 10, 10] > 0.7
    assert share[15, 10, 10] == 0.0
    assert share[10, 10, 20] == 0.0


def test_only_the_chosen_stretches_are_painted_and_wider_is_more() -> None:
    grid, tree = grid_of((1.0, 1.0, 1.0), (20, 20, 20)), tube((5.0, 5.0, 5.0), (15.0, 5.0, 5.0), 0.3)
    assert not occupied(tree, grid, nodes=np.zeros(2, dtype=bool)).any()
    assert occupied(tree, grid, widened=2.0).sum() == pytest.approx(4 * occupied(tree, grid).sum(), rel=1e-5)


def test_what_leaves_the_grid_is_left_out() -> None:
    grid = grid_of((1.0, 1.0, 1.0), (10, 10, 10))
    half = occupied(tube((4.5, 4.5, 4.5), (24.5, 4.5, 4.5), 0.2), grid)
    assert half.sum() == pytest.approx(np.pi * 0.04 * 5.0, rel=0.05)
    assert not occupied(tube((40.0, 4.0, 4.0), (60.0, 4.0, 4.0), 0.2), grid).any()
