"""Samplers with denoisers that are exact: the posterior mean of a Gaussian, or of a few points."""

from math import exp, log2, prod, sqrt

import pytest
import torch

from adumbra.core.errors import InputRejected
from adumbra.diffusion.denoising import PARAMETERISATIONS, add_noise, convert, scales_for
from adumbra.diffusion.sampling import integrate, sample
from adumbra.diffusion.schedule import Schedule, descending_times

SCHEDULE = Schedule()
METHODS = ("ddim", "second-order", "ancestral")
MEAN = torch.tensor([0.5, -1.0, 0.0], dtype=torch.float64)
COVARIANCE = torch.tensor([[1.0, 0.6, 0.0], [0.6, 0.8, -0.3], [0.0, -0.3, 0.5]], dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def gaussian_denoiser(mean=MEAN, covariance=COVARIANCE, *, schedule=SCHEDULE):
    """E[x₀ | x_t] = m + √ᾱ C (ᾱ C + σ² I)⁻¹ (x - √ᾱ m)."""

    def denoise(x, t):
        signal, sigma = schedule.scales(t[0].double())
        gain = signal * covariance @ torch.linalg.inv(signal**2 * covariance + sigma**2 * torch.eye(len(mean)))
        return (mean + (x.double() - signal * mean) @ gain.T).to(x)

    return denoise


def constant_denoiser(x0):
    def denoise(x, t):
        return x0

    return denoise


def scalar_denoiser(mean, deviation):
    """The posterior mean for N(m, s²), for each value by itself."""

    def denoise(x, t):
        signal, sigma = scales_for(x, t, SCHEDULE)
        return mean + signal * deviation**2 * (x - signal * mean) / (signal**2 * deviation**2 + sigma**2)

    return denoise


def flow(x, first, last, mean, deviation):
    """The deterministic flow of N(m, s²) from one time to another, in closed form."""
    (signal, sigma), (signal_, sigma_) = (
        SCHEDULE.scales(torch.tensor(time, dtype=torch.float64)) for time in (first, last)
    )
    spread, spread_ = (signal**2 * deviation**2 + sigma**2).sqrt(), (signal_**2 * deviation**2 + sigma_**2).sqrt()
    return signal_ * mean + spread_ * (x - signal * mean) / spread


def whitened(n, d, seed=0):
    """Normal samples whose own mean and covariance are exactly 0 and I, so that all error is the sampler's."""
    z = normal(n, d, seed=seed)
    z = z - z.mean(0)
    return z @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(z.T, correction=0))).T


def relative_distance(a, b):
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
def test_samples_have_the_moments_of_a_gaussian(method, spacing, steps, tolerance):
    noise = whitened(500, 3)
    x = sample(gaussian_denoiser(), noise, SCHEDULE, steps=steps, method=method, spacing=spacing, predicts="x0")
    assert relative_distance(torch.cov(x.T, correction=0), COVARIANCE) < tolerance
    # At the end of the schedule e⁻⁵ of the image is left, whose mean the noise lacks; the flow restores √C of it.
    values, vectors = torch.linalg.eigh(COVARIANCE)
    missing = -exp(-5.0) * vectors @ (values.sqrt() * (vectors.T @ MEAN))
    assert torch.allclose(x.mean(0) - MEAN, missing, atol=3e-4)


def test_ancestral_samples_have_the_moments_within_their_error():
    n = 4000
    x = sample(
        gaussian_denoiser(),
        normal(n, 3, seed=1),
        SCHEDULE,
        steps=100,
        method="ancestral",
        predicts="x0",
        fresh_noise=generator(2),
    )
    assert relative_distance(torch.cov(x.T), COVARIANCE) < 0.05
    assert ((x.mean(0) - MEAN).abs() < 5 * (COVARIANCE.diagonal() / n).sqrt() + 0.008).all()


def test_ddim_of_unit_variance_by_theory():
    """Of N(0, 1) each step multiplies by √ᾱ_t √ᾱ_s + σ_t σ_s: the cosine of the angle between the two."""
    times = descending_times(SCHEDULE, 7)
    signal, sigma = SCHEDULE.scales(times)
    expected = prod((signal[:-1] * signal[1:] + sigma[:-1] * sigma[1:]).tolist())
    x = sample(scalar_denoiser(0.0, 1.0), torch.ones(1, 1).double(), SCHEDULE, steps=7, predicts="x0")
    # The network gets the time in float64 here, as the batch is float64.
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
            y = integrate(scalar_denoiser(mean, deviation), x, times, SCHEDULE, method=method, predicts="x0")
            known = flow(x, float(times[0]), float(times[-1]), mean, deviation)
            errors[method, steps] = float((y - known).abs().max())
    assert log2(errors["ddim", 40] / errors["ddim", 80]) == pytest.approx(1.0, abs=0.05)
    assert log2(errors["second-order", 40] / errors["second-order", 80]) == pytest.approx(2.0, abs=0.05)
    for steps in (40, 80):
        assert errors["second-order", steps] < 0.2 * errors["ddim", steps]


