"""The QU-BraTS score of an uncertainty map.

The score is high if confident voxels are correct and few correct voxels are uncertain. Uncertainty is scaled to [0, 1].
At each of 41 thresholds τ = 0, 1/40, … 1 the voxels with an uncertainty above τ are filtered out (Mehta et al. 2022):

    Dice(τ)  Dice of the remaining voxels
    FTP(τ)   share of the true positives that is filtered out
    FTN(τ)   share of the true negatives that is filtered out
    score = (AUC Dice + (1 - AUC FTP) + (1 - AUC FTN)) / 3

with areas over τ by the trapezoid rule. The script of the challenge iterates over ``arange(0, 100 + eps, 2.5)``, which
under NumPy 2 omits τ = 1 and cannot exceed 0.975. Here there are 41 thresholds.

The score rewards uninformative maps: an uncertainty of 0 everywhere scores (Dice + 2) / 3, and an informative map can
score less. The score is therefore always given with that of this null map and that of the oracle, which is uncertain
of all errors and of nothing else.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.evaluation.validation import require_masks, require_one_shape

STEPS = 40
ROUNDING = 1e-6  # a float32 map may exceed ln 2 by rounding: this much is clipped, more is refused


@dataclass(frozen=True, eq=False)
class QuBrats:
    """QU-BraTS curves of one case, the areas under them, and the score with its baselines.

    Attributes:
        thresholds: (41,), from 0 to 1; voxels with an uncertainty above a threshold are filtered out.
        dice: (41,), Dice of the remaining voxels at each threshold; 1 where no voxel of either mask remains.
        filtered_tp: (41,), share of the true positives in the brain that is filtered out; 0 where there are none.
        filtered_tn: (41,), share of the true negatives in the brain that is filtered out; 0 where there are none.
        dice_auc: Area under the Dice curve, in [0, 1]; higher is better.
        filtered_tp_auc: Area under the curve of filtered true positives, in [0, 1]; lower is better.
        filtered_tn_auc: Area under the curve of filtered true negatives, in [0, 1]; lower is better.
        score: Score of the map, in [0, 1].
        null_score: Score of an uncertainty of 0 everywhere. A map that scores less is worse than none.
        oracle_score: Score of the largest uncertainty at each wrong voxel and 0 elsewhere. It is below 1 where voxels
            are wrong, because at τ = 1 nothing is filtered out.
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
def qu_brats(pair: MaskPair, uncertainty: np.ndarray, brain: np.ndarray, *, largest: float) -> QuBrats:
    """QU-BraTS score of an uncertainty map, with its curves and baselines.

    As in the challenge, Dice is that of all voxels of the grid, and the filtered shares are those of the brain.

    Args:
        pair: Prediction and truth.
        uncertainty: (X, Y, Z), from 0 to ``largest``.
        brain: (X, Y, Z), bool.
        largest: Uncertainty that is scaled to 1, in the unit of the map: ln 2 for an entropy in nats, 100 for a map of
            the challenge. It is a property of the measure. The largest value of a case would make cases incomparable.

    Raises:
        GridMismatch: Uncertainty or brain do not have the shape of the pair.
        ImplausibleValues: An uncertainty is NaN or outside [0, largest], or the brain mask is not boolean.
        InputRejected: ``largest`` is not above 0.
    """
    curves = _curves(pair, _checked(pair, uncertainty, brain, largest), brain)
    dice, filtered_tp, filtered_tn = curves
    nothing = np.zeros(STEPS + 1)
    null = np.full(STEPS + 1, dice[-1]), nothing, nothing
    oracle = np.append(np.ones(STEPS), dice[-1]), nothing, nothing  # a mask without its errors is the truth
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


def _curves(pair: MaskPair, share: np.ndarray, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dice, filtered true positives and filtered true negatives at each threshold.

    A voxel remains from the first threshold on that its uncertainty does not exceed. One pass over the voxels and a
    cumulative sum therefore count the remaining ones at every threshold.
    """
    first = np.searchsorted(_thresholds(), share.ravel(), side="left").reshape(share.shape)
    both = pair.prediction & pair.truth
    tp, predicted, true = (_remaining(first[mask]) for mask in (both, pair.prediction, pair.truth))
    tp_brain, tn_brain = (_remaining(first[mask & brain]) for mask in (both, ~(pair.prediction | pair.truth)))
    dice = np.divide(2.0 * tp, predicted + true, out=np.ones(tp.size), where=predicted + true > 0)
    return dice, _filtered_share(tp_brain), _filtered_share(tn_brain)


def _thresholds() -> np.ndarray:
    return np.arange(STEPS + 1) / STEPS


def _remaining(first: np.ndarray) -> np.ndarray:
    """Number of voxels that remain at each threshold, from the first threshold at which each voxel remains."""
    return np.cumsum(np.bincount(first, minlength=STEPS + 1))


def _filtered_share(remaining: np.ndarray) -> np.ndarray:
    """Share that is filtered out at each threshold; at τ = 1 every voxel remains, so the last count is the total."""
    return (remaining[-1] - remaining) / remaining[-1] if remaining[-1] else np.zeros(remaining.size)


def _area(curve: np.ndarray) -> float:
    return float(np.trapezoid(curve, dx=1.0 / STEPS))


def _score(curves: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    dice, filtered_tp, filtered_tn = (_area(curve) for curve in curves)
    return (dice + (1.0 - filtered_tp) + (1.0 - filtered_tn)) / 3.0


def _checked(pair: MaskPair, uncertainty: np.ndarray, brain: np.ndarray, largest: float) -> np.ndarray:
    """Uncertainty as a share of the largest, float64."""
    require_one_shape("uncertainty and brain", pair.grid.shape, uncertainty, brain)
    require_masks(brain=brain)
    if not 0.0 < largest < np.inf:
        raise InputRejected("largest", expected="above 0", found=f"{largest}", do="give ln 2 for an entropy in nats")
    share = uncertainty.astype(np.float64) / largest
    if share.size and not (share.min() >= 0.0 and share.max() <= 1.0 + ROUNDING):  # refuses NaN too
        raise ImplausibleValues(
            "uncertainty",
            expected=f"values from 0 to {largest:.6g}",
            found=f"values from {uncertainty.min():.6g} to {uncertainty.max():.6g}",
            do="give the largest value that this measure of uncertainty can have",
        )
    return np.minimum(share, 1.0)
