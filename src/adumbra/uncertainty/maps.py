"""Probability, entropies and variance of every voxel, and the volume of every draw, from a stream of draws.

With p a voxel's probability in one draw and E the mean over draws, in nats:

    entropy    H[E p]              what is not known
    aleatoric  E H[p]              of it, what more draws of the same network would not tell apart
    epistemic  H[E p] - E H[p]     the mutual information: what the draws disagree about
    margin     |2 E p - 1|         how far the mean puts one class before the other; a function of E p, see ``margin``

Running means are kept in float64 and updated as m += (x - m) / n (Welford), so that n identical draws give a variance
and an epistemic part of exactly zero; the maps that come back are float32. Only the voxels that are analysed are kept,
and nothing grows with the number of draws. Voxels are worked on in blocks, so that the float64 of the way in between is
never that of a whole volume: at its peak a pass needs about 50 bytes a voxel.
"""

from collections.abc import Iterable, Iterator
from operator import length_hint

import numpy as np
from scipy.special import entr

from adumbra.core.errors import AdumbraError, GridMismatch, ImplausibleValues, InputRejected, MissingInput
from adumbra.core.geometry.components import hysteresis_threshold, labelled
from adumbra.core.geometry.grid import Grid
from adumbra.core.progress import Progress, quiet
from adumbra.core.references import cites
from adumbra.core.results import Maps, VolumeDraws
from adumbra.core.types import Mask, Target, Volume
from adumbra.uncertainty.regional import DrawMasks

BLOCK = 1 << 18  # voxels that are worked on at once: their float64 stays in the processor's cache
ROUNDING = 1e-5  # a blend of windows may leave [0, 1] by a few float32 steps; that much is clipped, more is refused


LEAST = 8
"""Draws before which nothing is said of how well their mean is known."""


def binary_entropy(probability: np.ndarray) -> np.ndarray:
    """Entropy of a Bernoulli variable in nats, float64, any shape: 0 at probabilities 0 and 1, ln 2 at 0.5."""
    p = np.asarray(probability, dtype=np.float64)
    return entr(p) + entr(1.0 - p)


def margin(probability: np.ndarray) -> np.ndarray:
    """The probability of the likelier of the two classes less that of the other, |p - (1 - p)| = |2p - 1|, any shape.

    1 is certain, 0 undecided: unlike the other maps it is large where the answer is sure. ``Maps`` does not hold it,
    since it is a function of the probability alone: it can be had of the mean, of one draw, or after a calibration, and
    cannot come to contradict them. In the type of the probability.
    """
    return np.abs(2 * probability - 1)


def checked_probability(values: np.ndarray, where: str) -> np.ndarray:
    """The values, any shape, clipped to [0, 1] where rounding left it.

    Raises:
        ImplausibleValues: Values are farther outside, or are not numbers.
    """
    if values.size == 0:
        return values
    low, high = float(values.min()), float(values.max())
    if not (low >= -ROUNDING and high <= 1.0 + ROUNDING):  # written so that NaN is refused too
        raise _improbable(where, low, high)
    return np.clip(values, 0.0, 1.0)


