"""Retention curves: the quality of a segmentation whose most uncertain parts are replaced by the truth.

Parts are sorted by their uncertainty. At the retention fraction x, the share x of parts with the lowest uncertainty is
retained as predicted, and the others are replaced by the truth. The score rises from that of the prediction (x = 1) to
1 (x = 0). The earlier the errors are replaced, the larger is the area under the curve. The area is compared with that
of the best order, which replaces all errors first, and with that of a constant, uninformative map.

By lesion (Molchanova et al. 2023, their F1 retention curve with the missed lesions): a part is a predicted component,
which is right (TP) or false (FP), or a true component that was missed (FN). When it is replaced by the truth, a false
one disappears and a missed one becomes a TP; F1 = 2 TP / (2 TP + FP + FN). They require an overlap. Here one voxel in
the truth makes a component right, as in ISLES'22, so that F1 agrees with ``lesions.lesion_f1``. TPs are counted on the
predicted side, where the uncertainty is defined: the two F1 differ where several components share one lesion.

By voxel (in the same paper): Dice, where each voxel is a part.

The curve does not depend on the order of ties. Within a run of equal uncertainty, the number of retained errors is its
expected value over all orders, and the score is that of this number. A straight line between the ends of a run would
reward ties, because F1 and Dice fall fast at first. Areas are by the trapezoid rule over every single part. The score
is 1 where neither mask has a part.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

import numpy as np

from adumbra.core.errors import GridMismatch, ImplausibleValues
from adumbra.core.references import cites
from adumbra.evaluation.segmentation.pair import Components, MaskPair
from adumbra.evaluation.tied_ranks import runs
from adumbra.evaluation.validation import require_masks, require_one_shape

POINTS = 200
CHUNK = 1 << 20  # parts at a time


@dataclass(frozen=True, eq=False)
class Retention:
    """A retention curve with its area and two reference areas; empty, with areas of nan, where there is no part.

    Curves of cases are averaged at common fractions: ``numpy.interp(fractions, curve.retained, curve.score)``.

    Attributes:
        retained: (K,), share of the parts that are retained as predicted, from 0 to 1.
        score: (K,), F1 or Dice at that share.
        area: Area under the curve, in [0, 1]; higher is better. The literature on error retention gives 1 - area.
        best_area: Largest area of any uncertainty: no right part is replaced before an error.
        constant_area: Area of a constant, uninformative uncertainty.
    """

    retained: np.ndarray
    score: np.ndarray
    area: float
    best_area: float
    constant_area: float


@dataclass(frozen=True, eq=False)
class LesionUncertainty:
    """Uncertainties of the lesions of a case, by outcome.

    Cohorts are pooled by concatenating the arrays of their cases.

    Attributes:
        right: (count,), float64, of predicted components with a voxel in the truth.
        false: (count,), float64, of predicted components without one.
        missed: (count,), float64, of true components without a predicted voxel.
    """

    right: np.ndarray
    false: np.ndarray
    missed: np.ndarray


def lesion_uncertainty(pair: MaskPair, uncertainty: np.ndarray) -> LesionUncertainty:
    """Mean uncertainty over the voxels of each component of a case.

    Args:
        pair: Prediction and truth.
        uncertainty: (X, Y, Z), of any unit; higher is more uncertain.

    Raises:
        GridMismatch: The map does not have the shape of the pair.
        ImplausibleValues: The map is NaN in a component.
    """
    if uncertainty.shape != pair.grid.shape:
        raise GridMismatch(
            "uncertainty",
            expected=f"the grid's shape {pair.grid.shape}",
            found=f"{uncertainty.shape}",
            do="resample it onto the grid first",
        )
    predicted, true = (_means(c, uncertainty) for c in (pair.predicted_components, pair.true_components))
    right = _overlapping(pair.predicted_components, pair.truth)
    detected = _overlapping(pair.true_components, pair.prediction)
    return LesionUncertainty(predicted[right], predicted[~right], true[~detected])


@cites("Molchanova2023")
def lesion_retention(lesions: LesionUncertainty) -> Retention:
    """Retention curve of the lesion-wise F1, where each lesion is a part; empty without any lesion.

    Raises:
        ImplausibleValues: An uncertainty is NaN.
    """
    counts = lesions.right.size, lesions.false.size, lesions.missed.size
    false, missed = (np.repeat(kind, counts) for kind in ([False, True, False], [False, False, True]))

    def f1(retained_false: np.ndarray, retained_missed: np.ndarray) -> np.ndarray:
        tp = counts[0] + counts[2] - retained_missed  # a missed lesion that is replaced becomes a TP
        return _share(2.0 * tp, 2.0 * tp + retained_false + retained_missed)

    uncertainty = np.concatenate([lesions.right, lesions.false, lesions.missed])
    return _retention(uncertainty, false, missed, f1, points=uncertainty.size + 1)


@cites("Molchanova2023")
def voxel_retention(
    prediction: np.ndarray, truth: np.ndarray, uncertainty: np.ndarray, *, points: int = POINTS
) -> Retention:
    """Retention curve of the Dice, where each voxel is a part; empty for no voxels.

    Nearly all voxels are certain background, so the area is near 1 for any map. Give the voxels of a region
    (``evaluation.uncertainty.boundary``), and read the area beside its baselines.

    Args:
        prediction: Predicted mask, bool, of any shape.
        truth: True mask, bool, of the same shape.
        uncertainty: Uncertainty of the same shape, of any unit; higher is more uncertain.
        points: Largest number of points of the returned curve. The area is always that of all voxels.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: A mask is not boolean, or an uncertainty is NaN.
    """
    require_one_shape("prediction, truth and uncertainty", truth.shape, prediction, uncertainty)
    require_masks(prediction=prediction, truth=truth)
    prediction, truth = prediction.ravel(), truth.ravel()
    true = int(np.count_nonzero(truth))

    def dice(retained_false: np.ndarray, retained_missed: np.ndarray) -> np.ndarray:
        both = true - retained_missed  # replaced voxels of the truth are in both masks
        return _share(2.0 * both, both + retained_false + true)

    return _retention(uncertainty.ravel(), prediction & ~truth, truth & ~prediction, dice, points)


Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Score as a function of the numbers of false and of missed parts that are retained."""


