from math import sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adumbra.core.errors import InputRejected
from adumbra.core.references import citations
from adumbra.diffusion.denoising import (
    PARAMETERISATIONS,
    add_noise,
    convert,
    denoising_error,
    denoising_loss,
    predict,
)
from adumbra.diffusion.schedule import Schedule

SCHEDULE = Schedule()


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def constant(prediction):
    def network(x, t):
        return prediction

    return network


def nothing(x, t):
    return torch.zeros_like(x)


def unchanged(x, t):
    return x


def nine_tenths(x, t):
    return 0.9 * x


def quantity(kind, x0, noise, t):
    signal, sigma = (s.view(-1, *[1] * (x0.ndim - 1)) for s in SCHEDULE.scales(t))
    return {"noise": noise, "x0": x0, "velocity": signal * noise - sigma * x0}[kind]


def test_the_forward_process_has_the_stated_marginals():
    n, t = 40_000, torch.tensor([0.05, 0.5, 0.95], dtype=torch.float64)
    signal, variance = SCHEDULE.signal(t), SCHEDULE.variance(t)
    x0 = torch.tensor([-1.0, 0.5, 2.0], dtype=torch.float64)[:, None].expand(3, n)
    x = add_noise(x0, t, normal(3, n, seed=1), SCHEDULE)
    # Five standard errors: σ / √n of a mean, σ² √(2 / n) of a variance.
    assert ((x.mean(1) - signal.sqrt() * x0[:, 0]).abs() < 5 * variance.sqrt() / sqrt(n)).all()
    assert ((x.var(1) - variance).abs() < 5 * variance * sqrt(2 / n)).all()


def test_independent_voxels_stay_independent():
    x = add_noise(torch.zeros(20_000, 2).double(), torch.tensor(0.7), normal(20_000, 2, seed=2), SCHEDULE)
    assert abs(float(torch.corrcoef(x.T)[0, 1])) < 5 / sqrt(20_000)


def test_at_time_0_no_noise_is_added():
    x0 = normal(2, 3)
    assert torch.equal(add_noise(x0, torch.zeros(2), normal(2, 3, seed=1), SCHEDULE), x0)


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 1, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_each_example_has_its_own_time_in_any_shape_and_precision(shape, dtype):
    x0, noise = normal(*shape, dtype=dtype), normal(*shape, seed=1, dtype=dtype)
    t = torch.tensor([0.2, 0.9])
    both = add_noise(x0, t, noise, SCHEDULE)
    assert both.dtype == dtype
    each = [add_noise(x0[i : i + 1], t[i], noise[i : i + 1], SCHEDULE) for i in range(2)]
    assert torch.equal(both, torch.cat(each))


def test_steps_are_times():
    x0, noise = normal(2, 3), normal(2, 3, seed=1)
    steps, t = torch.tensor([10, 900]), torch.tensor([0.01, 0.9], dtype=torch.float64)
    assert torch.equal(add_noise(x0, steps, noise, SCHEDULE), add_noise(x0, t, noise, SCHEDULE))


@given(st.sampled_from(PARAMETERISATIONS), st.sampled_from(PARAMETERISATIONS), st.floats(0.001, 1.0), st.integers(0, 9))
def test_each_parameterisation_follows_from_every_other(given, wanted, time, seed):
    x0, noise = normal(2, 4, seed=seed), normal(2, 4, seed=seed + 100)
    t = torch.tensor([time, 0.5], dtype=torch.float64)
    x = add_noise(x0, t, noise, SCHEDULE)
    converted = convert(quantity(given, x0, noise, t), x, t, SCHEDULE, given=given, wanted=wanted)
    assert torch.allclose(converted, quantity(wanted, x0, noise, t), atol=1e-10)


@given(st.sampled_from(PARAMETERISATIONS), st.sampled_from(PARAMETERISATIONS), st.floats(0.01, 0.99), st.integers(0, 9))
def test_conversions_invert_each_other_in_float32(a, b, time, seed):
    x, prediction = normal(2, 4, seed=seed, dtype=torch.float32), normal(2, 4, seed=seed + 50, dtype=torch.float32)
    t = torch.tensor(time)
    other = convert(prediction, x, t, SCHEDULE, given=a, wanted=b)
    back = convert(other, x, t, SCHEDULE, given=b, wanted=a)
    # Rounding errors of float32 are amplified by at most 1 / √ᾱ for x₀ and 1 / σ for the noise.
    signal, sigma = SCHEDULE.scales(t)
    assert torch.allclose(back, prediction, atol=float(20 * 1.2e-7 / (signal * sigma)))


