"""Promises that hold whatever the network is, given only that a new case is exchangeable with those fitted on.

The mask. With L_i(t) the share of case i's true voxels that have a probability under t, which never falls in t, the
threshold is the largest t of a grid that was fixed beforehand with

    (Σ L_i(t) + 1) / (n + 1) <= α        (Angelopoulos et al. 2024, with losses up to 1)

and then E L(t) <= α for a new case: on average over cases at most α of the target is missed. At t = 0 everything is
called and L is 0, as the theorem asks.

The volume. On a scale g(v) = ln(1 + v / u), which is linear for volumes well below the unit u and logarithmic above, so
that 0.01 ml and 200 ml find room and 0 ml is a volume like others, a case has the score

    s_i = |g(v_i) - c_i| / (d_i + f)

with v_i the true volume, c_i the mean and d_i the standard deviation of g over the draws' volumes, and f a floor, since
draws may all agree and be wrong. With q the ⌈(n + 1)(1 - α)⌉-th smallest score, the interval c ± q (d + f) holds the
true volume of a new case with a probability of at least 1 - α, and, unless scores tie, of less than 1 - α + 1 / (n + 1)
(Lei et al. 2018, their locally weighted split conformal method).

Both are promises on the average over cases, not for each patient, each size or each scanner; and both need
n >= 1 / α - 1 cases, or nothing but everything could be promised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite, log1p
from typing import Literal, get_args

import numpy as np
from scipy.special import expit

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.core.results import Estimate, VolumeDraws
from adumbra.uncertainty.calibration.base import FittedOnCases
from adumbra.uncertainty.maps import checked_probability

Side = Literal["both", "upper", "lower"]
THRESHOLDS: tuple[float, ...] = (0.0, *expit(np.arange(-184, 185) / 20).astype(np.float32).tolist())
"""0, then 0.0001 to 0.9999 in even steps of the logit; each a float32 number, as the mask compares."""


@cites("Angelopoulos2024")
@dataclass(frozen=True)
class ControlledThreshold(FittedOnCases):
    """A threshold for the mask under which at most ``alpha`` of the target is missed on average over cases.

    Attributes:
        threshold: Of the probability that it was fitted on; ``probability >= threshold`` is the mask. 0 calls
            everything: then these probabilities cannot keep the promise otherwise.
        alpha: The false-negative rate that was asked for.
        risk: The bound (Σ L_i + 1) / (n + 1) at the threshold, at most ``alpha``.
        cases: Those that had the target; ``len(cases)`` is n.
    """

    threshold: float
    alpha: float
    risk: float

    def __post_init__(self) -> None:
        _checked(0.0 <= self.threshold <= 1.0 and 0.0 < self.alpha < 1.0, "a threshold and alpha from 0 to 1")

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """The mask of a probability, of the same shape. A peak threshold on top of it would break the promise."""
        return checked_probability(probability, "probability") >= np.float32(self.threshold)


@cites("Lei2018")
@dataclass(frozen=True)
class VolumeInterval(FittedOnCases):
    """An interval around the draws' volume that holds the true one in at least ``level`` of cases.

    Attributes:
        target: Whose volume.
        quantile: Of the scores, q.
        level: 1 - α.
        side: ``"both"``, or ``"upper"`` for an interval from 0 to a bound, ``"lower"`` for one from a bound on.
        draws: How many draws each case had. A new one must have as many, and of the same threshold, or it would not be
            exchangeable with them.
        unit_ml: u of the scale.
        floor: f of the score.
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
        _checked(possible and self.side in get_args(Side), "a finite quantile, and unit, floor and level above 0")

    def interval(self, draws: VolumeDraws) -> Estimate:
        """The volume in ml, the mean of the draws on the scale, with its interval.

        Raises:
            InputRejected: The draws are of another target, or not as many as those fitted on.
        """
        if (draws.target, len(draws.volumes_ml)) != (self.target, self.draws):
            raise InputRejected(
                "draws",
                expected=f"{self.draws} of {self.target}, as in the cases fitted on",
                found=f"{len(draws.volumes_ml)} of {draws.target}",
                do="take as many draws as the calibration did, or fit it again",
            )
        centre, spread = _centre_and_spread(draws, self.unit_ml, self.floor)
        at = np.array([centre - self.quantile * spread, centre, centre + self.quantile * spread])
        with np.errstate(over="ignore"):  # beyond all numbers is inf
            low, value, high = (np.expm1(np.maximum(at, 0.0)) * self.unit_ml).tolist()
        low, high = (0.0 if self.side == "upper" else low), (inf if self.side == "lower" else high)
        return Estimate(value, low, high, self.level, "ml")


