"""Sigma levels: the few Gaussians between which all others are interpolated.

Gaussians are sampled: exp(-n² / 2s²) at whole n up to 4 s, scaled to sum 1, with s = sigma / spacing along each axis.
This is the kernel of ``scipy.ndimage.gaussian_filter``.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

REACH = 4.0  # Number of standard deviations at which a Gaussian is truncated.
STEPS = 128  # Number of rows of the interpolation table in a length of the finest spacing.

SpacingMm = tuple[float, float, float]
"""Size of a voxel along X, Y and Z, in mm."""


@dataclass(frozen=True, eq=False)
class SigmaLevels:
    """A few Gaussians, and the table that interpolates any other between the two next to it.

    Attributes:
        levels_mm: Standard deviation of each level, in mm, rising from 0.
        fractional_levels: (N,), fractional level of the Gaussian with the standard deviation ``i * step_mm``. A value
            of 2.3 mixes 0.7 of level 2 with 0.3 of level 3.
        step_mm: Step between the rows of ``fractional_levels``, in mm.
    """

    levels_mm: tuple[float, ...]
    fractional_levels: np.ndarray
    step_mm: float


@lru_cache(maxsize=32)
def sigma_levels(spacing_mm: SpacingMm, top_mm: float, tolerance: float) -> SigmaLevels:
    """The fewest levels from 0 to at least ``top_mm`` that interpolate every Gaussian within ``tolerance``.

    The error is the L2 distance between the mixed kernel and the Gaussian, over the norm of the Gaussian. It is the
    relative error of blurred white noise, which is rougher than any image. Each mixture is the one of least error. Its
    two shares are at least 0 and sum to 1, so that a mixture of averages is an average. A level depends only on the
    levels below it, so that a higher top adds levels and moves none.
    """
    step_mm = min(spacing_mm) / STEPS
    sigmas_mm = step_mm * np.arange(math.ceil(1.5 * top_mm / step_mm) + 1)
    kernels = [_sample_gaussians(sigmas_mm / h) for h in spacing_mm]
    rows, fractional = [0], np.zeros(len(sigmas_mm))
    while sigmas_mm[rows[-1]] < top_mm:
        below = rows[-1]
        above = _next_level(kernels, below, tolerance)
        fractional[below : above + 1] = len(rows) - 1 + _interpolate(kernels, below, above)[0]
        rows.append(above)
    fractional.setflags(write=False)
    return SigmaLevels(tuple(float(sigmas_mm[r]) for r in rows), fractional[: rows[-1] + 1], step_mm)


def _next_level(kernels: list[np.ndarray], below: int, tolerance: float) -> int:
    """The highest row that can be the next level. The stride is doubled until it is too long, then bisected."""
    last = len(kernels[0]) - 1
    stride = 1
    while below + 2 * stride <= last and _interpolate(kernels, below, below + 2 * stride)[1] <= tolerance:
        stride *= 2
    low, high = below + stride, min(below + 2 * stride, last + 1)
    while high - low > 1:
        middle = (low + high) // 2
        good = _interpolate(kernels, below, middle)[1] <= tolerance
        low, high = (middle, high) if good else (low, middle)
    return low


def _interpolate(kernels: list[np.ndarray], below: int, above: int) -> tuple[np.ndarray, float]:
    """Share of row ``above`` in each row from ``below`` to ``above``, and the largest relative error of a mixture."""
    rows = slice(below, above + 1)
    # Inner products of kernels in 3D are products of those along the axes.
    own, with_low, with_high = (
        np.prod([np.einsum("nk,nk->n", k[rows], k[of]) for k in kernels], axis=0)
        for of in (rows, slice(below, below + 1), slice(above, above + 1))
    )
    across, low, high = with_low[-1], own[0], own[-1]
    squared_distance = low - 2 * across + high
    if squared_distance <= 0.0:  # Both are so narrow that they are a single voxel.
        return np.zeros(above + 1 - below), 0.0
    share = np.clip((with_high - with_low - across + low) / squared_distance, 0.0, 1.0)
    share[0], share[-1] = 0.0, 1.0
    squared_error = own - 2 * (share * with_high + (1 - share) * with_low)
    squared_error += share**2 * high + 2 * share * (1 - share) * across + (1 - share) ** 2 * low
    return share, float(np.sqrt(np.maximum(squared_error / own, 0.0)).max())


def _sample_gaussians(sigmas: np.ndarray) -> np.ndarray:
    """Gaussians (N, 2 R + 1) of standard deviations in voxels, each truncated at its own ``REACH``."""
    offsets = np.arange(-kernel_radius(float(sigmas.max())), kernel_radius(float(sigmas.max())) + 1)
    # The kernel of a sigma of 0 is a single voxel. So is that of 1e-3, whose neighbours weigh exp(-5e5) = 0.
    safe = np.maximum(sigmas, 1e-3)[:, None]
    weights = np.exp(-0.5 * (offsets / safe) ** 2) * (np.abs(offsets) <= np.floor(REACH * safe + 0.5))
    return weights / weights.sum(axis=1, keepdims=True)


def kernel_radius(sigma: float) -> int:
    """Number of voxels to each side that a Gaussian of ``sigma`` voxels covers."""
    return int(REACH * sigma + 0.5)


@lru_cache(maxsize=1024)
def blur_matrix(length: int, sigma: float) -> np.ndarray:
    """The (length, length) matrix that blurs a row of voxels by a Gaussian of ``sigma`` voxels; its rows sum to 1.

    Beyond its ends the row is mirrored, (c b a | a b c | c b a), so that a constant stays constant. The matrix is
    symmetric, so that the mean of any row is preserved. Kernels that are truncated at the border and scaled to sum 1
    would preserve constants too, but would give voxels at the border less weight than others.
    """
    weights = _sample_gaussians(np.array([sigma]))[0]
    radius = len(weights) // 2
    rows = np.arange(length)[:, None]
    unfolded = (rows + np.arange(-radius, radius + 1)) % (2 * length)
    columns = np.minimum(unfolded, 2 * length - 1 - unfolded)
    flat = np.bincount((rows * length + columns).ravel(), np.tile(weights, length), length * length)
    matrix = flat.reshape(length, length)
    matrix.setflags(write=False)
    return matrix
