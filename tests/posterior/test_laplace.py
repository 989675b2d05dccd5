import numpy as np
import pytest

from adumbra.posterior.laplace import Curvature, evidence_precision, fit_laplace


def regression(n, noise=0.5, seed=0):
    """Features with a 1 last, and measurements of them."""
    rng = np.random.default_rng(seed)
    phi = np.c_[rng.standard_normal((n, 2)) @ [[1.0, 0.6], [0.0, 0.8]], np.ones(n)]
    return phi, phi @ [0.7, -0.4, 0.2] + noise * rng.standard_normal(n), noise


def posterior_of(n, *, prior=4.0, **options):
    phi, y, noise = regression(n)
    precision = phi.T @ phi / noise**2 + prior * np.eye(3)
    curvature = Curvature.empty(1, 3)
    for part in np.array_split(np.arange(n), 3):  # in batches, as volumes come
        curvature.add(phi[part], np.full((1, len(part)), 1 / noise**2))
    mean = np.linalg.solve(precision, phi.T @ y / noise**2)
    return fit_laplace(curvature, mean[None], prior_precision=prior, **options), precision, phi


def covariance(layer):
    root = layer.root.double().numpy()[0]
    return root @ root.T


def test_the_full_form_is_the_exact_posterior_of_a_regression():
    layer, precision, _ = posterior_of(50)
    assert covariance(layer) == pytest.approx(np.linalg.inv(precision), rel=1e-4)


def test_the_diagonal_form_keeps_the_diagonal_of_the_precision():
    layer, precision, _ = posterior_of(50, form="diagonal")
    assert covariance(layer) == pytest.approx(np.diag(1 / np.diag(precision)), rel=1e-4)


def test_kronecker_equals_full_where_all_voxels_have_equal_curvature():
    exact, factored = (posterior_of(50, form=form)[0] for form in ("full", "kronecker"))
    assert covariance(factored) == pytest.approx(covariance(exact), rel=1e-4)


@pytest.mark.parametrize("form", ["full", "kronecker", "diagonal"])
def test_variance_shrinks_with_data(form):
    few, many = (np.trace(covariance(posterior_of(n, form=form)[0])) for n in (20, 2000))
    assert many < 0.05 * few


def test_a_weight_of_one_half_halves_the_data():
    phi, _, noise = regression(40)
    once, twice = Curvature.empty(1, 3), Curvature.empty(1, 3)
    once.add(phi, np.full((1, 40), 1 / noise**2))
    for _ in range(2):
        twice.add(phi, np.full((1, 40), 1 / noise**2))
    mean = np.ones((1, 3))
    halved = fit_laplace(twice, mean, weight=0.5, prior_precision=1.0)
    assert covariance(halved) == pytest.approx(covariance(fit_laplace(once, mean, prior_precision=1.0)), rel=1e-5)


def test_the_prior_maximises_the_evidence():
    """Compared with a grid over λ of log N(y; 0, ΦΦᵀ / λ + σ²), with the weights at their posterior mean for each λ."""
    hessian, mean = np.diag([50.0, 10.0, 2.0]), np.array([0.7, -0.4, 0.2])
    precision = evidence_precision(hessian, mean)
    grid = np.geomspace(1e-2, 1e3, 4001)
    evidence = [
        -0.5 * lam * mean @ mean + 1.5 * np.log(lam) - 0.5 * np.linalg.slogdet(hessian + lam * np.eye(3))[1]
        for lam in grid
    ]
    assert precision == pytest.approx(grid[int(np.argmax(evidence))], rel=0.01)


def test_zero_weights_have_a_finite_prior_and_a_curvature_without_voxels_is_refused():
    assert evidence_precision(np.eye(3), np.zeros(3)) == pytest.approx(1e8, rel=1e-3)
    with pytest.raises(ValueError, match="expected voxels"):
        fit_laplace(Curvature.empty(1, 3), np.ones((1, 3)))
