"""Volume intervals whose width follows the agreement of the members: local scales and quantiles of their scores.

Let y = g(true volume) and z the mean of g over the draws' volumes, with g(v) = ln(1 + v / 0.1 ml), and a the mean
Dice of the members with each other. Gross errors lie where members disagree. The scale s(a) is the 80 % quantile of
|y - z| in blocks of cases with a similar a, made to fall with a (isotonic regression) and interpolated between the
blocks. The interval of a case is [z - q s(a), z + r s(a)].

q and r are quantiles of the scores (z - y) / s(a) and (y - z) / s(a). The scale of a score comes from all other cases
(leave one out, as in the jackknife of Barber et al., Ann Stat 2021), so that all cases fit both. Of n scores,
n - ⌈(n + 1)(1 - α)⌉ may lie outside, and they are divided between the two sides so that q + r is smallest: gross errors
lie mostly on one side. The finite-sample guarantee of a split of the cases is given up for that, and the coverage is
measured: ``benchmarks/lesion_intervals.py``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
from scipy.optimize import isotonic_regression

from adumbra.core.case_features import CaseFeatures
from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.core.results import Estimate
from adumbra.uncertainty.calibration.base import VolumeCalibration
from adumbra.uncertainty.calibration.conformal import conformal_rank, require_enough
from adumbra.uncertainty.case_features import log_volume, volume_of

BLOCK = 20
"""Cases of a block, at least."""
_QUANTILE = 0.8
_LEAST_SCALE = 0.03  # three per cent of a large volume


@cites("Lei2018", "Barber2021")
@dataclass(frozen=True, kw_only=True)
class LocalInterval(VolumeCalibration):
    """An interval on the scale g whose width is a function of the Dice of the members with each other.

    Attributes:
        target: Target whose volume is covered.
        level: Nominal coverage, 1 - α.
        draws: Number of draws of each case; a new case must have as many.
        members: Number of ensemble members of each case.
        agreements: Mean ``member_dice`` of each block, ascending.
        scales: Scale of each block, falling.
        below: q, the quantile of the scores below z.
        above: r, that of the scores above z.
    """

    target: str
    level: float
    draws: int
    members: int
    agreements: tuple[float, ...]
    scales: tuple[float, ...]
    below: float
    above: float

    def __post_init__(self) -> None:
        numbers = np.array([*self.agreements, *self.scales, self.below, self.above])
        usable = len(self.agreements) == len(self.scales) > 0 and np.isfinite(numbers).all()
        if not (usable and min(self.scales) > 0 and (np.diff(self.agreements) >= 0).all()):
            raise InputRejected(
                "calibration",
                expected="a positive scale for each of some ascending agreements",
                found=f"{len(self.agreements)} agreements, {len(self.scales)} scales",
                do="use the values of the fit",
            )

    def of_case(self, features: CaseFeatures) -> Estimate:
        """Volume in ml, the mean of the draws on the scale g, with the interval.

        Raises:
            InputRejected: The target, or the number of draws or members, is not that of the fit.
        """
        self.require_exchangeable(features.target, len(features.draw_ml))
        self.require_members(self.members, features.member_count)
        middle = _middle(features)
        scale = float(_scale_at(np.array([agreement(features)]), np.array(self.agreements), np.array(self.scales))[0])
        low, high = middle - self.below * scale, middle + self.above * scale
        middle = min(max(middle, low), high)
        ends = volume_of(np.array([low, middle, high])).tolist()
        return Estimate(ends[1], ends[0], ends[2], self.level, "ml")


def agreement(features: CaseFeatures) -> float:
    """The ``member_dice`` of a case; 0, the least agreement, where it is undefined."""
    return 0.0 if isnan(features.member_dice) else features.member_dice


def fit_local_interval(
    features: Sequence[CaseFeatures],
    true_ml: Sequence[float],
    *,
    cases: Sequence[str],
    alpha: float,
) -> LocalInterval:
    """Fits scales and quantiles.

    Args:
        features: Features of the calibration cases, of one target and one number of draws and members.
        true_ml: True volume of each.
        cases: Identifier of each.
        alpha: Largest probability of a miss, between 0 and 1.

    Raises:
        InputRejected: There are too few cases.
    """
    require_enough(len(features), alpha, "cases")
    agreed = np.array([agreement(one) for one in features])
    residual = log_volume(np.array(true_ml)) - np.array([_middle(one) for one in features])
    scores = np.empty(len(residual))
    for number in range(len(residual)):
        others = np.arange(len(residual)) != number
        scale = _scale_at(agreed[number : number + 1], *_fit_scale(agreed[others], residual[others]))
        scores[number] = residual[number] / scale[0]
    agreements, scales = _fit_scale(agreed, residual)
    below, above = _shortest(scores, alpha)
    one = features[0]
    return LocalInterval(
        cases=tuple(cases),
        target=one.target,
        level=round(1.0 - alpha, 12),
        draws=len(one.draw_ml),
        members=one.member_count,
        agreements=tuple(agreements.tolist()),
        scales=tuple(scales.tolist()),
        below=below,
        above=above,
    )


def _shortest(scores: np.ndarray, alpha: float) -> tuple[float, float]:
    """Quantiles of the negative and of the positive scores with the smallest sum, for a share α outside both."""
    outside = scores.size - min(conformal_rank(scores.size, alpha), scores.size)
    below, above = np.sort(-scores)[::-1], np.sort(scores)[::-1]
    sums = [below[missed] + above[outside - missed] for missed in range(outside + 1)]
    missed = int(np.argmin(sums))
    return float(below[missed]), float(above[outside - missed])


def _middle(features: CaseFeatures) -> float:
    """z: the mean of g over the draws' volumes."""
    return float(log_volume(np.array(features.draw_ml)).mean())


def _fit_scale(agreed: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean agreement and scale of each block, (K,) each, from the least agreement."""
    blocks = np.array_split(np.argsort(agreed, kind="stable"), max(1, len(agreed) // BLOCK))
    scales = [max(_LEAST_SCALE, float(np.quantile(np.abs(residual[block]), _QUANTILE))) for block in blocks]
    falling = isotonic_regression(scales, increasing=False).x
    return np.array([agreed[block].mean() for block in blocks]), np.asarray(falling)


def _scale_at(agreed: np.ndarray, agreements: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """The scale between the blocks, linear in its logarithm, and that of the last block beyond them."""
    return np.asarray(np.exp(np.interp(agreed, agreements, np.log(scales))))
