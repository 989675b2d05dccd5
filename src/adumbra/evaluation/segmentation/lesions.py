"""How well the separate lesions of a case were found: 26-connected components instead of voxels.

What an empty mask means is fixed here: the lesion-wise F1 of two empty masks is 1 and of one empty mask 0; whether a
patient was detected is undefined, nan, where the truth is empty.
"""

from math import nan

import numpy as np

from adumbra.core.references import cites
from adumbra.evaluation.segmentation.pair import Components, Pair

STRICT_IOU = 0.1
STRICT_CENTROID_MM = 5.0


@cites("HernandezPetzsche2022")
def count_difference(pair: Pair) -> float:
    """The absolute difference of the counts of components, from 0; it does not ask where they lie."""
    return float(abs(pair.predicted_components.count - pair.true_components.count))


@cites("HernandezPetzsche2022")
def lesion_f1(pair: Pair) -> float:
    """Lesion-wise F1 of ISLES'22, 2 TP / (2 TP + FP + FN), in [0, 1].

    A true component is found (TP) when one predicted voxel lies in it, else missed (FN); a predicted component that has
    no voxel in the truth is false (FP). 1 when both masks are empty.
    """
    found = _touched(pair.true_components, pair.prediction)
    missed = pair.true_components.count - found
    false = int(false_positives(pair))
    if found + missed + false == 0:
        return 1.0
    return 2.0 * found / (2.0 * found + false + missed)


def false_positives(pair: Pair) -> float:
    """How many predicted components have no voxel in the truth: false alarms of this case."""
    return float(pair.predicted_components.count - _touched(pair.predicted_components, pair.truth))


def detected(pair: Pair) -> float:
    """1 when at least one predicted voxel lies in the truth (the lenient rule), else 0; nan when the truth is empty."""
    return float(pair.both > 0) if pair.true else nan


def detected_strictly(pair: Pair) -> float:
    """1 when a predicted component fits a true one, else 0; nan when the truth is empty.

    It fits when their intersection over union is at least 0.1, or their centroids are within 5 mm.
    """
    if not pair.true:
        return nan
    if not pair.predicted:
        return 0.0
    return float(bool((_ious(pair) >= STRICT_IOU).any() or (_centroid_distances(pair) <= STRICT_CENTROID_MM).any()))


def _touched(components: Components, mask: np.ndarray) -> int:
    """How many of the components have a voxel in the mask."""
    return int(np.count_nonzero(np.unique(components.labels[mask])))


def _ious(pair: Pair) -> np.ndarray:
    """Intersection over union of every predicted (row) with every true component (column)."""
    predicted, true = pair.predicted_components, pair.true_components
    both = predicted.labels.astype(np.int64) * (true.count + 1) + true.labels
    table = np.bincount(both.ravel(), minlength=(predicted.count + 1) * (true.count + 1))
    table = table.reshape(predicted.count + 1, true.count + 1)
    shared = table[1:, 1:]
    union = table[1:].sum(axis=1)[:, None] + table[:, 1:].sum(axis=0)[None] - shared
    return shared / union


def _centroid_distances(pair: Pair) -> np.ndarray:
    """Distance in mm of every predicted (row) from every true centroid (column)."""
    predicted, true = (_centroids_mm(c, pair) for c in (pair.predicted_components, pair.true_components))
    return np.linalg.norm(predicted[:, None] - true[None], axis=-1)


def _centroids_mm(components: Components, pair: Pair) -> np.ndarray:
    """Centroids of the components in RAS+ mm, shape (count, 3)."""
    index = np.argwhere(components.labels)
    label = components.labels[tuple(index.T)]
    sizes = np.bincount(label, minlength=components.count + 1)[1:]
    sums = [np.bincount(label, weights=axis, minlength=components.count + 1)[1:] for axis in index.T]
    return pair.grid.world_mm(np.stack(sums, axis=-1) / sizes[:, None])
