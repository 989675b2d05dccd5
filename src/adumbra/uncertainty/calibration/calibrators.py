"""Probability calibration: maps from a voxel's probability to a calibrated one, fitted on held-out cases.

With z = ln(p / (1 - p)) the logit of a probability and σ its inverse:

    temperature      σ(z / T)       T > 1 lowers confidence; each voxel stays on its side of 0.5
    vector scaling   σ(a z + b)     gain and shift. For the sigmoid of one target this is Platt scaling; the gains and
                                    shifts of all targets are the vectors of Guo et al.
    isotonic         f(p)           the non-decreasing map of greatest likelihood, by pooling adjacent violators
    local            σ(z / T_k)     k is the voxel's band of distance from the predicted boundary. Ding et al. predict
                                    a temperature for every voxel with a network; a band can be interpreted

Each target has its own map. All are fitted by maximum likelihood over pooled voxels, in float64. A map must be applied
to the kind of probability that it was fitted on: the mean of the draws, or each draw. The first three preserve the
order of voxels (the isotonic one makes ties), the local one does so within a band. Exactly 0 and 1 stay 0 and 1,
because every probability outside the analysed region is 0. In a fit, 1 is replaced by the float32 number below it, and
0 by one minus this number.
"""

from dataclasses import dataclass
from math import isfinite
from typing import ClassVar

import numpy as np
from scipy.optimize import brentq, isotonic_regression, minimize
from scipy.special import expit, logit

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.uncertainty.calibration.base import ProbabilityCalibration
from adumbra.uncertainty.calibration.samples import BANDS_MM, Voxels, refuse_unordered_edges
from adumbra.uncertainty.maps import checked_probability

CERTAIN = 2.0**-24  # distance from 1 below which a float32 sigmoid rounds to 1
TEMPERATURES = (0.05, 20.0)  # range of a fit: a maximum of the likelihood beyond it is replaced by the end


@cites("Guo2017")
@dataclass(frozen=True)
class Temperature(ProbabilityCalibration):
    """σ(z / temperature).

    Attributes:
        temperature: T, above 0.

    Raises:
        InputRejected: The temperature is not above 0.
    """

    temperature: float

    def __post_init__(self) -> None:
        _positive("temperature", self.temperature)

    def apply(self, probability: np.ndarray, *, bands: np.ndarray | None = None) -> np.ndarray:  # noqa: ARG002
        """Calibrated probability, of the same shape, float32."""
        return _scaled(probability, 1.0 / self.temperature, 0.0)


@cites("Guo2017")
@dataclass(frozen=True)
class VectorScaling(ProbabilityCalibration):
    """σ(gain · z + shift).

    Attributes:
        gain: a, above 0.
        shift: b.

    Raises:
        InputRejected: The gain is not above 0, or the shift is not finite.
    """

    gain: float
    shift: float

    def __post_init__(self) -> None:
        _positive("gain", self.gain)
        if not isfinite(self.shift):
            raise _impossible("shift", "a finite number", self.shift)

    def apply(self, probability: np.ndarray, *, bands: np.ndarray | None = None) -> np.ndarray:  # noqa: ARG002
        """Calibrated probability, of the same shape, float32."""
        return _scaled(probability, self.gain, self.shift)


@cites("Zadrozny2002")
@dataclass(frozen=True)
class Isotonic(ProbabilityCalibration):
    """A non-decreasing map: linear between its knots, constant beyond the first and the last.

    Attributes:
        before: Probabilities of the knots, in [0, 1], strictly increasing.
        after: Calibrated probabilities of the knots, non-decreasing, strictly between 0 and 1.

    Raises:
        InputRejected: The knots do not have these properties, or there is none.
    """

    strictly_increasing: ClassVar[bool] = False
    before: tuple[float, ...]
    after: tuple[float, ...]

    def __post_init__(self) -> None:
        x, y = np.array(self.before), np.array(self.after)
        monotonic = 0 < x.size == y.size and (np.diff(x) > 0).all() and (np.diff(y) >= 0).all()
        if not (monotonic and x[0] >= 0 and x[-1] <= 1 and y[0] > 0 and y[-1] < 1):
            raise _impossible("knots", "increasing probabilities, and non-decreasing values in (0, 1)", "others")

    def apply(self, probability: np.ndarray, *, bands: np.ndarray | None = None) -> np.ndarray:  # noqa: ARG002
        """Calibrated probability, of the same shape, float32."""
        p = checked_probability(probability, "probability")
        after = np.interp(p, self.before, self.after)
        return np.where((p == 0) | (p == 1), p, after).astype(np.float32)


