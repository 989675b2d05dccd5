"""Bright vessels of TOF near a clot, which show where the arteries of a patient run.

They are voxels of bright tubes (``clinic.cues.vessel_filter``) in the brain or just outside it, within ``REACH_MM`` of
the clot. A closed artery is missing beyond the clot; the stump and the neighbouring arteries remain.
"""

import numpy as np
from scipy import ndimage

from adumbra.clinic.cues.flow import LEAST_STRENGTH, SURROUNDINGS_MM
from adumbra.clinic.cues.vessel_filter import relative_signal, tube_strength
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import sub_grid
from adumbra.core.types import Mask, Volume

REACH_MM = 40.0
"""Distance from the centre of the clot up to which vessels are used."""
MOST_VOXELS = 100
"""Largest number of voxels, evenly spread over those that there are."""
LEAST_VOXELS = 30
"""Number of voxels up to which vessels are not used: they may be noise."""
_OUTSIDE_MM = 8.0  # Distance from the brain mask up to which arteries of the cisterns are sought.


def bright_vessels(tof: Volume, grid: Grid, brain: Mask, centre_mm: np.ndarray) -> np.ndarray | None:
    """Places of bright vessels near a clot, (V, 3) in subject mm; None where there are too few.

    Args:
        tof: (X, Y, Z), the TOF angiography; 0 where it was not measured.
        grid: Grid of both volumes.
        brain: (X, Y, Z), the brain.
        centre_mm: (3,), the centre of the clot in subject mm.
    """
    margin = np.ceil(REACH_MM / np.asarray(grid.spacing_mm)).astype(int)
    middle = np.rint(grid.index(centre_mm)).astype(int)
    low = np.clip(middle - margin, 0, grid.shape)
    high = np.clip(middle + margin + 1, low, grid.shape)
    window = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
    own, signal = (
        sub_grid(grid, low.tolist(), (high - low).tolist()),
        np.ascontiguousarray(tof[window], dtype=np.float32),
    )
    near = ndimage.distance_transform_edt(~brain[window], sampling=grid.spacing_mm) < _OUTSIDE_MM
    inside = near & (signal > 0.0)
    if not inside.any():
        return None
    relative = relative_signal(signal, inside, own.spacing_mm, surroundings_mm=SURROUNDINGS_MM)
    voxels = np.argwhere(tube_strength(relative, inside, own.spacing_mm, bright=True) > LEAST_STRENGTH)
    points = own.world_mm(voxels)
    points = points[np.linalg.norm(points - centre_mm, axis=1) < REACH_MM]
    if len(points) <= LEAST_VOXELS:
        return None
    return _spread(points)


def _spread(points_mm: np.ndarray) -> np.ndarray:
    """At most ``MOST_VOXELS`` of the points, at equal steps of their order in the volume."""
    chosen = np.linspace(0, len(points_mm) - 1, min(MOST_VOXELS, len(points_mm)))
    spread: np.ndarray = points_mm[np.unique(chosen.astype(int))]
    return spread
