from math import sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adumbra.core.errors import InputRejected
from adumbra.core.references import citations
from adumbra.diffusion.denoising import (
    PREDICTIONS,
    converted,
    denoising_error,
    denoising_loss,
    noised,
    predicted,
)
from adumbra.diffusion.schedule import Schedule

SCHEDULE = Schedule()


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gives(prediction):
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
    x = noised(x0, t, normal(3, n, seed=1), SCHEDULE)
    # Five standard errors: σ / √n of a mean, σ² √(2 / n) of a variance.
    assert ((x.mean(1) - signal.sqrt() * x0[:, 0]).abs() < 5 * variance.sqrt() / sqrt(n)).all()
    assert ((x.var(1) - variance).abs() < 5 * variance * sqrt(2 / n)).all()


def test_independent_voxels_stay_independent():
    x = noised(torch.zeros(20_000, 2).double(), torch.tensor(0.7), normal(20_000, 2, seed=2), SCHEDULE)
    assert abs(float(torch.corrcoef(x.T)[0, 1])) < 5 / sqrt(20_000)


def test_at_time_0_nothing_is_noised():
    x0 = normal(2, 3)
    assert torch.equal(noised(x0, torch.zeros(2), normal(2, 3, seed=1), SCHEDULE), x0)


@pytest.mark.parametrize("shape", [(2,), (2, 3), (2, 1, 3, 4, 5)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_any_shape_and_precision_each_example_with_its_time(shape, dtype):
    x0, noise = normal(*shape, dtype=dtype), normal(*shape, seed=1, dtype=dtype)
    t = torch.tensor([0.2, 0.9])
    both = noised(x0, t, noise, SCHEDULE)
    assert both.dtype == dtype
    each = [noised(x0[i : i + 1], t[i], noise[i : i + 1], SCHEDULE) for i in range(2)]
    assert torch.equal(both, torch.cat(each))


def test_steps_are_times():
    x0, noise = normal(2, 3), normal(2, 3, seed=1)
    steps, t = torch.tensor([10, 900]), torch.tensor([0.01, 0.9], dtype=torch.float64)
    assert torch.equal(noised(x0, steps, noise, SCHEDULE), noised(x0, t, noise, SCHEDULE))


@given(st.sampled_from(PREDICTIONS), st.sampled_from(PREDICTIONS), st.floats(0.001, 1.0), st.integers(0, 9))
def test_one_prediction_tells_the_other(given, wanted, time, seed):
    x0, noise = normal(2, 4, seed=seed), normal(2, 4, seed=seed + 100)
    t = torch.tensor([time, 0.5], dtype=torch.float64)
    x = noised(x0, t, noise, SCHEDULE)
    found = converted(quantity(given, x0, noise, t), x, t, SCHEDULE, given=given, wanted=wanted)
    assert torch.allclose(found, quantity(wanted, x0, noise, t), atol=1e-10)


@given(st.sampled_from(PREDICTIONS), st.sampled_from(PREDICTIONS), st.floats(0.01, 0.99), st.integers(0, 9))
def test_conversions_invert_each_other_in_float32(a, b, time, seed):
    x, prediction = normal(2, 4, seed=seed, dtype=torch.float32), normal(2, 4, seed=seed + 50, dtype=torch.float32)
    t = torch.tensor(time)
    there = converted(prediction, x, t, SCHEDULE, given=a, wanted=b)
    back = converted(there, x, t, SCHEDULE, given=b, wanted=a)
    # The larger of x₀ and noise is told by at most 1 / √ᾱ and 1 / σ, each rounded in float32.
    signal, sigma = SCHEDULE.scales(t)
    assert torch.allclose(back, prediction, atol=float(20 * 1.2e-7 / (signal * sigma)))


def test_without_noise_the_image_tells_no_noise():
    x, t = normal(2, 3), torch.tensor([0.0, 0.5])
    for wanted in ("noise", "velocity"):
        with pytest.raises(InputRejected, match=r"^t\n.*above 0"):
            converted(x, x, t, SCHEDULE, given="x0", wanted=wanted)
    for given_ in ("noise", "velocity"):
        assert torch.equal(converted(normal(2, 3, seed=1), x, t, SCHEDULE, given=given_, wanted="x0")[0], x[0])


@pytest.mark.parametrize("predicts", PREDICTIONS)
def test_a_perfect_prediction_costs_nothing(predicts):
    x0, noise, t = normal(3, 1, 4), normal(3, 1, 4, seed=1), torch.tensor([0.1, 0.5, 1.0])
    target = quantity(predicts, x0, noise, t.double())
    assert float(denoising_loss(gives(target), x0, t, noise, SCHEDULE, predicts=predicts)) < 1e-30


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


def test_the_network_sees_the_noised_batch_and_its_times():
    seen = {}

    def network(x, t):
        seen.update(x=x, t=t)
        return x

    x0, noise = normal(2, 3).bfloat16(), normal(2, 3, seed=1).bfloat16()
    denoising_loss(network, x0, torch.tensor([1, 999]), noise, SCHEDULE)
    assert torch.equal(seen["x"], noised(x0, torch.tensor([1, 999]), noise, SCHEDULE))
    assert seen["t"].dtype == torch.float32  # Where bfloat16 would have made 0.999 a 1.
    assert seen["t"].tolist() == pytest.approx([0.001, 0.999])
    assert predicted(network, x0, torch.tensor(0.25), SCHEDULE).shape == x0.shape
    assert seen["t"].tolist() == [0.25, 0.25]


def test_a_mask_leaves_voxels_out_exactly():
    """Whatever stands there, NaN too, loss and gradients of the others are the same bits."""
    x0, noise, t = normal(2, 2, 6, dtype=torch.float32), normal(2, 2, 6, seed=1, dtype=torch.float32), torch.ones(2)
    brain = torch.ones(2, 1, 6, dtype=torch.bool)
    brain[..., 3:] = False
    found = []
    for filling in (0.0, 7.0, float("nan"), float("inf")):
        told = normal(2, 2, 6, seed=2, dtype=torch.float32)
        told[..., 3:] = filling
        told.requires_grad_()
        loss = denoising_loss(gives(told), x0, t, noise, SCHEDULE, weights=brain)
        loss.backward()
        found.append((loss.detach(), told.grad))
    only = (noise[..., :3] - told.detach()[..., :3]).square().mean()
    for loss, gradient in found:
        assert torch.equal(loss, found[0][0])
        assert torch.equal(gradient, found[0][1])
        assert (gradient[..., 3:] == 0).all()
    assert float(found[0][0]) == pytest.approx(float(only), rel=1e-6)


def test_an_empty_mask_costs_nothing_and_has_a_gradient():
    told = torch.ones(1, 4, requires_grad=True)
    noise = torch.zeros(1, 4)
    loss = denoising_loss(gives(told), noise, torch.ones(1), noise, SCHEDULE, weights=torch.zeros(1, 4))
    loss.backward()
    assert loss.item() == 0.0
    assert (told.grad == 0).all()


def test_the_loss_is_in_float32_at_least():
    x0 = torch.zeros(1, 4, dtype=torch.bfloat16)
    assert denoising_loss(unchanged, x0, torch.ones(1), x0, SCHEDULE).dtype == torch.float32


def test_the_error_by_level_is_the_least_possible_of_normal_values():
    """Of N(0, s²) the best noise estimate is σ x / (ᾱ s² + σ²), and its error ᾱ s² / (ᾱ s² + σ²)."""
    s, levels, n = 0.7, torch.tensor([0.1, 0.4, 0.7, 1.0]), 40_000

    def best(x, t):
        signal, variance = SCHEDULE.signal(t)[:, None], SCHEDULE.variance(t)[:, None]
        return variance.sqrt() * x / (signal * s**2 + variance)

    x0, noise = s * normal(1, n), normal(1, n, seed=1)
    found = denoising_error(best, x0, SCHEDULE, levels, noise)
    left = SCHEDULE.signal(levels) * s**2
    assert torch.allclose(found, left / (left + SCHEDULE.variance(levels)), rtol=5 * sqrt(2 / n), atol=1e-12)
    of_nothing = denoising_error(nothing, x0, SCHEDULE, levels, noise)
    assert torch.allclose(of_nothing, torch.ones(4).double(), rtol=5 * sqrt(2 / n))


def test_errors_of_different_predictions_are_compared_in_one():
    x0, noise, levels = normal(2, 5), normal(2, 5, seed=1), torch.tensor([0.2, 0.8])
    curves = [
        denoising_error(
            lambda x, t, kind=kind: converted(0.9 * x, x, t, SCHEDULE, given="noise", wanted=kind),
            x0,
            SCHEDULE,
            levels,
            noise,
            predicts=kind,
        )
        for kind in PREDICTIONS
    ]
    assert torch.allclose(curves[0], curves[1])
    assert torch.allclose(curves[0], curves[2])
    brain = torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0])
    within = denoising_error(nine_tenths, x0, SCHEDULE, levels, noise, weights=brain)
    alone = denoising_error(nine_tenths, x0[:, :2], SCHEDULE, levels, noise[:, :2])
    assert torch.allclose(within, alone)


