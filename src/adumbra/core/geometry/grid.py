"""A grid of voxels in the patient, and what can be asked of it.

World coordinates are RAS+ millimetres; ``affine`` takes voxel index (i, j, k) to them, as in NIfTI.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from nibabel.orientations import (
    aff2axcodes,
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)

from adumbra.core.types import Affine


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxels lie: a shape and the affine that takes voxel index to RAS+ millimetres. Immutable."""

    shape: tuple[int, int, int]
    affine: Affine

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @cached_property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Length of a voxel along each of its own axes, in mm."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(i), float(j), float(k)

    @cached_property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    @cached_property
    def axcodes(self) -> str:
        """The closest anatomical direction of each axis, such as ``"RAS"`` or ``"LPS"``."""
        return "".join(aff2axcodes(self.affine))

    @cached_property
    def obliquity_deg(self) -> float:
        """The largest angle between a voxel axis and its closest anatomical axis, in degrees."""
        cosines = np.abs(self.affine[:3, :3]) / np.asarray(self.spacing_mm)
        return float(np.degrees(np.arccos(np.clip(cosines.max(axis=0), -1.0, 1.0)).max()))

    def corners_mm(self) -> np.ndarray:
        """The eight corner voxel centres in RAS+ mm, shape (8, 3)."""
        ends = [(0, n - 1) for n in self.shape]
        index = np.array(np.meshgrid(*ends, indexing="ij"), dtype=np.float64).reshape(3, 8).T
        return self.world_mm(index)

    def world_mm(self, index: np.ndarray | Sequence[float]) -> np.ndarray:
        """RAS+ mm of voxel indices, shape (..., 3)."""
        return np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def index(self, world_mm: np.ndarray | Sequence[float]) -> np.ndarray:
        """Fractional voxel indices of RAS+ mm points, shape (..., 3)."""
        offset = np.asarray(world_mm, dtype=np.float64) - self.affine[:3, 3]
        return offset @ np.linalg.inv(self.affine[:3, :3]).T

    def distance_mm(self, other: "Grid") -> float:
        """The farthest that two grids put the same corner apart, in mm; infinite when their shapes differ."""
        if self.shape != other.shape:
            return float("inf")
        return float(np.linalg.norm(self.corners_mm() - other.corners_mm(), axis=1).max())

    def coincides(self, other: "Grid", *, tolerance_mm: float = 0.01) -> bool:
        """Whether every voxel of one is, within the tolerance, the same voxel of the other."""
        return self.distance_mm(other) <= tolerance_mm


def reoriented(data: np.ndarray, grid: Grid, axcodes: str = "RAS") -> tuple[np.ndarray, Grid]:
    """The same voxels with axes flipped and permuted towards ``axcodes``; nothing is interpolated.

    Returns:
        The array and its new grid. ``reoriented(*reoriented(a, g, "RAS"), g.axcodes)`` gives ``a, g`` back.
    """
    turn = ornt_transform(io_orientation(grid.affine), axcodes2ornt(axcodes))
    turned = apply_orientation(data, turn)
    affine = grid.affine @ inv_ornt_aff(turn, grid.shape)
    return np.ascontiguousarray(turned), Grid(turned.shape[:3], affine)


def respaced(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """A grid with the same axes and the same field of view (to half a voxel) at another spacing."""
    old, new = np.asarray(grid.spacing_mm), np.asarray(spacing_mm, dtype=np.float64)
    shape = np.maximum(1, np.round(np.asarray(grid.shape) * old / new)).astype(int)
    directions = grid.affine[:3, :3] / old
    centre = grid.world_mm((np.asarray(grid.shape) - 1) / 2)
    affine = np.eye(4)
    affine[:3, :3] = directions * new
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)
