"""Connected components: counted by hand, and the same by either library."""

import numpy as np
import pytest

from adumbra.core.geometry import components
from adumbra.core.geometry.components import (
    component_sizes,
    hysteresis_threshold,
    label_components,
    label_components_by_scipy,
    largest_component,
    touching,
)


def partition(labels):
    """Which voxels go together, whatever their numbers."""
    return {tuple(np.flatnonzero(labels == n)) for n in np.unique(labels[labels > 0])}


def test_corners_edges_and_faces():
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[1, 2, 2] = mask[1, 2, 3] = True  # corner, edge, face
    counts = {c: label_components(mask, connectivity=c)[1] for c in (26, 18, 6)}
    assert counts == {26: 1, 18: 2, 6: 3}


def test_sizes_are_in_the_order_of_the_labels():
    mask = np.zeros((5, 5, 5), dtype=bool)
    mask[0, 0, :3] = mask[4, 4, 4] = True
    labels, count = label_components(mask)
    sizes = component_sizes(labels, count)
    assert sizes[labels[0, 0, 0] - 1] == 3
    assert sizes[labels[4, 4, 4] - 1] == 1
    assert labels.dtype == np.int32


def test_an_empty_mask_has_no_components():
    labels, count = label_components(np.zeros((3, 3, 3), dtype=bool))
    assert count == 0
    assert component_sizes(labels, count).shape == (0,)
    assert not largest_component(np.zeros((3, 3, 3), dtype=bool)).any()


def test_the_largest_is_alone():
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[:2, :2, :2] = mask[4, 4, :] = True
    assert np.argwhere(largest_component(mask)).max() == 1


@pytest.mark.parametrize("connectivity", [6, 18, 26])
@pytest.mark.parametrize("density", [0.05, 0.2, 0.5])
def test_cc3d_and_scipy_agree(connectivity, density, rng):
    pytest.importorskip("cc3d")
    mask = rng.random((17, 13, 11)) < density
    fast, n_fast = label_components(mask, connectivity=connectivity)
    plain, n_plain = label_components_by_scipy(mask, connectivity=connectivity)
    assert n_fast == n_plain
    assert partition(fast) == partition(plain)


def test_without_cc3d_scipy_is_used(monkeypatch, rng):
    mask = rng.random((9, 9, 9)) < 0.2
    expected = label_components(mask)
    monkeypatch.setattr(components, "cc3d", None)
    labels, count = label_components(mask)
    assert count == expected[1]
    assert partition(labels) == partition(expected[0])


def test_a_transposed_view_is_labelled_in_place(rng):
    mask = (rng.random((6, 7, 8)) < 0.3).transpose(2, 0, 1)
    labels, _ = label_components(mask)
    assert np.array_equal(labels > 0, mask)


def test_hysteresis_selects_whole_parts_that_are_high_somewhere() -> None:
    values = np.array([0.4, 0.9, 0.4, 0.1, 0.6, 0.6, 0.1], dtype=np.float32).reshape(7, 1, 1)
    assert hysteresis_threshold(values, low=0.4, high=0.9).ravel().tolist() == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert hysteresis_threshold(values, low=0.4, high=0.6).ravel().tolist() == [
        True,
        True,
        True,
        False,
        True,
        True,
        False,
    ]
    for high in (0.0, 0.4):
        np.testing.assert_array_equal(hysteresis_threshold(values, low=0.4, high=high), values >= np.float32(0.4))
    assert not hysteresis_threshold(values, low=0.4, high=0.95).any()


def test_parts_join_across_a_corner_and_seeds_outside_select_nothing() -> None:
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[0, 0, 0] = mask[1, 1, 1] = mask[3, 3, 3] = True
    seeds = np.zeros_like(mask)
    seeds[1, 1, 1] = seeds[0, 3, 0] = True
    assert np.argwhere(touching(mask, seeds)).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert not touching(np.zeros_like(mask), seeds).any()


def test_a_single_row_of_voxels() -> None:
    row = np.array([1, 1, 0, 1, 0, 1], dtype=bool)
    for shape in ((6, 1, 1), (1, 6, 1), (1, 1, 6)):
        labels, count = label_components(row.reshape(shape))
        assert count == 3
        assert partition(labels) == {(0, 1), (3,), (5,)}


def test_a_read_only_mask_is_labelled_too():
    mask = np.zeros((3, 3, 3), dtype=bool)
    mask[1, 1, 1] = True
    mask.flags.writeable = False
    assert label_components(mask)[1] == 1
