"""Which sign the phase has in veins: they are dark thin tubes of the magnitude, and their field is known.

Scanners differ in the sign of their phase, and files do not say which they have: deoxygenated blood tells it, for it
raises the field.
"""

from dataclasses import dataclass
from math import erf, floor, sqrt
from typing import Literal

import numpy as np
from scipy import fft, ndimage

from adumbra.core.geometry.components import labelled
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Volume

Sign = Literal[-1, 1]
Spacing = tuple[float, float, float]

_TUBE_MM, _NEAR_MM = 0.7, 1.5  # Scale at which veins are looked for, and that of their surroundings.
_LEAST_CURVED = 0.01  # In mm⁻²: of a vein half a percent darker than what is around it.
_TISSUE = 0.3  # Of the brightest surroundings, the least that are tissue and not air.
_CANDIDATES, _STRONGEST = 0.05, 0.01  # Shares of the tissue that are looked at closely, and taken for veins.


@dataclass(frozen=True)
class VeinSign:
    """The sign that the phase has in veins, where blood raises the field.

    Attributes:
        sign: -1 as in Haacke et al. (a right-handed system), +1 in a left-handed one.
        confidence: In [0, 1]: how seldom veins whose signs are coin flips would agree so well. 0 is no evidence at all.
        parts: How many separate pieces of vein were asked; 0 where the sign was told.
    """

    sign: Sign
    confidence: float
    parts: int


def sign_of_veins(magnitude: Volume, high_pass: Volume, *, grid: Grid, mask: Mask | None = None) -> VeinSign:
    """The sign of the phase in veins, which are dark thin tubes of the magnitude, and how sure it is.

    The phase in a vein depends on its angle to B0: with thin slices it has the other sign in a vein across than in one
    along. So the most tube-like hundredth of the tissue is taken for blood, the field that it would make is computed,
    and each connected part votes with the likeness of that field and the phase within 1.5 mm. Falx, fissures and the
    brain's surface are as dark, with another phase; they are sheets, and are kept out by that.

    Args:
        magnitude: At an echo time at which veins are dark.
        high_pass: From ``homodyne`` or ``less_gaussian``.
        grid: Where both lie; B0 is along the world's third axis. Within slices of more than 1 mm veins are not seen.
        mask: The brain; None takes all that is not dark around, scalp too.

    Returns:
        -1 with a confidence of 0 where nothing like a vein is found.
    """
    inside, spacing_mm = usable(mask, magnitude, high_pass), grid.spacing_mm
    tubes = _dark_tubes(np.where(inside, magnitude, np.float32(0)), inside, spacing_mm)
    blood = _highest(tubes, inside, _STRONGEST) & (tubes > _LEAST_CURVED)
    labels, parts = labelled(blood)
    labels = ndimage.maximum_filter(labels, [2 * round(_NEAR_MM / s) + 1 for s in spacing_mm])
    fields = (_field(np.where(blood, tubes, np.float32(0)), grid), high_pass)
    expected, found = (np.where(inside, f - local_mean(f, inside, spacing_mm, _NEAR_MM), 0) for f in fields)
    likeness, size = (np.bincount(labels.ravel(), (expected * f).ravel(), parts + 1)[1:] for f in (found, expected))
    votes = likeness / np.sqrt(np.maximum(size, np.finfo(float).tiny))
    z = float(votes.sum() / np.sqrt((votes**2).sum())) if votes.any() else 0.0
    return VeinSign(1 if z > 0 else -1, erf(abs(z) / sqrt(2)), parts)


def _dark_tubes(magnitude: Volume, inside: Mask, spacing_mm: Spacing) -> Volume:
    """How much of a dark tube's axis a voxel is, in mm⁻²; zero for sheets, for bright things and outside tissue.

    Relative to its surroundings, a dark tube has two equal positive curvatures and a dark sheet one: what counts is the
    second, times its share of the first.
    """
    near = local_mean(magnitude, inside, spacing_mm, _NEAR_MM)
    bright = near > _TISSUE * near[_highest(near, inside, 0.1)].min(initial=np.inf)
    # Without its rim, where air makes tubes of the surface's folds.
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
    """A second derivative in mm⁻², by differences: exactly zero on constants, as sampled Gaussian kernels are not."""
    steps = [(i, [1, -2, 1])] if i == j else [(i, [-0.5, 0, 0.5]), (j, [-0.5, 0, 0.5])]
    for axis, kernel in steps:
        volume = ndimage.correlate1d(volume, kernel, axis=axis, mode="nearest")
    return volume / np.float32(spacing_mm[i] * spacing_mm[j])


def _field(susceptibility: Volume, grid: Grid) -> Volume:
    """The field along B0 of a susceptibility in the unit of it: 1/3 − cos² of the angle of each wave to B0."""
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
    """The voxels inside with the highest values: that share of them, and at least one of any."""
    if not inside.any():
        return inside
    count = max(1, int(share * inside.sum()))
    return inside & (values >= np.partition(values[inside], -count)[-count])


def local_mean(volume: Volume, inside: Mask, spacing_mm: Spacing, sigma_mm: float) -> Volume:
    """The Gaussian mean of the voxels inside alone; zero where none is near."""
    sigmas = [sigma_mm / s for s in spacing_mm]
    total = ndimage.gaussian_filter(np.where(inside, volume, np.float32(0)), sigmas, mode="constant")
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigmas, mode="constant")
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 1e-6)


def usable(mask: Mask | None, *volumes: Volume) -> Mask:
    """Where all volumes are finite, within the mask."""
    inside = np.ones(volumes[0].shape, dtype=bool) if mask is None else mask
    for volume in volumes:
        inside = inside & np.isfinite(volume)
    return inside
