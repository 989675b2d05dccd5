"""Maps of sigma for the focused blur: from uncertainty, and the controls that it is compared with."""

import numpy as np
import torch
from torch import Tensor

from adumbra.blur.array_kinds import T, as_tensor, broadcasts, like
from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected


def sigma_from_uncertainty(uncertainty: T, *, max_mm: float, inverse: bool = False) -> T:
    """A standard deviation in proportion to uncertainty: ``max_mm`` · U / max U, the maximum being of each volume.

    Args:
        uncertainty: (..., X, Y, Z), at least 0, any float dtype.
        max_mm: Where the uncertainty is highest.
        inverse: ``max_mm`` · (1 - U / max U) instead: sharp where unsure.

    Returns:
        Millimetres, as the uncertainty is: kind, shape, dtype. A volume without any uncertainty gives 0 everywhere,
        inverse or not: it says nothing about where to look.

    Raises:
        ImplausibleValues: NaN, infinity or numbers below 0 in the uncertainty.
        InputRejected: ``max_mm`` is not a finite number from 0.
    """
    if not 0.0 <= max_mm < float("inf"):
        raise InputRejected("most_mm", expected="finite, from 0 mm", found=f"{max_mm}", do="give some mm, such as 3")
    values = _floats(uncertainty, "uncertainty")
    highest = values.amax(dim=(-3, -2, -1), keepdim=True)
    some = highest > 0
    share = values / highest.where(some, highest.new_ones(()))
    return like(max_mm * torch.where(some, 1 - share if inverse else share, 0.0), uncertainty)


def uniform_sigma(sigma_mm: T, *, within: T | None = None) -> T:
    """The same mean everywhere: no voxel is looked at otherwise than another.

    Args:
        sigma_mm: (..., X, Y, Z); each volume has its own mean.
        within: Boolean, broadcasts to ``sigma_mm``: mean of and for these voxels, and the others as they were.
    """
    values = _floats(sigma_mm, "sigma_mm")
    inside = _mask(within, values)
    total = (values * inside).sum(dim=(-3, -2, -1), keepdim=True)
    mean = total / inside.sum(dim=(-3, -2, -1), keepdim=True).clamp(min=1)
    return like(torch.where(inside, mean, values), sigma_mm)


def shuffled_sigma(sigma_mm: T, *, generator: np.random.Generator, within: T | None = None) -> T:
    """The same values at random places: as much blur, of the same histogram, that knows nothing of uncertainty.

    Args:
        sigma_mm: (..., X, Y, Z); each volume keeps its own values.
        generator: Draws the permutation.
        within: Boolean, broadcasts to ``sigma_mm``: voxels that change places, and the others as they were.
    """
    values = _floats(sigma_mm, "sigma_mm")
    volumes = values.reshape(-1, values.shape[-3:].numel()).clone()
    for volume, inside in zip(volumes, _mask(within, values).reshape(volumes.shape), strict=True):
        moving = volume[inside]
        volume[inside] = moving[torch.from_numpy(generator.permutation(len(moving))).to(moving.device)]
    return like(volumes.reshape(values.shape), sigma_mm)


def _floats(values: Tensor | np.ndarray, name: str) -> Tensor:
    """As a tensor that shares nothing with an array, once it is seen that they can be standard deviations."""
    data = as_tensor(values)
    if data.ndim < 3 or not data.is_floating_point() or not bool(((data >= 0) & (data < float("inf"))).all()):
        raise ImplausibleValues(
            name,
            expected="finite floats from 0, (..., X, Y, Z)",
            found=f"shape {tuple(data.shape)} of {data.dtype}, or NaN, infinity or numbers below 0 in it",
            do="give a map of uncertainty, or of sigma as focus() makes it",
        )
    return data


def _mask(within: Tensor | np.ndarray | None, values: Tensor) -> Tensor:
    """As large as the values; all of them by default."""
    if within is None:
        return torch.ones_like(values, dtype=torch.bool)
    mask = as_tensor(within)
    if mask.dtype != torch.bool or not broadcasts(mask.shape, values.shape):
        raise GridMismatch(
            "within",
            expected=f"booleans that broadcast to {tuple(values.shape)}",
            found=f"{tuple(mask.shape)} of {mask.dtype}",
            do="bring the mask onto the map's grid",
        )
    return mask.to(values.device).expand(values.shape)
