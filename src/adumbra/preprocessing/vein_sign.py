"""Estimates the sign of the phase in veins, which are dark thin tubes of the magnitude with a known field.

Scanners differ in the sign of their phase, and files do not state it. Deoxygenated blood reveals it, as it raises the
field.
"""

from dataclasses import dataclass
from math import erf, floor, sqrt
from typing import Literal

import numpy as np
from scipy import fft, ndimage

from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Volume

Sign = Literal[-1, 1]
Spacing = tuple[float, float, float]

_TUBE_MM, _NEAR_MM = 0.7, 1.5  # Scale of veins, and that of their surroundings.
_LEAST_CURVED = 0.01  # In mm⁻²: that of a vein half a percent darker than its surroundings.
_TISSUE = 0.3  # Least share of the brightest surroundings that is tissue and not air.
_CANDIDATES, _STRONGEST = 0.05, 0.01  # Shares of the tissue that are examined closely, and taken as veins.


@dataclass(frozen=True)
class VeinSign:
    """The sign that the phase has in veins, where blood raises the field.

    Attributes:
        sign: -1 as in Haacke et al. (a right-handed system), +1 in a left-handed one.
        confidence: Probability, in [0, 1], that veins with random signs would agree less. 0 is no evidence at all.
        parts: Number of separate parts of veins that were evaluated; 0 where the sign was given.
    """

    sign: Sign
    confidence: float
    parts: int


def estimate_vein_sign(magnitude: Volume, high_pass: Volume, *, grid: Grid, mask: Mask | None = None) -> VeinSign:
    """The sign of the phase in veins, with its confidence.

    The phase in a vein depends on its angle to B0. With thin slices, veins across and along B0 have opposite signs. The
    most tube-like hundredth of the tissue is therefore taken as blood, the field of that blood is computed, and each
    connected part votes with the correlation of field and phase within 1.5 mm. Falx, fissures and the surface of the
    brain are as dark with another phase; they are excluded because they are sheets and not tubes.

    Args:
        magnitude: (X, Y, Z), at an echo time at which veins are dark.
        high_pass: (X, Y, Z), from ``homodyne`` or ``subtract_gaussian_mean``.
        grid: Grid of both; B0 is along the third axis of the world. Slices thicker than 1 mm do not resolve veins.
        mask: The brain; None takes all bright tissue, scalp included.

    Returns:
        The sign; -1 with a confidence of 0 where nothing resembles a vein.
    """
    inside, spacing_mm = finite_voxels(mask, magnitude, high_pass), grid.spacing_mm
    tubes = _dark_tubes(np.where(inside, magnitude, np.float32(0)), inside, spacing_mm)
    blood = _highest(tubes, inside, _STRONGEST) & (tubes > _LEAST_CURVED)
    labels, parts = label_components(blood)
    labels = ndimage.maximum_filter(labels, [2 * round(_NEAR_MM / s) + 1 for s in spacing_mm])
    fields = (_field(np.where(blood, tubes, np.float32(0)), grid), high_pass)
    expected, measured = (np.where(inside, f - local_mean(f, inside, spacing_mm, _NEAR_MM), 0) for f in fields)
    product, size = (np.bincount(labels.ravel(), (expected * f).ravel(), parts + 1)[1:] for f in (measured, expected))
    votes = product / np.sqrt(np.maximum(size, np.finfo(float).tiny))
    z = float(votes.sum() / np.sqrt((votes**2).sum())) if votes.any() else 0.0
    return VeinSign(1 if z > 0 else -1, erf(abs(z) / sqrt(2)), parts)


