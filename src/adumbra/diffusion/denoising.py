"""Denoising diffusion: noise is added by a schedule, and a network learns to tell it from the image.

Whatever it predicts, noise ε, image x₀ or velocity v = √ᾱ ε - σ x₀, follows from any other one and the noisy image
x = √ᾱ x₀ + σ ε (Ho et al., NeurIPS 2020; v: Salimans & Ho, ICLR 2022). No network is known here: ``denoise`` is any
callable of the noisy batch and the times, (B,) float in [0, 1], that gives a prediction of the batch's shape.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.diffusion.schedule import Schedule, require_one_of

Denoise = Callable[[Tensor, Tensor], Tensor]
Prediction = Literal["noise", "x0", "velocity"]
PREDICTIONS: tuple[Prediction, ...] = get_args(Prediction)


@cites("Ho2020")
def noised(x0: Tensor, t: Tensor, noise: Tensor, schedule: Schedule) -> Tensor:
    """A draw from q(x_t | x₀) = N(√ᾱ x₀, (1 - ᾱ) I), same shape and precision as ``x0``.

    Args:
        x0: (B, ...), any shape.
        t: (B,) of each example, or () of all; floats in [0, 1], or the schedule's steps as integers.
        noise: Standard normal, of the shape of ``x0``.
        schedule: Of the noise.

    Raises:
        InputRejected: A shape does not fit, or a time is outside.
    """
    require_shape("noise", noise, x0)
    signal, sigma = scales_for(x0, t, schedule)
    return signal.to(x0) * x0 + sigma.to(x0) * noise


@cites("Salimans2022")
def converted(
    prediction: Tensor, x: Tensor, t: Tensor, schedule: Schedule, *, given: Prediction, wanted: Prediction
) -> Tensor:
    """What a prediction of one kind says of another, same shape.

    Args:
        prediction: (B, ...), of the kind ``given``.
        x: The noisy batch that it was made of.
        t: As in ``noised``.
        schedule: Of the noise.
        given: What is predicted.
        wanted: What is asked for.

    Raises:
        InputRejected: A shape does not fit, a time is outside, a kind is unknown, or x₀ is to tell the noise or the
            velocity at time 0, where x holds no noise.
    """
    require_shape("prediction", prediction, x)
    signal, sigma = scales_for(x, t, schedule)
    a, b = _parts(given, "given", signal, sigma)
    c, d = _parts(wanted, "wanted", signal, sigma)
    if given == wanted:
        return prediction
    # Two equations, x = √ᾱ x₀ + σ ε and prediction = a x₀ + b ε, are solved for c x₀ + d ε.
    determinant = signal * b - sigma * a
    if not bool(determinant.all()):
        raise InputRejected("t", expected="above 0", found="0", do=f"ask for {wanted} where there is noise")
    from_x, from_prediction = (b * c - a * d) / determinant, (signal * d - sigma * c) / determinant
    return from_x.to(x) * x + from_prediction.to(x) * prediction


@cites("Ho2020", "Salimans2022")
def denoising_loss(
    denoise: Denoise,
    x0: Tensor,
    t: Tensor,
    noise: Tensor,
    schedule: Schedule,
    *,
    predicts: Prediction = "noise",
    weights: Tensor | None = None,
) -> Tensor:
    """The mean squared error of what the network predicts from the noised batch; a scalar, in float32 at least.

    Args:
        denoise: The network.
        x0: (B, ...), the clean batch.
        t: As in ``noised``.
        noise: Standard normal, of the shape of ``x0``.
        schedule: Of the noise.
        predicts: What the network predicts.
        weights: Of each value, 0 or more, or a mask; broadcast to the shape of ``x0``. Where they are 0, neither loss
            nor gradient sees what was predicted, be it NaN. All 0 gives 0.

    Raises:
        InputRejected: A shape does not fit, a time is outside, or the kind is unknown.
    """
    x = noised(x0, t, noise, schedule)
    prediction = predicted(denoise, x, t, schedule)
    signal, sigma = scales_for(x0, t, schedule)
    a, b = _parts(predicts, "predicts", signal, sigma)
    return _mean_square(prediction, a.to(x0) * x0 + b.to(x0) * noise, weights)


@torch.no_grad()
def denoising_error(
    denoise: Denoise,
    x0: Tensor,
    schedule: Schedule,
    levels: Tensor,
    noise: Tensor,
    *,
    predicts: Prediction = "noise",
    measured: Prediction = "noise",
    weights: Tensor | None = None,
) -> Tensor:
    """The mean squared error at each level of noise, (levels,); of the noise, a network that gives 0 has 1 everywhere.

    For independent normal values of variance s² no network gets below ᾱ s² / (ᾱ s² + 1 - ᾱ).

    Args:
        denoise: The network.
        x0: (B, ...), clean images that it was not trained on.
        schedule: Of the noise.
        levels: (levels,) times above 0.
        noise: Standard normal, of the shape of ``x0``: the same at all levels.
        predicts: What the network predicts.
        measured: Whose error is asked for, so that networks which predict different things can be compared.
        weights: As in ``denoising_loss``.

    Raises:
        InputRejected: As ``denoising_loss``, and as ``converted``.
    """
    errors = []
    for level in levels.flatten():
        x = noised(x0, level, noise, schedule)
        told = predicted(denoise, x, level, schedule)
        told = converted(told, x, level, schedule, given=predicts, wanted=measured)
        a, b = _parts(measured, "measured", *scales_for(x0, level, schedule))
        errors.append(_mean_square(told, a.to(x0) * x0 + b.to(x0) * noise, weights))
    return torch.stack(errors)


def predicted(denoise: Denoise, x: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """What the network says of the noisy batch; it is told the time of each example, in float32 at least.

    Raises:
        InputRejected: A time is outside, or the prediction has another shape than ``x``.
    """
    # bfloat16 has no room for a thousand times between 0 and 1.
    time = schedule.time(t).to(x.device, torch.promote_types(x.dtype, torch.float32)).expand(len(x))
    prediction = denoise(x, time)
    require_shape("denoise", prediction, x)
    return prediction


def scales_for(x: Tensor, t: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """√ᾱ and σ in float64, shaped to multiply the batch, on the device of the times: a GPU need not be waited for.

    Raises:
        InputRejected: A time is outside, or there is not one for each example.
    """
    if t.shape not in ((), x.shape[:1]):
        raise InputRejected(
            "t",
            expected=f"one time, or one for each of {len(x)} examples" if x.ndim else "one time",
            found=f"shape {tuple(t.shape)}",
            do="give t of shape () or (B,)",
        )
    signal, sigma = schedule.scales(t)
    shape = t.shape + (1,) * (x.ndim - t.ndim)
    return signal.view(shape), sigma.view(shape)


def require_shape(name: str, found: Tensor, like: Tensor) -> None:
    """Nothing, where the shapes are equal.

    Raises:
        InputRejected: They are not.
    """
    if found.shape != like.shape:
        raise InputRejected(
            name, expected=f"shape {tuple(like.shape)}", found=f"{tuple(found.shape)}", do="give one value for each"
        )


def _parts(kind: Prediction, name: str, signal: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """How much of x₀ and of ε there is in a quantity."""
    require_one_of(name, kind, PREDICTIONS)
    none, one = torch.zeros_like(signal), torch.ones_like(signal)
    return {"noise": (none, one), "x0": (one, none), "velocity": (-sigma, signal)}[kind]


def _mean_square(prediction: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Σ w (p - y)² / Σ w; 0 where Σ w is."""
    dtype = torch.promote_types(target.dtype, torch.float32)
    difference = prediction.to(dtype) - target.to(dtype)
    if weights is None:
        return difference.square().mean()
    try:
        w = weights.to(difference).expand_as(difference)
    except RuntimeError as error:
        raise InputRejected(
            "weights",
            expected=f"a shape that broadcasts to {tuple(target.shape)}",
            found=f"{tuple(weights.shape)}",
            do="give (B, 1, ...) for a mask of all channels",
        ) from error
    # Left out before it is squared: 0 times NaN would be NaN, in the gradient too.
    counted = torch.where(w > 0, difference, 0.0)
    total = w.sum()
    return (w * counted.square()).sum() / (total + (total == 0))
