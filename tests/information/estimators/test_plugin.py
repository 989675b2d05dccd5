"""Plug-in information of tables: by hand, and properties of every table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import ImplausibleValues
from adumbra.information.estimators.plugin import (
    NORMS,
    plugin_conditional_mutual_information,
    plugin_mutual_information,
    plugin_normalised_mutual_information,
    plugin_pointwise_information,
)

SIZES = st.integers(1, 5)
TABLES = st.tuples(SIZES, SIZES).flatmap(lambda s: arrays(np.int64, s, elements=st.integers(0, 9)))
CUBES = st.tuples(SIZES, SIZES, SIZES).flatmap(lambda s: arrays(np.int64, s, elements=st.integers(0, 9)))


def entropy(counts: np.ndarray) -> float:
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def test_by_hand() -> None:
    """A coin and itself share 1 bit, two coins none; 3, 1 / 1, 3 share 1 - h(1/4) = 0.18872 bits."""
    assert plugin_mutual_information([[1, 0], [0, 1]]) == 1.0
    assert plugin_mutual_information([[1, 1], [1, 1]]) == 0.0
    assert plugin_mutual_information([[3, 1], [1, 3]]) == pytest.approx(1 - entropy(np.array([1, 3])), abs=1e-15)
    assert plugin_mutual_information([[7]]) == 0.0
    np.testing.assert_allclose(
        plugin_pointwise_information([[2, 0], [1, 1]]), [[np.log2(4 / 3), 0], [np.log2(2 / 3), 1.0]]
    )


def test_conditional_by_hand() -> None:
    """XOR: two coins share nothing, and 1 bit given the third variable. A common copy leaves nothing to share."""
    xor = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]]])
    assert plugin_conditional_mutual_information(xor) == 1.0
    assert plugin_mutual_information(xor.sum(0)) == 0.0
    copy = np.array([[[1, 0], [0, 0]], [[0, 0], [0, 1]]])
    assert plugin_conditional_mutual_information(copy) == 0.0
    assert plugin_mutual_information(copy.sum(0)) == 1.0
    unused = np.concatenate([xor, np.zeros((1, 2, 2), dtype=int)])
    assert plugin_conditional_mutual_information(unused) == 1.0


@given(TABLES.filter(np.any))
def test_information_is_symmetric_not_negative_and_at_most_an_entropy(counts: np.ndarray) -> None:
    found = plugin_mutual_information(counts)
    assert found >= 0
    assert found == pytest.approx(plugin_mutual_information(counts.T), abs=1e-12)
    of_a, of_b = entropy(counts.sum(1)), entropy(counts.sum(0))
    assert found <= min(of_a, of_b) + 1e-12
    assert found == pytest.approx(of_a + of_b - entropy(counts), abs=1e-12)


@given(arrays(np.int64, SIZES, elements=st.integers(0, 9)).filter(np.any))
def test_the_information_of_a_copy_is_the_entropy(counts: np.ndarray) -> None:
    assert plugin_mutual_information(np.diag(counts)) == pytest.approx(entropy(counts), abs=1e-12)


@given(CUBES.filter(np.any))
def test_the_chain_rule(counts: np.ndarray) -> None:
    """I(A; B, C) = I(A; C) + I(A; B | C), with the table's axes C, A, B."""
    both = np.moveaxis(counts, 1, 0).reshape(counts.shape[1], -1)
    of_c = plugin_mutual_information(counts.sum(2).T)
    assert plugin_mutual_information(both) == pytest.approx(
        of_c + plugin_conditional_mutual_information(counts), abs=1e-12
    )


@given(TABLES.filter(np.any))
def test_the_mean_of_the_pointwise_values_is_the_information(counts: np.ndarray) -> None:
    mean = (plugin_pointwise_information(counts) * counts).sum() / counts.sum()
    assert mean == pytest.approx(plugin_mutual_information(counts), abs=1e-12)
    assert (plugin_pointwise_information(counts)[counts == 0] == 0).all()


def test_normalised_by_hand() -> None:
    """A has 2 bits, B is the first of them: I = 1, H(A) = 2, H(B) = 1, H(A, B) = 2."""
    counts = [[1, 0], [1, 0], [0, 1], [0, 1]]
    found = {by: float(plugin_normalised_mutual_information(counts, by=by)) for by in NORMS}
    assert found == pytest.approx({"min": 1.0, "mean": 2 / 3, "max": 0.5, "joint": 0.5, "sqrt": 0.5**0.5})


@given(TABLES.filter(np.any), st.sampled_from(NORMS))
def test_normalised_values_lie_between_0_and_1_or_are_undefined(counts: np.ndarray, by: str) -> None:
    found = plugin_normalised_mutual_information(counts, by=by)
    assert np.isnan(found) == (np.count_nonzero(counts) == 1)
    assert np.isnan(found) or 0 <= found <= 1


def test_tables_come_in_batches(rng: np.random.Generator) -> None:
    counts = rng.integers(0, 5, (4, 2, 3, 3, 5)) + 1
    assert plugin_mutual_information(counts).shape == (4, 2, 3)
    assert plugin_conditional_mutual_information(counts).shape == (4, 2)
    assert plugin_mutual_information(counts)[1, 1, 2] == plugin_mutual_information(counts[1, 1, 2])
    assert plugin_conditional_mutual_information(counts)[3, 0] == plugin_conditional_mutual_information(counts[3, 0])
    assert plugin_normalised_mutual_information(counts, by="max")[0, 0, 1] == pytest.approx(
        float(plugin_normalised_mutual_information(counts[0, 0, 1], by="max"))
    )


@pytest.mark.parametrize("bad", [[1, 2], [[-1, 2]], [[np.nan, 1]], [[0, 0]], np.zeros((0, 2)), [["a", "b"]]])
def test_invalid_tables_are_refused(bad: object) -> None:
    with pytest.raises(ImplausibleValues, match="counts"):
        plugin_mutual_information(bad)
