"""Samplers are judged by networks that know the answer: the posterior mean of a Gaussian, or of a few points."""

from math import exp, log2, prod, sqrt

import pytest
import torch

from adumbra.core.errors import InputRejected
from adumbra.diffusion.denoising import PREDICTIONS, converted, noised, scales_for
from adumbra.diffusion.sampling import carried, sampled
from adumbra.diffusion.schedule import Schedule, descending_times

SCHEDULE = Schedule()
METHODS = ("ddim", "second-order", "ancestral")
MEAN = torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 0.8, -0.3], [0.0, -0.3, 0.5]], dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def of_gaussian(mean=MEAN, covariance=COVARIANCE, *, schedule=SCHEDULE):
    """E[x₀ | x_t] = m + √ᾱ C (ᾱ C + σ² I)⁻¹ (x - √ᾱ m)."""

    def denoise(x, t):
        signal, sigma = schedule.scales(t[0].double())
        gain = signal * covariance @ torch.linalg.inv(signal**2 * covariance + sigma**2 * torch.eye(len(mean)))
        return (mean + (x.double() - signal * mean) @ gain.T).to(x)

    return denoise


def gives(x0):
    def denoise(x, t):
        return x0

    return denoise


def of_one(mean, deviation):
    """The same of N(m, s²), for each value by itself."""

    def denoise(x, t):
        signal, sigma = scales_for(x, t, SCHEDULE)
        return mean + signal * deviation**2 * (x - signal * mean) / (signal**2 * deviation**2 + sigma**2)

    return denoise


def flow(x, first, last, mean, deviation):
    """Where the deterministic flow of N(m, s²) takes x, in closed form."""
    (signal, sigma), (signal_, sigma_) = (
        SCHEDULE.scales(torch.tensor(time, dtype=torch.float64)) for time in (first, last)
    )
    spread, spread_ = (signal**2 * deviation**2 + sigma**2).sqrt(), (signal_**2 * deviation**2 + sigma_**2).sqrt()
    return signal_ * mean + spread_ * (x - signal * mean) / spread


def whitened(n, d, seed=0):
    """Normal draws whose own mean and covariance are exactly 0 and I: what is found is the sampler's error alone."""
    z = normal(n, d, seed=seed)
    z = z - z.mean(0)
    return z @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(z.T, correction=0))).T


def distance(a, b):
    return float(torch.linalg.matrix_norm(a - b) / torch.linalg.matrix_norm(b))


# Measured: 0.049, 0.025; 0.054, 0.013; 0.032, 0.008. Twice the steps halve the error of DDIM and quarter the others.
@pytest.mark.parametrize(
    ("method", "spacing", "steps", "tolerance"),
    [
        ("ddim", "time", 50, 0.06),
        ("ddim", "time", 100, 0.03),
        ("second-order", "time", 10, 0.065),
        ("second-order", "time", 20, 0.016),
        ("second-order", "log-snr", 20, 0.038),
        ("second-order", "log-snr", 40, 0.01),
    ],
)
def test_a_gaussian_keeps_its_moments(method, spacing, steps, tolerance):
    noise = whitened(500, 3)
    x = sampled(of_gaussian(), noise, SCHEDULE, steps=steps, method=method, spacing=spacing, predicts="x0")
    assert distance(torch.cov(x.T, correction=0), COVARIANCE) < tolerance
    # The schedule ends with e⁻⁵ of the image left, whose mean the noise does not have: the flow brings back √C of it.
    values, vectors = torch.linalg.eigh(COVARIANCE)
    missing = -exp(-5.0) * vectors @ (values.sqrt() * (vectors.T @ MEAN))
    assert torch.allclose(x.mean(0) - MEAN, missing, atol=3e-4)


def test_ancestral_draws_have_the_moments_within_their_error():
    n = 4000
    x = sampled(
        of_gaussian(),
        normal(n, 3, seed=1),
        SCHEDULE,
        steps=100,
        method="ancestral",
        predicts="x0",
        fresh_noise=generator(2),
    )
    assert distance(torch.cov(x.T), COVARIANCE) < 0.05
    assert ((x.mean(0) - MEAN).abs() < 5 * (COVARIANCE.diagonal() / n).sqrt() + 0.008).all()


