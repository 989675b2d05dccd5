"""The QU-BraTS score: is what is said surely right, and is little of what is right doubted?

Uncertainty is brought to [0, 1]. At each of 41 thresholds τ = 0, 1/40, … 1 the voxels with an uncertainty above τ are
filtered out (Mehta et al. 2022):

    Dice(τ)  of what is left
    FTP(τ)   share of the true positives that went
    FTN(τ)   share of the true negatives that went
    score = (AUC Dice + (1 - AUC FTP) + (1 - AUC FTN)) / 3

with areas over τ by the trapezoid rule. The challenge's own script steps through ``arange(0, 100 + eps, 2.5)``, which
under NumPy 2 leaves τ = 1 out and cannot exceed 0.975; here there are 41 thresholds.

The score rewards saying nothing: with an uncertainty of 0 everywhere it is (Dice + 2) / 3, and an informative map can
score less. It is therefore never given without that null map's score and that of the oracle, which doubts all errors
and nothing else.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.evaluation.segmentation.pair import Pair
from adumbra.evaluation.validation import require_masks, require_one_shape

STEPS = 40
ROUNDING = 1e-6  # a float32 map may exceed ln 2 by a step; that much is clipped, more is refused


@dataclass(frozen=True, eq=False)
class QuBrats:
    """The curves of one target and case, their areas, and the score beside its baselines.

    Attributes:
        thresholds: (41,), 0 to 1: uncertainty above it is filtered out.
        dice: (41,), Dice of what is left at each threshold; 1 where both masks are left empty.
        filtered_tp: (41,), share of the true positives in the brain that is filtered out; 0 where there are none.
        filtered_tn: (41,), share of the true negatives in the brain that is filtered out; 0 where there are none.
        dice_auc: Areas over the thresholds, in [0, 1]. Higher is better.
        filtered_tp_auc: Lower is better.
        filtered_tn_auc: Lower is better.
        score: Of the map.
        null_score: Of an uncertainty of 0 everywhere; a map that scores less did worse than none.
        oracle_score: Of the full uncertainty at each wrong voxel and 0 elsewhere. Even that is under 1 where voxels are
            wrong, because at τ = 1 nothing is filtered.
    """

    thresholds: np.ndarray
    dice: np.ndarray
    filtered_tp: np.ndarray
    filtered_tn: np.ndarray
    dice_auc: float
    filtered_tp_auc: float
    filtered_tn_auc: float
    score: float
    null_score: float
    oracle_score: float


@cites("Mehta2022")
def qu_brats(pair: Pair, uncertainty: np.ndarray, brain: np.ndarray, *, largest: float) -> QuBrats:
    """The score of an uncertainty map, with its curves and baselines.

    As in the challenge, Dice counts all voxels of the grid and the filtered shares those in the brain.

    Args:
        pair: Prediction and truth.
        uncertainty: (X, Y, Z), from 0 to ``largest``.
        brain: (X, Y, Z), bool.
        largest: The uncertainty that counts as 1, in the map's unit: ln 2 for an entropy in nats, 100 for a map of the
            challenge. It belongs to the measure: the largest value of a case would make cases incomparable.

    Raises:
        GridMismatch: Uncertainty or brain have another shape than the pair.
        ImplausibleValues: An uncertainty is NaN or outside [0, largest], or the brain is not boolean.
        InputRejected: ``largest`` is not above 0.
    """
    curves = _curves(pair, _checked(pair, uncertainty, brain, largest), brain)
    dice, filtered_tp, filtered_tn = curves
    nothing = np.zeros(STEPS + 1)
    null = np.full(STEPS + 1, dice[-1]), nothing, nothing
    oracle = np.append(np.ones(STEPS), dice[-1]), nothing, nothing  # without its errors a mask is the truth
    return QuBrats(
        _thresholds(),
        dice,
        filtered_tp,
        filtered_tn,
        _area(dice),
        _area(filtered_tp),
        _area(filtered_tn),
        _score(curves),
        _score(null),
        _score(oracle),
    )


def _curves(pair: Pair, share: np.ndarray, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dice, filtered true positives and filtered true negatives at each threshold.

    Every voxel is looked at once: it is kept from the first threshold on that its uncertainty does not exceed, so the
    kept ones are counted by a running sum.
    """
    kept_from = np.searchsorted(_thresholds(), share.ravel(), side="left").reshape(share.shape)
    both = pair.prediction & pair.truth
    tp, predicted, true = (_kept(kept_from[mask]) for mask in (both, pair.prediction, pair.truth))
    tp_brain, tn_brain = (_kept(kept_from[mask & brain]) for mask in (both, ~(pair.prediction | pair.truth)))
    dice = np.divide(2.0 * tp, predicted + true, out=np.ones(tp.size), where=predicted + true > 0)
    # At τ = 1 all voxels are kept: the last count is that before filtering.
    return dice, _gone(tp_brain), _gone(tn_brain)


def _thresholds() -> np.ndarray:
    return np.arange(STEPS + 1) / STEPS


def _kept(kept_from: np.ndarray) -> np.ndarray:
    return np.cumsum(np.bincount(kept_from, minlength=STEPS + 1))


def _gone(kept: np.ndarray) -> np.ndarray:
    return (kept[-1] - kept) / kept[-1] if kept[-1] else np.zeros(kept.size)


def _area(curve: np.ndarray) -> float:
    return float(np.trapezoid(curve, dx=1.0 / STEPS))


def _score(curves: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    dice, filtered_tp, filtered_tn = (_area(curve) for curve in curves)
    return (dice + (1.0 - filtered_tp) + (1.0 - filtered_tn)) / 3.0


def _checked(pair: Pair, uncertainty: np.ndarray, brain: np.ndarray, largest: float) -> np.ndarray:
    """The uncertainty as a share of the largest, float64."""
    require_one_shape("uncertainty and brain", pair.grid.shape, uncertainty, brain)
    require_masks(brain=brain)
    if not 0.0 < largest < np.inf:
        raise InputRejected("largest", expected="above 0", found=f"{largest}", do="give ln 2 for an entropy in nats")
    share = uncertainty.astype(np.float64) / largest
    if share.size and not (share.min() >= 0.0 and share.max() <= 1.0 + ROUNDING):  # written so that NaN is refused too
        raise ImplausibleValues(
            "uncertainty",
            expected=f"values from 0 to {largest:.6g}",
            found=f"values from {uncertainty.min():.6g} to {uncertainty.max():.6g}",
            do="give the largest value that this uncertainty can have",
        )
    return np.minimum(share, 1.0)
