"""Retention curves: how good does an outline become when its most uncertain parts are replaced by the truth?

Parts are sorted by their uncertainty. At the share x of kept parts the surest x stay as predicted and the others become
what the truth says; the score rises from that of the prediction (x = 1) to 1 (x = 0), and the sooner the errors go, the
larger the area under it. The area is compared with that of two others: the best order, which replaces all errors first,
and a map that says nothing.

By lesion (Molchanova et al. 2023, their F1 retention curve with the missed lesions): a part is a predicted component,
right (TP) or false (FP), or a true component that was missed (FN). Replaced by the truth, a false one disappears and a
missed one is found; F1 = 2 TP / (2 TP + FP + FN). They ask for an overlap; here a component is right from one voxel in
the truth on, as ISLES'22 has it, so that F1 fits ``lesions.lesion_f1``. But what is found is counted on the predicted
side, where an uncertainty is known: the two differ where several components share one lesion.

By voxel (theirs too): Dice, each voxel a part.

The order of ties has no part in it: within a run of equal uncertainty the errors that are still kept are their expected
number over all orders, and the score is that of these numbers. (A straight line between the ends of a run would reward
ties, for F1 and Dice fall fast at first.) Areas are by the trapezoid rule over every single part. Where nothing is left
on either side the score is 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import nan

import numpy as np

from adumbra.core.errors import GridMismatch, ImplausibleValues
from adumbra.core.references import cites
from adumbra.evaluation.segmentation.pair import Components, Pair
from adumbra.evaluation.tied_ranks import runs
from adumbra.evaluation.validation import require_masks, require_one_shape

POINTS = 200
CHUNK = 1 << 20  # parts at a time


@dataclass(frozen=True, eq=False)
class Retention:
    """A retention curve with its area and what this can be compared with; nan and empty where there is no part.

    Curves of cases are averaged at common shares: ``numpy.interp(shares, curve.kept, curve.score)``.

    Attributes:
        kept: (K,), share of the parts that are as predicted, from 0 to 1.
        score: (K,), F1 or Dice at that share.
        area: Under the curve, in [0, 1]; higher is better. The error retention literature gives 1 - area.
        best_area: The largest that any uncertainty could have: no right part is replaced before an error.
        constant_area: Of an uncertainty that is the same everywhere and says nothing.
    """

    kept: np.ndarray
    score: np.ndarray
    area: float
    best_area: float
    constant_area: float


@dataclass(frozen=True, eq=False)
class LesionUncertainty:
    """The uncertainties of a case's lesions, by what became of them; each (count,), float64.

    Cohorts are pooled by joining the arrays of their cases.

    Attributes:
        right: Of predicted components with a voxel in the truth.
        false: Of predicted components with none.
        missed: Of true components without a predicted voxel.
    """

    right: np.ndarray
    false: np.ndarray
    missed: np.ndarray


def lesion_uncertainty(pair: Pair, uncertainty: np.ndarray) -> LesionUncertainty:
    """The mean of a map over the voxels of each component of a case.

    Args:
        pair: Prediction and truth.
        uncertainty: (X, Y, Z), any unit; higher is less sure.

    Raises:
        GridMismatch: The map has another shape than the pair.
        ImplausibleValues: The map is NaN in a component.
    """
    if uncertainty.shape != pair.grid.shape:
        raise GridMismatch(
            "uncertainty",
            expected=f"the grid's shape {pair.grid.shape}",
            found=f"{uncertainty.shape}",
            do="bring it onto the grid first",
        )
    predicted, true = (_means(c, uncertainty) for c in (pair.predicted_components, pair.true_components))
    right, found = _touching(pair.predicted_components, pair.truth), _touching(pair.true_components, pair.prediction)
    return LesionUncertainty(predicted[right], predicted[~right], true[~found])


@cites("Molchanova2023")
def lesion_retention(lesions: LesionUncertainty) -> Retention:
    """The curve of the lesion-wise F1, each lesion a part; nan and empty without any lesion, predicted or true.

    Raises:
        ImplausibleValues: An uncertainty is NaN.
    """
    counts = lesions.right.size, lesions.false.size, lesions.missed.size
    false, missed = (np.repeat(kind, counts) for kind in ([False, True, False], [False, False, True]))

    def f1(false_kept: np.ndarray, missed_kept: np.ndarray) -> np.ndarray:
        found = counts[0] + counts[2] - missed_kept  # a missed lesion that was replaced is found
        return _share(2.0 * found, 2.0 * found + false_kept + missed_kept)

    uncertainty = np.concatenate([lesions.right, lesions.false, lesions.missed])
    return _retention(uncertainty, false, missed, f1, points=uncertainty.size + 1)


@cites("Molchanova2023")
def voxel_retention(
    prediction: np.ndarray, truth: np.ndarray, uncertainty: np.ndarray, *, points: int = POINTS
) -> Retention:
    """The curve of the Dice, each voxel a part; nan and empty for no voxels.

    Nearly all voxels are sure background, so the area is near 1 whatever the map: give the voxels of a region
    (``evaluation.uncertainty.boundary``), and read it beside its baselines.

    Args:
        prediction: bool, of any shape.
        truth: bool, of the same shape.
        uncertainty: Of the same shape, any unit; higher is less sure.
        points: How many points of the curve come back at most; its area is that of all voxels.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: A mask is not boolean, or an uncertainty is NaN.
    """
    require_one_shape("prediction, truth and uncertainty", truth.shape, prediction, uncertainty)
    require_masks(prediction=prediction, truth=truth)
    prediction, truth = prediction.ravel(), truth.ravel()
    true = int(np.count_nonzero(truth))

    def dice(false_kept: np.ndarray, missed_kept: np.ndarray) -> np.ndarray:
        both = true - missed_kept  # what was replaced lies in both
        return _share(2.0 * both, both + false_kept + true)

    return _retention(uncertainty.ravel(), prediction & ~truth, truth & ~prediction, dice, points)


Score = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""The score when so many false and so many missed parts are kept as predicted."""


