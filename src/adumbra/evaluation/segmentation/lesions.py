"""Lesion-wise metrics: the detection of 26-connected components instead of voxels.

Undefined cases: the lesion-wise F1 is 1 for two empty masks and 0 for one empty mask. Whether a patient was detected
is undefined, nan, where the truth is empty.
"""

from math import nan

import numpy as np

from adumbra.core.references import cites
from adumbra.evaluation.segmentation.pair import Components, MaskPair

STRICT_IOU = 0.1
STRICT_CENTROID_MM = 5.0


@cites("HernandezPetzsche2022")
def count_difference(pair: MaskPair) -> float:
    """Absolute difference of the numbers of components, from 0. Their positions do not matter."""
    return float(abs(pair.predicted_components.count - pair.true_components.count))


@cites("HernandezPetzsche2022")
def lesion_f1(pair: MaskPair) -> float:
    """Lesion-wise F1 of ISLES'22, 2 TP / (2 TP + FP + FN), in [0, 1].

    A true component is detected (TP) if at least one predicted voxel lies in it, and missed (FN) otherwise. A predicted
    component without a voxel in the truth is a false positive (FP). The score is 1 if both masks are empty.
    """
    tp = _overlapping(pair.true_components, pair.prediction)
    fn = pair.true_components.count - tp
    fp = int(false_positives(pair))
    if tp + fn + fp == 0:
        return 1.0
    return 2.0 * tp / (2.0 * tp + fp + fn)


def false_positives(pair: MaskPair) -> float:
    """Number of predicted components without a voxel in the truth."""
    return float(pair.predicted_components.count - _overlapping(pair.predicted_components, pair.truth))


def detected(pair: MaskPair) -> float:
    """1 if at least one predicted voxel lies in the truth (the lenient rule), else 0; nan if the truth is empty."""
    return float(pair.both > 0) if pair.true else nan


def detected_strictly(pair: MaskPair) -> float:
    """1 if a predicted component matches a true one (the strict rule), else 0; nan if the truth is empty.

    Two components match if their intersection over union is at least 0.1 or their centroids are within 5 mm.
    """
    if not pair.true:
        return nan
    if not pair.predicted:
        return 0.0
    return float(bool((_ious(pair) >= STRICT_IOU).any() or (_centroid_distances(pair) <= STRICT_CENTROID_MM).any()))


def _overlapping(components: Components, mask: np.ndarray) -> int:
    """Number of components with at least one voxel in the mask."""
    return int(np.count_nonzero(np.unique(components.labels[mask])))


def _ious(pair: MaskPair) -> np.ndarray:
    """Intersection over union of every predicted (row) with every true component (column)."""
    predicted, true = pair.predicted_components, pair.true_components
    both = predicted.labels.astype(np.int64) * (true.count + 1) + true.labels
    table = np.bincount(both.ravel(), minlength=(predicted.count + 1) * (true.count + 1))
    table = table.reshape(predicted.count + 1, true.count + 1)
    shared = table[1:, 1:]
    union = table[1:].sum(axis=1)[:, None] + table[:, 1:].sum(axis=0)[None] - shared
    return shared / union


def _centroid_distances(pair: MaskPair) -> np.ndarray:
    """Distance of every predicted centroid (row) from every true one (column), in mm."""
    predicted, true = (_centroids_mm(c, pair) for c in (pair.predicted_components, pair.true_components))
    return np.linalg.norm(predicted[:, None] - true[None], axis=-1)


def _centroids_mm(components: Components, pair: MaskPair) -> np.ndarray:
    """Centroids of the components in RAS+ mm, shape (count, 3)."""
    index = np.argwhere(components.labels)
    label = components.labels[tuple(index.T)]
    sizes = np.bincount(label, minlength=components.count + 1)[1:]
    sums = [np.bincount(label, weights=axis, minlength=components.count + 1)[1:] for axis in index.T]
    return pair.grid.world_mm(np.stack(sums, axis=-1) / sizes[:, None])