@cites("Houlsby2011", "Kendall2017", "Depeweg2018", "Welford1962", "Canny1986")
def summarised(
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
    """The maps of a stream of draws, and each draw's volume and count of components.

    Args:
        draws: Probability volumes in [0, 1], each (X, Y, Z) on ``grid``; each is looked at once and let go.
        target: What the probabilities are of.
        grid: Where the draws lie.
        threshold: A voxel belongs to the target from this probability on; in (0, 1].
        high_threshold: And to a part of the target, if the part's highest probability reaches this (in each draw, its
            own); at or under the threshold it asks nothing.
        within: The voxels that are analysed, such as the brain. Outside it every map is zero and nothing is counted.
        progress: Told of each draw.
        draw_masks: Told of what each draw calls part of the target, for ``components.regional_uncertainty``.
        standard_error: Enough is drawn when the mean probability is known so well, see ``_Running.standard_error``, and
            no more draws are taken then, but ``LEAST`` at least; 0 takes all.

    Returns:
        ``Maps`` on ``grid`` (0 <= epistemic <= entropy <= ln 2 rounded to float32, and variance >= 0), and
        ``VolumeDraws`` with one volume and one count per draw, in their order.

    Raises:
        MissingInput: There was no draw.
        GridMismatch: A draw or ``within`` has another shape than the grid.
        ImplausibleValues: A draw has values outside [0, 1], or that are not numbers.
        InputRejected: The threshold is outside (0, 1], or the peak's above 1.
    """
    _checked_threshold(threshold)
    _checked_threshold(max(threshold, high_threshold))
    analysed = np.ones(grid.shape, dtype=bool) if within is None else within
    _checked_shape(analysed, grid, "the analysed region")
    sums = _Running(int(np.count_nonzero(analysed)))
    volumes, counts = [], []
    watched = (progress or quiet).track(draws, what="Drawing samples", total=length_hint(draws, 0) or None)
    for number, draw in enumerate(watched, start=1):
        _checked_shape(draw, grid, f"draw {number}")
        inside = checked_probability(draw[analysed], f"draw {number}")
        sums.add(inside)
        called = hysteresis_threshold(_spread(inside, analysed), low=threshold, high=high_threshold)
        if draw_masks is not None:
            draw_masks.add(called)
        volumes.append(int(np.count_nonzero(called)) * grid.voxel_ml)
        counts.append(int(labelled(called, connectivity=26)[1]))
        if number >= LEAST and sums.standard_error() < standard_error:
            break
    maps = sums.maps(analysed, target=target, grid=grid, threshold=threshold, high_threshold=high_threshold)
    return maps, VolumeDraws(target, tuple(volumes), tuple(counts))


class _Running:
    """Running means over the draws, for the analysed voxels in one row."""

    def __init__(self, voxels: int) -> None:
        self.draws = 0
        self.probability, self.entropy, self.squares = np.zeros((3, voxels))

    def add(self, probability: np.ndarray) -> None:
        """Takes in one draw: probabilities (N,)."""
        self.draws += 1
        for block in _blocks(probability.size):
            drawn, mean, entropy = probability[block], self.probability[block], self.entropy[block]
            before = drawn - mean
            mean += before / self.draws
            self.squares[block] += before * (drawn - mean)
            entropy += (binary_entropy(drawn) - entropy) / self.draws

    def standard_error(self) -> float:
        """Of the mean probability where there is doubt: root mean square over voxels, weighted by their entropy."""
        weight = self.entropy.sum()
        if self.draws < 2 or weight == 0.0:
            return 0.0 if weight == 0.0 and self.draws > 1 else float("inf")
        variance = float((self.entropy * self.squares).sum() / weight) / (self.draws - 1)
        return float(np.sqrt(variance / self.draws))

    def maps(self, analysed: Mask, *, target: Target, grid: Grid, threshold: float, high_threshold: float) -> Maps:
        """What the draws so far say."""
        if self.draws == 0:
            raise MissingInput("posterior", expected="at least one draw", found="none", do="ask for one draw or more")
        rows = self._rows()
        probability, entropy, expected, epistemic, variance = (_spread(rows.pop(0), analysed) for _ in range(5))
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
        """Probability, entropy, aleatoric and epistemic part, variance: each (N,), float32."""
        rows = [np.empty(self.probability.size, dtype=np.float32) for _ in range(5)]
        for block in _blocks(self.probability.size):
            mean = self.probability[block]
            total = binary_entropy(mean)
            aleatoric = np.minimum(self.entropy[block], total)  # Jensen's inequality, where rounding broke it
            variance = np.maximum(self.squares[block] / self.draws, 0.0)
            for row, values in zip(rows, (mean, total, aleatoric, total - aleatoric, variance), strict=True):
                row[block] = values
        return rows


def _blocks(voxels: int) -> Iterator[slice]:
    return (slice(start, start + BLOCK) for start in range(0, voxels, BLOCK))


def _spread(row: np.ndarray, analysed: Mask) -> np.ndarray:
    volume = np.zeros(analysed.shape, dtype=row.dtype)
    volume[analysed] = row
    return volume


def _checked_threshold(threshold: float) -> None:
    if not 0.0 < threshold <= 1.0:
        raise InputRejected(
            "threshold",
            expected="a probability above 0, up to 1",
            found=f"{threshold}",
            do="give a threshold such as 0.5",
        )


def _checked_shape(volume: np.ndarray, grid: Grid, where: str) -> None:
    if volume.shape != grid.shape:
        raise GridMismatch(
            where, expected=f"the grid's shape {grid.shape}", found=f"{volume.shape}", do="sample on the case's grid"
        )


def _improbable(where: str, low: float, high: float) -> AdumbraError:
    return ImplausibleValues(
        where,
        expected="probabilities in [0, 1]",
        found=f"values from {low:.6g} to {high:.6g}",
        do="give the network's probabilities, after the sigmoid",
    )
