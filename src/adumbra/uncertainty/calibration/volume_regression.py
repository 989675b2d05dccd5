"""The regressions of the volume intervals: ridge lines and quantile lines, and the names of all methods.

The ridge line of the residual y - z corrects the bias of the volume. Its penalty, and that of the scale, is the one of
``PENALTIES`` with the smallest mean absolute leave-one-out residual, and leave-one-out residuals fit the scale. The
quantile lines minimise the pinball loss at α/2 and 1 - α/2 (Koenker and Bassett 1978) plus ``SLOPE_PENALTY`` times the
absolute slopes, as a linear programme.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import linprog

from adumbra.core.references import cites
from adumbra.uncertainty.calibration.volume_intervals import (
    REGRESSORS,
    NormalisedInterval,
    QuantileInterval,
    RegressionInterval,
    Shape,
    SingleFactor,
    line,
)

ShapeName = Literal["single", "normalised", "quantile"]
PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)
SLOPE_PENALTY = 1.0
_LEAST_RESIDUAL = 0.02  # two per cent of a large volume, so that the logarithm is finite


@dataclass(frozen=True)
class Regression:
    """What a regression is fitted to.

    Attributes:
        x: (N, K), regressors.
        y: (N,), g of the true volume.
        level: Nominal coverage.
        target: Target of the cases.
        draws: Number of draws of each case.
        members: Number of members of each case.
        names: Identifiers of the cases.
    """

    x: np.ndarray
    y: np.ndarray
    level: float
    target: str
    draws: int
    members: int
    names: tuple[str, ...]

    def part(self, indices: np.ndarray) -> "Regression":
        """Some of the cases."""
        names = tuple(self.names[i] for i in indices)
        return Regression(self.x[indices], self.y[indices], self.level, self.target, self.draws, self.members, names)

    def standard(self) -> tuple[np.ndarray, tuple[float, ...], tuple[float, ...]]:
        """Standardised regressors, their means, and their standard deviations with 0 for constant ones."""
        mean, constant = self.x.mean(axis=0), np.ptp(self.x, axis=0) < 1e-9
        deviation = np.where(constant, 0.0, self.x.std(axis=0))
        standard = np.where(constant, 0.0, (self.x - mean) / np.where(constant, 1.0, deviation))
        return standard, tuple(mean.tolist()), tuple(deviation.tolist())


@cites("Lei2018", "Hoerl1970")
def fit_normalised(cases: Regression) -> NormalisedInterval:
    """Ridge lines of the residual and of its log size, before the conformal quantile."""
    x, mean, deviation = cases.standard()
    centre, residuals = _ridge(x, cases.y - cases.x[:, 0])
    log_scale, _ = _ridge(x, np.log(np.maximum(np.abs(residuals), _LEAST_RESIDUAL)))
    values = line(x, log_scale)
    return NormalisedInterval(
        cases=cases.names, target=cases.target, level=cases.level, draws=cases.draws, members=cases.members,
        regressors=REGRESSORS, mean=mean, deviation=deviation, fitted=len(cases.names), centre=centre,
        log_scale=log_scale, log_scale_range=(float(values.min()), float(values.max())),
    )  # fmt: skip


@cites("Romano2019", "Koenker1978")
def fit_quantile(cases: Regression) -> QuantileInterval:
    """Quantile lines of the residual, before the conformal quantile."""
    x, mean, deviation = cases.standard()
    half = (1.0 - cases.level) / 2.0
    lower, upper = (_quantile_line(x, cases.y - cases.x[:, 0], share) for share in (half, 1.0 - half))
    return QuantileInterval(
        cases=cases.names, target=cases.target, level=cases.level, draws=cases.draws, members=cases.members,
        regressors=REGRESSORS, mean=mean, deviation=deviation, fitted=len(cases.names), lower=lower, upper=upper,
    )  # fmt: skip


REGRESSIONS: Mapping[ShapeName, Callable[[Regression], RegressionInterval]] = {
    "normalised": fit_normalised,
    "quantile": fit_quantile,
}
"""The methods that fit a regression, by name."""
SHAPES: Mapping[ShapeName, Callable[[Regression], Shape]] = {"single": lambda _: SingleFactor(), **REGRESSIONS}
"""All methods of this module, by name."""


def _ridge(x: np.ndarray, r: np.ndarray) -> tuple[tuple[float, ...], np.ndarray]:
    """Intercept and slopes of a ridge regression, and its leave-one-out residuals (N,)."""
    design = np.column_stack([np.ones(r.size), x])
    penalised = np.diag([0.0, *np.ones(x.shape[1])])
    fits = []
    for penalty in PENALTIES:
        inverse = np.linalg.inv(design.T @ design + penalty * penalised)
        coefficients = inverse @ design.T @ r
        leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
        residuals = (r - design @ coefficients) / np.maximum(1.0 - leverage, 1e-6)
        fits.append((float(np.abs(residuals).mean()), tuple(coefficients.tolist()), residuals))
    _, best, residuals = min(fits, key=lambda fit: fit[0])
    return best, residuals


def _quantile_line(x: np.ndarray, r: np.ndarray, share: float) -> tuple[float, ...]:
    """Intercept and slopes of the quantile regression of r at a share, with penalised slopes."""
    n, k = x.shape
    slopes, signs = np.full(2 * k, SLOPE_PENALTY), np.eye(n)
    cost = np.concatenate([[0.0], slopes, np.full(n, share), np.full(n, 1.0 - share)])
    equalities = np.hstack([np.ones((n, 1)), x, -x, signs, -signs])
    limits = [(None, None), *[(0.0, None)] * (2 * k + 2 * n)]
    solution = linprog(cost, A_eq=equalities, b_eq=r, bounds=limits, method="highs").x
    return (float(solution[0]), *(solution[1 : k + 1] - solution[k + 1 : 2 * k + 1]).tolist())