def test_noise_cannot_be_computed_from_x0_at_time_0():
    x, t = normal(2, 3), torch.tensor([0.0, 0.5])
    for wanted in ("noise", "velocity"):
        with pytest.raises(InputRejected, match=r"^t\n.*above 0"):
            convert(x, x, t, SCHEDULE, given="x0", wanted=wanted)
    for given_ in ("noise", "velocity"):
        assert torch.equal(convert(normal(2, 3, seed=1), x, t, SCHEDULE, given=given_, wanted="x0")[0], x[0])


@pytest.mark.parametrize("predicts", PARAMETERISATIONS)
def test_the_loss_of_a_perfect_prediction_is_zero(predicts):
    x0, noise, t = normal(3, 1, 4), normal(3, 1, 4, seed=1), torch.tensor([0.1, 0.5, 1.0])
    target = quantity(predicts, x0, noise, t.double())
    assert float(denoising_loss(constant(target), x0, t, noise, SCHEDULE, predicts=predicts)) < 1e-30


def test_a_wrong_prediction_by_hand():
    x0, noise = torch.zeros(2, 2), torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    t = torch.tensor([0.3, 0.6])
    # Errors 1, 2, 0, 1 of a network that gives 0: squares 1 + 4 + 0 + 1 of 4 values.
    assert float(denoising_loss(nothing, x0, t, noise, SCHEDULE)) == 1.5
    # With weights 1, 1, 5, 0.5 the squares are 1 + 4 + 0 + 0.5 of 7.5.
    weights = torch.tensor([[1.0, 1.0], [5.0, 0.5]])
    loss = denoising_loss(nothing, x0, t, noise, SCHEDULE, weights=weights)
    assert float(loss) == pytest.approx(5.5 / 7.5)
    # Of an image of zeros the velocity is √ᾱ ε: at half the noise's variance, half the loss.
    half = SCHEDULE.time_at(torch.tensor(0.0))
    loss = denoising_loss(nothing, x0, half, noise, SCHEDULE, predicts="velocity")
    assert float(loss) == pytest.approx(0.75)


def test_the_network_gets_the_noisy_batch_and_its_times():
    arguments = {}

    def network(x, t):
        arguments.update(x=x, t=t)
        return x

    x0, noise = normal(2, 3).bfloat16(), normal(2, 3, seed=1).bfloat16()
    denoising_loss(network, x0, torch.tensor([1, 999]), noise, SCHEDULE)
    assert torch.equal(arguments["x"], add_noise(x0, torch.tensor([1, 999]), noise, SCHEDULE))
    assert arguments["t"].dtype == torch.float32  # bfloat16 would round 0.999 to 1.
    assert arguments["t"].tolist() == pytest.approx([0.001, 0.999])
    assert predict(network, x0, torch.tensor(0.25), SCHEDULE).shape == x0.shape
    assert arguments["t"].tolist() == [0.25, 0.25]


def test_masked_voxels_have_no_effect_at_all():
    """Whatever is predicted there, even NaN, the loss and the gradients of the others are the same bit for bit."""
    x0, noise, t = normal(2, 2, 6, dtype=torch.float32), normal(2, 2, 6, seed=1, dtype=torch.float32), torch.ones(2)
    brain = torch.ones(2, 1, 6, dtype=torch.bool)
    brain[..., 3:] = False
    results = []
    for filling in (0.0, 7.0, float("nan"), float("inf")):
        prediction = normal(2, 2, 6, seed=2, dtype=torch.float32)
        prediction[..., 3:] = filling
        prediction.requires_grad_()
        loss = denoising_loss(constant(prediction), x0, t, noise, SCHEDULE, weights=brain)
        loss.backward()
        results.append((loss.detach(), prediction.grad))
    only = (noise[..., :3] - prediction.detach()[..., :3]).square().mean()
    for loss, gradient in results:
        assert torch.equal(loss, results[0][0])
        assert torch.equal(gradient, results[0][1])
        assert (gradient[..., 3:] == 0).all()
    assert float(results[0][0]) == pytest.approx(float(only), rel=1e-6)