def test_no_gradient_is_kept_of_an_error_but_of_a_loss():
    x0, weight = normal(2, 3), torch.ones((), dtype=torch.float64, requires_grad=True)

    def scaled(x, t):
        return weight * x

    assert not denoising_error(scaled, x0, SCHEDULE, torch.ones(1), x0).requires_grad
    assert denoising_loss(scaled, x0, torch.ones(2), x0, SCHEDULE).requires_grad


def test_what_does_not_fit_is_named():
    x0, t = normal(2, 3), torch.tensor([0.5, 0.5])
    refused = [
        ("noise", lambda: noised(x0, t, x0[:1], SCHEDULE)),
        ("t", lambda: noised(x0, torch.ones(3), x0, SCHEDULE)),
        ("t", lambda: noised(x0, torch.ones(2, 1), x0, SCHEDULE)),
        ("t", lambda: noised(x0, 2 * t + 1, x0, SCHEDULE)),
        ("prediction", lambda: converted(x0[:1], x0, t, SCHEDULE, given="noise", wanted="x0")),
        ("denoise", lambda: denoising_loss(gives(x0[:, :1]), x0, t, x0, SCHEDULE)),
        ("weights", lambda: denoising_loss(unchanged, x0, t, x0, SCHEDULE, weights=torch.ones(2, 4))),
    ]
    for name, call in refused:
        with pytest.raises(InputRejected, match=rf"^{name}\n"):
            call()


def test_the_papers_are_named():
    assert citations(noised, converted, denoising_loss) == ("Ho2020", "Salimans2022")
