"""Volume intervals that use the case's own draws: normalised conformal intervals and conformalised quantile regression.

Let y = g(true volume), z the mean of g over the draws' volumes, with g(v) = ln(1 + v / 0.1 ml), and x the regressors of
``regressors``. Each method has base lines l(x) <= h(x) and a positive unit s(x), fitted on one part of the cases. The
other part gives the conformal scores

    max(l(x) - y, y - h(x)) / s(x)

and with q their ⌈(n + 1)(1 - α)⌉-th smallest the interval [l - q s, h + q s] covers a new case with a probability of at
least 1 - α, whatever the regressions are (Lei et al. 2018, Romano et al. 2019).

    single       l = h = z                   s = 0.1 + standard deviation of g over the draws
    normalised   l = h = z + ridge line      s = exp(ridge line of the log absolute residual)
    quantile     l, h = z + quantile lines   s = 1
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Protocol

import numpy as np

from adumbra.core.case_features import FEATURE_THRESHOLDS, CaseFeatures
from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.core.results import Estimate
from adumbra.uncertainty.calibration.base import VolumeCalibration
from adumbra.uncertainty.case_features import log_volume, volume_of

REGRESSORS = ("log_volume", "soft_volume", "disagreement", "log_spread", "band", "below_1_ml")
FLOOR = 0.1
"""Constant that the method ``single`` adds to the draws' standard deviation, as ``conformal.fit_volume_interval``."""
_LEAST_SPREAD = 0.02  # two per cent of a large volume, so that the logarithm is finite

Bounds = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Lower and upper base line on the scale g, and the unit of the score: (N,) each."""


class Shape(Protocol):
    """A fitted interval before its conformal quantile."""

    def bounds(self, x: np.ndarray) -> Bounds:
        """Base lines and unit at regressors (N, K)."""
        ...


def regressors(features: CaseFeatures) -> np.ndarray:
    """The regressors of a case, (K,), in the order of ``REGRESSORS``.

    They are: z; g of the expected volume minus z; 1 minus ``member_dice``, 0 where it is undefined; the log of the
    standard deviation of g over the draws plus 0.02; g of the volume at the lowest of ``FEATURE_THRESHOLDS`` minus that
    at the highest; and max(0, g(1 ml) - z). All but the second and the fifth are the same for any increasing map of the
    probabilities; features are taken before such a map.
    """
    scaled = log_volume(np.array(features.draw_ml))
    z = float(scaled.mean())
    spread = float(scaled.std(ddof=1)) if scaled.size > 1 else 0.0
    lowest, highest = (log_volume(features.threshold_ml[FEATURE_THRESHOLDS.index(t)]) for t in (0.1, 0.9))
    disagreement = 0.0 if isnan(features.member_dice) else 1.0 - features.member_dice
    soft = float(log_volume(features.expected_ml)) - z
    below = max(0.0, float(log_volume(1.0)) - z)
    return np.array([z, soft, disagreement, np.log(_LEAST_SPREAD + spread), float(lowest - highest), below])


@dataclass(frozen=True)
class SingleFactor:
    """The shape of ``conformal.VolumeInterval``."""

    def bounds(self, x: np.ndarray) -> Bounds:
        """The volume z twice, and the draws' standard deviation plus ``FLOOR``."""
        return x[:, 0], x[:, 0], np.exp(x[:, 3]) - _LEAST_SPREAD + FLOOR


