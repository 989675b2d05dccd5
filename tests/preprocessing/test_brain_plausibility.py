"""Which brain masks are called implausible, and why."""

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.preprocessing.brain_plausibility import cut_sides, implausibilities, mirror_dice


@pytest.fixture
def ball(grid_around):
    """A function that returns an ellipsoid of 1.4 l, ``scale`` times as large, at ``centre``, and its grid of 4 mm."""

    def build(scale=1.0, centre=(0.0, 0.0, 0.0)):
        grid = grid_around((48, 56, 44), (4.0, 4.0, 4.0))
        index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
        at = (grid.world_mm(index) - np.asarray(centre)) / (scale * np.array([65.0, 82.0, 63.0]))
        return (at**2).sum(axis=-1) < 1.0, grid

    return build


def test_a_whole_brain_is_plausible(ball):
    assert implausibilities(*ball()) == ()


@pytest.mark.parametrize(("scale", "litres"), [(0.75, "0.59"), (1.2, "2.43")])
def test_a_brain_of_the_wrong_size_is_not(ball, scale, litres):
    mask, grid = ball(scale)
    (clause,) = implausibilities(mask, grid)
    assert clause == f"its volume of {litres} l lies outside 0.7 to 2.1 l"


def test_an_empty_mask_has_no_volume(ball):
    mask, grid = ball()
    assert implausibilities(np.zeros_like(mask), grid) == ("its volume of 0.00 l lies outside 0.7 to 2.1 l",)


def test_a_field_of_view_that_is_all_brain_is_cut_by_six_sides(ball):
    mask, grid = ball()
    inner = mask[14:34, 14:42, 14:30]
    assert cut_sides(inner) == 6
    clauses = implausibilities(inner, Grid(inner.shape, grid.affine))
    assert "6 sides of the image cut it" in clauses


def test_a_stack_that_ends_in_the_brain_is_usual(ball):
    mask, grid = ball()
    upper = mask[:, :, 16:]
    assert cut_sides(upper) == 1
    assert implausibilities(upper, Grid(upper.shape, grid.affine)) == ()


def test_half_a_brain_is_unlike_its_mirror_image(ball):
    mask, grid = ball(1.15)
    half = mask.copy()
    half[26:, :, 18:] = False
    assert mirror_dice(mask, grid) > 0.98
    (clause,) = implausibilities(half, grid)
    assert clause.startswith("its halves differ (a Dice of 0.")


def test_parts_and_holes_are_counted(ball):
    mask, grid = ball()
    parts = mask.copy()
    parts[:6, :10, :6] = True
    assert "it has 2 separate parts" in implausibilities(parts, grid)
    hollow = mask.copy()
    hollow[18:30, 20:36, 18:26] = False
    (clause,) = implausibilities(hollow, grid)
    assert clause == f"{12 * 16 * 8 / hollow.sum():.0%} of it are holes"
