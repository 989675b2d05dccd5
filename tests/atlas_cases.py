"""A case in MNI152 space, on a grid of 4 mm, for tests of what the clinic counts by region."""

import numpy as np

from adumbra.core.atlas.deformation import DEGREES, Deformation
from adumbra.core.geometry.grid import Grid, reorient

IDENTITY = Deformation(np.eye(4), np.zeros((3, len(DEGREES))))
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = (-86.0, -118.0, -70.0)  # No voxel lies on the midline.
GRID = Grid((44, 50, 40), AFFINE)


def cube(centre_mm, half_mm: float, grid: Grid = GRID) -> np.ndarray:
    """The voxels of a cube around a place in MNI152 mm."""
    offsets = grid.world_mm(np.indices(grid.shape).reshape(3, -1).T) - np.asarray(centre_mm, float)
    return (np.abs(offsets) <= half_mm).all(axis=1).reshape(grid.shape)


def oriented(mask: np.ndarray, axcodes: str) -> tuple[np.ndarray, Grid]:
    """The same mask on a grid whose axes have other directions or another order."""
    return reorient(mask, GRID, axcodes)
