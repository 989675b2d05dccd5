"""The plane between the two halves of a brain, found in the brain itself: scanner zero is not the patient's middle."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage, optimize

from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Points

TOLERANCE_MM = 3.0
"""How near the plane a place is called midline: the plane is that well known, and a brain is not symmetric."""

SMOOTHING_MM = 4.0
STEP_MM = 4.0


@dataclass(frozen=True)
class Plane:
    """Points x with ``normal · x = offset_mm``; the unit normal points to the patient's right (towards RAS +x)."""

    normal: tuple[float, float, float]
    offset_mm: float

    def distances_mm(self, points_mm: Points) -> np.ndarray:
        """Signed distance of points (N, 3) in RAS+ mm, shape (N,): positive on the patient's right."""
        return np.asarray(points_mm @ np.asarray(self.normal) - self.offset_mm)

    def mirrored(self, points_mm: Points) -> Points:
        """The points on the other side of the plane, as far from it."""
        return points_mm - 2.0 * self.distances_mm(points_mm)[:, None] * np.asarray(self.normal)


def midsagittal_plane(brain: Mask, grid: Grid) -> Plane:
    """The plane that a brain is most symmetric about.

    It starts at the brain's centroid, square to the scanner's left-right axis, and is moved and turned (yaw and roll,
    by Nelder and Mead) until the smoothed mask differs least from its mirror image, in the mean of absolute
    differences: a bitten mask or a missing lobe moves it little.

    Args:
        brain: (X, Y, Z).
        grid: Where it lies; may be oblique.

    Raises:
        MissingInput: The brain mask is empty.
        GridMismatch: The mask has another shape than the grid.
    """
    _checked(brain, grid)
    few, coarse = _thinned(brain, grid)
    field = ndimage.gaussian_filter(few.astype(np.float32), SMOOTHING_MM / np.asarray(coarse.spacing_mm))
    points = coarse.world_mm(np.argwhere(few))
    centre = points.mean(axis=0)
    cost = partial(_asymmetry, points=points, here=field[few], centre=centre, field=field, grid=coarse)
    simplex = np.array([[0.0, 0.0, 0.0], [8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [0.0, 0.0, 5.0]])
    options = {"initial_simplex": simplex, "xatol": 0.05, "fatol": 1e-5, "maxfev": 200}
    found = optimize.minimize(cost, simplex[0], method="Nelder-Mead", options=options)
    return _plane(found.x, centre)


def side(points_mm: Points, plane: Plane, *, tolerance_mm: float = TOLERANCE_MM) -> str:
    """``"left"`` or ``"right"`` of the patient by the centroid of the points, ``"midline"`` within the tolerance."""
    distance = float(plane.distances_mm(points_mm).mean())
    if abs(distance) <= tolerance_mm:
        return "midline"
    return "right" if distance > 0 else "left"


def _plane(turn: np.ndarray, centre: np.ndarray) -> Plane:
    """The plane turned by (yaw, roll) in degrees about the centre and moved by a shift in mm."""
    yaw, roll = np.radians(turn[:2])
    normal = np.array([np.cos(yaw) * np.cos(roll), np.sin(yaw) * np.cos(roll), np.sin(roll)])
    x, y, z = (float(value) for value in normal)
    return Plane((x, y, z), float(normal @ centre + turn[2]))


def _asymmetry(
    turn: np.ndarray, *, points: np.ndarray, here: np.ndarray, centre: np.ndarray, field: np.ndarray, grid: Grid
) -> float:
    """Mean absolute difference between the brain, ``here`` at the points, and its mirror image, 0 to 1."""
    mirrored = grid.index(_plane(turn, centre).mirrored(points)).T
    return float(np.abs(here - ndimage.map_coordinates(field, mirrored, order=1)).mean())


def _thinned(brain: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """The brain on every n-th voxel, about ``STEP_MM`` apart, where that leaves any of it: a plane needs no more."""
    steps = [max(1, round(STEP_MM / spacing)) for spacing in grid.spacing_mm]
    few = brain[:: steps[0], :: steps[1], :: steps[2]]
    if not few.any():
        return brain, grid
    affine = grid.affine @ np.diag([*steps, 1.0])
    return few, Grid((few.shape[0], few.shape[1], few.shape[2]), affine)


def _checked(brain: Mask, grid: Grid) -> None:
    if brain.shape != grid.shape:
        raise GridMismatch(
            "brain mask", expected=f"shape {grid.shape}", found=f"{brain.shape}", do="give the brain on the maps' grid"
        )
    if not brain.any():
        raise MissingInput(
            "brain mask", expected="a brain", found="an empty mask", do="give a brain mask, or check the images"
        )