@cites("Guo2017", "Ding2021")
@dataclass(frozen=True)
class LocalTemperature(ProbabilityCalibration):
    """σ(z / temperatures[k]), with k the distance band of the voxel (``samples.bands``).

    Attributes:
        temperatures: Temperature of each band, above 0.
        edges_mm: Edges of the bands in mm, increasing; one fewer than temperatures.

    Raises:
        InputRejected: The edges do not increase, a temperature is not above 0, or their numbers do not match.
    """

    temperatures: tuple[float, ...]
    edges_mm: tuple[float, ...] = BANDS_MM

    def __post_init__(self) -> None:
        refuse_unordered_edges(self.edges_mm)
        for temperature in self.temperatures:
            _positive("temperature", temperature)
        if len(self.temperatures) != len(self.edges_mm) + 1:
            raise _impossible("temperatures", f"{len(self.edges_mm) + 1}, one per band", len(self.temperatures))

    def apply(self, probability: np.ndarray, *, bands: np.ndarray | None = None) -> np.ndarray:
        """Calibrated probability, of the same shape, float32.

        Args:
            probability: Predicted probability, any shape.
            bands: ``samples.bands(mask, grid, edges_mm=self.edges_mm)`` of the predicted mask, of the same shape.

        Raises:
            InputRejected: The bands are missing, or a band has no temperature.
        """
        if bands is None:
            raise _impossible("bands", "those of each voxel", "none")
        if bands.size and not 0 <= bands.min() <= bands.max() < len(self.temperatures):
            actual = f"from {bands.min()} to {bands.max()}"
            raise _impossible("bands", f"numbers from 0 to {len(self.temperatures) - 1}", actual)
        return _scaled(probability, 1.0 / np.array(self.temperatures)[bands], 0.0)


CALIBRATIONS: dict[str, type[ProbabilityCalibration]] = {
    kind.__name__: kind for kind in (Temperature, VectorScaling, Isotonic, LocalTemperature)
}


@cites("Guo2017")
def fit_temperature(voxels: Voxels) -> Temperature:
    """Fits the temperature of greatest likelihood within ``TEMPERATURES``; 1 where every probability is 0.5.

    It is the lowest of them where each voxel is on its right side of 0.5, because no confidence is then too high. It is
    the highest where the probabilities contradict the truth, because no confidence is then low enough.

    Raises:
        ImplausibleValues: The voxels are not of both classes.
    """
    _both_classes(voxels)
    return Temperature(_temperature(voxels, np.ones(voxels.truth.size, dtype=bool)), cases=voxels.cases)


@cites("Guo2017")
def fit_vector_scaling(voxels: Voxels) -> VectorScaling:
    """Fits the gain and shift of greatest likelihood, with a gain within the inverses of ``TEMPERATURES``.

    Where every probability is the same, the gain is 1 and the shift makes it the share of the class. Where a threshold
    separates the classes, the likelihood has no maximum, and the gain is one at which it stops increasing.

    Raises:
        ImplausibleValues: The voxels are not of both classes.
    """
    _both_classes(voxels)
    z, y, w = _logits(voxels), voxels.truth, voxels.weight / voxels.weight.sum()
    mean = float(w @ z)
    scale = float(np.sqrt(w @ (z - mean) ** 2))
    if scale < 1e-9:  # one probability only
        return VectorScaling(1.0, float(logit(w @ y)) - mean, cases=voxels.cases)
    x, unit = (z - mean) / scale, _cost(np.zeros_like(z), y, w)

    def cost(ab: np.ndarray) -> tuple[float, np.ndarray]:
        logits = ab[0] * x + ab[1]
        residual = w * (expit(logits) - y)
        return _cost(logits, y, w) / unit, np.array([residual @ x, residual.sum()]) / unit

    bounds = [(scale / TEMPERATURES[1], scale / TEMPERATURES[0]), (None, None)]
    optimum = minimize(
        cost, np.array([scale, mean]), jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 0, "gtol": 1e-11}
    )
    gain, level = optimum.x / (scale, 1.0)
    return VectorScaling(float(gain), float(level - gain * mean), cases=voxels.cases)