@dataclass(frozen=True, kw_only=True)
class RegressionInterval(VolumeCalibration):
    """An interval whose base lines are linear in the standardised regressors.

    Attributes:
        target: Target whose volume is covered.
        level: Nominal coverage, 1 - α.
        draws: Number of draws of each case; a new case must have as many.
        members: Number of ensemble members of each case.
        regressors: Names of the regressors.
        mean: Mean of each regressor in the cases of the regression.
        deviation: Standard deviation of each; 0 for a constant one, which is not used.
        quantile: Conformal quantile q.
        fitted: Number of cases of the regression.
        scored: Number of other cases, whose scores gave q.
    """

    target: str
    level: float
    draws: int
    members: int
    regressors: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    quantile: float = 0.0
    fitted: int = 0
    scored: int = 0

    def __post_init__(self) -> None:
        numbers = np.array([*self.mean, *self.deviation, self.quantile])
        complete = len(self.mean) == len(self.deviation) == len(self.regressors)
        if not (complete and np.isfinite(numbers).all() and 0.0 < self.level < 1.0):
            raise InputRejected(
                "calibration", expected="finite coefficients", found="others", do="use the values of the fit"
            )
        if self.regressors != REGRESSORS:
            raise InputRejected(
                "calibration", expected=f"the regressors {REGRESSORS}", found=f"{self.regressors}", do="fit it again"
            )

    def require_lines(self, *lines: Sequence[float]) -> None:
        """Refuses lines that are not an intercept and a slope for each regressor.

        Raises:
            InputRejected: A line has another length, or is not finite.
        """
        if not all(len(part) == len(self.regressors) + 1 and np.isfinite(part).all() for part in lines):
            raise InputRejected(
                "calibration", expected="an intercept and a slope for each regressor", found="others", do="fit it again"
            )

    @abstractmethod
    def bounds(self, x: np.ndarray) -> Bounds:
        """Base lines and unit at regressors (N, K)."""

    def of_case(self, features: CaseFeatures) -> Estimate:
        """Volume in ml, the middle of the interval on the scale g, with the interval.

        Raises:
            InputRejected: The target, or the number of draws or members, is not that of the fit.
        """
        self.require_exchangeable(features.target, len(features.draw_ml))
        self.require_members(self.members, features.member_count)
        low, high, unit = self.bounds(regressors(features)[None])
        low, high = low - self.quantile * unit, high + self.quantile * unit
        middle = (low + high) / 2.0
        ends = volume_of(np.array([np.minimum(low, middle), middle, np.maximum(high, middle)])[:, 0]).tolist()
        return Estimate(ends[1], ends[0], ends[2], self.level, "ml")

    def standardised(self, x: np.ndarray) -> np.ndarray:
        """Regressors (N, K) with mean 0 and standard deviation 1 in the cases of the regression."""
        deviation = np.array(self.deviation)
        return np.where(deviation > 0.0, (x - np.array(self.mean)) / np.where(deviation > 0.0, deviation, 1.0), 0.0)


@cites("Lei2018", "Hoerl1970")
@dataclass(frozen=True, kw_only=True)
class NormalisedInterval(RegressionInterval):
    """A normalised conformal interval around a corrected volume.

    Attributes:
        centre: Intercept and slopes of y - z.
        log_scale: Intercept and slopes of the log absolute residual.
        log_scale_range: Smallest and largest value of that line in the cases of the regression; it is clipped to them.
    """

    centre: tuple[float, ...]
    log_scale: tuple[float, ...]
    log_scale_range: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_lines(self.centre, self.log_scale)
        if len(self.log_scale_range) != 2 or not np.isfinite(self.log_scale_range).all():
            raise InputRejected("calibration", expected="a range of the scale", found="another", do="fit it again")

    def bounds(self, x: np.ndarray) -> Bounds:
        """The corrected volume twice, and the predicted absolute residual."""
        standard = self.standardised(x)
        centre = x[:, 0] + line(standard, self.centre)
        low, high = self.log_scale_range
        return centre, centre, np.exp(np.clip(line(standard, self.log_scale), low, high))


@cites("Romano2019", "Koenker1978")
@dataclass(frozen=True, kw_only=True)
class QuantileInterval(RegressionInterval):
    """Conformalised quantile regression.

    Attributes:
        lower: Intercept and slopes of the quantile α/2 of y - z.
        upper: Intercept and slopes of the quantile 1 - α/2.
    """

    lower: tuple[float, ...]
    upper: tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_lines(self.lower, self.upper)

    def bounds(self, x: np.ndarray) -> Bounds:
        """The quantile lines, both at their mean where they cross, and 1."""
        standard = self.standardised(x)
        low, high = (x[:, 0] + line(standard, coefficients) for coefficients in (self.lower, self.upper))
        middle = (low + high) / 2.0
        return np.minimum(low, middle), np.maximum(high, middle), np.ones(middle.size)


def conformal_scores(bounds: Bounds, y: np.ndarray) -> np.ndarray:
    """max(l - y, y - h) / s, (N,)."""
    low, high, unit = bounds
    scores: np.ndarray = np.maximum(low - y, y - high) / unit
    return scores


def line(x: np.ndarray, coefficients: Sequence[float]) -> np.ndarray:
    """Values (N,) of a line with an intercept and slopes at standardised regressors (N, K)."""
    values: np.ndarray = coefficients[0] + x @ np.array(coefficients[1:])
    return values
