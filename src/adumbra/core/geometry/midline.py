"""The midsagittal plane of a brain, estimated from its mask. The scanner's centre is not the patient's midline."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import ndimage, optimize

from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Points

TOLERANCE_MM = 3.0
"""Distance from the plane within which a point counts as midline, since the plane is no more precise than that."""

SMOOTHING_MM = 4.0
"""Standard deviation of the Gaussian that smooths the mask."""
STEP_MM = 4.0
"""Spacing at which the mask is sampled."""


@dataclass(frozen=True)
class Plane:
    """The points x with ``normal · x = offset_mm``.

    Attributes:
        normal: Unit vector towards the patient's right (RAS +x).
        offset_mm: Signed distance of the plane from the origin.
    """

    normal: tuple[float, float, float]
    offset_mm: float

    def distances_mm(self, points_mm: Points) -> np.ndarray:
        """Signed distance of points (N, 3) in RAS+ mm, shape (N,): positive on the patient's right."""
        return np.asarray(points_mm @ np.asarray(self.normal) - self.offset_mm)

    def mirrored(self, points_mm: Points) -> Points:
        """Mirror images of points (N, 3) in RAS+ mm."""
        return points_mm - 2.0 * self.distances_mm(points_mm)[:, None] * np.asarray(self.normal)


def midsagittal_plane(brain: Mask, grid: Grid) -> Plane:
    """The plane that a brain is most symmetric about.

    The search starts with the plane through the centroid of the brain, perpendicular to the left-right axis of the
    scanner. Shift, yaw and roll are optimised (Nelder and Mead) until the smoothed mask differs least from its mirror
    image. The cost is the mean absolute difference, so that a missing lobe or a damaged mask changes the plane little.

    Args:
        brain: (X, Y, Z), the brain mask.
        grid: Grid of the mask; it may be oblique.

    Raises:
        MissingInput: The brain mask is empty.
        GridMismatch: Mask and grid have different shapes.
    """
    _require_brain(brain, grid)
    sampled, coarse = _subsampled(brain, grid)
    field = ndimage.gaussian_filter(sampled.astype(np.float32), SMOOTHING_MM / np.asarray(coarse.spacing_mm))
    points = coarse.world_mm(np.argwhere(sampled))
    centre = points.mean(axis=0)
    cost = partial(_asymmetry, points=points, values=field[sampled], centre=centre, field=field, grid=coarse)
    simplex = np.array([[0.0, 0.0, 0.0], [8.0, 0.0, 0.0], [0.0, 8.0, 0.0], [0.0, 0.0, 5.0]])
    options = {"initial_simplex": simplex, "xatol": 0.05, "fatol": 1e-5, "maxfev": 200}
    result = optimize.minimize(cost, simplex[0], method="Nelder-Mead", options=options)
    return _plane(result.x, centre)


def side(points_mm: Points, plane: Plane, *, tolerance_mm: float = TOLERANCE_MM) -> str:
    """Side of the patient on which the centroid of points (N, 3) lies: ``"left"``, ``"right"``, or ``"midline"``.

    ``tolerance_mm`` is the distance from the plane within which the centroid counts as midline.
    """
    distance = float(plane.distances_mm(points_mm).mean())
    if abs(distance) <= tolerance_mm:
        return "midline"
    return "right" if distance > 0 else "left"


def _plane(parameters: np.ndarray, centre: np.ndarray) -> Plane:
    """The plane of parameters (yaw, roll, shift): angles in degrees about the centre, and a shift in mm."""
    yaw, roll = np.radians(parameters[:2])
    normal = np.array([np.cos(yaw) * np.cos(roll), np.sin(yaw) * np.cos(roll), np.sin(roll)])
    x, y, z = (float(value) for value in normal)
    return Plane((x, y, z), float(normal @ centre + parameters[2]))


def _asymmetry(
    parameters: np.ndarray, *, points: np.ndarray, values: np.ndarray, centre: np.ndarray, field: np.ndarray, grid: Grid
) -> float:
    """Mean absolute difference, 0 to 1, between the smoothed brain (``values`` at the points) and its mirror image."""
    mirrored = grid.index(_plane(parameters, centre).mirrored(points)).T
    return float(np.abs(values - ndimage.map_coordinates(field, mirrored, order=1)).mean())


def _subsampled(brain: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Every n-th voxel of the brain, about ``STEP_MM`` apart; all voxels where that would leave none."""
    steps = [max(1, round(STEP_MM / spacing)) for spacing in grid.spacing_mm]
    sampled = brain[:: steps[0], :: steps[1], :: steps[2]]
    if not sampled.any():
        return brain, grid
    affine = grid.affine @ np.diag([*steps, 1.0])
    return sampled, Grid((sampled.shape[0], sampled.shape[1], sampled.shape[2]), affine)


def _require_brain(brain: Mask, grid: Grid) -> None:
    if brain.shape != grid.shape:
        raise GridMismatch(
            "brain mask",
            expected=f"shape {grid.shape}, that of the grid",
            found=f"shape {brain.shape}",
            do="give the brain mask on the grid of the maps",
        )
    if not brain.any():
        raise MissingInput(
            "brain mask", expected="a mask of the brain", found="an empty mask", do="give one, or check the images"
        )
