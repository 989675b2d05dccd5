"""Registry of the segmentation metrics: the one table that the command line, the report and the tests use."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from adumbra.evaluation.segmentation import lesions, overlap
from adumbra.evaluation.segmentation.pair import MaskPair


@dataclass(frozen=True)
class Metric:
    """One metric of a pair of masks.

    Attributes:
        of: Function that computes the metric; its value is nan where the metric is undefined.
        label: Name of the metric in tables.
        unit: Unit of the value; empty for shares.
        better: Direction in which values are better.
        best: Value of a perfect prediction that is not empty.
        worst: Value of a prediction that is not empty and misses a truth that is not empty. None where there is no
            such bound, because the metric is unbounded or does not depend on the position of the voxels.
    """

    of: Callable[[MaskPair], float]
    label: str
    unit: str
    better: Literal["higher", "lower"]
    best: float
    worst: float | None


METRICS: dict[str, Metric] = {
    "dice": Metric(overlap.dice, "Dice", "", "higher", 1.0, 0.0),
    "sensitivity": Metric(overlap.sensitivity, "Sensitivity", "", "higher", 1.0, 0.0),
    "precision": Metric(overlap.precision, "Precision", "", "higher", 1.0, 0.0),
    "volume_difference_ml": Metric(overlap.volume_difference, "Absolute volume difference", "ml", "lower", 0.0, None),
    "count_difference": Metric(
        lesions.count_difference, "Absolute lesion-count difference", "lesions", "lower", 0.0, None
    ),
    "lesion_f1": Metric(lesions.lesion_f1, "Lesion-wise F1", "", "higher", 1.0, 0.0),
    "detected": Metric(lesions.detected, "Detected (one voxel overlaps)", "", "higher", 1.0, 0.0),
    "detected_strictly": Metric(
        lesions.detected_strictly, "Detected (IoU ≥ 0.1 or centroid within 5 mm)", "", "higher", 1.0, 0.0
    ),
    "false_positives": Metric(lesions.false_positives, "False-positive lesions", "lesions", "lower", 0.0, None),
}
