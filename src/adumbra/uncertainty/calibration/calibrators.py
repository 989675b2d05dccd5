"""Maps from a voxel's probability to one that means what it says, fitted on held-out cases; one for each target.

With z = ln(p / (1 - p)) the logit of a probability and σ the inverse of that:

    temperature      σ(z / T)       T > 1 takes confidence away; the side of 0.5 that a voxel is on stays
    vector scaling   σ(a z + b)     gain and shift; for the sigmoid of one target this is Platt's scaling, and the
                                    gains and shifts of all targets are the vectors of Guo et al.
    isotonic         f(p)           the most likely of all maps that never fall, found by pooling adjacent violators
    local            σ(z / T_k)     k is the voxel's band of distance from the predicted boundary. Ding et al. let a
                                    network tell a temperature for every voxel; a band is known at prediction too, and
                                    its temperature can be read

All are fitted by maximum likelihood over pooled voxels, in float64. Each takes and gives a probability: give it that of
what it was fitted on, the mean of the draws or each draw. The first two and the isotonic one keep the order of voxels
(the isotonic one makes ties), the local one within a band. Exactly 0 and 1 stay 0 and 1, since outside the region that
was analysed every probability is 0; for the logits of a fit they are the nearest that float32 has to 1, and its mirror.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy.optimize import brentq, isotonic_regression, minimize
from scipy.special import expit, logit

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.uncertainty.calibration.base import FittedOnCases
from adumbra.uncertainty.calibration.samples import BANDS_MM, Voxels, refuse_unordered
from adumbra.uncertainty.maps import checked_probability

CERTAIN = 2.0**-24  # what a float32 sigmoid rounds away from 1
TEMPERATURES = (0.05, 20.0)  # of a fit: where the likelihood has its best beyond, the end is taken


@cites("Guo2017")
@dataclass(frozen=True)
class Temperature(FittedOnCases):
    """σ(z / temperature). Raises InputRejected where the temperature is not above 0."""

    temperature: float

    def __post_init__(self) -> None:
        _positive("temperature", self.temperature)

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """The calibrated probability, of the same shape, float32."""
        return _scaled(probability, 1.0 / self.temperature, 0.0)


@cites("Guo2017")
@dataclass(frozen=True)
class VectorScaling(FittedOnCases):
    """σ(gain · z + shift). Raises InputRejected where the gain is not above 0, or the shift not finite."""

    gain: float
    shift: float

    def __post_init__(self) -> None:
        _positive("gain", self.gain)
        if not isfinite(self.shift):
            raise _impossible("shift", "a finite number", self.shift)

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """The calibrated probability, of the same shape, float32."""
        return _scaled(probability, self.gain, self.shift)


@cites("Zadrozny2002")
@dataclass(frozen=True)
class Isotonic(FittedOnCases):
    """A map that never falls: straight between its knots, level beyond the first and the last.

    Attributes:
        before: Probabilities in [0, 1], rising.
        after: What they become, never falling, strictly between 0 and 1.

    Raises:
        InputRejected: The knots are not so, or there is none.
    """

    before: tuple[float, ...]
    after: tuple[float, ...]

    def __post_init__(self) -> None:
        x, y = np.array(self.before), np.array(self.after)
        rising = 0 < x.size == y.size and (np.diff(x) > 0).all() and (np.diff(y) >= 0).all()
        if not (rising and x[0] >= 0 and x[-1] <= 1 and y[0] > 0 and y[-1] < 1):
            raise _impossible("knots", "rising probabilities, and values inside (0, 1) that never fall", "others")

    def apply(self, probability: np.ndarray) -> np.ndarray:
        """The calibrated probability, of the same shape, float32."""
        p = checked_probability(probability, "probability")
        after = np.interp(p, self.before, self.after)
        return np.where((p == 0) | (p == 1), p, after).astype(np.float32)


@cites("Guo2017", "Ding2021")
@dataclass(frozen=True)
class LocalTemperature(FittedOnCases):
    """σ(z / temperatures[k]), with k the band of the voxel: see ``voxels.bands``.

    Raises:
        InputRejected: Edges do not rise, temperatures are not above 0, or there is not one more of these than edges.
    """

    temperatures: tuple[float, ...]
    edges_mm: tuple[float, ...] = BANDS_MM

    def __post_init__(self) -> None:
        refuse_unordered(self.edges_mm)
        for temperature in self.temperatures:
            _positive("temperature", temperature)
        if len(self.temperatures) != len(self.edges_mm) + 1:
            raise _impossible("temperatures", f"{len(self.edges_mm) + 1}, one a band", len(self.temperatures))

    def apply(self, probability: np.ndarray, *, bands: np.ndarray) -> np.ndarray:
        """The calibrated probability, of the same shape, float32.

        Args:
            probability: Any shape.
            bands: Of the same shape: ``voxels.bands(mask, grid, edges_mm=self.edges_mm)`` of the predicted mask.

        Raises:
            InputRejected: There are bands that it has no temperature for.
        """
        if bands.size and not 0 <= bands.min() <= bands.max() < len(self.temperatures):
            found = f"from {bands.min()} to {bands.max()}"
            raise _impossible("bands", f"numbers from 0 to {len(self.temperatures) - 1}", found)
        return _scaled(probability, 1.0 / np.array(self.temperatures)[bands], 0.0)


CALIBRATIONS: dict[str, type[FittedOnCases]] = {
    kind.__name__: kind for kind in (Temperature, VectorScaling, Isotonic, LocalTemperature)
}


@cites("Guo2017")
def fitted_temperature(voxels: Voxels) -> Temperature:
    """The temperature of greatest likelihood, within ``TEMPERATURES``; 1 where every probability is 0.5.

    Where confidence cannot be too high (each voxel on its right side of 0.5) it is the lowest of them, and where it
    cannot be low enough (the probabilities say the opposite of the truth) the highest.

    Raises:
        ImplausibleValues: The voxels are not of both classes.
    """
    _both_classes(voxels)
    return Temperature(_temperature(voxels, np.ones(voxels.truth.size, dtype=bool)), cases=voxels.cases)


@cites("Guo2017")
def fitted_vector(voxels: Voxels) -> VectorScaling:
    """The gain and shift of greatest likelihood, the gain within the inverses of ``TEMPERATURES``.

    Where every probability is the same the gain is 1, and the shift makes them the share of the class.
    Where a threshold parts the classes there is no best, and the gain is one at which the likelihood rises no more.

    Raises:
        ImplausibleValues: The voxels are not of both classes.
    """
    _both_classes(voxels)
    z, y, w = _logits(voxels), voxels.truth, voxels.weight / voxels.weight.sum()
    middle = float(w @ z)
    scale = float(np.sqrt(w @ (z - middle) ** 2))
    if scale < 1e-9:  # one probability only
        return VectorScaling(1.0, float(logit(w @ y)) - middle, cases=voxels.cases)
    x, unit = (z - middle) / scale, _cost(np.zeros_like(z), y, w)

    def cost(ab: np.ndarray) -> tuple[float, np.ndarray]:
        logits = ab[0] * x + ab[1]
        left = w * (expit(logits) - y)
        return _cost(logits, y, w) / unit, np.array([left @ x, left.sum()]) / unit

    ends = [(scale / TEMPERATURES[1], scale / TEMPERATURES[0]), (None, None)]
    found = minimize(
        cost, np.array([scale, middle]), jac=True, method="L-BFGS-B", bounds=ends, options={"ftol": 0, "gtol": 1e-11}
    )
    gain, level = found.x / (scale, 1.0)
    return VectorScaling(float(gain), float(level - gain * middle), cases=voxels.cases)


@cites("Zadrozny2002")
def fitted_isotonic(voxels: Voxels) -> Isotonic:
    """The map of greatest likelihood among those that never fall.

    Voxels of equal probability are one observation. Values are kept 1 / (n + 2) from 0 and 1 for n voxels, as Laplace's
    rule of succession has it for n voxels of one class: a plain fit is sure at its ends, and infinitely wrong there.

    Raises:
        ImplausibleValues: The voxels are not of both classes.
    """
    _both_classes(voxels)
    used = voxels.weight > 0
    before, at = np.unique(voxels.probability[used], return_inverse=True)
    weight = np.bincount(at, weights=voxels.weight[used])
    share = np.bincount(at, weights=voxels.weight[used] * voxels.truth[used]) / weight
    pooled = isotonic_regression(share, weights=weight)
    knots = np.unique(np.concatenate([pooled.blocks[:-1], pooled.blocks[1:] - 1]))
    least = 1.0 / (np.count_nonzero(used) + 2)
    after = np.clip(pooled.x[knots], least, 1.0 - least)
    return Isotonic(tuple(before[knots].tolist()), tuple(after.tolist()), cases=voxels.cases)


@cites("Guo2017", "Ding2021")
def fitted_local(voxels: Voxels, *, edges_mm: tuple[float, ...] = BANDS_MM) -> LocalTemperature:
    """A temperature for each band, as ``fitted_temperature`` finds it.

    A band that has no voxel, or voxels of one class, takes the temperature of all voxels together.

    Raises:
        ImplausibleValues: The voxels are not of both classes.
        InputRejected: The edges do not rise, or there are more bands than they make.
    """
    everywhere = fitted_temperature(voxels).temperature
    refuse_unordered(edges_mm)
    if voxels.band.max() > len(edges_mm):
        raise _impossible("edges_mm", "those that the voxels' bands were made with", edges_mm)
    found = []
    for band in range(len(edges_mm) + 1):
        here = (voxels.band == band) & (voxels.weight > 0)
        found.append(_temperature(voxels, here) if 0 < voxels.truth[here].sum() < here.sum() else everywhere)
    return LocalTemperature(tuple(found), edges_mm, cases=voxels.cases)


def _temperature(voxels: Voxels, here: np.ndarray) -> float:
    """The likelihood is concave in 1 / T: its slope has one root at most."""
    z, y, w = _logits(voxels)[here], voxels.truth[here], voxels.weight[here] / voxels.weight[here].sum()
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
    """The weighted negative log-likelihood."""
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


def _impossible(where: str, expected: str, found: object) -> InputRejected:
    return InputRejected(where, expected=expected, found=f"{found}", do="take what the fit gives")
