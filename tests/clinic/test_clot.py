"""Length, width, fragments and Feret diameter of clots against tubes of known size, and their distribution."""

import json
from math import isnan, pi, sqrt

import numpy as np
import pytest

from adumbra.clinic.clot import GAP_MM, describe_clots, group_fragments, measure_clot
from adumbra.core.errors import GridMismatch, InputRejected, MissingInput
from adumbra.core.geometry.centre_line import centre_line
from adumbra.core.geometry.diameters import largest_inscribed_mm, max_feret_mm
from adumbra.core.geometry.grid import Grid

SPACINGS = [(1.0, 1.0, 1.0), (0.5, 0.5, 2.0), (1.0, 1.0, 2.0), (0.8, 0.8, 1.2)]


def grid_of(spacing, extent_mm=32.0):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -extent_mm / 2
    return Grid(tuple(int(extent_mm / s) for s in spacing), affine)


def tube(points, radius_mm, grid):
    """The voxels whose centres lie within a radius of a line, with flat ends."""
    x = grid.world_mm(np.argwhere(np.ones(grid.shape, dtype=bool)))
    x = x[np.linalg.norm(x, axis=1) < 16]
    distance = np.full(len(x), np.inf)
    nearest = np.zeros(len(x), dtype=int)
    for number, point in enumerate(points):
        own = np.linalg.norm(x - point, axis=1)
        nearest[own < distance] = number
        distance = np.minimum(distance, own)
    inside = distance <= radius_mm
    inside &= ~((nearest == 0) & ((x - points[0]) @ (points[0] - points[1]) > 0))
    inside &= ~((nearest == len(points) - 1) & ((x - points[-1]) @ (points[-1] - points[-2]) > 0))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[tuple(np.rint(grid.index(x[inside])).astype(int).T)] = True
    return mask


def straight(length, direction=(1, 0, 0), shift=(0.1, 0.2, 0.3)):
    direction = np.array(direction) / np.linalg.norm(direction)
    return np.linspace(-length / 2, length / 2, 80)[:, None] * direction + np.array(shift)


def arc(length, radius=9.0, turn=None):
    angle = np.linspace(0, length / radius, 80)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0 * angle], axis=1)
    return (points - points.mean(axis=0)) @ (np.eye(3) if turn is None else turn.T)


def box(shape, *parts):
    mask = np.zeros(shape, dtype=bool)
    for part in parts:
        mask[part] = True
    return mask


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("radius", [1.35, 2.5])
def test_the_length_of_tubes_is_right_to_a_voxel(spacing, radius) -> None:
    grid = grid_of(spacing)
    turn = np.linalg.qr(np.array([[1.0, 0.4, 0.2], [0.3, 1.0, -0.5], [-0.6, 0.1, 1.0]]))[0]
    lines = [straight(12.0), straight(17.3, (1, 2, 1)), straight(12.0, (0, 0, 1)), arc(16.0), arc(14.0, turn=turn)]
    for points, length in zip(lines, (12.0, 17.3, 12.0, 16.0, 14.0), strict=True):
        measures = measure_clot(tube(points, radius, grid), grid)
        assert measures.length_mm == pytest.approx(length, abs=max(spacing))
        assert measures.width_mm == pytest.approx(2 * radius, abs=0.5)
        # The sphere keeps clear of the corners of the voxels outside.
        assert 2 * radius - 1.6 * max(spacing) <= measures.largest_width_mm <= 2 * radius + 0.5
        assert measures.fragments == 1
        assert measures.gaps_mm == 0.0


def test_a_bent_tube_is_longer_than_its_chord() -> None:
    grid = grid_of((1.0, 1.0, 1.0))
    mask = tube(arc(24.0), 1.5, grid)
    assert measure_clot(mask, grid).length_mm == pytest.approx(24.0, abs=1.0)
    assert max_feret_mm(mask, grid) < 23.0


def test_a_side_branch_does_not_count() -> None:
    grid = grid_of((1.0, 1.0, 1.0))
    stem = tube(straight(18.0), 1.4, grid)
    branch = tube(straight(5.0, (0, 1, 0), shift=(1.0, 3.0, 0.3)), 1.2, grid)
    whole = measure_clot(stem | branch, grid)
    assert whole.length_mm == pytest.approx(measure_clot(stem, grid).length_mm, abs=1.0)


