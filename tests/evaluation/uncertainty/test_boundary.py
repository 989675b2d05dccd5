"""Regions in which a case is evaluated: by hand on rows of voxels, then against all pairs of voxels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.evaluation.uncertainty.boundary import near_border, regions


def row(text: str) -> np.ndarray:
    return np.array([letter == "x" for letter in text]).reshape(-1, 1, 1)


def as_text(mask: np.ndarray) -> str:
    return "".join("x" if voxel else "." for voxel in mask.ravel())


def grid_of(shape: tuple[int, ...], *spacing_mm: float) -> Grid:
    return Grid((shape[0], shape[1], shape[2]), np.diag([*(spacing_mm or (1.0, 1.0, 1.0)), 1.0]))


def test_both_sides_of_the_border_by_hand() -> None:
    mask = row("...xxxxx...")
    grid = grid_of(mask.shape)
    assert as_text(near_border(mask, grid, by_mm=1.0)) == "..xx...xx.."
    assert as_text(near_border(mask, grid, by_mm=2.0)) == ".xxxx.xxxx."


def test_millimetres_and_not_voxels() -> None:
    mask = row("....xxxx....")
    assert as_text(near_border(mask, grid_of(mask.shape, 3, 1, 1), by_mm=3.0)) == "...xx..xx..."
    assert as_text(near_border(mask, grid_of(mask.shape, 3, 1, 1), by_mm=2.9)) == "." * 12  # less than a voxel
    assert as_text(near_border(mask, grid_of(mask.shape, 0.9, 1, 1), by_mm=2.7)) == ".xxxxxxxxxx."  # three of 0.9


def test_an_oblique_grid_has_the_same_border() -> None:
    turn = np.eye(4)
    turn[:2, :2] = [[0.6, -0.8], [0.8, 0.6]]
    mask = np.zeros((9, 7, 5), dtype=bool)
    mask[3:6, 2:5, 2:4] = True
    straight = grid_of(mask.shape, 0.9, 1.1, 4.0)
    oblique = Grid(straight.shape, turn @ straight.affine)
    for by_mm in (0.9, 1.8, 4.0, 4.1):
        np.testing.assert_array_equal(near_border(mask, oblique, by_mm=by_mm), near_border(mask, straight, by_mm=by_mm))


def test_the_edge_of_the_grid_is_not_a_border() -> None:
    mask = row("xxxx....")
    assert as_text(near_border(mask, grid_of(mask.shape), by_mm=1.0)) == "...xx..."


def test_an_empty_and_a_full_mask_have_no_border() -> None:
    for mask in (row("....."), row("xxxxx")):
        assert not near_border(mask, grid_of(mask.shape), by_mm=2.0).any()


def test_the_border_of_both_masks_inside_the_brain() -> None:
    truth, prediction, brain = row("..xx......"), row("......xx.."), row(".xxxxxx...")
    result = regions(MaskPair(prediction, truth, grid_of(truth.shape)), brain, by_mm=1.0)
    assert as_text(result.boundary) == ".xxxxxx..."
    assert as_text(result.brain) == as_text(brain)
    result = regions(MaskPair(truth, truth, grid_of(truth.shape)), brain, by_mm=1.0)
    assert as_text(result.boundary) == ".xxxx....."


def test_an_empty_mask_leaves_the_border_of_the_other() -> None:
    empty, lesion, brain = row("......"), row("..xx.."), row("xxxxxx")
    grid = grid_of(empty.shape)
    missed = regions(MaskPair(empty, lesion, grid), brain, by_mm=1.0).boundary
    invented = regions(MaskPair(lesion, empty, grid), brain, by_mm=1.0).boundary
    assert as_text(missed) == as_text(invented) == ".xxxx."
    assert not regions(MaskPair(empty, empty, grid), brain, by_mm=1.0).boundary.any()


@given(arrays(bool, (4, 3, 5)), st.sampled_from([0.5, 1.0, 2.0, 2.3, 100.0, float("inf")]))
def test_the_border_agrees_with_all_pairs_of_voxels(mask: np.ndarray, by_mm: float) -> None:
    grid = grid_of(mask.shape, 1.0, 2.0, 0.5)
    points = np.argwhere(np.ones(mask.shape)) * grid.spacing_mm
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    other = mask.ravel()[:, None] != mask.ravel()[None]
    expected = (other & (apart <= by_mm)).any(axis=1).reshape(mask.shape)
    np.testing.assert_array_equal(near_border(mask, grid, by_mm=by_mm), expected)


def test_invalid_arguments_are_refused() -> None:
    lesion, brain = row("..xx.."), row("xxxxxx")
    pair = MaskPair(lesion, lesion, grid_of(lesion.shape))
    with pytest.raises(GridMismatch, match="brain"):
        regions(pair, brain[:-1])
    with pytest.raises(ImplausibleValues, match="brain"):
        regions(pair, brain.astype(np.uint8))
    for by_mm in (0.0, -1.0, float("nan")):
        with pytest.raises(InputRejected, match="by_mm"):
            regions(pair, brain, by_mm=by_mm)
