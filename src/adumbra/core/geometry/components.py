"""Connected components, hysteresis thresholding and dilation of masks."""

from typing import Literal

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Labels, Mask, Volume

try:
    import cc3d
except ImportError:  # cc3d is optional: it finds the same components five times faster.
    cc3d = None  # type: ignore[assignment]

Connectivity = Literal[6, 18, 26]


def label_components(mask: Mask, *, connectivity: Connectivity = 26) -> tuple[Labels, int]:
    """Labels the connected components of a mask from 1 on, in no particular order; 0 is outside.

    Args:
        mask: (X, Y, Z).
        connectivity: 6 joins voxels across faces, 18 across edges too, 26 across corners too (as in ISLES'22).

    Returns:
        int32 labels of the shape of the mask, and the number of components.
    """
    is_row = sum(n > 1 for n in mask.shape) < 2  # cc3d 4.1 runs out of labels on a single row of voxels.
    if is_row or cc3d is None:
        return label_components_by_scipy(mask, connectivity=connectivity)
    owned = np.require(mask, requirements=["C", "W"])  # cc3d refuses read-only arrays, although it writes nothing.
    labels, count = cc3d.connected_components(owned, connectivity=connectivity, return_N=True)
    return labels.astype(np.int32, copy=False), int(count)


def label_components_by_scipy(mask: Mask, *, connectivity: Connectivity = 26) -> tuple[Labels, int]:
    """``label_components`` without cc3d: the same components in another order."""
    structure = ndimage.generate_binary_structure(3, {6: 1, 18: 2, 26: 3}[connectivity])
    labels, count = ndimage.label(mask, structure)
    return labels.astype(np.int32, copy=False), int(count)


def component_sizes(labels: Labels, count: int) -> np.ndarray:
    """Number of voxels of each component, shape (count,); index 0 is component 1."""
    return np.bincount(labels.ravel(), minlength=count + 1)[1:]


@cites("Canny1986")
def hysteresis_threshold(values: Volume, *, low: float, high: float) -> Mask:
    """Voxels that reach ``low``, in 26-connected parts that somewhere reach ``high``: thresholding with hysteresis.

    ``low`` decides how far a part extends, ``high`` whether it counts at all. A ``high`` at or below ``low`` is the
    plain threshold.
    """
    low32, high32 = np.float32(low), np.float32(high)
    return touching(values >= low32, values >= high32) if high32 > low32 else values >= low32


def touching(mask: Mask, seeds: Mask) -> Mask:
    """The 26-connected parts of a mask that hold at least one voxel of ``seeds``."""
    labels, count = label_components(mask)
    has_seed = np.zeros(count + 1, dtype=bool)
    has_seed[labels[seeds]] = True
    has_seed[0] = False
    return has_seed[labels]


def dilate(mask: Mask, grid: Grid, *, by_mm: float) -> Mask:
    """The mask and all voxels whose centres lie within ``by_mm`` of the centre of one of its voxels."""
    if not mask.any():
        return mask.copy()
    return ndimage.distance_transform_edt(~mask, sampling=grid.spacing_mm) <= by_mm


def largest_component(mask: Mask, *, connectivity: Connectivity = 6) -> Mask:
    """The component with the most voxels; an empty mask gives an empty mask."""
    labels, count = label_components(mask, connectivity=connectivity)
    return labels == 1 + int(component_sizes(labels, count).argmax()) if count else np.zeros_like(mask)
