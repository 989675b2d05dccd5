"""Bins by hand; the arithmetic of equal widths agrees exactly with the edges; ties stay together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.estimators.binning import Bins, equal_frequency, equal_width

FLOATS = st.floats(-1e6, 1e6, allow_subnormal=False)
ROWS = st.one_of(
    arrays(np.float64, st.integers(1, 60), elements=FLOATS),
    arrays(np.float64, st.integers(1, 60), elements=st.sampled_from([-1.0, 0.0, 0.1, 0.30000000000000004, 7.0])),
    arrays(np.float32, st.integers(1, 60), elements=st.floats(-100, 100, width=32)),
)


def by_search(edges: np.ndarray, values: np.ndarray) -> np.ndarray:
    return np.searchsorted(edges[1:-1], values, side="right")


def test_equal_widths_by_hand() -> None:
    found = equal_width(np.array([0.0, 1.0, 4.0]), bins=4)
    np.testing.assert_array_equal(found.edges, [0, 1, 2, 3, 4])
    assert found.count == 4
    assert found.scale == 1.0
    np.testing.assert_array_equal(found.indices(np.array([0.0, 0.99, 1.0, 3.0, 4.0])), [0, 0, 1, 3, 3])


def test_values_of_other_patients_beyond_the_ends_are_in_the_outermost_bins() -> None:
    found = equal_width(np.array([0.0, 4.0]), bins=4)
    np.testing.assert_array_equal(found.indices(np.array([-9.0, 1e300, -1e300])), [0, 3, 0])
    uneven = Bins(np.array([0.0, 1.0, 10.0]))
    np.testing.assert_array_equal(uneven.indices(np.array([-9.0, 0.5, 1.0, 99.0])), [0, 0, 1, 1])


def test_given_limits_and_quantiles() -> None:
    values = np.arange(101.0)
    np.testing.assert_allclose(equal_width(values, bins=2, limits=(-2.0, 2.0)).edges, [-2, 0, 2], atol=1e-15)
    np.testing.assert_allclose(equal_width(values, bins=2, quantiles=(0.1, 0.9)).edges, [10, 50, 90])


@given(ROWS, st.integers(1, 300))
def test_the_arithmetic_agrees_with_the_edges(values: np.ndarray, bins: int) -> None:
    """Values include every edge and its neighbours, where rounding would show."""
    found = equal_width(values, bins=bins)
    points = np.concatenate(
        [values, found.edges, np.nextafter(found.edges, -np.inf), np.nextafter(found.edges, np.inf)]
    )
    np.testing.assert_array_equal(found.indices(points), by_search(found.edges, points))
    np.testing.assert_array_equal(found.indices(values), by_search(found.edges, values))


def test_equal_width_is_recognised_from_the_edges() -> None:
    """Bins of equal width keep their fast path after they were stored; others use a search."""
    found = equal_width(np.array([-0.3, 0.7]), bins=10)
    assert Bins(found.edges.copy()).scale == found.scale > 0
    assert Bins(np.array([0.0, 1.0, 3.0])).scale == 0


def test_a_constant_is_one_bin() -> None:
    for found in (equal_width(np.full(5, 3.0), bins=8), equal_frequency(np.full(5, 3.0), bins=8)):
        assert found.count == 1
        np.testing.assert_array_equal(found.indices(np.array([3.0, -7.0, 8.0])), [0, 0, 0])


def test_fewer_numbers_than_bins() -> None:
    low, high = 1.0, float(np.nextafter(np.nextafter(1.0, 2), 2))
    found = equal_width(np.array([low, high]), bins=64)
    assert found.count <= 3
    assert found.indices(np.array([low, high])).tolist() == [0, found.count - 1]
    tiny = equal_width(np.array([0.0, 5e-324]), bins=4)
    assert tiny.indices(np.array([0.0, 5e-324]))[0] == 0


def test_equal_frequency_by_hand() -> None:
    """Two values in each bin; the cuts lie in the middle."""
    found = equal_frequency(np.array([1.0, 2, 3, 4, 5, 6]), bins=3)
    np.testing.assert_array_equal(found.edges, [1, 2.5, 4.5, 6])


def test_ties_keep_together_and_the_cut_moves_to_the_nearer_end() -> None:
    """Six of ten are 0. The cut at 2.5 moves to the start and is none, that at 5 to the end at 6, that at 7.5 stays."""
    values = np.array([0.0] * 6 + [1, 2, 3, 4])
    found = equal_frequency(values, bins=4)
    np.testing.assert_array_equal(np.bincount(found.indices(values)), [6, 1, 3])
    np.testing.assert_array_equal(found.edges, [0, 0.5, 1.5, 4])
    assert equal_frequency(np.array([0.0, 0, 1, 1]), bins=2).edges.tolist() == [0, 0.5, 1]


@given(ROWS, st.integers(1, 20))
def test_equal_frequency_keeps_ties_together_and_leaves_no_bin_empty(values: np.ndarray, bins: int) -> None:
    found = equal_frequency(values, bins=bins)
    numbers = found.indices(values)
    assert found.count <= bins
    assert np.bincount(numbers, minlength=found.count).min() > 0
    np.testing.assert_array_equal(numbers, by_search(found.edges, values))
    order = np.argsort(values, kind="stable")
    assert (np.diff(numbers[order].astype(int)) >= 0).all()


def test_without_ties_the_bins_hold_equally_many(rng: np.random.Generator) -> None:
    values = rng.normal(size=1000)
    assert set(np.bincount(equal_frequency(values, bins=8).indices(values))) == {125}
    assert np.ptp(np.bincount(equal_frequency(values, bins=7).indices(values))) <= 1


def test_neighbouring_floats_can_be_separated() -> None:
    pair = np.array([1.0, np.nextafter(1.0, 2)])
    assert equal_frequency(pair, bins=2).indices(pair).tolist() == [0, 1]


def test_indices_keep_the_shape_and_have_the_smallest_type(rng: np.random.Generator) -> None:
    image = rng.normal(size=(3, 4, 5)).astype(np.float32)
    assert equal_width(image, bins=256).indices(image).dtype == np.uint8
    assert equal_width(image, bins=257).indices(image).dtype == np.uint16
    turned = np.asfortranarray(image)
    found = equal_width(image, bins=9)
    np.testing.assert_array_equal(found.indices(turned), found.indices(image))
    assert found.indices(image).shape == image.shape


def test_masks_and_whole_numbers_can_be_binned() -> None:
    assert equal_width(np.array([True, False, True]), bins=2).indices(np.array([True, False])).tolist() == [1, 0]
    assert equal_width(np.array([3, 9, 6]), bins=3).indices(np.array([3, 5, 9], dtype=np.int16)).tolist() == [0, 1, 2]


def test_edges_are_a_read_only_copy() -> None:
    edges = np.array([0.0, 1.0])
    found = Bins(edges)
    edges[0] = 5.0
    assert found.edges[0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        found.edges[0] = 1.0


@pytest.mark.parametrize("edges", [[0.0], [0.0, 1.0, 1.0], [1.0, 0.0], [0.0, np.nan], [[0.0, 1.0]], [0.0, np.inf]])
def test_invalid_edges_are_refused(edges: list) -> None:
    with pytest.raises(InputRejected, match="edges"):
        Bins(np.array(edges))


def test_values_that_are_not_finite_numbers_are_refused_by_name() -> None:
    for bad in ([1.0, np.nan], [np.inf, 0.0], [], ["a"], [1j]):
        for fitted in (equal_width, equal_frequency):
            with pytest.raises(ImplausibleValues, match="adc"):
                fitted(np.array(bad), bins=4, name="adc")
    with pytest.raises(ImplausibleValues, match=r"^values\n.*\n.*1 of 2 are NaN"):
        Bins(np.array([0.0, 1.0])).indices(np.array([0.5, np.nan]))


def test_options_out_of_range_are_refused_by_name() -> None:
    values = np.arange(10.0)
    with pytest.raises(InputRejected, match="bins"):
        equal_width(values, bins=0)
    with pytest.raises(InputRejected, match="bins"):
        equal_frequency(values, bins=65_537)
    with pytest.raises(InputRejected, match="limits"):
        equal_width(values, bins=4, limits=(1.0, 1.0))
    with pytest.raises(InputRejected, match="limits"):
        equal_width(values, bins=4, limits=(0.0, 1.0), quantiles=(0.0, 1.0))
    with pytest.raises(InputRejected, match="quantiles"):
        equal_width(values, bins=4, quantiles=(0.5, 1.5))
    with pytest.raises(ImplausibleValues, match="quantiles"):
        equal_width(np.array([0.0] * 99 + [1.0]), bins=4, quantiles=(0.1, 0.9))
    with pytest.raises(InputRejected, match="values"):
        equal_width(np.array([-1.7e308, 1.7e308]), bins=4)
