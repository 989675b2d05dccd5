"""The KSG estimators: equal to a plain double loop, and unbiased within their error."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_regression

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import citations
from adumbra.information.estimators.gaussian_copula import gaussian_mutual_information
from adumbra.information.estimators.ksg import ksg_mutual_information

LN2 = np.log(2.0)
SHAPES = ("normal", "heavy", "rounded", "line", "ties")


def drawn(kind: str, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x, noise = generator.normal(size=(2, samples))
    y = 0.7 * x + noise
    if kind == "heavy":
        return np.exp(3 * x), np.exp(-3 * y)
    if kind == "rounded":
        return np.round(x, 1), np.round(y, 2)
    if kind == "line":
        return x, x + 1e-7 * noise
    if kind == "ties":  # most of x is one value: strips of zero width
        return np.where(generator.random(samples) < 0.6, 0.0, x), y
    return x, y


def apart(points: np.ndarray) -> np.ndarray:
    """Distances of all pairs of points (N, D) in the maximum norm."""
    return np.abs(points[:, None] - points[None]).max(axis=2)


def others(distances: np.ndarray, i: int) -> np.ndarray:
    return np.delete(distances[i], i)


def by_loops(x: np.ndarray, y: np.ndarray, k: int, variant: int) -> float:
    x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
    dx, dy, mean = apart(x), apart(y), 0.0
    for i in range(len(x)):
        ox, oy = others(dx, i), others(dy, i)
        joint = np.maximum(ox, oy)
        reach = np.sort(joint)[k - 1]
        if variant == 1:
            mean += digamma((ox < reach).sum() + 1) + digamma((oy < reach).sum() + 1)
        else:
            near = joint <= reach
            mean += digamma((ox <= ox[near].max()).sum()) + digamma((oy <= oy[near].max()).sum()) + 1 / k
    return float(digamma(len(x)) + digamma(k) - mean / len(x)) / LN2


def conditional_by_loops(x: np.ndarray, y: np.ndarray, z: np.ndarray, k: int) -> float:
    dx, dy, dz = (apart(v.reshape(len(v), -1)) for v in (x, y, z))
    total = 0.0
    for i in range(len(x)):
        ox, oy, oz = (others(d, i) for d in (dx, dy, dz))
        reach = np.sort(np.maximum(np.maximum(ox, oy), oz))[k - 1]
        nz, nxz, nyz = (int((d < reach).sum()) for d in (oz, np.maximum(ox, oz), np.maximum(oy, oz)))
        total += digamma(nz + 1) - digamma(nxz + 1) - digamma(nyz + 1)
    return float(digamma(k) + total / len(x)) / LN2


@given(st.sampled_from(SHAPES), st.integers(8, 150), st.integers(1, 7), st.sampled_from([1, 2]), st.integers(0, 10_000))
def test_the_fast_path_is_the_double_loop(kind: str, samples: int, k: int, variant: int, seed: int) -> None:
    x, y = drawn(kind, samples, seed)
    try:
        found = ksg_mutual_information(x, y, neighbours=k, variant=variant, scaled=False)
    except ImplausibleValues:  # rounded values may coincide
        assert kind == "rounded"
        return
    assert found == pytest.approx(by_loops(x, y, k, variant), abs=1e-12)


@given(st.integers(8, 80), st.integers(1, 5), st.sampled_from([1, 2]), st.integers(0, 10_000))
def test_variables_of_several_components_are_the_double_loop(samples: int, k: int, variant: int, seed: int) -> None:
    columns = np.random.default_rng(seed).normal(size=(samples, 4))
    for a, b in (([0], [1, 2]), ([0, 1], [2, 3]), ([0, 3], [1])):
        found = ksg_mutual_information(columns[:, a], columns[:, b], neighbours=k, variant=variant, scaled=False)
        assert found == pytest.approx(by_loops(columns[:, a], columns[:, b], k, variant), abs=1e-12)


@given(st.integers(8, 80), st.integers(1, 5), st.integers(0, 10_000))
def test_the_conditional_estimator_is_the_double_loop(samples: int, k: int, seed: int) -> None:
    x, y, z = np.random.default_rng(seed).normal(size=(3, samples))
    found = ksg_mutual_information(x, y, given=z, neighbours=k, scaled=False)
    assert found == pytest.approx(conditional_by_loops(x, y, z, k), abs=1e-12)


def test_every_number_of_neighbours_of_few_samples() -> None:
    x, y = drawn("normal", 9, 3)
    for k, variant in product(range(1, 9), (1, 2)):
        found = ksg_mutual_information(x, y, neighbours=k, variant=variant, scaled=False)
        assert found == pytest.approx(by_loops(x, y, k, variant), abs=1e-12)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_it_agrees_with_scikit_learn(k: int) -> None:
    x, y = drawn("normal", 2000, 1)
    theirs = mutual_info_regression(x[:, None], y, n_neighbors=k, random_state=0)[0]
    assert ksg_mutual_information(x, y, neighbours=k) * LN2 == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize(("r", "variant"), [(0.0, 1), (0.6, 1), (0.6, 2), (-0.95, 1), (-0.95, 2)])
def test_gaussians_have_their_closed_form(r: float, variant: int) -> None:
    """Twenty runs: the mean lies within four standard errors and a hundredth of a bit."""
    covariance = np.array([[1.0, r], [r, 1.0]])
    truth = gaussian_mutual_information(covariance, [0], [1])
    generator = np.random.default_rng(8)
    found = []
    for _ in range(20):
        x, y = generator.multivariate_normal([0, 0], covariance, 2000).T
        found.append(ksg_mutual_information(x, 5.0 + 100.0 * y, neighbours=4, variant=variant))
    assert np.mean(found) == pytest.approx(truth, abs=0.01 + 4 * np.std(found) / 20**0.5)


def test_gaussians_of_several_components_and_with_a_condition() -> None:
    mix = np.random.default_rng(2).normal(size=(3, 5))
    covariance = mix @ mix.T
    samples = np.random.default_rng(4).multivariate_normal(np.zeros(3), covariance, 8000)
    found = ksg_mutual_information(samples[:, 0], samples[:, 1:])
    assert found == pytest.approx(gaussian_mutual_information(covariance, [0], [1, 2]), abs=0.05)
    given_third = ksg_mutual_information(samples[:, 0], samples[:, 1], given=samples[:, 2])
    assert given_third == pytest.approx(gaussian_mutual_information(covariance, [0], [1], given=[2]), abs=0.05)


@pytest.mark.parametrize("variant", [1, 2])
def test_it_is_symmetric_and_independent_of_units(variant: int) -> None:
    x, y = drawn("normal", 500, 6)
    found = ksg_mutual_information(x, y, variant=variant)
    assert ksg_mutual_information(y, x, variant=variant) == pytest.approx(found, abs=1e-12)
    assert ksg_mutual_information(1024 * x, y / 1024, variant=variant) == pytest.approx(found, abs=1e-12)
    order = np.random.default_rng(0).permutation(500)
    assert ksg_mutual_information(x[order], y[order], variant=variant) == pytest.approx(found, abs=1e-12)


def test_a_constant_has_no_information() -> None:
    x, _ = drawn("normal", 300, 2)
    assert ksg_mutual_information(x, np.full(300, 7.0)) == pytest.approx(0.0, abs=1e-12)


def test_tied_voxels_need_noise() -> None:
    """A mask of two values and its copy share 1 bit; the added noise is independent."""
    generator = np.random.default_rng(5)
    a = np.repeat([0.0, 1.0], 500)
    with pytest.raises(ImplausibleValues, match=r"1000 of 1000.*|generator"):
        ksg_mutual_information(a, a)
    found = ksg_mutual_information(a, a, generator=generator)
    assert found == pytest.approx(1.0, abs=0.1)
    again = [ksg_mutual_information(a, a, generator=np.random.default_rng(s)) for s in (1, 1, 2)]
    assert again[0] == again[1] != again[2]


def test_noise_changes_nothing_without_ties() -> None:
    x, y = drawn("normal", 400, 9)
    assert ksg_mutual_information(x, y, generator=np.random.default_rng(0)) == pytest.approx(
        ksg_mutual_information(x, y), abs=1e-9
    )


def test_invalid_arguments_are_refused_by_name() -> None:
    x, y = drawn("normal", 20, 0)
    with pytest.raises(InputRejected, match=r"^b"):
        ksg_mutual_information(x, y[:-1])
    with pytest.raises(InputRejected, match=r"^given"):
        ksg_mutual_information(x, y, given=y[:-1])
    with pytest.raises(ImplausibleValues, match=r"^b"):
        ksg_mutual_information(x, np.where(y > 0, np.nan, y))
    for k in (0, 20):
        with pytest.raises(InputRejected, match=r"^neighbours"):
            ksg_mutual_information(x, y, neighbours=k)
    with pytest.raises(InputRejected, match=r"^variant"):
        ksg_mutual_information(x, y, given=x**2, variant=2)
    with pytest.raises(InputRejected, match="2 samples"):
        ksg_mutual_information(x[:1], y[:1])


def test_it_cites_its_papers() -> None:
    assert citations(ksg_mutual_information) == ("Frenzel2007", "Kraskov2004")