def _dark_tubes(magnitude: Volume, inside: Mask, spacing_mm: Spacing) -> Volume:
    """Strength of a dark tube at each voxel, in mm⁻²; zero for sheets, for bright structures and outside tissue.

    Relative to its surroundings, a dark tube has two equal positive curvatures and a dark sheet has one. The strength
    is the second curvature times its share of the first.
    """
    near = local_mean(magnitude, inside, spacing_mm, _NEAR_MM)
    bright = near > _TISSUE * near[_highest(near, inside, 0.1)].min(initial=np.inf)
    # The rim is excluded, where air turns the folds of the surface into tubes.
    tissue = inside & ndimage.minimum_filter(bright & inside, [2 * round(2 * _NEAR_MM / s) + 1 for s in spacing_mm])
    relative = np.divide(magnitude, near, out=np.ones_like(near), where=tissue)
    smooth = ndimage.gaussian_filter(relative, [_TUBE_MM / s for s in spacing_mm])
    curvature = {(i, j): _curvature(smooth, i, j, spacing_mm) for i in range(3) for j in range(i, 3)}
    chosen = _highest(curvature[0, 0] + curvature[1, 1] + curvature[2, 2], tissue, _CANDIDATES)
    hessian = np.array([[curvature[min(i, j), max(i, j)][chosen] for j in range(3)] for i in range(3)])
    _, second, first = np.linalg.eigvalsh(hessian.transpose(2, 0, 1)).T
    tubes = np.zeros_like(near)
    tubes[chosen] = np.divide(second**2, first, out=np.zeros_like(first), where=second > 0)
    return tubes


def _curvature(volume: Volume, i: int, j: int, spacing_mm: Spacing) -> Volume:
    """A second derivative in mm⁻², by differences: zero on constants, which sampled Gaussian kernels are not."""
    steps = [(i, [1, -2, 1])] if i == j else [(i, [-0.5, 0, 0.5]), (j, [-0.5, 0, 0.5])]
    for axis, kernel in steps:
        volume = ndimage.correlate1d(volume, kernel, axis=axis, mode="nearest")
    return volume / np.float32(spacing_mm[i] * spacing_mm[j])


def _field(susceptibility: Volume, grid: Grid) -> Volume:
    """The field along B0 of a susceptibility, in the same unit: 1/3 − cos² of the angle of each wave to B0."""
    sizes = [fft.next_fast_len(n + floor(4 * _NEAR_MM / s)) for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    along = [fft.fftfreq(n, s) for n, s in zip(sizes, grid.spacing_mm, strict=True)]
    along[2] = fft.rfftfreq(sizes[2], grid.spacing_mm[2])
    waves = np.meshgrid(*along, indexing="ij", sparse=True)
    b0 = grid.affine[2, :3] / grid.spacing_mm
    square = np.maximum(sum(k**2 for k in waves), 1e-12)
    kernel = 1 / 3 - sum(c * k for c, k in zip(b0, waves, strict=True)) ** 2 / square
    field = fft.irfftn(fft.rfftn(susceptibility, sizes) * kernel.astype(np.float32), sizes)
    return np.ascontiguousarray(field[tuple(slice(n) for n in grid.shape)])


def _highest(values: Volume, inside: Mask, share: float) -> Mask:
    """The given share of the voxels inside, those with the highest values; at least one if there are any."""
    if not inside.any():
        return inside
    count = max(1, int(share * inside.sum()))
    return inside & (values >= np.partition(values[inside], -count)[-count])


def local_mean(volume: Volume, inside: Mask, spacing_mm: Spacing, sigma_mm: float) -> Volume:
    """Gaussian mean over the voxels inside only; zero where none is near."""
    sigmas = [sigma_mm / s for s in spacing_mm]
    total = ndimage.gaussian_filter(np.where(inside, volume, np.float32(0)), sigmas, mode="constant")
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigmas, mode="constant")
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-6)


def finite_voxels(mask: Mask | None, *volumes: Volume) -> Mask:
    """Voxels of the mask (None: all) at which every volume is finite."""
    inside = np.ones(volumes[0].shape, dtype=bool) if mask is None else mask
    for volume in volumes:
        inside = inside & np.isfinite(volume)
    return inside