def test_ddim_of_unit_variance_by_theory():
    """Of N(0, 1) each step multiplies by √ᾱ_t √ᾱ_s + σ_t σ_s: the cosine of the angle between the two."""
    times = descending_times(SCHEDULE, 7)
    signal, sigma = SCHEDULE.scales(times)
    expected = prod((signal[:-1] * signal[1:] + sigma[:-1] * sigma[1:]).tolist())
    x = sampled(of_one(0.0, 1.0), torch.ones(1, 1).double(), SCHEDULE, steps=7, predicts="x0")
    # The network is told the time in float64 here, as the batch is.
    assert float(x) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("mean", "deviation"), [(0.3, 0.5), (0.0, 2.0), (1.0, 1.0)])
def test_the_order_of_convergence(mean, deviation):
    """Half the steps, even in the log-SNR: twice the error of DDIM, four times that of second order."""
    x = torch.linspace(-2.0, 2.0, 5, dtype=torch.float64)[:, None]
    errors = {}
    for method in ("ddim", "second-order"):
        for steps in (40, 80):
            levels = torch.linspace(SCHEDULE.lowest, 8.0, steps + 1, dtype=torch.float64)
            times = SCHEDULE.time_at(levels)
            y = carried(of_one(mean, deviation), x, times, SCHEDULE, method=method, predicts="x0")
            known = flow(x, float(times[0]), float(times[-1]), mean, deviation)
            errors[method, steps] = float((y - known).abs().max())
    assert log2(errors["ddim", 40] / errors["ddim", 80]) == pytest.approx(1.0, abs=0.05)
    assert log2(errors["second-order", 40] / errors["second-order", 80]) == pytest.approx(2.0, abs=0.05)
    for steps in (40, 80):
        assert errors["second-order", steps] < 0.2 * errors["ddim", steps]


def test_second_order_by_hand():
    """Two steps and a in_turn: the first and the last of first order, the second half a step along the line."""
    told = iter([1.0, 3.0, 10.0])

    def in_turn(x, t):
        return torch.full_like(x, next(told))

    times = torch.tensor([0.9, 0.6, 0.3, 0.1], dtype=torch.float64)
    signal, sigma = SCHEDULE.scales(times)
    half = 0.5 * SCHEDULE.log_snr(times)
    h = half.diff()
    x = torch.tensor([[2.0]], dtype=torch.float64)
    found = carried(in_turn, x, times, SCHEDULE, method="second-order", predicts="x0")
    ratio = h[0] / h[1]
    for i, aim in enumerate([1.0, (1 + 0.5 / ratio) * 3.0 - 0.5 / ratio * 1.0, 10.0]):
        x = sigma[i + 1] / sigma[i] * x - signal[i + 1] * torch.expm1(-h[i]) * aim
    assert float(found) == pytest.approx(float(x), rel=1e-12)


@pytest.mark.parametrize("weight", [0.1, 0.3, 0.5])
@pytest.mark.parametrize(("method", "tolerance"), [("ddim", 0.006), ("second-order", 0.002), ("ancestral", 0.02)])
def test_two_points_are_sampled_with_both_weights(weight, method, tolerance):
    """Of +1 with a weight and -1: the posterior mean is a tanh. The noise is the normal's quantiles, not draws."""
    n = 2000
    noise = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)[:, None]
    odds = torch.logit(torch.tensor(weight, dtype=torch.float64))

    def denoise(x, t):
        signal, sigma = scales_for(x, t, SCHEDULE)
        return torch.tanh(0.5 * odds + signal * x / sigma**2)

    fresh = generator(1) if method == "ancestral" else None
    x = sampled(denoise, noise, SCHEDULE, steps=20, method=method, predicts="x0", within=(-1.0, 1.0), fresh_noise=fresh)
    assert (x.abs() > 0.95).double().mean() > 0.99
    assert float((x > 0).double().mean()) == pytest.approx(weight, abs=tolerance)


