"""Smooth maps from a head to the MNI152 template: affine, and bent by a few polynomials.

x_MNI = y + Σ w_k φ_k(y) with the affine y = c_MNI + t + R(r) diag(exp(s)) H(h) (x − c). The centre of the head is c,
the translation t, the rotation angles about x, y and z are r, the logarithms of the scales s and the shears h. The φ
are products of Legendre polynomials of degree two and three, which bend the head smoothly (Ashburner and Friston 1999).
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
_INVERSE_STEPS = 12
_LATTICE = 4  # Voxels between the nodes at which ``Deformation.of_voxels`` computes the map.


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

    def inverse(self, points_mm: np.ndarray) -> np.ndarray:
        """Subject mm (3, N) of points (3, N) in MNI152 mm, to about 0.01 mm: a fixed-point iteration on the bending."""
        straight = np.asarray(points_mm, dtype=np.float64)
        if self.bending_mm.any():
            for _ in range(_INVERSE_STEPS):
                straight = points_mm - self.bending_mm @ polynomials(straight)
        subject: np.ndarray = np.linalg.solve(self.affine[:3, :3], straight - self.affine[:3, 3:])
        return subject

    def of_voxels(self, affine: Affine, shape: tuple[int, int, int]) -> np.ndarray:
        """MNI152 mm of each voxel of a volume, float32 (3, X, Y, Z).

        The map is computed at every fourth voxel and interpolated linearly, which changes it by hundredths of a voxel.

        Args:
            affine: (4, 4), index of a voxel to subject mm.
            shape: Shape of the volume.
        """
        nodes = [np.arange(0, n + _LATTICE, _LATTICE, dtype=np.float64) for n in shape]
        index = np.stack(np.meshgrid(*nodes, indexing="ij")).reshape(3, -1)
        points = self(affine[:3, :3] @ index + affine[:3, 3:]).astype(np.float32)
        out = points.reshape(3, *(len(line) for line in nodes))
        for axis, (size, line) in enumerate(zip(shape, nodes, strict=True)):
            share = np.maximum(1 - np.abs(np.arange(size)[:, None] - line) / _LATTICE, 0).astype(np.float32)
            out = np.moveaxis(np.tensordot(share, out, axes=(1, axis + 1)), 0, axis + 1)
        return np.ascontiguousarray(out)