def test_second_order_by_hand():
    """Three steps: the first and the last are of first order, the second extrapolates half a step along the line."""
    estimates = iter([1.0, 3.0, 10.0])

    def in_turn(x, t):
        return torch.full_like(x, next(estimates))

    times = torch.tensor([0.9, 0.6, 0.3, 0.1], dtype=torch.float64)
    signal, sigma = SCHEDULE.scales(times)
    half = 0.5 * SCHEDULE.log_snr(times)
    h = half.diff()
    x = torch.tensor([[2.0]], dtype=torch.float64)
    result = integrate(in_turn, x, times, SCHEDULE, method="second-order", predicts="x0")
    ratio = h[0] / h[1]
    for i, aim in enumerate([1.0, (1 + 0.5 / ratio) * 3.0 - 0.5 / ratio * 1.0, 10.0]):
        x = sigma[i + 1] / sigma[i] * x - signal[i + 1] * torch.expm1(-h[i]) * aim
    assert float(result) == pytest.approx(float(x), rel=1e-12)


@pytest.mark.parametrize("weight", [0.1, 0.3, 0.5])
@pytest.mark.parametrize(("method", "tolerance"), [("ddim", 0.006), ("second-order", 0.002), ("ancestral", 0.02)])
def test_two_points_are_sampled_with_both_weights(weight, method, tolerance):
    """The posterior mean of two points, +1 and -1, is a tanh. The noise is the quantiles of a normal, not random."""
    n = 2000
    noise = torch.special.ndtri((torch.arange(n, dtype=torch.float64) + 0.5) / n)[:, None]
    odds = torch.logit(torch.tensor(weight, dtype=torch.float64))

    def denoise(x, t):
        signal, sigma = scales_for(x, t, SCHEDULE)
        return torch.tanh(0.5 * odds + signal * x / sigma**2)

    fresh = generator(1) if method == "ancestral" else None
    x = sample(denoise, noise, SCHEDULE, steps=20, method=method, predicts="x0", within=(-1.0, 1.0), fresh_noise=fresh)
    assert (x.abs() > 0.95).double().mean() > 0.99
    assert float((x > 0).double().mean()) == pytest.approx(weight, abs=tolerance)


def test_ddim_with_eta_1_is_ancestral():
    """The two formulas are equivalent: with the same noise they agree up to rounding."""
    x = [
        sample(
            gaussian_denoiser(), normal(50, 3), SCHEDULE, steps=10, predicts="x0", fresh_noise=generator(4), **choice
        )
        for choice in ({"method": "ddim", "eta": 1.0}, {"method": "ancestral"})
    ]
    assert torch.allclose(*x, atol=1e-10)


