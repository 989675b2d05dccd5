"""The Gaussian copula: the closed form by hand and against stored values, then the estimate."""

import json
from math import inf, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import citations
from adumbra.information.estimators.gaussian_copula import (
    gaussian_bias,
    gaussian_copula_mutual_information,
    gaussian_mutual_information,
    normal_scores,
)


def pair(r: float) -> np.ndarray:
    return np.array([[1.0, r], [r, 1.0]])


def drawn(covariance: np.ndarray, samples: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.multivariate_normal(np.zeros(len(covariance)), covariance, samples)


def any_covariance(seed: int, size: int = 5) -> np.ndarray:
    mix = np.random.default_rng(seed).normal(size=(size, size + 2))
    return mix @ mix.T


def by_determinants(covariance: np.ndarray, a: list[int], b: list[int], c: list[int]) -> float:
    def half_log(*parts: list[int]) -> float:
        rows = [row for part in parts for row in part]
        return 0.5 * float(np.linalg.slogdet(covariance[np.ix_(rows, rows)])[1]) / np.log(2) if rows else 0.0

    return half_log(a, c) + half_log(b, c) - half_log(a, b, c) - half_log(c)


def test_two_numbers_by_hand() -> None:
    """-1/2 log2(1 - r²): r² = 3/4 is 1 bit; 15/16 is 2."""
    assert gaussian_mutual_information(pair(0.75**0.5), [0], [1]) == pytest.approx(1.0, abs=1e-14)
    assert gaussian_mutual_information(pair(-((15 / 16) ** 0.5)), [0], [1]) == pytest.approx(2.0, abs=1e-14)
    assert gaussian_mutual_information(pair(0.0), [0], [1]) == 0.0
    units = np.diag([1e-6, 1e6])
    found = gaussian_mutual_information(units @ pair(0.6) @ units, [1], [0])
    assert found == pytest.approx(-0.5 * log2(0.64), abs=1e-12)


def test_the_stored_values(shared_data) -> None:
    stored = json.loads((shared_data / "pid_truth.json").read_text())
    assert len(stored["gaussian_mi"]) + len(stored["gaussian_multivariate_mi"]) >= 14
    for item in stored["gaussian_mi"]:
        assert gaussian_mutual_information(pair(item["rho"]), [0], [1]) == pytest.approx(item["mi_bits"], abs=1e-12)
    for item in stored["gaussian_multivariate_mi"]:
        found = gaussian_mutual_information(np.array(item["cov"]), item["x"], item["y"])
        assert found == pytest.approx(item["mi_bits"], abs=1e-12)
    for item in stored["gaussian_pid_mmi"]:
        found = gaussian_mutual_information(np.array(item["cov_txy"]), [0], [1, 2])
        assert found == pytest.approx(sum(item[atom] for atom in ("red", "unq_x", "unq_y", "syn")), abs=1e-12)


@given(st.integers(0, 10_000))
def test_canonical_correlations_agree_with_determinants(seed: int) -> None:
    covariance, (a, b, c) = any_covariance(seed), ([3, 0], [1], [4, 2])
    found = gaussian_mutual_information(covariance, a, b, given=c)
    assert found == pytest.approx(by_determinants(covariance, a, b, c), abs=1e-9)
    assert found == pytest.approx(gaussian_mutual_information(covariance, b, a, given=c), abs=1e-9)
    chained = gaussian_mutual_information(covariance, a, c) + found
    assert gaussian_mutual_information(covariance, a, [*b, *c]) == pytest.approx(chained, abs=1e-9)


def test_degenerate_covariances() -> None:
    """Copies have infinite information; constants and repeated columns change nothing; nothing is left given a copy."""
    copies = np.ones((3, 3))
    assert gaussian_mutual_information(copies, [0], [1]) == inf
    assert gaussian_mutual_information(copies, [0], [1], given=[2]) == 0.0
    with_constant = np.zeros((3, 3))
    with_constant[:2, :2] = pair(0.6)
    assert gaussian_mutual_information(with_constant, [0], [2]) == 0.0
    assert gaussian_mutual_information(with_constant, [0], [1, 2]) == pytest.approx(-0.5 * log2(0.64))
    doubled = pair(0.6)[np.ix_([0, 0, 1, 1], [0, 0, 1, 1])]
    assert gaussian_mutual_information(doubled, [0, 1], [2, 3]) == pytest.approx(-0.5 * log2(0.64))


def test_normal_scores_by_hand() -> None:
    """Ranks 3, 1, 2 of 4 parts: quantiles at 3/4, 1/4, 1/2. Two equal values share rank 1.5."""
    np.testing.assert_allclose(normal_scores(np.array([[9.0], [-5], [0]]))[:, 0], [0.67449, -0.67449, 0], atol=1e-5)
    assert len(set(normal_scores(np.array([[1.0], [1.0], [2.0]]))[:2, 0])) == 1


@pytest.mark.parametrize("r", [0.0, 0.3, -0.9])
def test_the_estimate_is_near_the_closed_form_at_any_scale(r: float) -> None:
    x, y = drawn(pair(r), 20_000).T
    truth = gaussian_mutual_information(pair(r), [0], [1])
    found = gaussian_copula_mutual_information(x, y)
    assert found == pytest.approx(truth, abs=0.02)
    assert gaussian_copula_mutual_information(np.exp(3 * x), -(y**3)) == pytest.approx(found, abs=1e-12)
    assert gaussian_copula_mutual_information(y, x) == pytest.approx(found, abs=1e-12)


def test_several_columns_and_a_condition() -> None:
    covariance, (a, b, c) = any_covariance(4), ([0, 1], [2, 3], [4])
    samples = drawn(covariance, 30_000)
    found = gaussian_copula_mutual_information(samples[:, a], samples[:, b], given=samples[:, c])
    assert found == pytest.approx(gaussian_mutual_information(covariance, a, b, given=c), abs=0.03)
    assert gaussian_copula_mutual_information(samples[:, a], samples[:, b]) == pytest.approx(
        gaussian_mutual_information(covariance, a, b), abs=0.03
    )


def test_the_bias_is_that_of_normal_samples() -> None:
    """The mean of the uncorrected information of independent columns, by simulation."""
    generator = np.random.default_rng(3)
    for a, b, c in ((1, 1, 0), (2, 1, 0), (1, 1, 2)):
        found = []
        for _ in range(800):
            covariance = np.cov(generator.normal(size=(a + b + c, 20)))
            columns = [list(range(a)), list(range(a, a + b)), list(range(a + b, a + b + c))]
            found.append(gaussian_mutual_information(covariance, columns[0], columns[1], given=columns[2]))
        error = np.std(found) / len(found) ** 0.5
        assert np.mean(found) == pytest.approx(gaussian_bias(20, a, b, c), abs=4 * error)


def test_the_correction_reduces_the_mean_error() -> None:
    generator = np.random.default_rng(5)
    runs = [generator.normal(size=(2, 25)) for _ in range(200)]
    plain, corrected = (
        np.mean([gaussian_copula_mutual_information(x, y, correct=c) for x, y in runs]) for c in (False, True)
    )
    assert abs(corrected) < 0.25 * plain


def test_degenerate_samples() -> None:
    x = np.arange(50.0)
    assert gaussian_copula_mutual_information(x, x**3) == inf
    assert gaussian_copula_mutual_information(x, np.full(50, 2.0), correct=False) == 0.0
    assert gaussian_copula_mutual_information(x, np.full(50, 2.0)) == 0.0
    assert gaussian_copula_mutual_information(x, -x, given=x) == 0.0


def test_invalid_arguments_are_refused_by_name() -> None:
    x = np.arange(9.0)
    with pytest.raises(InputRejected, match=r"^b"):
        gaussian_copula_mutual_information(x, x[:-1])
    with pytest.raises(InputRejected, match=r"^given"):
        gaussian_copula_mutual_information(x, x, given=x[:-1])
    with pytest.raises(ImplausibleValues, match=r"^given"):
        gaussian_copula_mutual_information(x, x, given=np.full(9, np.nan))
    with pytest.raises(InputRejected, match=r"^a"):
        gaussian_copula_mutual_information(np.zeros((3, 3, 3)), x)
    with pytest.raises(InputRejected, match="4 samples"):
        gaussian_copula_mutual_information(x[:3], x[:3])
    for bad in (np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([[1.0, 0.5], [0.4, 1.0]]), np.ones((2, 3)), -pair(0.0)):
        with pytest.raises(ImplausibleValues, match=r"^covariance"):
            gaussian_mutual_information(bad, [0], [1])
    for a, b in (([0], [0]), ([], [1]), ([0], [2]), ([-1], [0])):
        with pytest.raises(InputRejected, match=r"^a, b and given"):
            gaussian_mutual_information(pair(0.5), a, b)


def test_it_cites_its_paper() -> None:
    assert citations(gaussian_copula_mutual_information) == ("Ince2017",)