@dataclass(frozen=True, eq=False)
class _Order:
    """An order of the parts: false and missed ones among those kept, up to each end; in between they rise evenly."""

    ends: np.ndarray
    false: np.ndarray
    missed: np.ndarray

    def scores(self, kept: np.ndarray, score: Score) -> np.ndarray:
        """The score with so many parts kept."""
        ends = np.append(0.0, self.ends)
        return score(*(np.interp(kept, ends, np.append(0.0, errors)) for errors in (self.false, self.missed)))

    def area(self, score: Score) -> float:
        """Trapezoids from every number of kept parts to the next, over the share of kept parts."""
        parts = int(self.ends[-1])
        total = -float(self.scores(np.array([0.0, parts]), score).sum()) / 2.0
        for start in range(0, parts + 1, CHUNK):
            kept = np.arange(start, min(start + CHUNK, parts + 1), dtype=np.float64)
            total += float(self.scores(kept, score).sum())
        return total / parts


def _retention(uncertainty: np.ndarray, false: np.ndarray, missed: np.ndarray, score: Score, points: int) -> Retention:
    parts = uncertainty.size
    if parts == 0:
        return Retention(np.zeros(0), np.zeros(0), nan, nan, nan)
    ordered = runs(uncertainty, "uncertainty")
    order = _Order(ordered.ends, ordered.counted(uncertainty[false]), ordered.counted(uncertainty[missed]))
    n_false, n_missed = int(order.false[-1]), int(order.missed[-1])
    right = parts - n_false - n_missed
    # A missed part costs more than a false one, for it is taken from what is found as well: it is kept last.
    best = _Order(
        np.array([right, right + n_false, parts]), np.array([0, n_false, n_false]), np.array([0, 0, n_missed])
    )
    constant = _Order(np.array([parts]), np.array([n_false]), np.array([n_missed]))
    kept = np.unique(np.round(np.linspace(0.0, parts, min(parts + 1, points))))
    areas = (each.area(score) for each in (order, best, constant))
    return Retention(kept / parts, order.scores(kept, score), *areas)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.ones(whole.size), where=whole > 0)


def _means(components: Components, uncertainty: np.ndarray) -> np.ndarray:
    inside = components.labels > 0
    labels = components.labels[inside]
    sums = np.bincount(labels, weights=uncertainty[inside], minlength=components.count + 1)[1:]
    if np.isnan(sums).any():
        raise ImplausibleValues("uncertainty", expected="numbers in every lesion", found="NaN", do="mend the map")
    return sums / np.bincount(labels, minlength=components.count + 1)[1:]


def _touching(components: Components, mask: np.ndarray) -> np.ndarray:
    """Which components have a voxel in the mask; bool (count,)."""
    return np.bincount(components.labels[mask], minlength=components.count + 1)[1:] > 0
