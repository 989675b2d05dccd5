"""Uncertainty maps and draw volumes from a stream of posterior draws.

With p the probability of a voxel in one draw and E the mean over draws, in nats:

    entropy    H[E p]              predictive entropy: the total uncertainty
    aleatoric  E H[p]              expected entropy: the part that every draw has
    epistemic  H[E p] - E H[p]     mutual information: the disagreement of the draws
    margin     |2 E p - 1|         difference of the class probabilities; a function of E p, see ``margin``

Running means are float64 and updated as m += (x - m) / n (Welford), so that n identical draws give a variance and an
epistemic part of exactly zero. The returned maps are float32. Only analysed voxels are stored, and memory does not grow
with the number of draws. Voxels are processed in blocks, so that no float64 intermediate has the size of a volume: the
peak memory of a pass is about 50 bytes per voxel.
"""

from collections.abc import Iterable, Iterator
from operator import length_hint

import numpy as np

from adumbra.core.entropy import binary_entropy
from adumbra.core.errors import AdumbraError, GridMismatch, ImplausibleValues, InputRejected, MissingInput
from adumbra.core.geometry.components import hysteresis_threshold, label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.progress import Progress, quiet
from adumbra.core.references import cites
from adumbra.core.results import Maps, VolumeDraws
from adumbra.core.types import Mask, Target, Volume
from adumbra.uncertainty.regional import DrawMasks

BLOCK = 1 << 18  # voxels per block: their float64 values fit into the processor's cache
ROUNDING = 1e-5  # blended windows may exceed [0, 1] by a few float32 steps: this much is clipped, more is refused
MIN_DRAWS = 8
"""Number of draws before which the standard error of their mean is not used."""


def margin(probability: np.ndarray) -> np.ndarray:
    """Margin: the probability of the likelier class minus that of the other, |p - (1 - p)| = |2p - 1|.

    It is 1 for a certain voxel and 0 for an undecided one. Unlike the other maps it is large where the prediction is
    certain. ``Maps`` does not store it, because it is a function of the probability alone: of the mean, of one draw, or
    of a calibrated probability.

    Args:
        probability: Any shape.

    Returns:
        Values in [0, 1], of the shape and type of the probability.
    """
    return np.abs(2 * probability - 1)


def checked_probability(values: np.ndarray, where: str) -> np.ndarray:
    """Probabilities, any shape, clipped to [0, 1] where they exceed it by rounding; ``where`` names them in the error.

    Raises:
        ImplausibleValues: A value is NaN, or is outside [0, 1] by more than rounding.
    """
    if values.size == 0:
        return values
    low, high = float(values.min()), float(values.max())
    if not (low >= -ROUNDING and high <= 1.0 + ROUNDING):  # refuses NaN too
        raise _improbable(where, low, high)
    return np.clip(values, 0.0, 1.0)


@cites("Houlsby2011", "Kendall2017", "Depeweg2018", "Welford1962", "Canny1986")
def summarise(
    draws: Iterable[Volume],
    *,
    target: Target,
    grid: Grid,
    threshold: float = 0.5,
    high_threshold: float = 0.0,
    within: Mask | None = None,
    progress: Progress | None = None,
    draw_masks: DrawMasks | None = None,
    standard_error: float = 0.0,
) -> tuple[Maps, VolumeDraws]:
    """Uncertainty maps of a stream of draws, with the volume and the number of components of each draw.

    Args:
        draws: Probability volumes in [0, 1], each (X, Y, Z) on ``grid``. Each is used once and released.
        target: Target of the probabilities.
        grid: Grid of the draws.
        threshold: Probability from which a voxel belongs to the mask, in (0, 1].
        high_threshold: Hysteresis threshold: a component of the mask must reach this probability somewhere. It is
            applied to each draw and to the mean, and has no effect at or below ``threshold``.
        within: Mask of the analysed voxels, such as the brain; None takes all. Outside it every map is zero, and draws
            have no volume.
        progress: Shows the progress over draws.
        draw_masks: Collects the mask of each draw, for ``regional.regional_uncertainty``.
        standard_error: Standard error of the mean probability (see ``_RunningMeans.standard_error``) at which sampling
            stops, after at least ``MIN_DRAWS`` draws; 0 takes all draws.

    Returns:
        ``Maps`` on ``grid`` (0 <= epistemic <= entropy <= ln 2 rounded to float32, and variance >= 0), and
        ``VolumeDraws`` with one volume and one number of components per draw, in their order.

    Raises:
        MissingInput: There is no draw.
        GridMismatch: A draw or ``within`` does not have the shape of the grid.
        ImplausibleValues: A draw has values that are NaN or outside [0, 1].
        InputRejected: The threshold is outside (0, 1], or the high threshold is above 1.
    """
    _check_threshold(threshold)
    _check_threshold(max(threshold, high_threshold))
    analysed = np.ones(grid.shape, dtype=bool) if within is None else within
    _check_shape(analysed, grid, "the analysed region")
    means = _RunningMeans(int(np.count_nonzero(analysed)))
    volumes, counts = [], []
    tracked = (progress or quiet).track(draws, what="Drawing samples", total=length_hint(draws, 0) or None)
    for number, draw in enumerate(tracked, start=1):
        _check_shape(draw, grid, f"draw {number}")
        inside = checked_probability(draw[analysed], f"draw {number}")
        means.add(inside)
        mask = hysteresis_threshold(_scatter(inside, analysed), low=threshold, high=high_threshold)
        if draw_masks is not None:
            draw_masks.add(mask)
        volumes.append(int(np.count_nonzero(mask)) * grid.voxel_ml)
        counts.append(int(label_components(mask, connectivity=26)[1]))
        if number >= MIN_DRAWS and means.standard_error() < standard_error:
            break
    maps = means.maps(analysed, target=target, grid=grid, threshold=threshold, high_threshold=high_threshold)
    return maps, VolumeDraws(target, tuple(volumes), tuple(counts))


