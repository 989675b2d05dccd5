"""Smooth maps from a head to the template, and the prior distribution of their parameters.

x_MNI = y + Σ w_k φ_k(y) with the affine y = c_MNI + t + R(r) diag(exp(s)) H(h) (x − c). The centre of the head is c,
the translation t, the rotation angles about x, y and z are r, the logarithms of the scales s and the shears h. The φ
are products of Legendre polynomials of degree two and three, which bend the head smoothly. The prior is normal
(Ashburner et al. 1997, Ashburner and Friston 1999): it keeps what an image does not determine, such as the height of a
brain in a thin slab, near what heads usually have.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from adumbra.core.references import cites
from adumbra.core.types import Affine

CENTRE_MM = np.array([0.0, -20.0, 10.0])
"""Centre of the template's brain, MNI152 mm."""
HALF_MM = 95.0
"""Distance from the centre at which an argument of the polynomials is 1; beyond it the bending stays constant."""
DEGREES = tuple(e for e in itertools.product(range(4), repeat=3) if 2 <= sum(e) <= 3)
"""Degrees of the polynomials along x, y and z, one entry for each φ."""
AFFINE = 12
"""Number of parameters of the affine part."""
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


def affine_of(parameters: np.ndarray, centre_mm: np.ndarray) -> Affine:
    """The affine part of a map, subject mm to MNI152 mm, about the centre of a head."""
    shift, angles, scales, shears = np.split(np.asarray(parameters[:AFFINE], dtype=np.float64), 4)
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    turn_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    turn_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    turn_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    shear = np.array([[1, shears[0], shears[1]], [0, 1, shears[2]], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn_z @ turn_y @ turn_x @ np.diag(np.exp(scales)) @ shear
    affine[:3, 3] = CENTRE_MM + shift - affine[:3, :3] @ centre_mm
    return affine


def affine_derivatives(parameters: np.ndarray, centre_mm: np.ndarray) -> np.ndarray:
    """Derivative of the affine part by each of its parameters, (12, 3, 4)."""
    rows = zip(np.eye(AFFINE), _STEPS, strict=True)
    sides = [[affine_of(parameters[:AFFINE] + sign * s * row, centre_mm)[:3] for sign in (1, -1)] for row, s in rows]
    return np.stack([(plus - minus) / (2 * s) for (plus, minus), s in zip(sides, _STEPS, strict=True)])


def polynomials(points_mm: np.ndarray) -> np.ndarray:
    """The φ (K, N) at points (3, N) of the template."""
    scaled = np.clip((points_mm - CENTRE_MM[:, None]) / HALF_MM, -1.0, 1.0)
    along = [legendre.legvander(line, 3).T.astype(np.float32) for line in scaled]
    return np.stack([along[0][i] * along[1][j] * along[2][k] for i, j, k in DEGREES])


@cites("Ashburner1997", "Ashburner1999")
@dataclass(frozen=True, eq=False)
class Deformation:
    """A smooth map from a head to the template.

    Attributes:
        affine: (4, 4), its affine part, subject mm to MNI152 mm.
        bending_mm: (3, K), coefficients of the polynomials; zeros where the map is affine.
    """

    affine: Affine
    bending_mm: np.ndarray

    @classmethod
    def of(cls, parameters: np.ndarray, centre_mm: np.ndarray) -> "Deformation":
        """The map of parameters (SIZE,), about the centre of a head."""
        return cls(affine_of(parameters, centre_mm), parameters[AFFINE:].reshape(3, -1))

    def __call__(self, points_mm: np.ndarray) -> np.ndarray:
        """MNI152 mm (3, N) of points (3, N) in subject mm."""
        straight = self.affine[:3, :3] @ points_mm + self.affine[:3, 3:]
        return straight + self.bending_mm @ polynomials(straight) if self.bending_mm.any() else straight


def scales_and_rotation(affine: Affine) -> tuple[np.ndarray, float]:
    """The three scales of an affine map, and the angle of its rotation in degrees, by its polar decomposition."""
    u, scales, v = np.linalg.svd(affine[:3, :3])
    cosine = (np.trace(u @ v) - 1.0) / 2.0
    return scales, float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))
