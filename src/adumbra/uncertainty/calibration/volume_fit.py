"""The choice and the fit of a volume interval on calibration cases.

``"auto"`` takes the local interval where there are ``LEAST_LOCAL`` cases: its width follows the agreement of the
members without a model of it. With fewer cases the method is chosen as follows.

The cases are divided at random into two parts. A third fits the regressions, and chooses the method by
cross-validation: each case of it has an interval from regressions that were fitted without it, with one conformal
quantile for all, and the method with the smallest mean Winkler score on the scale g is taken. The other two thirds give
the conformal quantile. They take no part in the choice, so the coverage of at least 1 - α holds in finite samples.

With fewer than ``LEAST_FITTED`` cases for the regressions, or too few for the quantile, ``"auto"`` takes the single
factor, which needs no regression and uses all cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, Literal

import numpy as np

from adumbra.core.case_features import CaseFeatures
from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.results import VolumeDraws
from adumbra.core.statistics import interval_scores
from adumbra.uncertainty.calibration.base import VolumeCalibration
from adumbra.uncertainty.calibration.conformal import (
    VolumeInterval,
    conformal_rank,
    fit_volume_interval,
    least_cases,
    require_enough,
)
from adumbra.uncertainty.calibration.local_interval import LocalInterval, fit_local_interval
from adumbra.uncertainty.calibration.volume_intervals import (
    FLOOR,
    Bounds,
    NormalisedInterval,
    QuantileInterval,
    Shape,
    conformal_scores,
    regressors,
)
from adumbra.uncertainty.calibration.volume_regression import REGRESSIONS, SHAPES, Regression, ShapeName
from adumbra.uncertainty.case_features import UNIT_ML, log_volume

IntervalMethod = Literal["auto", "single", "normalised", "quantile", "local"]
LEAST_FITTED = 20
"""Smallest number of cases of a regression."""
LEAST_LOCAL = 80
"""Number of cases from which ``"auto"`` takes the local interval: four blocks."""
FOLDS = 5
VOLUME_CALIBRATIONS: Mapping[str, type[VolumeCalibration]] = {
    kind.__name__: kind for kind in (VolumeInterval, NormalisedInterval, QuantileInterval, LocalInterval)
}


@dataclass(frozen=True)
class CalibrationCase:
    """One case with its truth.

    Attributes:
        name: Identifier of the case.
        features: Features of its draws.
        true_ml: True volume, ml.
        dice: Dice of the mask with the truth, 1 where both are empty.

    Raises:
        ImplausibleValues: A number is NaN, or cannot be a volume or a Dice.
    """

    name: str
    features: CaseFeatures
    true_ml: float
    dice: float

    def __post_init__(self) -> None:
        f = self.features
        volumes = (self.true_ml, *f.draw_ml, *f.threshold_ml, f.mean_mask_ml, f.expected_ml, f.brain_ml)
        if not (all(v >= 0.0 and isfinite(v) for v in volumes) and 0.0 <= self.dice <= 1.0 and f.draw_ml):
            raise ImplausibleValues(
                self.name,
                expected="finite volumes from 0 of at least one draw, and a Dice from 0 to 1",
                found=f"true volume {self.true_ml}, Dice {self.dice}, draws {f.draw_ml}",
                do="leave the case out, or correct its truth",
            )

    def as_json(self) -> dict[str, Any]:
        """Plain values for ``json.dumps``."""
        return {"name": self.name, "true_ml": self.true_ml, "dice": self.dice, "features": self.features.as_json()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "CalibrationCase":
        """Inverse of ``as_json``.

        Raises:
            KeyError: A value is missing.
            TypeError: A feature is missing, or has another name.
        """
        return cls(plain["name"], CaseFeatures.from_json(plain["features"]), plain["true_ml"], plain["dice"])

    def rounded(self) -> "CalibrationCase":
        """The case with six significant digits: more than a volume has, and a shorter file."""
        return CalibrationCase.from_json(_rounded(self.as_json()))


@dataclass(frozen=True)
class FittedVolume:
    """A fitted interval with the scores of its choice.

    Attributes:
        interval: The interval.
        winkler: Cross-validated Winkler score of each method on the scale g; empty if the method was not chosen.
    """

    interval: VolumeCalibration
    winkler: Mapping[str, float] = field(default_factory=dict)


def fit_volume(
    cases: Sequence[CalibrationCase],
    *,
    generator: np.random.Generator,
    method: IntervalMethod = "auto",
    alpha: float = 0.1,
) -> FittedVolume:
    """Fits the volume interval of a method, or of the one that cross-validation prefers.

    Args:
        cases: Calibration cases of one target, with one number of draws and members.
        generator: Divides the cases.
        method: Name of the method; ``"auto"`` chooses.
        alpha: Largest probability of a miss, between 0 and 1.

    Raises:
        InputRejected: There are too few cases, a case is given twice, cases differ in target, draws or members, or no
            case has the target.
    """
    require_one_kind(cases)
    require_enough(len(cases), alpha, "cases")
    if method == "local" or (method == "auto" and len(cases) >= max(LEAST_LOCAL, least_cases(alpha))):
        features, names = [case.features for case in cases], [case.name for case in cases]
        true_ml = [case.true_ml for case in cases]
        return FittedVolume(fit_local_interval(features, true_ml, cases=names, alpha=alpha))
    least = LEAST_FITTED + least_cases(alpha)
    if method == "single" or (method == "auto" and len(cases) < least):
        return FittedVolume(_single(cases, alpha))
    if len(cases) < least:
        raise InputRejected(
            "cases",
            expected=f"at least {least} for the method {method} with alpha = {alpha:g}",
            found=f"{len(cases)}",
            do="calibrate on more cases, or use the method single",
        )
    rows, order = regression_of(cases, level=round(1.0 - alpha, 12)), generator.permutation(len(cases))
    fitted = max(len(cases) // 3, LEAST_FITTED)
    first, second = rows.part(order[:fitted]), rows.part(order[fitted:])
    winkler = cross_validated_scores(first, generator=generator) if method == "auto" else {}
    chosen: ShapeName = min(SHAPES, key=lambda name: winkler[name]) if method == "auto" else method
    if chosen == "single":
        return FittedVolume(_single([cases[i] for i in order[fitted:]], alpha), winkler)
    shape = REGRESSIONS[chosen](first)
    scores = conformal_scores(shape.bounds(second.x), second.y)
    quantile = conformal_quantile(scores, alpha)
    return FittedVolume(replace(shape, quantile=quantile, scored=scores.size, cases=rows.names), winkler)


def cross_validated_scores(rows: Regression, *, generator: np.random.Generator) -> dict[str, float]:
    """Mean Winkler score of each method on the scale g, from regressions that were fitted without the case."""
    fold = generator.permutation(np.arange(rows.y.size) % FOLDS)
    return {name: _cross_validated(name, rows, fold) for name in SHAPES}


def conformal_quantile(scores: np.ndarray, alpha: float) -> float:
    """The conformal quantile of scores; the largest score where there are too few."""
    rank = min(conformal_rank(scores.size, alpha), scores.size)
    return float(np.sort(scores)[rank - 1])


def regression_of(cases: Sequence[CalibrationCase], *, level: float) -> Regression:
    """Regressors and truths of calibration cases; errors are those of ``require_one_kind``."""
    kind = require_one_kind(cases)
    x = np.array([regressors(case.features) for case in cases])
    y = log_volume(np.array([case.true_ml for case in cases]))
    return Regression(x, y, level, *kind, tuple(case.name for case in cases))


def require_one_kind(cases: Sequence[CalibrationCase]) -> tuple[str, int, int]:
    """Target, number of draws and number of members that all cases have.

    Raises:
        InputRejected: There is no case, a case is given twice, cases differ in target, draws or members, or no case has
            the target.
    """
    names = [case.name for case in cases]
    kinds = {(c.features.target, len(c.features.draw_ml), c.features.member_count) for c in cases}
    if len(set(names)) < len(names) or len(kinds) != 1:
        raise InputRejected(
            "cases",
            expected="different cases with one target and one number of draws and members",
            found=f"{len(cases)} cases, {len(set(names))} names, (target, draws, members) {sorted(kinds)}",
            do="predict all cases with the same options, and give each once",
        )
    if not any(case.true_ml > 0.0 for case in cases):
        raise InputRejected(
            "cases", expected="at least one that has the target", found="true volumes of 0 ml only", do="give others"
        )
    return kinds.pop()


def _single(cases: Sequence[CalibrationCase], alpha: float) -> VolumeInterval:
    draws = [VolumeDraws(c.features.target, c.features.draw_ml, (0,) * len(c.features.draw_ml)) for c in cases]
    return fit_volume_interval(
        draws, [c.true_ml for c in cases], cases=[c.name for c in cases], alpha=alpha, unit_ml=UNIT_ML, floor=FLOOR
    )


def _cross_validated(name: ShapeName, rows: Regression, fold: np.ndarray) -> float:
    bounds = np.empty((3, rows.y.size))
    for number in range(FOLDS):
        held_out = np.flatnonzero(fold == number)
        shape: Shape = SHAPES[name](rows.part(np.flatnonzero(fold != number)))
        bounds[:, held_out] = shape.bounds(rows.x[held_out])
    low, high, unit = parts = _rows(bounds)
    quantile = conformal_quantile(conformal_scores(parts, rows.y), 1.0 - rows.level)
    low, high = np.maximum(low - quantile * unit, 0.0), high + quantile * unit
    return float(interval_scores(np.minimum(low, high), np.maximum(high, low), rows.y, level=rows.level).mean())


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _rows(bounds: np.ndarray) -> Bounds:
    return bounds[0], bounds[1], bounds[2]
