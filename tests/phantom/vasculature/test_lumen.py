"""Vessel fractions: volumes by hand, with partial volume."""

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.phantom.vasculature.lumen import vessel_fraction
from adumbra.phantom.vasculature.vessels import Tree


def tube(start: tuple[float, ...], end: tuple[float, ...], radius_mm: float) -> Tree:
    points = np.array([start, end])
    return Tree(points, np.array([-1, 0]), np.full(2, radius_mm), np.ones(2), np.zeros(2, np.intp), ("tube",))


def grid_of(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> Grid:
    return Grid(shape, np.diag([*spacing_mm, 1.0]))


@pytest.mark.parametrize("radius_mm", [0.1, 0.4, 1.35, 3.0])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.5, 0.7, 2.0)])
def test_the_volume_of_a_tube_is_preserved(radius_mm: float, spacing_mm: tuple[float, float, float]) -> None:
    grid = grid_of(spacing_mm, (40, 40, 30))
    tree = tube((6.0, 8.0, 7.0), (13.0, 15.0, 19.0), radius_mm)
    length = np.linalg.norm(tree.points_mm[1] - tree.points_mm[0])
    share = vessel_fraction(tree, grid)
    assert share.max() <= 1.0
    loss = 0.06 if radius_mm > 1 else 1e-4  # overfilled voxels of a wide tube are clipped
    assert share.sum() * grid.voxel_ml * 1000 == pytest.approx(np.pi * radius_mm**2 * length, rel=loss)


def test_a_wide_tube_is_full_inside_and_empty_outside() -> None:
    share = vessel_fraction(tube((10.0, 10.0, 2.0), (10.0, 10.0, 18.0), 3.0), grid_of((1.0, 1.0, 1.0), (21, 21, 21)))
    assert share[10, 10, 10] == pytest.approx(1.0, abs=0.05)
    assert share[12, 10, 10] > 0.7
    assert share[15, 10, 10] == 0.0
    assert share[10, 10, 20] == 0.0


def test_only_the_chosen_stretches_are_painted_and_wider_is_more() -> None:
    grid, tree = grid_of((1.0, 1.0, 1.0), (20, 20, 20)), tube((5.0, 5.0, 5.0), (15.0, 5.0, 5.0), 0.3)
    assert not vessel_fraction(tree, grid, nodes=np.zeros(2, dtype=bool)).any()
    assert vessel_fraction(tree, grid, widened=2.0).sum() == pytest.approx(
        4 * vessel_fraction(tree, grid).sum(), rel=1e-5
    )


def test_vessels_outside_the_grid_are_ignored() -> None:
    grid = grid_of((1.0, 1.0, 1.0), (10, 10, 10))
    half = vessel_fraction(tube((4.5, 4.5, 4.5), (24.5, 4.5, 4.5), 0.2), grid)
    assert half.sum() == pytest.approx(np.pi * 0.04 * 5.0, rel=0.05)
    assert not vessel_fraction(tube((40.0, 4.0, 4.0), (60.0, 4.0, 4.0), 0.2), grid).any()
