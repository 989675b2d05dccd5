"""Diameters of a mask whose voxels are solid boxes: the largest Feret diameter, and the largest inscribed sphere."""

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Mask

_CORNERS = np.indices((2, 2, 2)).reshape(3, 8).T


@cites("Barber1996")
def max_feret_mm(mask: Mask, grid: Grid) -> float:
    """The largest distance between two points of a mask, in mm; 0 for an empty mask.

    It is exact: the two points are corners of voxels, and vertices of the convex hull. A single cube of 1 mm has √3 mm.

    Args:
        mask: (X, Y, Z).
        grid: Its grid.
    """
    if not mask.any():
        return 0.0
    index = np.argwhere(mask)
    corners = np.unique((index[:, None] + _CORNERS[None]).reshape(-1, 3), axis=0) - 0.5
    points = grid.world_mm(corners)
    return float(pdist(points[ConvexHull(points).vertices]).max())


def largest_inscribed_mm(mask: Mask, grid: Grid) -> float:
    """The diameter of the largest sphere inside a mask, in mm; 0 for an empty mask.

    The centre of the sphere is sought at the centres, faces, edges and corners of the voxels, where the distance to the
    surface is exact: on this lattice of half a voxel, the nearest point of a voxel outside is itself a lattice point.

    Args:
        mask: (X, Y, Z).
        grid: Its grid, with axes at right angles.
    """
    if not mask.any():
        return 0.0
    inside: np.ndarray = mask[ndimage.find_objects(mask.astype(np.uint8))[0]]
    for axis in range(3):
        inside = _with_faces(inside, axis)
    half = np.asarray(grid.spacing_mm) / 2.0
    return 2.0 * float(ndimage.distance_transform_edt(inside, sampling=half).max())


def _with_faces(inside: np.ndarray, axis: int) -> np.ndarray:
    """The voxels along an axis with the faces between and around them; a face is inside where both voxels are."""
    before = np.moveaxis(inside, axis, 0)
    out = np.zeros((2 * len(before) + 1, *before.shape[1:]), dtype=bool)
    out[1::2] = before
    out[2:-1:2] = before[:-1] & before[1:]
    return np.moveaxis(out, 0, axis)