def test_an_empty_mask_gives_a_loss_and_a_gradient_of_zero():
    prediction = torch.ones(1, 4, requires_grad=True)
    noise = torch.zeros(1, 4)
    loss = denoising_loss(constant(prediction), noise, torch.ones(1), noise, SCHEDULE, weights=torch.zeros(1, 4))
    loss.backward()
    assert loss.item() == 0.0
    assert (prediction.grad == 0).all()


def test_the_loss_is_in_float32_at_least():
    x0 = torch.zeros(1, 4, dtype=torch.bfloat16)
    assert denoising_loss(unchanged, x0, torch.ones(1), x0, SCHEDULE).dtype == torch.float32


def test_the_error_by_level_has_its_theoretical_minimum_for_normal_values():
    """Of N(0, s²) the best noise estimate is σ x / (ᾱ s² + σ²), and its error ᾱ s² / (ᾱ s² + σ²)."""
    s, levels, n = 0.7, torch.tensor([0.1, 0.4, 0.7, 1.0]), 40_000

    def best(x, t):
        signal, variance = SCHEDULE.signal(t)[:, None], SCHEDULE.variance(t)[:, None]
        return variance.sqrt() * x / (signal * s**2 + variance)

    x0, noise = s * normal(1, n), normal(1, n, seed=1)
    errors = denoising_error(best, x0, SCHEDULE, levels, noise)
    signal_variance = SCHEDULE.signal(levels) * s**2
    assert torch.allclose(
        errors, signal_variance / (signal_variance + SCHEDULE.variance(levels)), rtol=5 * sqrt(2 / n), atol=1e-12
    )
    of_nothing = denoising_error(nothing, x0, SCHEDULE, levels, noise)
    assert torch.allclose(of_nothing, torch.ones(4).double(), rtol=5 * sqrt(2 / n))


def test_errors_of_different_parameterisations_can_be_compared():
    x0, noise, levels = normal(2, 5), normal(2, 5, seed=1), torch.tensor([0.2, 0.8])
    curves = [
        denoising_error(
            lambda x, t, kind=kind: convert(0.9 * x, x, t, SCHEDULE, given="noise", wanted=kind),
            x0,
            SCHEDULE,
            levels,
            noise,
            predicts=kind,
        )
        for kind in PARAMETERISATIONS
    ]
    assert torch.allclose(curves[0], curves[1])
    assert torch.allclose(curves[0], curves[2])
    brain = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    within = denoising_error(nine_tenths, x0, SCHEDULE, levels, noise, weights=brain)
    alone = denoising_error(nine_tenths, x0[:, :2], SCHEDULE, levels, noise[:, :2])
    assert torch.allclose(within, alone)


def test_the_loss_has_a_gradient_and_the_error_has_none():
    x0, weight = normal(2, 3), torch.ones((), dtype=torch.float64, requires_grad=True)

    def scaled(x, t):
        return weight * x

    assert not denoising_error(scaled, x0, SCHEDULE, torch.ones(1), x0).requires_grad
    assert denoising_loss(scaled, x0, torch.ones(2), x0, SCHEDULE).requires_grad


def test_an_argument_that_does_not_fit_is_named():
    x0, t = normal(2, 3), torch.tensor([0.5, 0.5])
    refused = [
        ("noise", lambda: add_noise(x0, t, x0[:1], SCHEDULE)),
        ("t", lambda: add_noise(x0, torch.ones(3), x0, SCHEDULE)),
        ("t", lambda: add_noise(x0, torch.ones(2, 1), x0, SCHEDULE)),
        ("t", lambda: add_noise(x0, 2 * t + 1, x0, SCHEDULE)),
        ("prediction", lambda: convert(x0[:1], x0, t, SCHEDULE, given="noise", wanted="x0")),
        ("denoise", lambda: denoising_loss(constant(x0[:, :1]), x0, t, x0, SCHEDULE)),
        ("weights", lambda: denoising_loss(unchanged, x0, t, x0, SCHEDULE, weights=torch.ones(2, 4))),
    ]
    for name, call in refused:
        with pytest.raises(InputRejected, match=rf"^{name}\n"):
            call()


def test_the_papers_are_named():
    assert citations(add_noise, convert, denoising_loss) == ("Ho2020", "Salimans2022")
