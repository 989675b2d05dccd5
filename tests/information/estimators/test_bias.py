"""Corrections for few samples: by hand, and that they bring the mean nearer to the truth."""

import warnings

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.estimators.bias import (
    FewSamples,
    conditional_information_bias,
    extrapolated,
    information_bias,
    warn_of_few,
)
from adumbra.information.estimators.plugin import conditional_table_information, table_information

LN2 = np.log(2.0)


def independent(generator: np.random.Generator, samples: int, shape: tuple[int, ...]) -> np.ndarray:
    """Counts of independent variables, each of equally likely values."""
    cells = int(np.prod(shape))
    return generator.multinomial(samples, np.full(cells, 1 / cells)).reshape(shape)


def test_the_first_order_by_hand() -> None:
    """Of 3 by 2 bins all are occupied: (6 - 3 - 2 + 1) / (2 N ln 2); a bin that none is in does not count."""
    counts = np.full((3, 2), 10)
    assert information_bias(counts) == pytest.approx(2 / (120 * LN2))
    assert information_bias(np.vstack([counts, [0, 0]])) == pytest.approx(2 / (120 * LN2))
    assert information_bias(np.diag([5, 5, 5])) == pytest.approx(-2 / (30 * LN2))
    assert conditional_information_bias(np.full((4, 3, 2), 10)) == pytest.approx(4 * 2 / (480 * LN2))
    assert information_bias(np.stack([counts, 2 * counts])).shape == (2,)


def test_miller_and_madow_reduce_the_mean_error(rng: np.random.Generator) -> None:
    tables = np.stack([independent(rng, 300, (6, 6)) for _ in range(400)])
    plain = table_information(tables)
    corrected = plain - information_bias(tables)
    assert plain.mean() == pytest.approx(25 / (600 * LN2), rel=0.1)
    assert abs(corrected.mean()) < 0.1 * plain.mean()
    assert np.square(corrected).mean() < np.square(plain).mean()


def test_miller_and_madow_reduce_the_mean_error_where_something_is_given(rng: np.random.Generator) -> None:
    tables = np.stack([independent(rng, 600, (3, 5, 5)) for _ in range(300)])
    plain = conditional_table_information(tables)
    assert abs((plain - conditional_information_bias(tables)).mean()) < 0.15 * plain.mean()


def test_the_quadratic_extrapolation_reduces_the_mean_error(rng: np.random.Generator) -> None:
    tables = [independent(rng, 400, (6, 6)) for _ in range(60)]
    plain = np.mean([table_information(table) for table in tables])
    corrected = [extrapolated(table, table_information, generator=rng, repeats=5) for table in tables]
    assert abs(np.mean(corrected)) < 0.2 * plain


def test_what_is_quadratic_in_one_over_n_is_extrapolated_exactly() -> None:
    """Whatever the number of samples, odd ones too, for which the parts differ in size."""

    def curve(table: np.ndarray) -> np.ndarray:
        n = table.sum()
        return np.array([3.0 + 5.0 / n + 7.0 / n**2, -1.0 / n])

    for total in (4, 7, 64, 101):
        found = extrapolated([total - 2, 2], curve, generator=np.random.default_rng(0), repeats=1)
        np.testing.assert_allclose(found, [3.0, 0.0], atol=1e-12)


def test_the_same_seed_deals_the_same(rng: np.random.Generator) -> None:
    table = independent(rng, 200, (5, 5))
    one, same, other = (extrapolated(table, table_information, generator=np.random.default_rng(s)) for s in (1, 1, 2))
    assert one == same != other


def test_samples_are_dealt_without_loss(rng: np.random.Generator) -> None:
    seen: list[np.ndarray] = []

    def recorded(table: np.ndarray) -> np.ndarray:
        seen.append(table)
        return np.zeros(1)

    table = independent(rng, 103, (4, 5))
    extrapolated(table, recorded, generator=rng, repeats=1)
    halves, quarters = [part for part in seen if 51 <= part.sum() <= 52], [part for part in seen if part.sum() < 30]
    assert (len(halves), len(quarters)) == (2, 4)
    np.testing.assert_array_equal(sum(halves), table)
    np.testing.assert_array_equal(sum(quarters), table)
    assert min(part.min() for part in seen) >= 0


def test_few_samples_are_warned_of() -> None:
    """5 for each occupied cell are enough, one fewer is not; empty cells do not count."""
    enough = np.array([[5, 5], [0, 5]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_few(enough, 0.1, stacklevel=1)
    with pytest.warns(FewSamples, match="14 samples in 3 occupied cells.*0.25 bits"):
        warn_of_few(enough - np.array([[1, 0], [0, 0]]), 0.25, stacklevel=1)


def test_what_cannot_be_corrected_is_refused(rng: np.random.Generator) -> None:
    for bad in ([[1.5, 8.0]], [[1, 2]], [[500_000_000, 500_000_000]]):
        with pytest.raises(InputRejected, match="counts"):
            extrapolated(bad, table_information, generator=rng)
    with pytest.raises(InputRejected, match="repeats"):
        extrapolated([[9, 9]], table_information, generator=rng, repeats=0)
    for bias in (information_bias, conditional_information_bias):
        with pytest.raises(ImplausibleValues, match="counts"):
            bias(np.full((2, 2, 2), -1))