@dataclass(frozen=True, eq=False)
class _Order:
    """Cumulative errors in an order of the parts; between two ends they increase linearly.

    Attributes:
        ends: (R,), numbers of retained parts, ascending.
        false: (R,), number of false parts among them.
        missed: (R,), number of missed parts among them.
    """

    ends: np.ndarray
    false: np.ndarray
    missed: np.ndarray

    def scores(self, retained: np.ndarray, score: Score) -> np.ndarray:
        """Score at given numbers of retained parts."""
        ends = np.append(0.0, self.ends)
        return score(*(np.interp(retained, ends, np.append(0.0, errors)) for errors in (self.false, self.missed)))

    def area(self, score: Score) -> float:
        """Area under the score by the trapezoid rule, from every number of retained parts to the next."""
        parts = int(self.ends[-1])
        total = -float(self.scores(np.array([0.0, parts]), score).sum()) / 2.0
        for start in range(0, parts + 1, CHUNK):
            retained = np.arange(start, min(start + CHUNK, parts + 1), dtype=np.float64)
            total += float(self.scores(retained, score).sum())
        return total / parts


def _retention(uncertainty: np.ndarray, false: np.ndarray, missed: np.ndarray, score: Score, points: int) -> Retention:
    parts = uncertainty.size
    if parts == 0:
        return Retention(np.zeros(0), np.zeros(0), nan, nan, nan)
    ordered = runs(uncertainty, "uncertainty")
    order = _Order(
        ordered.ends, ordered.cumulative_count(uncertainty[false]), ordered.cumulative_count(uncertainty[missed])
    )
    n_false, n_missed = int(order.false[-1]), int(order.missed[-1])
    right = parts - n_false - n_missed
    # A missed part costs more than a false one, because it also reduces the TPs: it is retained last.
    best = _Order(
        np.array([right, right + n_false, parts]), np.array([0, n_false, n_false]), np.array([0, 0, n_missed])
    )
    constant = _Order(np.array([parts]), np.array([n_false]), np.array([n_missed]))
    retained = np.unique(np.round(np.linspace(0.0, parts, min(parts + 1, points))))
    areas = (each.area(score) for each in (order, best, constant))
    return Retention(retained / parts, order.scores(retained, score), *areas)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.ones(whole.size), where=whole > 0)


def _means(components: Components, uncertainty: np.ndarray) -> np.ndarray:
    inside = components.labels > 0
    labels = components.labels[inside]
    sums = np.bincount(labels, weights=uncertainty[inside], minlength=components.count + 1)[1:]
    if np.isnan(sums).any():
        raise ImplausibleValues("uncertainty", expected="numbers in every lesion", found="NaN", do="correct the map")
    return sums / np.bincount(labels, minlength=components.count + 1)[1:]


def _overlapping(components: Components, mask: np.ndarray) -> np.ndarray:
    """Whether each component has a voxel in the mask; (count,), bool."""
    return np.bincount(components.labels[mask], minlength=components.count + 1)[1:] > 0
