"""Voxels of thin vessels: brighter or darker than their surroundings, and curved like a tube (Frangi et al. 1998).

The image is divided by the mean of its surroundings within the measured brain, which removes the shading of the coil
and the unit. Of the Hessian of the smoothed ratio, a tube has two large curvatures of one sign and a sheet has one. The
strength of a tube is the second curvature times its share of the first, in mm⁻², as for the veins that show the sign of
the phase (``preprocessing.vein_sign``). It is computed only for the most curved voxels, the rest is 0.
"""

import numpy as np
from scipy import ndimage

from adumbra.core.references import cites
from adumbra.core.types import Mask, Volume

Spacing = tuple[float, float, float]

TUBE_MM = 0.8
"""Standard deviation of the Gaussian at which curvatures are computed: that of vessels of one to two voxels."""
_MOST_CURVED = 0.08  # Share of the voxels for which eigenvalues are computed.
_TRUNCATE = 3.0


def relative_signal(volume: Volume, inside: Mask, spacing_mm: Spacing, *, surroundings_mm: float) -> Volume:
    """The signal over the mean of its surroundings inside, float32; 1 outside.

    Args:
        volume: (X, Y, Z), of any unit.
        inside: (X, Y, Z), the voxels that count.
        spacing_mm: Spacing of both.
        surroundings_mm: Standard deviation of the Gaussian that defines the surroundings.
    """
    sigmas = [surroundings_mm / s for s in spacing_mm]
    values = np.where(inside, volume, np.float32(0)).astype(np.float32, copy=False)
    total = ndimage.gaussian_filter(values, sigmas, mode="constant", truncate=_TRUNCATE)
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigmas, mode="constant", truncate=_TRUNCATE)
    usable = inside & (weight > 1e-3) & (total > 0)
    near = np.divide(total, weight, out=np.ones_like(total), where=usable)
    return np.divide(values, near, out=np.ones_like(values), where=usable)


@cites("Frangi1998")
def tube_strength(relative: Volume, inside: Mask, spacing_mm: Spacing, *, bright: bool) -> Volume:
    """The strength of a tube at each voxel in mm⁻², float32; 0 for sheets, for blobs' rims and outside.

    Args:
        relative: (X, Y, Z), the signal relative to its surroundings.
        inside: (X, Y, Z), the voxels for which it is computed.
        spacing_mm: Spacing of both.
        bright: Whether bright tubes are sought, else dark ones.
    """
    strength = np.zeros_like(relative)
    if not inside.any():
        return strength
    smooth = ndimage.gaussian_filter(relative, [TUBE_MM / s for s in spacing_mm], truncate=_TRUNCATE)
    signed = -smooth if bright else smooth
    curvature = {(i, j): _curvature(signed, i, j, spacing_mm) for i in range(3) for j in range(i, 3)}
    trace = curvature[0, 0] + curvature[1, 1] + curvature[2, 2]
    count = max(1, int(_MOST_CURVED * np.count_nonzero(inside)))
    limit = np.partition(trace[inside], -count)[-count]
    chosen = inside & (trace >= limit) & (trace > 0)
    hessian = np.array([[curvature[min(i, j), max(i, j)][chosen] for j in range(3)] for i in range(3)])
    _, second, first = np.linalg.eigvalsh(hessian.transpose(2, 0, 1)).T
    strength[chosen] = np.divide(second**2, first, out=np.zeros_like(first), where=second > 0)
    return strength


def _curvature(volume: Volume, i: int, j: int, spacing_mm: Spacing) -> Volume:
    """A second derivative in mm⁻², by differences."""
    steps = [(i, [1.0, -2.0, 1.0])] if i == j else [(i, [-0.5, 0.0, 0.5]), (j, [-0.5, 0.0, 0.5])]
    for axis, kernel in steps:
        volume = ndimage.correlate1d(volume, kernel, axis=axis, mode="nearest")
    return volume / np.float32(spacing_mm[i] * spacing_mm[j])
