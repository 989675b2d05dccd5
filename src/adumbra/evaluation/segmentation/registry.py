"""The metrics by name: the one table that the command line, the report and the contract tests read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from adumbra.evaluation.segmentation import lesions, overlap
from adumbra.evaluation.segmentation.pair import Pair


@dataclass(frozen=True)
class Metric:
    """One metric of a pair of masks.

    Attributes:
        of: The function; nan where the metric is undefined.
        label: As printed in a table.
        unit: Of its value; empty for shares and counts of nothing.
        better: Which direction is better.
        best: The value of a perfect, not empty prediction.
        worst: The value of a not empty prediction that misses a not empty truth; None where there is no such bound,
            because the metric has none or does not ask where the voxels lie.
    """

    of: Callable[[Pair], float]
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