CONFORMAL: dict[str, type[FittedOnCases]] = {kind.__name__: kind for kind in (ControlledThreshold, VolumeInterval)}


def least_cases(alpha: float) -> int:
    """How many cases a promise with ``alpha`` needs at least: the smallest n with 1 / (n + 1) <= alpha.

    Raises:
        InputRejected: ``alpha`` is not inside (0, 1).
    """
    if not 0.0 < alpha < 1.0:
        raise InputRejected("alpha", expected="a share inside (0, 1)", found=f"{alpha}", do="give one such as 0.1")
    return ceil(round(1.0 / alpha, 9)) - 1


def false_negative_rates(
    probability: np.ndarray, truth: np.ndarray, *, thresholds: Sequence[float] = THRESHOLDS
) -> np.ndarray:
    """Of each threshold, the share of the true voxels with a lower probability: (K,), never falling.

    All nan where the truth is empty, for then there was nothing to miss.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: Values outside [0, 1], or a truth that is no mask.
    """
    if probability.shape != truth.shape:
        raise GridMismatch(
            "truth", expected=f"the probability's shape {probability.shape}", found=f"{truth.shape}", do="give its grid"
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
    """The largest threshold that keeps the expected false-negative rate of a new case at or under ``alpha``.

    Cases without the target are left out, so that many of them cannot buy misses in the others: the promise is of a
    new case that has the target.

    Args:
        rates: Of each case, ``false_negative_rates`` at the thresholds.
        cases: Their ids.
        alpha: Between 0 and 1.
        thresholds: From 0 on, rising; fixed before the cases were looked at.

    Raises:
        InputRejected: Too few cases with the target for ``alpha``, or a case twice, or thresholds that do not rise
            from 0.
        ImplausibleValues: Rates that are no shares, fall, or are above 0 at the threshold 0.
    """
    _checked_cases(cases, len(rates))
    if thresholds[0] != 0.0 or not (np.diff(thresholds) > 0).all():
        raise InputRejected("thresholds", expected="0, and rising", found=f"{thresholds[:3]} …", do="take THRESHOLDS")
    updated = [(row, case) for row, case in zip(rates, cases, strict=True) if not np.isnan(row).all()]
    _enough(len(updated), alpha, "cases that have the target")
    losses = np.array([row for row, _ in updated], dtype=np.float64)
    _checked_losses(losses, len(thresholds))
    bound = (losses.sum(axis=0) + 1.0) / (len(updated) + 1)
    best = int(np.flatnonzero(np.round(bound, 12) <= round(alpha, 12))[-1])
    chosen = tuple(case for _, case in updated)
    return ControlledThreshold(float(thresholds[best]), alpha, float(bound[best]), cases=chosen)


@cites("Lei2018")
def fitted_interval(
    draws: Sequence[VolumeDraws],
    true_ml: Sequence[float],
    *,
    cases: Sequence[str],
    alpha: float = 0.1,
    side: Side = "both",
    unit_ml: float = 0.1,
    floor: float = 0.1,
) -> VolumeInterval:
    """The interval that holds the volume of a new case with a probability of at least 1 - ``alpha``.

    Args:
        draws: Of each case, as ``maps.summarised`` gives them: of one target, and as many in each.
        true_ml: The true volumes, from 0.
        cases: Their ids.
        alpha: Between 0 and 1.
        side: ``"both"``, or one bound alone.
        unit_ml: Where the scale turns from linear to logarithmic.
        floor: What is added to the draws' spread on the scale; 0.1 is about a tenth of a large volume. Both must be
            fixed before the cases are looked at.

    Raises:
        InputRejected: Too few cases for ``alpha``, a case twice, draws of several targets or numbers, a unit or floor
            not above 0.
        ImplausibleValues: True volumes that are negative or not finite.
    """
    _checked_cases(cases, len(draws), len(true_ml))
    _enough(len(draws), alpha, "cases")
    kinds = {(drawn.target, len(drawn.volumes_ml)) for drawn in draws}
    if len(kinds) > 1 or min(unit_ml, floor) <= 0.0 or 0 in {n for _, n in kinds}:
        raise InputRejected(
            "draws",
            expected="draws of one target, as many in each case; unit_ml and floor above 0",
            found=f"{sorted(kinds)}; {unit_ml} and {floor}",
            do="predict the cases again in one manner",
        )
    if not all(0.0 <= volume < inf for volume in true_ml):
        raise ImplausibleValues("true_ml", expected="finite volumes from 0 on", found=f"{true_ml}", do="check them")
    at = [_centre_and_spread(drawn, unit_ml, floor) for drawn in draws]
    signed = [(log1p(volume / unit_ml) - c) / d for volume, (c, d) in zip(true_ml, at, strict=True)]
    scores = sorted(abs(score) if side == "both" else score if side == "upper" else -score for score in signed)
    quantile = scores[_rank(len(scores), alpha) - 1]
    (target, count), level = kinds.pop(), round(1.0 - alpha, 12)
    return VolumeInterval(target, quantile, level, side, count, unit_ml, floor, cases=tuple(cases))


def _centre_and_spread(draws: VolumeDraws, unit_ml: float, floor: float) -> tuple[float, float]:
    at = np.log1p(np.array(draws.volumes_ml) / unit_ml)
    return float(at.mean()), floor + (float(at.std(ddof=1)) if at.size > 1 else 0.0)


def _rank(n: int, alpha: float) -> int:
    """⌈(n + 1)(1 - α)⌉; rounded first, since 0.07 of 100 must be 7 and not 7.000000000000001."""
    return n + 1 - int(round((n + 1) * alpha, 9))


def _enough(n: int, alpha: float, what: str) -> None:
    least = least_cases(alpha)
    if n < least:
        raise InputRejected(
            "alpha",
            expected=f"at least {least} {what}, for alpha = {alpha:g}",
            found=f"{n}",
            do="calibrate on more cases, or ask for a larger alpha",
        )


def _checked_cases(cases: Sequence[str], *counts: int) -> None:
    if len(set(cases)) < len(cases) or any(count != len(cases) for count in counts):
        raise InputRejected(
            "cases",
            expected="one id for each case, and each case once: a case that counts twice is not exchangeable",
            found=f"{len(set(cases))} ids, values of {counts} cases",
            do="give the ids of the cases in their order",
        )


def _checked(possible: bool, expected: str) -> None:
    if not possible:
        raise InputRejected("calibration", expected=expected, found="others", do="take what the fit gives")


def _checked_losses(losses: np.ndarray, thresholds: int) -> None:
    shares = losses.shape[-1] == thresholds and bool(((losses >= 0) & (losses <= 1)).all())
    if not (shares and (np.diff(losses, axis=1) >= 0).all() and not losses[:, 0].any()):
        raise ImplausibleValues(
            "rates",
            expected=f"{thresholds} shares for each case that never fall, 0 at the threshold 0",
            found="others",
            do="take them from false_negative_rates()",
        )
