"""Bias corrections: by hand, and by how much they reduce the mean error."""

import warnings

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.estimators.bias import (
    FewSamples,
    conditional_mutual_information_bias,
    mutual_information_bias,
    quadratic_extrapolation,
    warn_of_few_samples,
)
from adumbra.information.estimators.plugin import plugin_conditional_mutual_information, plugin_mutual_information

LN2 = np.log(2.0)


def independent(generator: np.random.Generator, samples: int, shape: tuple[int, ...]) -> np.ndarray:
    """Counts of independent variables, each of equally likely values."""
    cells = int(np.prod(shape))
    return generator.multinomial(samples, np.full(cells, 1 / cells)).reshape(shape)


def test_the_first_order_by_hand() -> None:
    """All 3 by 2 bins are occupied: (6 - 3 - 2 + 1) / (2 N ln 2); empty bins do not count."""
    counts = np.full((3, 2), 10)
    assert mutual_information_bias(counts) == pytest.approx(2 / (120 * LN2))
    assert mutual_information_bias(np.vstack([counts, [0, 0]])) == pytest.approx(2 / (120 * LN2))
    assert mutual_information_bias(np.diag([5, 5, 5])) == pytest.approx(-2 / (30 * LN2))
    assert conditional_mutual_information_bias(np.full((4, 3, 2), 10)) == pytest.approx(4 * 2 / (480 * LN2))
    assert mutual_information_bias(np.stack([counts, 2 * counts])).shape == (2,)


def test_the_miller_madow_correction_reduces_the_mean_error(rng: np.random.Generator) -> None:
    tables = np.stack([independent(rng, 300, (6, 6)) for _ in range(400)])
    plain = plugin_mutual_information(tables)
    corrected = plain - mutual_information_bias(tables)
    assert plain.mean() == pytest.approx(25 / (600 * LN2), rel=0.1)
    assert abs(corrected.mean()) < 0.1 * plain.mean()
    assert np.square(corrected).mean() < np.square(plain).mean()


def test_the_conditional_correction_reduces_the_mean_error(rng: np.random.Generator) -> None:
    tables = np.stack([independent(rng, 600, (3, 5, 5)) for _ in range(300)])
    plain = plugin_conditional_mutual_information(tables)
    assert abs((plain - conditional_mutual_information_bias(tables)).mean()) < 0.15 * plain.mean()


def test_the_quadratic_extrapolation_reduces_the_mean_error(rng: np.random.Generator) -> None:
    tables = [independent(rng, 400, (6, 6)) for _ in range(60)]
    plain = np.mean([plugin_mutual_information(table) for table in tables])
    corrected = [
        quadratic_extrapolation(table, plugin_mutual_information, generator=rng, repeats=5) for table in tables
    ]
    assert abs(np.mean(corrected)) < 0.2 * plain


def test_a_parabola_in_one_over_n_is_extrapolated_exactly() -> None:
    """For any number of samples, also odd ones, for which the parts differ in size."""

    def curve(table: np.ndarray) -> np.ndarray:
        n = table.sum()
        return np.array([3.0 + 5.0 / n + 7.0 / n**2, -1.0 / n])

    for total in (4, 7, 64, 101):
        found = quadratic_extrapolation([total - 2, 2], curve, generator=np.random.default_rng(0), repeats=1)
        np.testing.assert_allclose(found, [3.0, 0.0], atol=1e-12)


def test_the_same_seed_splits_alike(rng: np.random.Generator) -> None:
    table = independent(rng, 200, (5, 5))
    one, same, other = (
        quadratic_extrapolation(table, plugin_mutual_information, generator=np.random.default_rng(s)) for s in (1, 1, 2)
    )
    assert one == same != other


def test_samples_are_split_without_loss(rng: np.random.Generator) -> None:
    parts: list[np.ndarray] = []

    def recorded(table: np.ndarray) -> np.ndarray:
        parts.append(table)
        return np.zeros(1)

    table = independent(rng, 103, (4, 5))
    quadratic_extrapolation(table, recorded, generator=rng, repeats=1)
    halves, quarters = [part for part in parts if 51 <= part.sum() <= 52], [part for part in parts if part.sum() < 30]
    assert (len(halves), len(quarters)) == (2, 4)
    np.testing.assert_array_equal(sum(halves), table)
    np.testing.assert_array_equal(sum(quarters), table)
    assert min(part.min() for part in parts) >= 0


def test_few_samples_raise_a_warning() -> None:
    """5 for each occupied cell are enough, one fewer is not; empty cells do not count."""
    enough = np.array([[5, 5], [0, 5]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_few_samples(enough, 0.1, stacklevel=1)
    with pytest.warns(FewSamples, match="14 samples in 3 occupied cells.*0.25 bits"):
        warn_of_few_samples(enough - np.array([[1, 0], [0, 0]]), 0.25, stacklevel=1)


def test_counts_that_cannot_be_extrapolated_are_refused(rng: np.random.Generator) -> None:
    for bad in ([[1.5, 8.0]], [[1, 2]], [[500_000_000, 500_000_000]]):
        with pytest.raises(InputRejected, match="counts"):
            quadratic_extrapolation(bad, plugin_mutual_information, generator=rng)
    with pytest.raises(InputRejected, match="repeats"):
        quadratic_extrapolation([[9, 9]], plugin_mutual_information, generator=rng, repeats=0)
    for bias in (mutual_information_bias, conditional_mutual_information_bias):
        with pytest.raises(ImplausibleValues, match="counts"):
            bias(np.full((2, 2, 2), -1))