@cites("Zadrozny2002")
def fit_isotonic(voxels: Voxels) -> Isotonic:
    """Fits the non-decreasing map of greatest likelihood.

    Voxels of equal probability are one observation. Values are clipped to a distance of 1 / (n + 2) from 0 and 1 for n
    voxels, which is Laplace's rule of succession for n voxels of one class. A plain fit is certain at its ends, where
    an error costs an infinite log-likelihood.

    Raises:
        ImplausibleValues: The voxels are not of both classes.
    """
    _both_classes(voxels)
    used = voxels.weight > 0
    before, group = np.unique(voxels.probability[used], return_inverse=True)
    weight = np.bincount(group, weights=voxels.weight[used])
    share = np.bincount(group, weights=voxels.weight[used] * voxels.truth[used]) / weight
    pooled = isotonic_regression(share, weights=weight)
    knots = np.unique(np.concatenate([pooled.blocks[:-1], pooled.blocks[1:] - 1]))
    least = 1.0 / (np.count_nonzero(used) + 2)
    after = np.clip(pooled.x[knots], least, 1.0 - least)
    return Isotonic(tuple(before[knots].tolist()), tuple(after.tolist()), cases=voxels.cases)


@cites("Guo2017", "Ding2021")
def fit_local_temperature(voxels: Voxels, *, edges_mm: tuple[float, ...] = BANDS_MM) -> LocalTemperature:
    """Fits a temperature for each band, like ``fit_temperature``.

    A band without voxels of both classes takes the temperature of all voxels together.

    Raises:
        ImplausibleValues: The voxels are not of both classes.
        InputRejected: The edges do not increase, or a voxel has a band beyond them.
    """
    overall = fit_temperature(voxels).temperature
    refuse_unordered_edges(edges_mm)
    if voxels.band.max() > len(edges_mm):
        raise _impossible("edges_mm", "the edges of the voxels' bands", edges_mm)
    temperatures = []
    for band in range(len(edges_mm) + 1):
        used = (voxels.band == band) & (voxels.weight > 0)
        both_classes = 0 < voxels.truth[used].sum() < used.sum()
        temperatures.append(_temperature(voxels, used) if both_classes else overall)
    return LocalTemperature(tuple(temperatures), edges_mm, cases=voxels.cases)


def _temperature(voxels: Voxels, used: np.ndarray) -> float:
    """Temperature of greatest likelihood; the likelihood is concave in 1 / T, so its slope has at most one root."""
    z, y, w = _logits(voxels)[used], voxels.truth[used], voxels.weight[used] / voxels.weight[used].sum()
    if not (w * z).any():
        return 1.0

    def slope(gain: float) -> float:
        return float(w @ ((expit(gain * z) - y) * z))

    least, most = 1.0 / TEMPERATURES[1], 1.0 / TEMPERATURES[0]
    if slope(least) >= 0.0:
        return TEMPERATURES[1]
    if slope(most) <= 0.0:
        return TEMPERATURES[0]
    return 1.0 / float(brentq(slope, least, most, xtol=1e-13))


def _scaled(probability: np.ndarray, gain: float | np.ndarray, shift: float) -> np.ndarray:
    p = checked_probability(probability, "probability").astype(np.float64)
    return expit(gain * logit(p) + shift).astype(np.float32)


def _logits(voxels: Voxels) -> np.ndarray:
    return logit(np.clip(voxels.probability, CERTAIN, 1.0 - CERTAIN))


def _cost(logits: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> float:
    """Weighted negative log-likelihood."""
    return float(weight @ (np.logaddexp(0.0, logits) - truth * logits))


def _both_classes(voxels: Voxels) -> None:
    inside, outside = (voxels.weight[voxels.truth == side].sum() for side in (True, False))
    if not (inside > 0 and outside > 0):
        raise ImplausibleValues(
            "voxels",
            expected="voxels of the target, and others",
            found=f"a weight of {inside:g} of the target, of {outside:g} others",
            do="fit on cases that have the target",
        )


def _positive(name: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise _impossible(name, "a finite number above 0", value)


def _impossible(where: str, expected: str, actual: object) -> InputRejected:
    return InputRejected(where, expected=expected, found=f"{actual}", do="use the values of the fit")
