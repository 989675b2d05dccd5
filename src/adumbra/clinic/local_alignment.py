"""Samples how the arteries around a clot lie in MNI152 space, given the alignment of the whole head.

The alignment is off by some millimetres. Near the clot the error is a shift and a small affine change about the centre
of the clot, both normal. The likelihood is that the centre line of the clot, and bright vessels of TOF where they are
given, lie in arteries of the atlas (``clinic.artery_maps``). Neighbouring points are not independent: the mean
log-density counts as many times as there are independent pieces. The posterior is sampled by annealed importance
sampling with resampling, a sequential Monte Carlo sampler (Del Moral et al. 2006), so that several places compete.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adumbra.clinic.artery_maps import artery_maps
from adumbra.core.references import cites

PLACE_MM = 2.0
"""Standard deviation of the shift along each axis. It, the slope, and the weights of pieces and vessels were chosen on
64 clots of phantoms of cohorts 103 to 105."""
SLOPE = 0.04
"""Standard deviation of each entry of the affine change, in mm per mm."""
PIECE_MM = 3.0
"""Length of a clot that counts as one independent piece; the clot has one more piece than this length fits in."""
MOST_PIECES = 2.0
"""Largest number of independent pieces of a clot."""
MOST_POINTS = 15
"""Largest number of points of the centre line that are compared."""
SAMPLES = 300
"""Number of samples."""
_VESSEL_SHARE = 5.0  # Bright voxels that count as one independent piece.
_MOST_VESSELS = 12.0
_MOVES = (1.0, 0.4, 1.0, 0.4)  # Scales of the random-walk moves after each resampling.
_PARAMETERS = 12
_SEED = 0
LogLikelihood = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class LocalAlignments:
    """Samples of the alignment about a centre; all have the same weight.

    Attributes:
        centre_mm: (3,), the centre in MNI152 mm.
        parameters: (S, 12), the shift, and the affine change row by row.
    """

    centre_mm: np.ndarray
    parameters: np.ndarray

    def __call__(self, points_mm: np.ndarray) -> np.ndarray:
        """The places (S, K, 3) of points (K, 3) in each sample, MNI152 mm."""
        return moved(points_mm - self.centre_mm, self.parameters) + self.centre_mm


def moved(offsets_mm: np.ndarray, parameters: np.ndarray) -> np.ndarray:
    """Offsets (K, 3) from the centre after the change of each sample, (S, K, 3)."""
    change = np.eye(3) + parameters[:, 3:].reshape(-1, 3, 3)
    places: np.ndarray = np.einsum("sij,kj->ski", change, offsets_mm) + parameters[:, None, :3]
    return places


@cites("DelMoral2006")
def local_alignments(line_mm: np.ndarray, vessels_mm: np.ndarray | None = None) -> LocalAlignments:
    """Samples the alignment near a clot.

    Args:
        line_mm: (K, 3), the centre line of the clot from one end to the other, in MNI152 mm by the alignment of the
            head; at least one point.
        vessels_mm: (V, 3), voxels of bright vessels near it, likewise; None where there are none.
    """
    maps, centre = artery_maps(), line_mm.mean(axis=0)
    length = float(np.linalg.norm(np.diff(line_mm, axis=0), axis=1).sum())
    chosen = np.unique(np.linspace(0, len(line_mm) - 1, MOST_POINTS).astype(int))
    sets = [(line_mm[chosen] - centre, min(MOST_PIECES, 1.0 + length / PIECE_MM))]
    if vessels_mm is not None and len(vessels_mm):
        sets.append((vessels_mm - centre, min(_MOST_VESSELS, len(vessels_mm) / _VESSEL_SHARE)))

    def log_likelihood(parameters: np.ndarray) -> np.ndarray:
        total = np.zeros(len(parameters))
        for offsets, pieces in sets:
            index = maps.index(moved(offsets, parameters) + centre)
            total += pieces * maps.log_density[index].mean(axis=1)
        return total

    spread = np.r_[np.full(3, PLACE_MM), np.full(_PARAMETERS - 3, SLOPE)]
    return LocalAlignments(centre, annealed_samples(log_likelihood, spread, np.random.default_rng(_SEED)))


def annealed_samples(log_likelihood: LogLikelihood, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Samples (S, P) of a posterior whose prior is normal about zero.

    The likelihood is raised to powers from 0 to 1. Each power is as large as keeps half of the effective sample size;
    then the samples are drawn again by their weights and moved by a random walk (Metropolis).

    Args:
        log_likelihood: Its logarithm (S,) for parameters (S, P).
        spread: (P,), standard deviations of the prior.
        rng: Source of all randomness.
    """
    samples = rng.normal(size=(SAMPLES, len(spread))) * spread
    fit, power = log_likelihood(samples), 0.0
    while power < 1.0:
        step = _largest_step(fit, 1.0 - power)
        weights = np.exp(step * (fit - fit.max()))
        places = (np.arange(SAMPLES) + rng.random()) / SAMPLES
        chosen = np.minimum(np.searchsorted(np.cumsum(weights / weights.sum()), places), SAMPLES - 1)
        samples, fit, power = samples[chosen], fit[chosen], power + step
        root = np.linalg.cholesky(np.cov(samples.T) + 1e-6 * np.diag(spread**2)) * (2.0 / np.sqrt(len(spread)))
        for scale in _MOVES:
            moved_to = samples + scale * rng.normal(size=samples.shape) @ root.T
            new = log_likelihood(moved_to)
            gain = power * (new - fit) + 0.5 * ((samples / spread) ** 2 - (moved_to / spread) ** 2).sum(axis=1)
            accepted = np.log(rng.random(SAMPLES)) < gain
            samples[accepted], fit[accepted] = moved_to[accepted], new[accepted]
    return samples


def _largest_step(fit: np.ndarray, largest: float) -> float:
    """The largest increase of the power, up to a limit, that keeps half of the effective sample size."""

    def effective(step: float) -> float:
        weights = np.exp(step * (fit - fit.max()))
        return float(weights.sum() ** 2 / (weights**2).sum())

    if effective(largest) >= 0.5 * len(fit):
        return largest
    low, high = 0.0, largest
    for _ in range(20):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle) >= 0.5 * len(fit) else (low, middle)
    return max(low, 1e-3 * largest)