def test_the_orientation_of_the_grid_does_not_matter() -> None:
    grid = grid_of((1.0, 1.0, 2.0))
    mask = tube(arc(16.0), 1.6, grid)
    expected = measure_clot(mask, grid)
    turn = np.eye(4)
    turn[:3, :3] = [[0.0, -1.0, 0.0], [0.6, 0.0, -0.8], [0.8, 0.0, 0.6]]
    turned = measure_clot(mask, Grid(grid.shape, turn @ grid.affine))
    assert turned.length_mm == pytest.approx(expected.length_mm, abs=1e-6)
    assert turned.feret_mm == pytest.approx(expected.feret_mm)
    flipped = Grid(grid.shape, grid.affine @ np.array(
        [[-1, 0, 0, grid.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=float))  # fmt: skip
    assert measure_clot(mask[::-1], flipped).length_mm == pytest.approx(expected.length_mm, abs=0.2)


def test_one_voxel_has_the_size_of_its_box() -> None:
    grid = Grid((3, 3, 3), np.diag([1.0, 1.0, 2.0, 1.0]))
    measures = measure_clot(box((3, 3, 3), (1, 1, 1)), grid)
    assert measures.volume_ml == pytest.approx(0.002)
    assert measures.length_mm == pytest.approx(2.0)
    assert measures.feret_mm == pytest.approx(sqrt(6))
    assert measures.width_mm == pytest.approx(2 * sqrt(1 / pi))
    assert measures.largest_width_mm == pytest.approx(1.0)


def test_an_empty_mask_has_no_length() -> None:
    grid = Grid((3, 3, 3), np.eye(4))
    measures = measure_clot(np.zeros((3, 3, 3), dtype=bool), grid)
    assert (measures.volume_ml, measures.fragments) == (0.0, 0)
    assert all(isnan(value) for value in (measures.length_mm, measures.feret_mm, measures.width_mm))
    assert len(centre_line(np.zeros((3, 3, 3), dtype=bool), grid).points_mm) == 0
    assert max_feret_mm(np.zeros((3, 3, 3), dtype=bool), grid) == 0.0


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_inscribed_sphere_of_a_bar_is_as_wide_as_the_bar(width) -> None:
    mask = box((12, 8, 8), (slice(1, 11), slice(2, 2 + width), slice(2, 2 + width)))
    assert largest_inscribed_mm(mask, Grid(mask.shape, np.eye(4))) == pytest.approx(width)


def test_fragments_along_one_artery_are_measured_over_the_gap() -> None:
    mask = box((24, 7, 7), (slice(2, 8), slice(2, 5), slice(2, 5)), (slice(11, 20), slice(2, 5), slice(2, 5)))
    measures = measure_clot(mask, Grid(mask.shape, np.eye(4)))
    assert measures.fragments == 2
    assert measures.length_mm == pytest.approx(18.0, abs=0.3)
    assert measures.gaps_mm == pytest.approx(3.0)
    assert measures.width_mm == pytest.approx(2 * sqrt(9 / pi), abs=0.1)


def test_fragments_are_grouped_by_their_gap() -> None:
    gap = int(GAP_MM)
    mask = box((40, 3, 3), (slice(0, 4), 1, 1), (slice(4 + gap, 14), 1, 1), (slice(14 + gap + 1, 40), 1, 1))
    labels, count = group_fragments(mask, Grid(mask.shape, np.eye(4)))
    assert count == 2
    assert set(labels[:14, 1, 1]) == {0, 2}
    assert set(labels[20:, 1, 1]) == {1}  # The largest comes first.
    assert group_fragments(np.zeros((3, 3, 3), dtype=bool), Grid((3, 3, 3), np.eye(4)))[1] == 0


def test_every_clot_has_its_distribution_over_the_draws() -> None:
    shape = (48, 5, 5)
    grid = Grid(shape, np.eye(4))
    row = (slice(None), slice(2, 3), slice(2, 3))
    first, second = box(shape, (slice(2, 12), *row[1:])), box(shape, (slice(30, 36), *row[1:]))
    longer = box(shape, (slice(2, 14), *row[1:]))
    beside = box(shape, (slice(15, 17), *row[1:]))
    far = box(shape, (slice(44, 46), *row[1:]))
    draws = [first | second, longer | second, first | beside, first | far, np.zeros(shape, dtype=bool)]
    result = describe_clots(first | second, iter(draws), grid)
    one, two = result.clots
    np.testing.assert_allclose(one.length.draws[:4], [10, 12, 15, 10], atol=1e-3)
    assert isnan(one.length.draws[4])
    assert one.fragments.draws == (1, 1, 2, 1, 0)
    assert one.presence == pytest.approx(0.8)
    assert one.length.undefined_share == pytest.approx(0.2)
    assert two.presence == pytest.approx(0.4)
    np.testing.assert_allclose(two.volume.draws, [0.006, 0.006, 0, 0, 0])
    np.testing.assert_allclose(result.elsewhere.draws, [0, 0, 0, 0.002, 0])
    np.testing.assert_allclose(result.volume.draws, [0.016, 0.018, 0.012, 0.012, 0])
    assert one.reference.length_mm == pytest.approx(10.0, abs=1e-3)
    assert json.loads(json.dumps(result.as_json()))["clots"][0]["length"]["unit"] == "mm"


def test_draws_must_exist_and_lie_on_the_grid() -> None:
    grid = Grid((3, 3, 3), np.eye(4))
    mask = np.ones((3, 3, 3), dtype=bool)
    with pytest.raises(MissingInput):
        describe_clots(mask, [], grid)
    with pytest.raises(GridMismatch):
        describe_clots(mask, iter([np.ones((2, 3, 3), dtype=bool)]), grid)
    with pytest.raises(InputRejected):
        describe_clots(mask, [mask], grid, level=1.0)
    assert describe_clots(np.zeros((3, 3, 3), dtype=bool), [mask], grid).clots == ()
