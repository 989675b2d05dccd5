"""Conformal calibration: a threshold with a controlled false-negative rate, and a volume interval with coverage.

Both guarantees hold for any network, if a new case is exchangeable with the cases of the fit.

The mask. Let L_i(t) be the share of the true voxels of case i with a probability below t, which is non-decreasing in t.
The threshold is the largest t of a grid fixed in advance with

    (Σ L_i(t) + 1) / (n + 1) <= α        (Angelopoulos et al. 2024, with losses up to 1)

Then E L(t) <= α for a new case: on average over cases at most α of the target is missed. At t = 0 every voxel is
predicted positive and L is 0, as the theorem requires.

The volume. The scale g(v) = ln(1 + v / u) is linear for volumes well below the unit u and logarithmic above, so that it
is defined at 0 ml and covers 0.01 ml to 200 ml. A case has the score

    s_i = |g(v_i) - c_i| / (d_i + f)

with v_i the true volume, c_i the mean and d_i the standard deviation of g over the draws' volumes, and f a floor,
because all draws may agree and be wrong. With q the ⌈(n + 1)(1 - α)⌉-th smallest score, the interval c ± q (d + f)
covers the true volume of a new case with a probability of at least 1 - α, and, unless scores tie, of less than
1 - α + 1 / (n + 1) (Lei et al. 2018, their locally weighted split conformal method).

Both guarantees are marginal: they hold on average over cases, not for each patient, lesion size or scanner. Both need
n >= 1 / α - 1 cases. With fewer, only the trivial mask and interval have the guarantee.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite, log1p
from typing import Literal, get_args

import numpy as np
from scipy.special import expit

from adumbra.core.case_features import CaseFeatures
from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.core.results import Estimate, VolumeDraws
from adumbra.uncertainty.calibration.base import FittedOnCases, VolumeCalibration
from adumbra.uncertainty.maps import checked_probability

Side = Literal["both", "upper", "lower"]
THRESHOLDS: tuple[float, ...] = (0.0, *expit(np.arange(-184, 185) / 20).astype(np.float32).tolist())
"""0, then 0.0001 to 0.9999 in equal steps of the logit. Each is a float32 number, as in the comparison of a mask."""


@cites("Angelopoulos2024")
@dataclass(frozen=True)
class ControlledThreshold(FittedOnCases):
    """A threshold with which masks miss at most ``alpha`` of the target on average over cases.

    Attributes:
        threshold: Threshold of the probability that it was fitted on; the mask is ``probability >= threshold``. At 0
            every voxel is predicted positive, because no higher threshold has the guarantee.
        alpha: Largest expected false-negative rate.
        risk: The bound (Σ L_i + 1) / (n + 1) at the threshold, at most ``alpha``.
        cases: Cases of the fit that have the target; ``len(cases)`` is n.
    """

    threshold: float
    alpha: float
    risk: float

    def __post_init__(self) -> None:
        _require(0.0 <= self.threshold <= 1.0 and 0.0 < self.alpha < 1.0, "a threshold and alpha from 0 to 1")

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """Mask of a probability, of the same shape. A hysteresis threshold on top of it would void the guarantee."""
        return checked_probability(probability, "probability") >= np.float32(self.threshold)


@cites("Lei2018")
@dataclass(frozen=True)
class VolumeInterval(VolumeCalibration):
    """A calibrated interval around the draws' volume that covers the true one in at least a share ``level`` of cases.

    Attributes:
        target: Target whose volume is covered.
        quantile: Quantile q of the scores.
        level: Nominal coverage, 1 - α.
        side: ``"both"``, ``"upper"`` for an interval from 0 to a bound, or ``"lower"`` for one above a bound.
        draws: Number of draws of each case. A new case must have as many, with the same threshold, because it would
            not be exchangeable otherwise.
        unit_ml: Unit u of the scale, in ml.
        floor: Floor f of the score.
    """

    target: str
    quantile: float
    level: float
    side: str
    draws: int
    unit_ml: float
    floor: float

    def __post_init__(self) -> None:
        possible = isfinite(self.quantile) and min(self.unit_ml, self.floor) > 0.0 and 0.0 < self.level < 1.0
        _require(possible and self.side in get_args(Side), "a finite quantile, and unit, floor and level above 0")

    def interval(self, draws: VolumeDraws) -> Estimate:
        """Volume in ml, as the mean of the draws on the scale, with its interval.

        Raises:
            InputRejected: The draws are of another target, or their number is not that of the fit.
        """
        self.require_exchangeable(draws.target, len(draws.volumes_ml))
        centre, spread = _centre_and_spread(draws, self.unit_ml, self.floor)
        scaled = np.array([centre - self.quantile * spread, centre, centre + self.quantile * spread])
        with np.errstate(over="ignore"):  # an overflow is inf
            low, value, high = (np.expm1(np.maximum(scaled, 0.0)) * self.unit_ml).tolist()
        low, high = (0.0 if self.side == "upper" else low), (inf if self.side == "lower" else high)
        return Estimate(value, low, high, self.level, "ml")

    def of_case(self, features: CaseFeatures) -> Estimate:
        """``interval`` of the draws of a case."""
        return self.interval(VolumeDraws(features.target, features.draw_ml, (0,) * len(features.draw_ml)))


CONFORMAL: dict[str, type[FittedOnCases]] = {kind.__name__: kind for kind in (ControlledThreshold, VolumeInterval)}


def least_cases(alpha: float) -> int:
    """Smallest n with 1 / (n + 1) <= alpha: fewer cases have no guarantee.

    Raises:
        InputRejected: ``alpha`` is not inside (0, 1).
    """
    if not 0.0 < alpha < 1.0:
        raise InputRejected("alpha", expected="a share inside (0, 1)", found=f"{alpha}", do="give one such as 0.1")
    return ceil(round(1.0 / alpha, 9)) - 1


def false_negative_rates(
    probability: np.ndarray, truth: np.ndarray, *, thresholds: Sequence[float] = THRESHOLDS
) -> np.ndarray:
    """False-negative rate at each threshold: the share of the true voxels with a lower probability.

    Args:
        probability: Predicted probability, any shape.
        truth: True mask, bool, of the same shape.
        thresholds: (K,), increasing.

    Returns:
        (K,), non-decreasing; nan throughout where the truth is empty, because nothing can be missed.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: A probability is outside [0, 1], or the truth is not boolean.
    """
    if probability.shape != truth.shape:
        raise GridMismatch(
            "truth", expected=f"the probability's shape {probability.shape}", found=f"{truth.shape}", do="use one grid"
        )
    if truth.dtype != bool:
        raise ImplausibleValues(
            "truth", expected="a boolean mask", found=f"values of type {truth.dtype}", do="threshold it first"
        )
    inside = np.sort(checked_probability(probability[truth], "probability"))
    if not inside.size:
        return np.full(len(thresholds), np.nan)
    return np.searchsorted(inside, np.array(thresholds, dtype=np.float32)) / inside.size


@cites("Angelopoulos2024")
def controlled_threshold(
    rates: Sequence[np.ndarray],
    *,
    cases: Sequence[str],
    alpha: float = 0.1,
    thresholds: Sequence[float] = THRESHOLDS,
) -> ControlledThreshold:
    """Largest threshold at which the expected false-negative rate of a new case is at most ``alpha``.

    Cases without the target are excluded, because they would otherwise offset misses in the others. The guarantee is
    for a new case that has the target.

    Args:
        rates: ``false_negative_rates`` of each case at the thresholds.
        cases: Identifiers of the cases.
        alpha: Largest expected false-negative rate, between 0 and 1.
        thresholds: Candidates, increasing from 0. They must be fixed before the cases are seen.

    Raises:
        InputRejected: There are too few cases with the target for ``alpha``, a case is given twice, or the thresholds
            do not increase from 0.
        ImplausibleValues: Rates are outside [0, 1], decrease, or are above 0 at the threshold 0.
    """
    _check_cases(cases, len(rates))
    if thresholds[0] != 0.0 or not (np.diff(thresholds) > 0).all():
        raise InputRejected(
            "thresholds", expected="0 first, increasing", found=f"{thresholds[:3]} …", do="use the default"
        )
    with_target = [(row, case) for row, case in zip(rates, cases, strict=True) if not np.isnan(row).all()]
    require_enough(len(with_target), alpha, "cases that have the target")
    losses = np.array([row for row, _ in with_target], dtype=np.float64)
    _check_losses(losses, len(thresholds))
    bound = (losses.sum(axis=0) + 1.0) / (len(with_target) + 1)
    best = int(np.flatnonzero(np.round(bound, 12) <= round(alpha, 12))[-1])
    names = tuple(case for _, case in with_target)
    return ControlledThreshold(float(thresholds[best]), alpha, float(bound[best]), cases=names)


@cites("Lei2018")
def fit_volume_interval(
    draws: Sequence[VolumeDraws],
    true_ml: Sequence[float],
    *,
    cases: Sequence[str],
    alpha: float = 0.1,
    side: Side = "both",
    unit_ml: float = 0.1,
    floor: float = 0.1,
) -> VolumeInterval:
    """Fits the interval that covers the volume of a new case with a probability of at least 1 - ``alpha``.

    Args:
        draws: Volumes of the draws of each case, from ``maps.summarise``: one target, and one number of draws.
        true_ml: True volumes in ml, from 0.
        cases: Identifiers of the cases.
        alpha: Largest probability of a miss, between 0 and 1.
        side: ``"both"``, or the side of a one-sided interval.
        unit_ml: Volume in ml at which the scale changes from linear to logarithmic.
        floor: Constant that is added to the draws' standard deviation on the scale; 0.1 is about a tenth of a large
            volume. Unit and floor must be fixed before the cases are seen.

    Raises:
        InputRejected: There are too few cases for ``alpha``, a case is given twice, targets or numbers of draws differ,
            or the unit or the floor is not above 0.
        ImplausibleValues: A true volume is negative or not finite.
    """
    _check_cases(cases, len(draws), len(true_ml))
    require_enough(len(draws), alpha, "cases")
    kinds = {(case_draws.target, len(case_draws.volumes_ml)) for case_draws in draws}
    if len(kinds) > 1 or min(unit_ml, floor) <= 0.0 or 0 in {n for _, n in kinds}:
        raise InputRejected(
            "draws",
            expected="draws of one target, as many in each case; unit_ml and floor above 0",
            found=f"{sorted(kinds)}; {unit_ml} and {floor}",
            do="predict all cases with the same options",
        )
    if not all(0.0 <= volume < inf for volume in true_ml):
        raise ImplausibleValues("true_ml", expected="finite volumes from 0 on", found=f"{true_ml}", do="check them")
    scaled = [_centre_and_spread(case_draws, unit_ml, floor) for case_draws in draws]
    signed = [(log1p(volume / unit_ml) - c) / d for volume, (c, d) in zip(true_ml, scaled, strict=True)]
    scores = sorted(abs(score) if side == "both" else score if side == "upper" else -score for score in signed)
    quantile = scores[conformal_rank(len(scores), alpha) - 1]
    (target, count), level = kinds.pop(), round(1.0 - alpha, 12)
    return VolumeInterval(target, quantile, level, side, count, unit_ml, floor, cases=tuple(cases))


def _centre_and_spread(draws: VolumeDraws, unit_ml: float, floor: float) -> tuple[float, float]:
    """Mean over the draws on the scale, and their standard deviation with the floor."""
    scaled = np.log1p(np.array(draws.volumes_ml) / unit_ml)
    return float(scaled.mean()), floor + (float(scaled.std(ddof=1)) if scaled.size > 1 else 0.0)


def conformal_rank(n: int, alpha: float) -> int:
    """⌈(n + 1)(1 - α)⌉, the rank of the conformal quantile of n scores."""  # 0.07 of 100 is 7, not 7.000000000000001
    return n + 1 - int(round((n + 1) * alpha, 9))


def require_enough(n: int, alpha: float, what: str) -> None:
    """Refuses fewer cases than ``least_cases``; errors are ``InputRejected``."""
    least = least_cases(alpha)
    if n < least:
        raise InputRejected(
            "alpha",
            expected=f"at least {least} {what}, for alpha = {alpha:g}",
            found=f"{n}",
            do="calibrate on more cases, or choose a larger alpha",
        )


def _check_cases(cases: Sequence[str], *counts: int) -> None:
    if len(set(cases)) < len(cases) or any(count != len(cases) for count in counts):
        raise InputRejected(
            "cases",
            expected="one identifier for each case, and each case once: a repeated case is not exchangeable",
            found=f"{len(set(cases))} identifiers, values of {counts} cases",
            do="give the identifiers in the order of the cases",
        )


def _require(possible: bool, expected: str) -> None:
    if not possible:
        raise InputRejected("calibration", expected=expected, found="others", do="use the values of the fit")


def _check_losses(losses: np.ndarray, thresholds: int) -> None:
    shares = losses.shape[-1] == thresholds and bool(((losses >= 0) & (losses <= 1)).all())
    if not (shares and (np.diff(losses, axis=1) >= 0).all() and not losses[:, 0].any()):
        raise ImplausibleValues(
            "rates",
            expected=f"{thresholds} non-decreasing shares for each case, 0 at the threshold 0",
            found="others",
            do="use false_negative_rates()",
        )