class _RunningMeans:
    """Running means over the draws, for the N analysed voxels.

    Attributes:
        draws: Number of draws so far.
        probability: (N,), mean probability.
        entropy: (N,), mean entropy of the draws, nats.
        squares: (N,), sum of squared deviations from the mean probability.
    """

    def __init__(self, voxels: int) -> None:
        self.draws = 0
        self.probability, self.entropy, self.squares = np.zeros((3, voxels))

    def add(self, probability: np.ndarray) -> None:
        """Adds the probabilities (N,) of one draw."""
        self.draws += 1
        for block in _blocks(probability.size):
            p, mean, entropy = probability[block], self.probability[block], self.entropy[block]
            deviation = p - mean
            mean += deviation / self.draws
            self.squares[block] += deviation * (p - mean)
            entropy += (binary_entropy(p) - entropy) / self.draws

    def standard_error(self) -> float:
        """Standard error of the mean probability: root mean square over voxels, weighted by their mean entropy.

        It is infinite for a single draw, and 0 for several draws without entropy.
        """
        weight = self.entropy.sum()
        if self.draws < 2 or weight == 0.0:
            return 0.0 if weight == 0.0 and self.draws > 1 else float("inf")
        variance = float((self.entropy * self.squares).sum() / weight) / (self.draws - 1)
        return float(np.sqrt(variance / self.draws))

    def maps(self, analysed: Mask, *, target: Target, grid: Grid, threshold: float, high_threshold: float) -> Maps:
        """Maps of the draws so far.

        Raises:
            MissingInput: There is no draw.
        """
        if self.draws == 0:
            raise MissingInput("posterior", expected="at least one draw", found="none", do="request one draw or more")
        rows = self._rows()
        probability, entropy, expected, epistemic, variance = (_scatter(rows.pop(0), analysed) for _ in range(5))
        mask = hysteresis_threshold(probability, low=threshold, high=high_threshold)
        return Maps(
            target,
            grid,
            probability,
            entropy,
            expected,
            epistemic,
            variance,
            mask,
            threshold,
            self.draws,
            high_threshold,
        )

    def _rows(self) -> list[np.ndarray]:
        """Probability, entropy, aleatoric part, epistemic part and variance: each (N,), float32."""
        rows = [np.empty(self.probability.size, dtype=np.float32) for _ in range(5)]
        for block in _blocks(self.probability.size):
            mean = self.probability[block]
            total = binary_entropy(mean)
            aleatoric = np.minimum(self.entropy[block], total)  # restores Jensen's inequality after rounding
            variance = np.maximum(self.squares[block] / self.draws, 0.0)
            for row, values in zip(rows, (mean, total, aleatoric, total - aleatoric, variance), strict=True):
                row[block] = values
        return rows


def _blocks(voxels: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, voxels, BLOCK))


def _scatter(row: np.ndarray, analysed: Mask) -> np.ndarray:
    """Volume with the values (N,) in the analysed voxels and 0 elsewhere."""
    volume = np.zeros(analysed.shape, dtype=row.dtype)
    volume[analysed] = row
    return volume


def _check_threshold(threshold: float) -> None:
    if not 0.0 < threshold <= 1.0:
        raise InputRejected(
            "threshold",
            expected="a probability above 0, up to 1",
            found=f"{threshold}",
            do="give a threshold such as 0.5",
        )


def _check_shape(volume: np.ndarray, grid: Grid, where: str) -> None:
    if volume.shape != grid.shape:
        raise GridMismatch(
            where,
            expected=f"the grid's shape {grid.shape}",
            found=f"{volume.shape}",
            do="sample on the grid of the case",
        )


def _improbable(where: str, low: float, high: float) -> AdumbraError:
    return ImplausibleValues(
        where,
        expected="probabilities in [0, 1]",
        found=f"values from {low:.6g} to {high:.6g}",
        do="give probabilities, after the sigmoid",
    )