def test_ddim_with_eta_1_is_ancestral():
    """The two formulas are one: with the same noise they agree to rounding."""
    x = [
        sampled(of_gaussian(), normal(50, 3), SCHEDULE, steps=10, predicts="x0", fresh_noise=generator(4), **choice)
        for choice in ({"method": "ddim", "eta": 1.0}, {"method": "ancestral"})
    ]
    assert torch.allclose(*x, atol=1e-10)


def test_the_ancestral_step_is_the_posterior_by_bayes():
    """q(x_s | x_t, x₀) by hand: precisions add, and means are weighted by them."""
    times = torch.tensor([0.7, 0.4], dtype=torch.float64)
    (signal_t, signal_s), (sigma_t, sigma_s) = SCHEDULE.scales(times)
    kept = signal_t / signal_s
    precision = 1 / sigma_s**2 + kept**2 / (sigma_t**2 - kept**2 * sigma_s**2)
    x, x0 = torch.tensor([[0.8]]).double(), torch.tensor([[-0.4]]).double()
    mean = (signal_s * x0 / sigma_s**2 + kept * x / (sigma_t**2 - kept**2 * sigma_s**2)) / precision
    for z in (-1.0, 0.0, 2.0):
        found = carried(
            gives(x0),
            x,
            times,
            SCHEDULE,
            method="ancestral",
            predicts="x0",
            fresh_noise=lambda like, z=z: torch.full_like(like, z),
        )
        assert float(found) == pytest.approx(float(mean + z / precision.sqrt()), rel=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_any_eta_keeps_the_marginals(eta):
    """With the true x₀ every step leads from one marginal to another (Song et al., lemma 1)."""
    n, times = 40_000, torch.tensor([0.8, 0.5, 0.2], dtype=torch.float64)
    x0 = torch.full((n, 1), 1.5, dtype=torch.float64)
    x = noised(x0, times[0], normal(n, 1, seed=3), SCHEDULE)
    x = carried(gives(x0), x, times, SCHEDULE, eta=eta, predicts="x0", fresh_noise=generator(5))
    variance = float(SCHEDULE.variance(times[-1]))
    assert float(x.mean()) == pytest.approx(1.5 * float(SCHEDULE.signal(times[-1]).sqrt()), abs=5 * sqrt(variance / n))
    assert float(x.var()) == pytest.approx(variance, rel=5 * sqrt(2 / n))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_that_knows_the_image_gives_it_exactly(method, steps, dtype):
    x0 = normal(2, 1, 3, 3, 3, seed=7, dtype=dtype)
    noise = normal(2, 1, 3, 3, 3, dtype=dtype)
    found = sampled(gives(x0), noise, SCHEDULE, steps=steps, method=method, predicts="x0", fresh_noise=generator())
    assert torch.equal(found, x0)


@pytest.mark.parametrize("predicts", PREDICTIONS)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_predicted_does_not_matter(method, predicts):
    known = of_gaussian()

    def denoise(x, t):
        return converted(known(x, t), x, t, SCHEDULE, given="x0", wanted=predicts)

    options = {"steps": 8, "method": method, "fresh_noise": generator(1)}
    found = sampled(denoise, normal(5, 3), SCHEDULE, predicts=predicts, **options)
    options["fresh_noise"] = generator(1)
    assert torch.allclose(found, sampled(known, normal(5, 3), SCHEDULE, predicts="x0", **options), atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_float32_is_enough(method):
    """A network that predicts noise, whose estimate is enlarged 150 times at the start."""
    known = of_gaussian()

    def denoise(x, t):
        return converted(known(x, t), x, t, SCHEDULE, given="x0", wanted="noise")

    wide, narrow = (
        sampled(
            denoise,
            normal(50, 3).to(dtype),
            SCHEDULE,
            steps=20,
            method=method,
            fresh_noise=lambda like: torch.full_like(like, 0.5),
        )
        for dtype in (torch.float64, torch.float32)
    )
    assert narrow.dtype == torch.float32
    assert torch.allclose(wide, narrow.double(), atol=2e-5)


@pytest.mark.parametrize("method", METHODS)
def test_estimates_are_kept_within_the_range(method):
    seen = []

    def denoise(x, t):
        seen.append(x)
        return 5.0 * x

    found = sampled(
        denoise,
        normal(4, 3),
        SCHEDULE,
        steps=6,
        method=method,
        predicts="x0",
        within=(-1.0, 0.5),
        fresh_noise=generator(),
    )
    assert found.min() >= -1.0
    assert found.max() <= 0.5
    assert len(seen) == 6
    assert all(x.isfinite().all() and x.abs().max() < 6.0 for x in seen)


def test_the_network_is_told_the_times_and_asked_without_gradient():
    seen, weight = [], torch.ones((), requires_grad=True)

    def denoise(x, t):
        seen.append(t)
        assert not torch.is_grad_enabled()
        return weight * x

    found = sampled(denoise, normal(2, 3).float(), SCHEDULE, steps=4)
    assert not found.requires_grad
    assert [t.tolist() for t in seen] == [[1.0, 1.0], [0.75, 0.75], [0.5, 0.5], [0.25, 0.25]]


def test_noise_on_the_way_is_the_callers():
    """No ambient generator is touched, equal ones give equal bits; a callable is asked at every step but the last."""
    before, asked = torch.get_rng_state(), []

    def fresh(like):
        asked.append(like.shape)
        return torch.zeros_like(like)

    def draws(source):
        return sampled(
            of_gaussian(), normal(4, 3), SCHEDULE, steps=5, method="ancestral", predicts="x0", fresh_noise=source
        )

    assert torch.equal(draws(generator(1)), draws(generator(1)))
    assert not torch.equal(draws(generator(1)), draws(generator(2)))
    draws(fresh)
    assert asked == [(4, 3)] * 4
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("method", ["ddim", "second-order"])
def test_without_noise_on_the_way_a_generator_is_left_alone(method):
    source = generator(3)
    state = source.get_state()
    x = [
        sampled(of_gaussian(), normal(4, 3), SCHEDULE, steps=5, method=method, predicts="x0", fresh_noise=fresh)
        for fresh in (source, None)
    ]
    assert torch.equal(*x)
    assert torch.equal(source.get_state(), state)


def test_a_way_can_be_walked_in_two_parts():
    times = descending_times(SCHEDULE, 6)
    whole = carried(of_gaussian(), normal(4, 3), times, SCHEDULE, predicts="x0")
    half = carried(of_gaussian(), normal(4, 3), times[:4], SCHEDULE, predicts="x0")
    assert torch.equal(carried(of_gaussian(), half, times[3:], SCHEDULE, predicts="x0"), whole)


def test_what_does_not_fit_is_named():
    x = normal(2, 3)

    def network(x, t):
        return x

    refused = [
        ("steps", {"steps": 0}),
        ("eta", {"eta": 1.5}),
        ("eta", {"eta": 0.5, "method": "second-order"}),
        ("fresh_noise", {"method": "ancestral"}),
        ("fresh_noise", {"eta": 0.5}),
        ("fresh_noise", {"eta": 0.5, "fresh_noise": lambda like: like[:1]}),
        ("within", {"within": (1.0, -1.0)}),
    ]
    for name, options in refused:
        with pytest.raises(InputRejected, match=rf"^{name}\n"):
            sampled(network, x, SCHEDULE, **{"steps": 3} | options)
    with pytest.raises(InputRejected, match=r"^denoise\n"):
        sampled(gives(x[:1]), x, SCHEDULE, steps=3)
    with pytest.raises(InputRejected, match=r"^times\n"):
        carried(network, x, torch.tensor([0.2, 0.8]), SCHEDULE)
