"""Masks: their connected components, and what lies near them."""

from typing import Literal

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Labels, Mask, Volume

try:
    import cc3d
except ImportError:  # cc3d is the optional, five times faster way to the same components.
    cc3d = None  # type: ignore[assignment]

Connectivity = Literal[6, 18, 26]


def labelled(mask: Mask, *, connectivity: Connectivity = 26) -> tuple[Labels, int]:
    """The components of a mask, numbered from 1 in no particular order; 0 is outside.

    Args:
        mask: (X, Y, Z).
        connectivity: 6 joins voxels across faces, 18 across edges too, 26 across corners too (as ISLES'22 counts).

    Returns:
        int32 labels of the mask's shape, and how many components there are.
    """
    row = sum(n > 1 for n in mask.shape) < 2  # cc3d 4.1 runs out of labels on a single row of voxels
    if row or cc3d is None:
        return labelled_by_scipy(mask, connectivity=connectivity)
    owned = np.require(mask, requirements=["C", "W"])  # cc3d refuses what it may not write to, though it writes nothing
    labels, count = cc3d.connected_components(owned, connectivity=connectivity, return_N=True)
    return labels.astype(np.int32, copy=False), int(count)


def labelled_by_scipy(mask: Mask, *, connectivity: Connectivity = 26) -> tuple[Labels, int]:
    """What ``labelled`` gives where cc3d is not installed: the same components, numbered otherwise."""
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    labels, count = ndimage.label(mask, structure)
    return labels.astype(np.int32, copy=False), int(count)


def component_sizes(labels: Labels, count: int) -> np.ndarray:
    """Voxels of each component, shape (count,); index 0 is component 1."""
    return np.bincount(labels.ravel(), minlength=count + 1)[1:]


@cites("Canny1986")
def hysteresis_threshold(values: Volume, *, low: float, high: float) -> Mask:
    """Where values reach ``low``, in 26-connected parts that somewhere reach ``high``: thresholding with hysteresis.

    Two questions, two thresholds: how far a spot reaches, and whether it is one at all. A ``high`` at or under ``low``
    is the plain threshold.
    """
    low32, high32 = np.float32(low), np.float32(high)
    return touching(values >= low32, values >= high32) if high32 > low32 else values >= low32


def touching(mask: Mask, seeds: Mask) -> Mask:
    """The 26-connected parts of a mask that hold at least one voxel of ``seeds``."""
    labels, count = labelled(mask)
    kept = np.zeros(count + 1, dtype=bool)
    kept[labels[seeds]] = True
    kept[0] = False
    return kept[labels]


def dilated(mask: Mask, grid: Grid, *, by_mm: float) -> Mask:
    """The mask and all voxels whose centres lie within ``by_mm`` of one of its own."""
    if not mask.any():
        return mask.copy()
    return ndimage.distance_transform_edt(~mask, sampling=grid.spacing_mm) <= by_mm


def largest_component(mask: Mask, *, connectivity: Connectivity = 6) -> Mask:
    """The component with the most voxels; of an empty mask, an empty mask."""
    labels, count = labelled(mask, connectivity=connectivity)
    return labels == 1 + int(component_sizes(labels, count).argmax()) if count else np.zeros_like(mask)
