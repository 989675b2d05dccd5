"""The prior distribution of the smooth maps of ``core.atlas.deformation`` from a head to the template.

The prior is normal (Ashburner et al. 1997, Ashburner and Friston 1999): it keeps what an image does not determine, such
as the height of a brain in a thin slab, near what heads usually have.
"""

import numpy as np

from adumbra.core.atlas.deformation import AFFINE, CENTRE_MM, DEGREES, Deformation, affine_of, polynomials
from adumbra.core.types import Affine

__all__ = [
    "AFFINE",
    "CENTRE_MM",
    "DEGREES",
    "MEAN",
    "PRECISION",
    "SIZE",
    "Deformation",
    "affine_derivatives",
    "affine_of",
    "polynomials",
    "scales_and_rotation",
]

SIZE = AFFINE + 3 * len(DEGREES)
"""Number of all parameters: translation (mm), angles (radians), logarithms of the scales, shears; then w (mm) of each
φ along x, of each along y, of each along z."""
_LOG_SCALE = 0.07  # MNI152 is larger than most heads.
_AFFINE_SPREAD = (25.0, 25.0, 40.0, *np.radians([15.0, 12.0, 15.0]), 0.07, 0.07, 0.07, 0.03, 0.03, 0.03)
_BENDING_MM = {2: 3.0, 3: 2.0}  # Standard deviation of the coefficients of each degree.
_STEPS = np.array([1.0, 1.0, 1.0, *[1e-3] * 9])  # For differences; the map is linear in t and nearly so in the others.

MEAN = np.zeros(SIZE)
"""Mean of the parameters."""
MEAN[6:9] = _LOG_SCALE
PRECISION = np.array([*_AFFINE_SPREAD, *[_BENDING_MM[sum(e)] for _ in range(3) for e in DEGREES]]) ** -2.0
"""Inverse variance of the parameters."""


def affine_derivatives(parameters: np.ndarray, centre_mm: np.ndarray) -> np.ndarray:
    """Derivative of the affine part by each of its parameters, (12, 3, 4)."""
    rows = zip(np.eye(AFFINE), _STEPS, strict=True)
    sides = [[affine_of(parameters[:AFFINE] + sign * s * row, centre_mm)[:3] for sign in (1, -1)] for row, s in rows]
    return np.stack([(plus - minus) / (2 * s) for (plus, minus), s in zip(sides, _STEPS, strict=True)])


def scales_and_rotation(affine: Affine) -> tuple[np.ndarray, float]:
    """The three scales of an affine map, and the angle of its rotation in degrees, by its polar decomposition."""
    u, scales, v = np.linalg.svd(affine[:3, :3])
    cosine = (np.trace(u @ v) - 1.0) / 2.0
    return scales, float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
