"""Ground-truth components of a batch of patches, numbered once over the whole batch.

The losses of ``training.component_losses`` need them. They are computed where patches are sampled, beside the step that
runs, and without torch. A component that the border of a patch cuts counts with the part inside it.
"""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.components import label_components
from adumbra.core.types import Mask
from adumbra.training.options import COMPONENT_LOSSES, LossKind
from adumbra.training.patches import Patches


def with_regions(patches: Patches, kind: LossKind) -> Patches:
    """The patches with the component regions that a loss needs; unchanged where it needs none."""
    if kind not in COMPONENT_LOSSES:
        return patches
    return replace(patches, regions=component_regions(patches.labels, nearest=kind == "component-dice"))


def component_regions(labels: np.ndarray, *, nearest: bool) -> np.ndarray:
    """The number of the component of each voxel.

    Args:
        labels: (B, T, X, Y, Z), 0 or 1.
        nearest: Whether a voxel outside all components has the number of the nearest one of its patch and target, so
            that the regions are the Voronoi cells of the components. Otherwise it has 0. Of components at equal
            distance any one may be taken.

    Returns:
        int32 (B, T, X, Y, Z): 1 … K over the whole batch, in no particular order. A patch without a component has 0.
    """
    regions = np.zeros(labels.shape, dtype=np.int32)
    total = 0
    for place in np.ndindex(labels.shape[:2]):
        components, count = label_components(labels[place] > 0.5)
        if count:
            own = _voronoi_cells(components, count) if nearest else components
            regions[place] = np.where(own > 0, own + total, 0)
            total += count
    return regions


def _voronoi_cells(components: np.ndarray, count: int) -> np.ndarray:
    """The number of the nearest component of each voxel."""
    outside: Mask = components == 0
    if count == 1:
        return np.ones_like(components)
    nearest = ndimage.distance_transform_edt(outside, return_distances=False, return_indices=True)
    return components[tuple(nearest)]
