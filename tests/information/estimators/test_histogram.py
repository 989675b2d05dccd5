"""Joint histograms: by hand, against NumPy, and in the edge cases of the compiled loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.estimators import counting, histogram
from adumbra.information.estimators.binning import Bins, equal_frequency, equal_width
from adumbra.information.estimators.histogram import binned_counts, joint_counts, target_counts

SIZES = st.sampled_from([1, 2, 3, 4, 5, 1023, 1024, 1025, 4099])


def by_numpy(*rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    found = np.zeros(shape, dtype=np.int64)
    np.add.at(found, tuple(row.ravel() for row in rows), 1)
    return found


def test_pairs_by_hand() -> None:
    a, b = np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 0.0, 0.0, 1.0])
    bins = equal_width(a, bins=2), equal_width(b, bins=2)
    found = joint_counts(a, b, bins=bins)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, [[1, 0], [2, 1]])
    np.testing.assert_array_equal(binned_counts(bins[0].indices(a), bins[1].indices(b), shape=(2, 2)), found)


@given(SIZES, st.sampled_from([np.float32, np.float64]), st.integers(1, 40), st.integers(1, 300), st.integers(0, 99))
def test_counts_are_those_of_numpy(size: int, kind: type, rows: int, columns: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    a, b = (generator.normal(size=size).astype(kind) for _ in range(2))
    bins = equal_width(a, bins=rows), equal_width(b, bins=columns)
    expected = (
        np.histogram2d(a.astype(np.float64), b.astype(np.float64), bins=[bins[0].edges, bins[1].edges])[0]
        if (size > 1)
        else np.ones((1, 1))
    )
    np.testing.assert_array_equal(joint_counts(a, b, bins=bins), expected)
    numbers = bins[0].indices(a), bins[1].indices(b)
    np.testing.assert_array_equal(binned_counts(*numbers, shape=(bins[0].count, bins[1].count)), expected)


def test_uneven_bins_and_mixed_types(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=5000).astype(np.float32), rng.normal(size=5000)
    for bins in (
        (equal_frequency(a, bins=7), equal_width(b, bins=9)),
        (equal_width(a, bins=7), equal_width(b, bins=9)),
    ):
        expected = by_numpy(bins[0].indices(a), bins[1].indices(b), shape=(7, 9))
        np.testing.assert_array_equal(joint_counts(a, b, bins=bins), expected)


def test_a_background_in_one_cell_is_counted_in_full() -> None:
    """One cell is counted many times in a row: the four tables must add up."""
    a = np.zeros(10_001, dtype=np.float32)
    a[-1] = 1.0
    bins = equal_width(a, bins=64), equal_width(a, bins=64)
    found = joint_counts(a, a, bins=bins)
    assert (found[0, 0], found[63, 63], found.sum()) == (10_000, 1, 10_001)


def test_images_are_read_in_one_order_for_any_memory_layout(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 6, 7, 8)).astype(np.float32)
    bins = equal_width(a, bins=5), equal_width(b, bins=5)
    expected = joint_counts(a, b, bins=bins)
    np.testing.assert_array_equal(joint_counts(np.asfortranarray(a), b, bins=bins), expected)
    b.setflags(write=False)
    np.testing.assert_array_equal(joint_counts(a[::-1], b[::-1], bins=bins), expected)


@given(
    arrays(np.bool_, 50),
    arrays(np.uint8, 50, elements=st.integers(0, 6)),
    arrays(np.int64, 50, elements=st.integers(0, 299)),
)
def test_triples_are_those_of_numpy(target: np.ndarray, x: np.ndarray, y: np.ndarray) -> None:
    found = target_counts(target, x, y, shape=(2, 7, 300))
    np.testing.assert_array_equal(found, by_numpy(target.astype(int), x, y, shape=(2, 7, 300)))
    np.testing.assert_array_equal(found.sum(0), binned_counts(x, y, shape=(7, 300)))


def test_triples_by_hand() -> None:
    found = target_counts([0, 1, 1], [0, 1, 1], [1, 0, 0], shape=(2, 2, 2))
    np.testing.assert_array_equal(found, [[[0, 1], [0, 0]], [[0, 0], [2, 0]]])


def test_large_tables_have_one_copy_and_the_same_counts(rng: np.random.Generator) -> None:
    shape = (600, 600)
    a, b = (rng.integers(0, 600, 3001) for _ in range(2))
    assert counting.FEW_CELLS < 600 * 600
    np.testing.assert_array_equal(binned_counts(a, b, shape=shape), by_numpy(a, b, shape=shape))


def test_more_samples_than_32_bits_count_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histogram, "MOST_SAMPLES", 7)
    a, b = np.arange(40) % 3, np.arange(40) % 2
    np.testing.assert_array_equal(binned_counts(a, b, shape=(3, 2)), by_numpy(a, b, shape=(3, 2)))


def test_labels_outside_the_table_are_refused_by_name() -> None:
    fine = np.array([0, 1, 1])
    for bad in (np.array([0, 1, 2]), np.array([-1, 0, 1]), np.array([0.0, 1, 1])):
        with pytest.raises(ImplausibleValues, match="b"):
            binned_counts(fine, bad, shape=(2, 2))
        for place, name in enumerate(("target", "x", "y")):
            rows = [fine, fine, fine]
            rows[place] = bad
            with pytest.raises(ImplausibleValues, match=f"^{name}"):
                target_counts(*rows, shape=(2, 2, 2))
    with pytest.raises(ImplausibleValues, match="a"):
        binned_counts(np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.uint8), shape=(2, 2))


def test_invalid_arguments_are_refused_by_name() -> None:
    one = Bins(np.array([0.0, 1.0]))
    with pytest.raises(InputRejected, match=r"^b"):
        joint_counts(np.zeros(3), np.zeros(4), bins=(one, one))
    with pytest.raises(InputRejected, match=r"^y"):
        target_counts([0, 1], [0, 1], [0], shape=(2, 2, 2))
    with pytest.raises(ImplausibleValues, match=r"^flair"):
        joint_counts(np.zeros(2), np.array([0.0, np.nan]), bins=(one, one), names=("dwi", "flair"))
    with pytest.raises(InputRejected, match=r"^shape"):
        binned_counts([0], [0], shape=(0, 2))
    with pytest.raises(InputRejected, match=r"^bins"):
        binned_counts([0], [0], shape=(65_536, 65_536))
