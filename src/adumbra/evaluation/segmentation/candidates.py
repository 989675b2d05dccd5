"""Which true component each candidate matches, by the strict rule of ``evaluation.segmentation.lesions``."""

from collections.abc import Sequence

import numpy as np

from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.lesions import STRICT_CENTROID_MM, STRICT_IOU


def matched_components(candidates: Sequence[np.ndarray], truth: Mask, grid: Grid) -> tuple[tuple[int, ...], int]:
    """The true component that each candidate matches, and the number of true components.

    A candidate matches a component if their intersection over union is at least 0.1 or their centroids are within 5 mm.
    Of several it matches the one with the largest intersection over union, and of equal ones the nearest.

    Args:
        candidates: (N, 3) each, indices of the voxels.
        truth: (X, Y, Z), true mask; it may be empty.
        grid: Grid of both.

    Returns:
        A number from 1 for each candidate, 0 where it matches none; and the number of components.
    """
    labels, count = label_components(truth)
    components = [np.argwhere(labels == number) for number in range(1, count + 1)]
    return tuple(_match(voxels, components, labels, grid) for voxels in candidates), count


def _match(voxels: np.ndarray, components: Sequence[np.ndarray], labels: np.ndarray, grid: Grid) -> int:
    best = (0.0, 0.0, 0)
    centre = grid.world_mm(voxels.mean(axis=0))
    shared = np.bincount(labels[tuple(voxels.T)], minlength=len(components) + 1)
    for number, component in enumerate(components, start=1):
        iou = shared[number] / (len(voxels) + len(component) - shared[number])
        distance_mm = float(np.linalg.norm(grid.world_mm(component.mean(axis=0)) - centre))
        if iou >= STRICT_IOU or distance_mm <= STRICT_CENTROID_MM:
            best = max(best, (float(iou), -distance_mm, number)) if best[2] else (float(iou), -distance_mm, number)
    return best[2]
