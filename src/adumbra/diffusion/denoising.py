"""Denoising diffusion: a schedule adds noise to an image, and a network learns to remove it.

A network predicts the noise ε, the image x₀ or the velocity v = √ᾱ ε - σ x₀. Each of them follows from any other and
the noisy image x = √ᾱ x₀ + σ ε (Ho et al., NeurIPS 2020; v: Salimans & Ho, ICLR 2022). This module depends on no
architecture: ``denoise`` is any callable of the noisy batch and the times, (B,) floats in [0, 1], that returns a
prediction of the batch's shape.
"""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.diffusion.schedule import Schedule, require_one_of

Denoise = Callable[[Tensor, Tensor], Tensor]
"""A denoising network: from a noisy batch and the times (B,) to a prediction of the batch's shape."""
Parameterisation = Literal["noise", "x0", "velocity"]
"""The quantity that a network predicts."""
PARAMETERISATIONS: tuple[Parameterisation, ...] = get_args(Parameterisation)


@cites("Ho2020")
def add_noise(x0: Tensor, t: Tensor, noise: Tensor, schedule: Schedule) -> Tensor:
    """A sample of q(x_t | x₀) = N(√ᾱ x₀, (1 - ᾱ) I), of the shape and precision of ``x0``.

    Args:
        x0: (B, ...), the clean batch.
        t: Time of each example, (B,), or of all, (); floats in [0, 1], or the schedule's steps as integers.
        noise: Standard normal, of the shape of ``x0``.
        schedule: The noise schedule.

    Raises:
        InputRejected: A shape does not fit, or a time is outside the schedule.
    """
    require_shape("noise", noise, x0)
    signal, sigma = scales_for(x0, t, schedule)
    return signal.to(x0) * x0 + sigma.to(x0) * noise


@cites("Salimans2022")
def convert(
    prediction: Tensor, x: Tensor, t: Tensor, schedule: Schedule, *, given: Parameterisation, wanted: Parameterisation
) -> Tensor:
    """A prediction in another parameterisation, same shape.

    Args:
        prediction: (B, ...), in the parameterisation ``given``.
        x: The noisy batch of which it was predicted.
        t: Times, as for ``add_noise``.
        schedule: The noise schedule.
        given: Parameterisation of the prediction.
        wanted: Parameterisation of the result.

    Raises:
        InputRejected: A shape does not fit, a time is outside the schedule, a parameterisation is unknown, or the noise
            or the velocity is wanted from x₀ at time 0, where x holds no noise.
    """
    require_shape("prediction", prediction, x)
    signal, sigma = scales_for(x, t, schedule)
    a, b = _coefficients(given, "given", signal, sigma)
    c, d = _coefficients(wanted, "wanted", signal, sigma)
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
    predicts: Parameterisation = "noise",
    weights: Tensor | None = None,
) -> Tensor:
    """Mean squared error of the network's prediction from the noisy batch; a scalar, in float32 at least.

    Args:
        denoise: The network.
        x0: (B, ...), the clean batch.
        t: Times, as for ``add_noise``.
        noise: Standard normal, of the shape of ``x0``.
        schedule: The noise schedule.
        predicts: Parameterisation of the network.
        weights: Weight of each value, 0 or more, or a mask; broadcasts to the shape of ``x0``. Where the weight is 0
            the prediction affects neither the loss nor its gradient, even if it is NaN. If all weights are 0, the loss
            is 0.

    Raises:
        InputRejected: A shape does not fit, a time is outside the schedule, or the parameterisation is unknown.
    """
    x = add_noise(x0, t, noise, schedule)
    prediction = predict(denoise, x, t, schedule)
    signal, sigma = scales_for(x0, t, schedule)
    a, b = _coefficients(predicts, "predicts", signal, sigma)
    return _mean_square(prediction, a.to(x0) * x0 + b.to(x0) * noise, weights)


@torch.no_grad()
def denoising_error(
    denoise: Denoise,
    x0: Tensor,
    schedule: Schedule,
    levels: Tensor,
    noise: Tensor,
    *,
    predicts: Parameterisation = "noise",
    measured: Parameterisation = "noise",
    weights: Tensor | None = None,
) -> Tensor:
    """Mean squared error at each level of noise, (levels,). A network that predicts no noise has an error of 1.

    For independent normal values of variance s², no network has an error of the noise below ᾱ s² / (ᾱ s² + 1 - ᾱ).

    Args:
        denoise: The network.
        x0: (B, ...), clean images that are not in its training data.
        schedule: The noise schedule.
        levels: (levels,), times above 0.
        noise: Standard normal, of the shape of ``x0``; the same at all levels.
        predicts: Parameterisation of the network.
        measured: Parameterisation of the error. With one value for all, networks of different parameterisations can be
            compared.
        weights: Weights, as for ``denoising_loss``.

    Raises:
        InputRejected: The arguments do not fit, see ``denoising_loss`` and ``convert``.
    """
    errors = []
    for level in levels.flatten():
        x = add_noise(x0, level, noise, schedule)
        prediction = predict(denoise, x, level, schedule)
        prediction = convert(prediction, x, level, schedule, given=predicts, wanted=measured)
        a, b = _coefficients(measured, "measured", *scales_for(x0, level, schedule))
        errors.append(_mean_square(prediction, a.to(x0) * x0 + b.to(x0) * noise, weights))
    return torch.stack(errors)


def predict(denoise: Denoise, x: Tensor, t: Tensor, schedule: Schedule) -> Tensor:
    """The network's prediction from the noisy batch. The network gets the time of each example, in float32 at least.

    Raises:
        InputRejected: A time is outside the schedule, or the prediction has another shape than ``x``.
    """
    # bfloat16 cannot distinguish a thousand times between 0 and 1.
    time = schedule.time(t).to(x.device, torch.promote_types(x.dtype, torch.float32)).expand(len(x))
    prediction = denoise(x, time)
    require_shape("denoise", prediction, x)
    return prediction


def scales_for(x: Tensor, t: Tensor, schedule: Schedule) -> tuple[Tensor, Tensor]:
    """√ᾱ and σ in float64, shaped to multiply the batch.

    They stay on the device of the times, so that the host does not wait for a GPU.

    Raises:
        InputRejected: A time is outside the schedule, or there is not one for each example.
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


def require_shape(name: str, values: Tensor, reference: Tensor) -> None:
    """Refuses values whose shape differs from that of the reference.

    Raises:
        InputRejected: The shapes differ.
    """
    if values.shape != reference.shape:
        raise InputRejected(
            name,
            expected=f"shape {tuple(reference.shape)}",
            found=f"{tuple(values.shape)}",
            do="give one value for each",
        )


def _coefficients(kind: Parameterisation, name: str, signal: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
    """The coefficients a and b with which a quantity is a x₀ + b ε."""
    require_one_of(name, kind, PARAMETERISATIONS)
    none, one = torch.zeros_like(signal), torch.ones_like(signal)
    return {"noise": (none, one), "x0": (one, none), "velocity": (-sigma, signal)}[kind]


def _mean_square(prediction: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Σ w (p - y)² / Σ w; 0 where Σ w is 0."""
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
    # Masked before it is squared: 0 times NaN would be NaN, in the gradient too.
    counted = torch.where(w > 0, difference, 0.0)
    total = w.sum()
    return (w * counted.square()).sum() / (total + (total == 0))
