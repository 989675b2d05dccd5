"""A grid of voxels in the patient: its geometry, reorientation and respacing.

World coordinates are RAS+ millimetres; ``affine`` maps voxel index (i, j, k) to them, as in NIfTI.
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
    """A regular grid of voxels. Immutable.

    Attributes:
        shape: Lengths of the three axes.
        affine: Voxel index to RAS+ mm, (4, 4).
    """

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
        """The largest distance in mm between the same corner of two grids; infinite when their shapes differ."""
        if self.shape != other.shape:
            return float("inf")
        return float(np.linalg.norm(self.corners_mm() - other.corners_mm(), axis=1).max())

    def coincides(self, other: "Grid", *, tolerance_mm: float = 0.01) -> bool:
        """Whether every voxel of one grid lies, within the tolerance, where the same voxel of the other lies."""
        return self.distance_mm(other) <= tolerance_mm


def reorient(data: np.ndarray, grid: Grid, axcodes: str = "RAS") -> tuple[np.ndarray, Grid]:
    """Flips and permutes the axes of an array towards ``axcodes``; nothing is interpolated.

    Args:
        data: Array whose first three axes are those of ``grid``.
        grid: Grid of ``data``.
        axcodes: Anatomical direction of each axis of the result, such as ``"RAS"``.

    Returns:
        The array and its new grid. ``reorient(*reorient(a, g, "RAS"), g.axcodes)`` returns ``a, g``.
    """
    orientation = ornt_transform(io_orientation(grid.affine), axcodes2ornt(axcodes))
    reoriented = apply_orientation(data, orientation)
    affine = grid.affine @ inv_ornt_aff(orientation, grid.shape)
    return np.ascontiguousarray(reoriented), Grid(reoriented.shape[:3], affine)


def respaced(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """A grid with the same axes and, to half a voxel, the same field of view at another spacing in mm."""
    old, new = np.asarray(grid.spacing_mm), np.asarray(spacing_mm, dtype=np.float64)
    shape = np.maximum(1, np.round(np.asarray(grid.shape) * old / new)).astype(int)
    directions = grid.affine[:3, :3] / old
    centre = grid.world_mm((np.asarray(grid.shape) - 1) / 2)
    affine = np.eye(4)
    affine[:3, :3] = directions * new
    affine[:3, 3] = centre - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def nearest_labels(labels: np.ndarray, grid: Grid, points_mm: np.ndarray) -> np.ndarray:
    """The labels of the voxels nearest to points, of shape (...); 0 where a point lies outside the grid.

    Args:
        labels: (X, Y, Z), integer labels on the grid.
        grid: Grid of the labels.
        points_mm: (3, ...), the points in the space of the grid.
    """
    index = np.rint(grid.index(points_mm.reshape(3, -1).T)).astype(np.intp)
    inside = ((index >= 0) & (index < grid.shape)).all(axis=1)
    out = np.zeros(len(index), dtype=labels.dtype)
    out[inside] = labels[tuple(index[inside].T)]
    return out.reshape(points_mm.shape[1:])
