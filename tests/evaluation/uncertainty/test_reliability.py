"""Calibration errors: by hand, against scikit-learn, and beyond the range of float32 counters."""

from math import isnan, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected
from adumbra.evaluation.uncertainty.reliability import (
    ReliabilityTable,
    adaptive_calibration_error,
    average_calibration_error,
    brier_score,
    equal_mass_table,
    equal_width_table,
    expected_calibration_error,
    maximum_calibration_error,
    negative_log_likelihood,
)

NONE = np.zeros(0), np.zeros(0, dtype=bool)


def voxels(*pairs: tuple[float, int]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([p for p, _ in pairs]), np.array([y for _, y in pairs], dtype=bool)


def ece_by_walking(p: np.ndarray, y: np.ndarray, bins: int) -> float:
    """As netcal and the textbook have it, one voxel at a time."""
    of = [min(int(np.floor(value * bins)), bins - 1) for value in p]
    total = 0.0
    for b in set(of):
        inside = [i for i, other in enumerate(of) if other == b]
        total += abs(sum(float(p[i]) for i in inside) - sum(int(y[i]) for i in inside))
    return total / len(p)


def test_two_bins_by_hand() -> None:
    """Below one half: 0.1 and 0.3, none true, gap 0.2. Above: 0.6, 0.8, one of two true, gap 0.2."""
    table = equal_width_table(*voxels((0.1, 0), (0.3, 0), (0.6, 1), (0.8, 0)), bins=2)
    assert table.count.tolist() == [2, 2]
    assert table.true.tolist() == [0, 1]
    np.testing.assert_allclose(table.mean_probability, [0.2, 0.7])
    np.testing.assert_allclose(table.frequency, [0.0, 0.5])
    assert expected_calibration_error(table) == pytest.approx(0.2)
    assert maximum_calibration_error(table) == pytest.approx(0.2)


def test_three_measures_that_differ_by_hand() -> None:
    """Gaps 0.1 (of three voxels), 0.5 (of one), and an empty bin between them."""
    table = equal_width_table(*voxels((0.1, 0), (0.1, 0), (0.1, 0), (0.5, 1)), bins=4)
    assert table.count.tolist() == [3, 0, 1, 0]
    assert np.isnan(table.mean_probability).tolist() == [False, True, False, True]
    assert np.isnan(table.frequency).tolist() == [False, True, False, True]
    assert expected_calibration_error(table) == pytest.approx((3 * 0.1 + 0.5) / 4)
    assert maximum_calibration_error(table) == pytest.approx(0.5)
    assert average_calibration_error(table) == pytest.approx((0.1 + 0.5) / 2)


def test_one_belongs_to_the_last_bin() -> None:
    """torchmetrics puts it into a bin of its own and gets 0.525 here (its issue 3510); netcal gets 0.475."""
    table = equal_width_table(*voxels((0.95, 1), (1.0, 0)), bins=10)
    assert table.count.tolist() == [0] * 9 + [2]
    assert expected_calibration_error(table) == pytest.approx(0.475)


@pytest.mark.parametrize("bins", [1, 3, 10, 15, 49])
def test_an_edge_belongs_to_the_bin_above_it(bins: int) -> None:
    edges = np.arange(bins + 1) / bins
    table = equal_width_table(edges, np.ones(bins + 1, dtype=bool), bins=bins)
    np.testing.assert_array_equal(table.edges, edges)
    assert table.count.tolist() == [1] * (bins - 1) + [2]


@given(arrays(np.float32, 40, elements=st.floats(0, 1, width=32)), arrays(bool, 40), st.sampled_from([1, 4, 8, 16]))
def test_equal_width_is_that_of_the_textbook(p: np.ndarray, y: np.ndarray, bins: int) -> None:
    assert expected_calibration_error(equal_width_table(p, y, bins=bins)) == pytest.approx(ece_by_walking(p, y, bins))


def test_the_diagram_is_that_of_scikit_learn(rng) -> None:
    p = rng.beta(0.3, 2.0, 5000)
    y = rng.random(5000) < p**1.3
    frequency, mean = calibration_curve(y, p, n_bins=12)
    table = equal_width_table(p, y, bins=12)
    filled = table.count > 0
    np.testing.assert_allclose(table.frequency[filled], frequency)
    np.testing.assert_allclose(table.mean_probability[filled], mean)


def test_equal_mass_by_hand() -> None:
    """Ten voxels in four bins: three, three, two, two, as numpy.array_split has it."""
    p = np.arange(10)[::-1] / 10
    y = p > 0.45
    table = equal_mass_table(p, y, bins=4)
    assert table.count.tolist() == [3, 3, 2, 2]
    np.testing.assert_allclose(table.edges, [0.0, 0.3, 0.6, 0.8, 0.9])
    assert table.true.tolist() == [0, 1, 2, 2]
    assert expected_calibration_error(table) == pytest.approx((0.3 + abs(1.2 - 1) + abs(1.3 - 2) + abs(1.7 - 2)) / 10)


@given(st.permutations(range(23)), arrays(bool, 23), st.integers(1, 30))
def test_without_ties_the_bins_are_those_of_array_split(order: list[int], y: np.ndarray, bins: int) -> None:
    p = np.array(order) / 23
    parts = [part for part in np.array_split(np.argsort(p), bins) if part.size]
    table = equal_mass_table(p, y, bins=bins)
    assert table.count.tolist() == [part.size for part in parts]
    gaps = [abs(y[part].mean() - p[part].mean()) for part in parts]
    assert expected_calibration_error(table) == pytest.approx(np.average(gaps, weights=[part.size for part in parts]))
    assert adaptive_calibration_error(p, y, bins=bins) == pytest.approx(np.mean(gaps))


def test_ties_are_never_split() -> None:
    """Ninety zeros and ten others in five bins: the zeros are one bin, and the others share the remaining four."""
    p = np.concatenate([np.zeros(90), np.arange(1, 11) / 20])
    y = np.arange(100) >= 95
    table = equal_mass_table(p, y, bins=5)
    assert table.count.tolist() == [90, 3, 3, 2, 2]
    assert equal_mass_table(p[::-1], y[::-1], bins=5).true.tolist() == table.true.tolist()
    mass = np.average(np.abs(table.frequency - table.mean_probability), weights=table.count)
    assert expected_calibration_error(table) == pytest.approx(mass)
    assert adaptive_calibration_error(p, y, bins=5) > 2 * mass  # unweighted: the zeros no longer count nine tenths


def test_of_two_splits_equally_near_the_lower_is_taken() -> None:
    """Two bins for four voxels, of which the middle two are equal: one and three, not three and one."""
    p, y = voxels((0.1, 0), (0.2, 0), (0.2, 1), (0.3, 1))
    assert equal_mass_table(p, y, bins=2).count.tolist() == [1, 3]


def test_a_large_run_at_the_upper_end_is_a_bin_of_its_own() -> None:
    p = np.concatenate([[0.1, 0.2, 0.3], np.ones(100)])
    assert equal_mass_table(p, p > 0.5, bins=4).count.tolist() == [3, 100]
    assert equal_mass_table(np.full(7, 0.25), np.zeros(7, dtype=bool), bins=4).count.tolist() == [7]


@given(arrays(np.float32, 30, elements=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])), arrays(bool, 30), st.integers(1, 9))
def test_equal_mass_does_not_depend_on_the_order_of_ties(p: np.ndarray, y: np.ndarray, bins: int) -> None:
    table, other = equal_mass_table(p, y, bins=bins), equal_mass_table(p[::-1], y[::-1], bins=bins)
    assert table.true.tolist() == other.true.tolist()
    assert table.count.sum() == 30
    assert (table.count > 0).all()
    assert (np.diff(table.edges[:-1]) > 0).all()
    assert 1 <= table.count.size <= min(bins, np.unique(p).size)


