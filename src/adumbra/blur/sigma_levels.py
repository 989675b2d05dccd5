"""Gaussians to blur with, and the few of them between which all others are mixed.

A Gaussian here is the sampled one: exp(-n² / 2s²) at whole n up to 4 s, scaled to sum 1, with s = sigma / spacing along
each axis; it is what ``scipy.ndimage.gaussian_filter`` applies.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

REACH = 4.0  # Standard deviations at which a Gaussian is cut.
STEPS = 128  # Rows of a ladder's table to the finest spacing.

Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class SigmaLevels:
    """A few Gaussians, and how any other is mixed from the two next to it.

    Attributes:
        levels_mm: Standard deviations, rising from 0.
        heights: Of the Gaussian of ``i * step_mm`` at i. A height of 2.3 says 0.7 of rung 2 and 0.3 of rung 3.
        step_mm: Between the rows of ``heights``.
    """

    levels_mm: tuple[float, ...]
    heights: np.ndarray
    step_mm: float


@lru_cache(maxsize=32)
def sigma_levels(spacing_mm: Spacing, top_mm: float, tolerance: float) -> SigmaLevels:
    """The fewest rungs, from 0 to ``top_mm`` at least, between which no Gaussian is missed by more than ``tolerance``.

    The error is the L2 distance of the mixed kernel to the Gaussian over the Gaussian's own norm: the relative error
    of blurred white noise, which is rougher than any image. The mixture is the one of least error, and both shares are
    at least 0 and sum to 1: a mixture of averages is an average. Where a rung lies depends on those below it only, so
    a higher top adds rungs and moves none.
    """
    step_mm = min(spacing_mm) / STEPS
    sigmas_mm = step_mm * np.arange(math.ceil(1.5 * top_mm / step_mm) + 1)
    kernels = [_sampled(sigmas_mm / h) for h in spacing_mm]
    rungs, heights = [0], np.zeros(len(sigmas_mm))
    while sigmas_mm[rungs[-1]] < top_mm:
        below = rungs[-1]
        above = _furthest(kernels, below, tolerance)
        heights[below : above + 1] = len(rungs) - 1 + _mixed(kernels, below, above)[0]
        rungs.append(above)
    heights.setflags(write=False)
    return SigmaLevels(tuple(float(sigmas_mm[r]) for r in rungs), heights[: rungs[-1] + 1], step_mm)


def _furthest(kernels: list[np.ndarray], below: int, tolerance: float) -> int:
    """The highest row that can be the next rung: strides double until one is too long, then it is halved."""
    last = len(kernels[0]) - 1
    stride = 1
    while below + 2 * stride <= last and _mixed(kernels, below, below + 2 * stride)[1] <= tolerance:
        stride *= 2
    low, high = below + stride, min(below + 2 * stride, last + 1)
    while high - low > 1:
        middle = (low + high) // 2
        good = _mixed(kernels, below, middle)[1] <= tolerance
        low, high = (middle, high) if good else (low, middle)
    return low


def _mixed(kernels: list[np.ndarray], below: int, above: int) -> tuple[np.ndarray, float]:
    """Shares of row ``above`` in the rows from ``below`` on, and the largest relative error of these mixtures."""
    rows = slice(below, above + 1)
    # Inner products of kernels in 3D are products of those along the axes.
    own, with_low, with_high = (
        np.prod([np.einsum("nk,nk->n", k[rows], k[of]) for k in kernels], axis=0)
        for of in (rows, slice(below, below + 1), slice(above, above + 1))
    )
    across, low, high = with_low[-1], own[0], own[-1]
    apart = low - 2 * across + high
    if apart <= 0.0:  # Both so narrow that they are one voxel.
        return np.zeros(above + 1 - below), 0.0
    share = np.clip((with_high - with_low - across + low) / apart, 0.0, 1.0)
    share[0], share[-1] = 0.0, 1.0
    squared = own - 2 * (share * with_high + (1 - share) * with_low)
    squared += share**2 * high + 2 * share * (1 - share) * across + (1 - share) ** 2 * low
    return share, float(np.sqrt(np.maximum(squared / own, 0.0)).max())


def _sampled(sigmas: np.ndarray) -> np.ndarray:
    """Gaussians (N, 2 R + 1) of standard deviations in voxels, each cut at its own ``REACH``."""
    offsets = np.arange(-radius(float(sigmas.max())), radius(float(sigmas.max())) + 1)
    # A sigma of 0 is one voxel: so is this one, whose neighbours weigh exp(-5e5) = 0.
    safe = np.maximum(sigmas, 1e-3)[:, None]
    weights = np.exp(-0.5 * (offsets / safe) ** 2) * (np.abs(offsets) <= np.floor(REACH * safe + 0.5))
    return weights / weights.sum(axis=1, keepdims=True)


def radius(sigma: float) -> int:
    """Voxels to each side that a Gaussian of ``sigma`` voxels reaches."""
    return int(REACH * sigma + 0.5)


@lru_cache(maxsize=1024)
def averaging(length: int, sigma: float) -> np.ndarray:
    """The (length, length) matrix that blurs a row of voxels by a Gaussian of ``sigma`` voxels; its rows sum to 1.

    Beyond its ends the row is mirrored, (c b a | a b c | c b a): a constant stays constant and, the matrix being
    symmetric, the mean of any row stays its mean. Averaging over the inside only would keep constants too, but would
    let voxels at the border weigh less than others.
    """
    weights = _sampled(np.array([sigma]))[0]
    radius = len(weights) // 2
    rows = np.arange(length)[:, None]
    unfolded = (rows + np.arange(-radius, radius + 1)) % (2 * length)
    columns = np.minimum(unfolded, 2 * length - 1 - unfolded)
    flat = np.bincount((rows * length + columns).ravel(), np.tile(weights, length), length * length)
    matrix = flat.reshape(length, length)
    matrix.setflags(write=False)
    return matrix