def test_the_ancestral_step_is_the_posterior_by_bayes():
    """q(x_s | x_t, x₀) by hand: precisions add, and means are weighted by them."""
    times = torch.tensor([0.7, 0.4], dtype=torch.float64)
    (signal_t, signal_s), (sigma_t, sigma_s) = SCHEDULE.scales(times)
    ratio = signal_t / signal_s
    precision = 1 / sigma_s**2 + ratio**2 / (sigma_t**2 - ratio**2 * sigma_s**2)
    x, x0 = torch.tensor([[0.8]]).double(), torch.tensor([[-0.4]]).double()
    mean = (signal_s * x0 / sigma_s**2 + ratio * x / (sigma_t**2 - ratio**2 * sigma_s**2)) / precision
    for z in (-1.0, 0.0, 2.0):
        result = integrate(
            constant_denoiser(x0),
            x,
            times,
            SCHEDULE,
            method="ancestral",
            predicts="x0",
            fresh_noise=lambda like, z=z: torch.full_like(like, z),
        )
        assert float(result) == pytest.approx(float(mean + z / precision.sqrt()), rel=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_any_eta_preserves_the_marginals(eta):
    """With the true x₀ every step leads from one marginal to another (Song et al., lemma 1)."""
    n, times = 40_000, torch.tensor([0.8, 0.5, 0.2], dtype=torch.float64)
    x0 = torch.full((n, 1), 1.5, dtype=torch.float64)
    x = add_noise(x0, times[0], normal(n, 1, seed=3), SCHEDULE)
    x = integrate(constant_denoiser(x0), x, times, SCHEDULE, eta=eta, predicts="x0", fresh_noise=generator(5))
    variance = float(SCHEDULE.variance(times[-1]))
    assert float(x.mean()) == pytest.approx(1.5 * float(SCHEDULE.signal(times[-1]).sqrt()), abs=5 * sqrt(variance / n))
    assert float(x.var()) == pytest.approx(variance, rel=5 * sqrt(2 / n))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_image_is_restored_exactly_where_the_network_knows_it(method, steps, dtype):
    x0 = normal(2, 1, 3, 3, 3, seed=7, dtype=dtype)
    noise = normal(2, 1, 3, 3, 3, dtype=dtype)
    result = sample(
        constant_denoiser(x0), noise, SCHEDULE, steps=steps, method=method, predicts="x0", fresh_noise=generator()
    )
    assert torch.equal(result, x0)


@pytest.mark.parametrize("predicts", PARAMETERISATIONS)
@pytest.mark.parametrize("method", METHODS)
def test_samples_do_not_depend_on_the_parameterisation(method, predicts):
    known = gaussian_denoiser()

    def denoise(x, t):
        return convert(known(x, t), x, t, SCHEDULE, given="x0", wanted=predicts)

    options = {"steps": 8, "method": method, "fresh_noise": generator(1)}
    result = sample(denoise, normal(5, 3), SCHEDULE, predicts=predicts, **options)
    options["fresh_noise"] = generator(1)
    assert torch.allclose(result, sample(known, normal(5, 3), SCHEDULE, predicts="x0", **options), atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_float32_is_precise_enough(method):
    """The network predicts noise, whose error is amplified 150 times in x₀ at the start."""
    known = gaussian_denoiser()

    def denoise(x, t):
        return convert(known(x, t), x, t, SCHEDULE, given="x0", wanted="noise")

    wide, narrow = (
        sample(
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
def test_estimates_are_clamped_to_the_range(method):
    inputs = []

    def denoise(x, t):
        inputs.append(x)
        return 5.0 * x

    result = sample(
        denoise,
        normal(4, 3),
        SCHEDULE,
        steps=6,
        method=method,
        predicts="x0",
        within=(-1.0, 0.5),
        fresh_noise=generator(),
    )
    assert result.min() >= -1.0
    assert result.max() <= 0.5
    assert len(inputs) == 6
    assert all(x.isfinite().all() and x.abs().max() < 6.0 for x in inputs)


def test_the_network_gets_the_times_and_computes_no_gradient():
    times, weight = [], torch.ones((), requires_grad=True)

    def denoise(x, t):
        times.append(t)
        assert not torch.is_grad_enabled()
        return weight * x

    result = sample(denoise, normal(2, 3).float(), SCHEDULE, steps=4)
    assert not result.requires_grad
    assert [t.tolist() for t in times] == [[1.0, 1.0], [0.75, 0.75], [0.5, 0.5], [0.25, 0.25]]


def test_fresh_noise_comes_from_the_caller_alone():
    """Torch's global generator is unused, and a callable is called in every step but the last."""
    before, shapes = torch.get_rng_state(), []

    def fresh(like):
        shapes.append(like.shape)
        return torch.zeros_like(like)

    def samples_with(source):
        return sample(
            gaussian_denoiser(), normal(4, 3), SCHEDULE, steps=5, method="ancestral", predicts="x0", fresh_noise=source
        )

    assert torch.equal(samples_with(generator(1)), samples_with(generator(1)))
    assert not torch.equal(samples_with(generator(1)), samples_with(generator(2)))
    samples_with(fresh)
    assert shapes == [(4, 3)] * 4
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("method", ["ddim", "second-order"])
def test_deterministic_methods_leave_a_generator_unchanged(method):
    source = generator(3)
    state = source.get_state()
    x = [
        sample(gaussian_denoiser(), normal(4, 3), SCHEDULE, steps=5, method=method, predicts="x0", fresh_noise=fresh)
        for fresh in (source, None)
    ]
    assert torch.equal(*x)
    assert torch.equal(source.get_state(), state)


def test_the_reverse_process_can_be_integrated_in_two_parts():
    times = descending_times(SCHEDULE, 6)
    whole = integrate(gaussian_denoiser(), normal(4, 3), times, SCHEDULE, predicts="x0")
    half = integrate(gaussian_denoiser(), normal(4, 3), times[:4], SCHEDULE, predicts="x0")
    assert torch.equal(integrate(gaussian_denoiser(), half, times[3:], SCHEDULE, predicts="x0"), whole)


def test_an_argument_that_does_not_fit_is_named():
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
            sample(network, x, SCHEDULE, **{"steps": 3} | options)
    with pytest.raises(InputRejected, match=r"^denoise\n"):
        sample(constant_denoiser(x[:1]), x, SCHEDULE, steps=3)
    with pytest.raises(InputRejected, match=r"^times\n"):
        integrate(network, x, torch.tensor([0.2, 0.8]), SCHEDULE)