def test_adaptive_error_above_a_threshold_looks_at_these_voxels_only() -> None:
    p, y = voxels((0.0, 0), (0.0, 0), (0.0, 0), (0.2, 1), (0.4, 0))
    assert adaptive_calibration_error(p, y, bins=2, above=0.01) == pytest.approx((0.8 + 0.4) / 2)
    assert isnan(adaptive_calibration_error(p, y, above=0.5))
    with pytest.raises(ImplausibleValues):  # NaN reaches no threshold, but is refused all the same
        adaptive_calibration_error(np.array([0.5, np.nan]), np.array([True, False]), above=0.01)


def test_tables_of_cases_add_up_to_the_table_of_all_their_voxels(rng) -> None:
    p, y = rng.random((3, 50)), rng.random((3, 50)) < 0.5
    pooled = sum((equal_width_table(a, b) for a, b in zip(p, y, strict=True)), start=equal_width_table(*NONE))
    whole = equal_width_table(p, y)
    assert pooled.count.tolist() == whole.count.tolist()
    assert pooled.true.tolist() == whole.true.tolist()
    assert expected_calibration_error(pooled) == pytest.approx(expected_calibration_error(whole), rel=1e-12)


def test_tables_with_other_edges_are_not_added() -> None:
    p, y = voxels((0.1, 0), (0.9, 1))
    with pytest.raises(InputRejected, match="other edges"):
        equal_width_table(p, y, bins=2) + equal_width_table(p, y, bins=3)
    with pytest.raises(InputRejected, match="other edges"):
        equal_mass_table(p, y, bins=2) + equal_width_table(p, y, bins=2)


