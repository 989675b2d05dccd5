"""Maps of sigma for the focused blur: from an uncertainty map, and the controls that this is compared with."""

import numpy as np
import torch
from torch import Tensor

from adumbra.blur.array_kinds import T, as_tensor, broadcasts, same_kind
from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected


def sigma_from_uncertainty(uncertainty: T, *, max_mm: float, inverse: bool = False) -> T:
    """Standard deviations in proportion to uncertainty, ``max_mm`` · U / max U, with the maximum of each volume.

    Args:
        uncertainty: (..., X, Y, Z), at least 0, any float dtype.
        max_mm: Standard deviation at the highest uncertainty, in mm.
        inverse: Whether sigma is ``max_mm`` · (1 - U / max U) instead, which is 0 at the highest uncertainty.

    Returns:
        Standard deviations in mm, an array or tensor of the uncertainty's shape and dtype. A volume without any
        uncertainty gives 0 everywhere, inverse or not, since no voxel of it is more uncertain than another.

    Raises:
        ImplausibleValues: The uncertainty holds NaN, infinity or numbers below 0.
        InputRejected: ``max_mm`` is below 0 or not finite.
    """
    if not 0.0 <= max_mm < float("inf"):
        raise InputRejected("max_mm", expected="finite, from 0 mm", found=f"{max_mm}", do="give some mm, such as 3")
    values = _require_non_negative(uncertainty, "uncertainty")
    highest = values.amax(dim=(-3, -2, -1), keepdim=True)
    positive = highest > 0
    share = values / highest.where(positive, highest.new_ones(()))
    return same_kind(max_mm * torch.where(positive, 1 - share if inverse else share, 0.0), uncertainty)


def uniform_sigma(sigma_mm: T, *, within: T | None = None) -> T:
    """The control of equal mean: every voxel has the mean sigma of its volume.

    Args:
        sigma_mm: (..., X, Y, Z); each volume has its own mean.
        within: Booleans that broadcast to ``sigma_mm``. The mean is taken over these voxels and given to them; the
            others are unchanged.
    """
    values = _require_non_negative(sigma_mm, "sigma_mm")
    inside = _mask(within, values)
    total = (values * inside).sum(dim=(-3, -2, -1), keepdim=True)
    mean = total / inside.sum(dim=(-3, -2, -1), keepdim=True).clamp(min=1)
    return same_kind(torch.where(inside, mean, values), sigma_mm)


def shuffled_sigma(sigma_mm: T, *, generator: np.random.Generator, within: T | None = None) -> T:
    """The control of equal histogram: the same sigmas at random voxels, so that they are unrelated to uncertainty.

    Args:
        sigma_mm: (..., X, Y, Z); the values of each volume are permuted within it.
        generator: Source of the permutations.
        within: Booleans that broadcast to ``sigma_mm``. These voxels are permuted; the others are unchanged.
    """
    values = _require_non_negative(sigma_mm, "sigma_mm")
    volumes = values.reshape(-1, values.shape[-3:].numel()).clone()
    for volume, inside in zip(volumes, _mask(within, values).reshape(volumes.shape), strict=True):
        moving = volume[inside]
        volume[inside] = moving[torch.from_numpy(generator.permutation(len(moving))).to(moving.device)]
    return same_kind(volumes.reshape(values.shape), sigma_mm)


def _require_non_negative(values: Tensor | np.ndarray, name: str) -> Tensor:
    """The values as a tensor that shares no memory with an array; what cannot be standard deviations is refused."""
    data = as_tensor(values)
    if data.ndim < 3 or not data.is_floating_point() or not bool(((data >= 0) & (data < float("inf"))).all()):
        raise ImplausibleValues(
            name,
            expected="finite floats from 0, (..., X, Y, Z)",
            found=f"shape {tuple(data.shape)} of {data.dtype}, or NaN, infinity or numbers below 0 in it",
            do="give a map of uncertainty, or a map of sigma such as sigma_from_uncertainty returns",
        )
    return data


def _mask(within: Tensor | np.ndarray | None, values: Tensor) -> Tensor:
    """The mask expanded to the shape of the values; all voxels where none is given."""
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
