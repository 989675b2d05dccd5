"""Candidates and true components of one voxel, on a grid of 2 mm."""

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.evaluation.segmentation.candidates import matched_components

GRID = Grid((20, 5, 5), np.diag([2.0, 2.0, 2.0, 1.0]))


def truth(*indices):
    mask = np.zeros(GRID.shape, bool)
    for index in indices:
        mask[index] = True
    return mask


def test_centroids_within_5_mm_match():
    near, far = np.array([[4, 2, 2]]), np.array([[5, 2, 2]])
    assert matched_components([near, far], truth((2, 2, 2)), GRID) == ((1, 0), 1)


def test_an_overlap_of_a_tenth_matches():
    """Ten voxels of which the first is true: the centroids are 9 mm apart, the overlap is one of ten."""
    long = np.array([[x, 2, 2] for x in range(10)])
    assert matched_components([long], truth((0, 2, 2)), GRID) == ((1,), 1)
    longer = np.array([[x, 2, 2] for x in range(11)])
    assert matched_components([longer], truth((0, 2, 2)), GRID) == ((0,), 1)


def test_of_two_components_the_overlapping_one_is_matched():
    mask = truth((2, 2, 2), (4, 2, 2))
    matched, count = matched_components([np.array([[4, 2, 2]]), np.array([[3, 3, 2]])], mask, GRID)
    assert count == 2
    assert matched[0] != 0
    assert matched_components([np.array([[2, 2, 2]])], mask, GRID)[0][0] not in (0, matched[0])


def test_an_empty_truth_has_nothing_to_match():
    assert matched_components([np.array([[2, 2, 2]])], truth(), GRID) == ((0,), 0)
    assert matched_components([], truth((0, 0, 0)), GRID) == ((), 1)