def test_counts_are_exact_beyond_what_float32_can_count() -> None:
    """2²⁴ + 5 voxels of probability 0.05: MONAI counts 16 777 216 of them, torchmetrics has a mean of 0.0625."""
    n = 2**24 + 5
    p = np.broadcast_to(np.float32(0.05), (n,))
    y = np.broadcast_to(np.array(False), (n,))
    table = equal_width_table(p, y)
    assert int(table.count.sum()) == n
    assert table.mean_probability[0] == pytest.approx(float(np.float32(0.05)), rel=1e-9)
    assert expected_calibration_error(table) == pytest.approx(float(np.float32(0.05)), rel=1e-9)
    assert brier_score(p, y) == pytest.approx(float(np.float32(0.05)) ** 2, rel=1e-9)


def test_a_sum_of_tables_counts_beyond_float32_and_int32() -> None:
    one = ReliabilityTable(np.array([0.0, 1.0]), np.array([2**31 + 1]), np.array([2**30 + 1]), np.array([2.0**30]))
    both = one + one
    assert both.count.tolist() == [2**32 + 2]
    assert expected_calibration_error(both) == 2.0 / (2**32 + 2)


def test_brier_and_likelihood_by_hand() -> None:
    p, y = voxels((0.8, 1), (0.4, 0))
    assert brier_score(p, y) == pytest.approx((0.04 + 0.16) / 2)
    assert negative_log_likelihood(p, y) == pytest.approx(-(log(0.8) + log(0.6)) / 2)


def test_brier_and_likelihood_are_those_of_scikit_learn(rng) -> None:
    p = rng.uniform(0.001, 0.999, 300).astype(np.float32)
    y = rng.random(300) < 0.3
    assert brier_score(p, y) == pytest.approx(brier_score_loss(y, p.astype(np.float64)), rel=1e-9)
    assert negative_log_likelihood(p, y) == pytest.approx(log_loss(y, p.astype(np.float64)), rel=1e-9)


def test_a_certain_error_is_clipped_and_a_certain_success_costs_nothing() -> None:
    assert negative_log_likelihood(*voxels((0.0, 1))) == pytest.approx(-log(1e-7))
    assert negative_log_likelihood(*voxels((1.0, 0)), clip=1e-3) == pytest.approx(-log(1e-3))
    assert negative_log_likelihood(*voxels((1.0, 1), (0.0, 0))) == 0.0


def test_no_voxels() -> None:
    table = equal_width_table(*NONE)
    assert table.count.sum() == 0
    assert equal_mass_table(*NONE).count.tolist() == [0]
    for measure in (expected_calibration_error, maximum_calibration_error, average_calibration_error):
        assert isnan(measure(table))
    for of in (brier_score, negative_log_likelihood, adaptive_calibration_error):
        assert isnan(of(*NONE))


@pytest.mark.parametrize("truth", [True, False])
def test_an_empty_or_full_truth_has_its_errors(truth: bool) -> None:
    y = np.full(4, truth)
    for p, error in ((np.full(4, 0.25), abs(0.25 - truth)), (y.astype(np.float32), 0.0)):
        for table in (equal_width_table(p, y), equal_mass_table(p, y)):
            assert expected_calibration_error(table) == error
            assert maximum_calibration_error(table) == error


@pytest.mark.parametrize("bad", [np.nan, -0.01, 1.01, np.inf])
def test_values_that_are_not_probabilities_are_refused(bad: float) -> None:
    p, y = np.array([0.5, bad]), np.array([True, False])
    for of in (equal_width_table, equal_mass_table, brier_score, negative_log_likelihood, adaptive_calibration_error):
        with pytest.raises(ImplausibleValues, match=r"\[0, 1\]"):
            of(p, y)


def test_other_shapes_types_and_options_are_refused() -> None:
    p, y = voxels((0.5, 1), (0.2, 0))
    with pytest.raises(GridMismatch):
        equal_width_table(p, y[:1])
    with pytest.raises(GridMismatch):
        equal_mass_table(p, y[:0])
    with pytest.raises(ImplausibleValues, match="threshold it first"):
        brier_score(p, y.astype(np.uint8))
    for of in (equal_width_table, equal_mass_table):
        with pytest.raises(InputRejected, match="bins"):
            of(p, y, bins=0)
    for clip in (0.0, 1.0, float("nan")):
        with pytest.raises(InputRejected, match="clip"):
            negative_log_likelihood(p, y, clip=clip)


def test_any_shape_is_taken_and_nothing_is_changed(rng) -> None:
    p, y = rng.random((3, 4, 5)).astype(np.float32), rng.random((3, 4, 5)) < 0.5
    original = p.copy()
    turned = equal_mass_table(p.transpose(2, 0, 1), y.transpose(2, 0, 1))
    assert turned.count.tolist() == equal_mass_table(p.ravel(), y.ravel()).count.tolist()
    np.testing.assert_array_equal(p, original)
