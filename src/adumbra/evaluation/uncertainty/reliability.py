"""Whether a probability means what it says: of the voxels called 0.7, do seven in ten belong to the target?

For n voxels with foreground probabilities p and truths y (0 or 1), sorted into B bins by p; in bin b the mean
probability is conf(b) and the share of voxels in the truth freq(b):

    ECE = Σ n(b)/n |freq(b) - conf(b)|      MCE = max |freq(b) - conf(b)|      (Naeini et al. 2015)
    ACE = 1/B Σ |freq(b) - conf(b)|         over bins of equal mass            (Nixon et al. 2019)
    Brier = 1/n Σ (p - y)²                  NLL = -1/n Σ ln (y p + (1 - y)(1 - p))

The probability is that of the foreground and not that of the called class: the two ECEs differ. Counts are integers and
sums are float64, so that nothing saturates at 2²⁴ voxels. Background makes any network look calibrated: give the voxels
of a region (``evaluation.uncertainty.boundary``), as ``probability[region], truth[region]``. Of no voxels every measure is nan.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.evaluation.tied_ranks import runs
from adumbra.evaluation.validation import require_masks, require_one_shape

BINS = 15
CLIP = 1e-7
CHUNK = 1 << 20  # voxels at a time, so that memory does not grow with the volume


@dataclass(frozen=True, eq=False)
class ReliabilityTable:
    """What a reliability diagram shows: voxels in bins by their probability.

    Tables with the same edges can be added: the sum is the table of all their voxels, as if they were one case.

    Attributes:
        edges: (B + 1,), float64. Bin b holds edges[b] <= p < edges[b + 1]; the last bin holds its upper edge too.
        count: (B,), int64, voxels in each bin.
        true: (B,), int64, voxels in each bin that are in the truth.
        probability: (B,), float64, sum of the probabilities in each bin.
    """

    edges: np.ndarray
    count: np.ndarray
    true: np.ndarray
    probability: np.ndarray

    @property
    def mean_probability(self) -> np.ndarray:
        """(B,), mean probability of each bin; nan where a bin is empty."""
        return _shares(self.probability, self.count)

    @property
    def frequency(self) -> np.ndarray:
        """(B,), share of the voxels of each bin that are in the truth; nan where a bin is empty."""
        return _shares(self.true, self.count)

    def __add__(self, other: "ReliabilityTable") -> "ReliabilityTable":
        """The table of the voxels of both.

        Raises:
            InputRejected: The bins have other edges.
        """
        if not np.array_equal(self.edges, other.edges):
            raise InputRejected(
                "reliability table",
                expected=f"the same {self.count.size} bins",
                found=f"{other.count.size} bins with other edges",
                do="add tables of equal width with one number of bins; bins of equal mass differ from case to case",
            )
        return ReliabilityTable(
            self.edges, self.count + other.count, self.true + other.true, self.probability + other.probability
        )


def equal_width_table(probability: np.ndarray, truth: np.ndarray, *, bins: int = BINS) -> ReliabilityTable:
    """The voxels in bins of equal width, with edges 0, 1/B, … 1. The edges are fixed, so cases can be added up.

    Args:
        probability: Of the foreground, in [0, 1], of any shape.
        truth: bool, of the same shape.
        bins: How many, at least 1.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: A probability is outside [0, 1] or no number, or the truth is not boolean.
        InputRejected: Fewer than one bin.
    """
    return _filled(np.arange(_checked_bins(bins) + 1) / bins, probability, truth)


def equal_mass_table(probability: np.ndarray, truth: np.ndarray, *, bins: int = BINS) -> ReliabilityTable:
    """The voxels in bins of as equal a number of voxels as ties allow; an exact sort, no estimated quantiles.

    Bins are filled from the lowest probability on. Each takes its share of the voxels that are left, ceil(left / bins
    left), or the nearest number to it that does not part equal probabilities (the lower of two equally near, but never
    none). Without ties that is how ``numpy.array_split`` cuts. There may be fewer bins than asked for, where a run of
    equal probabilities takes the share of several; none is empty. No voxels give one empty bin from 0 to 1.

    Args and errors are those of ``equal_width_table``. The edges are the lowest probability of each bin, then the
    highest of all: they differ from case to case, and such tables are not added.
    """
    p, y = _row(probability, truth)
    ordered = runs(p, "probability")
    first = _first_runs(ordered.ends, _checked_bins(bins))
    if not first:
        return equal_width_table(p, y, bins=1)
    return _filled(np.append(ordered.values[first], ordered.values[-1]).astype(np.float64), p, y)


@cites("Naeini2015", "Guo2017")
def expected_calibration_error(table: ReliabilityTable) -> float:
    """ECE, in [0, 1]: |frequency - mean probability| of the bins, weighted by their voxels; nan for no voxels.

    Of ``equal_width_table`` it is the ECE of Guo et al.; of ``equal_mass_table`` the equal-mass ECE. Pooled over cases
    if the table is a sum.
    """
    gaps = np.abs(table.true - table.probability)  # n(b) |freq(b) - conf(b)|
    voxels = int(table.count.sum())
    return float(gaps.sum()) / voxels if voxels else nan


@cites("Naeini2015")
def maximum_calibration_error(table: ReliabilityTable) -> float:
    """MCE, in [0, 1]: the largest |frequency - mean probability| of a bin that is not empty; nan for no voxels.

    A bin of one voxel counts as much as one of a million.
    """
    gaps = _gaps(table)
    return float(gaps.max()) if gaps.size else nan


def average_calibration_error(table: ReliabilityTable) -> float:
    """Mean |frequency - mean probability| of the bins that are not empty, each bin alike; nan for no voxels.

    Of ``equal_width_table`` it is what MONAI, netcal and ValUES call ACE; the ACE of Nixon et al. is
    ``adaptive_calibration_error``.
    """
    gaps = _gaps(table)
    return float(gaps.mean()) if gaps.size else nan


@cites("Nixon2019")
def adaptive_calibration_error(
    probability: np.ndarray, truth: np.ndarray, *, bins: int = BINS, above: float = 0.0
) -> float:
    """ACE of Nixon et al., in [0, 1]: the mean over bins of equal mass, each bin alike; nan for no voxels.

    Their mean over classes changes nothing here: of two classes the second has the gaps of the first. Where ties keep
    the bins from being equal it differs from the equal-mass ECE, which weights them.

    Args:
        probability: As for ``equal_width_table``, and the errors too.
        truth: Likewise.
        bins: How many at most.
        above: Only voxels whose probability reaches this (their thresholded TACE): 0 takes all. Nearly every voxel of a
            brain is called almost 0, and so nearly every bin of equal mass is; 0.01 looks at the others.
    """
    p, y = _row(probability, truth)
    kept = p >= above
    return average_calibration_error(equal_mass_table(p[kept], y[kept], bins=bins))


@cites("Brier1950")
def brier_score(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared difference of probability and truth, in [0, 1]; nan for no voxels.

    Brier's own sum over both classes is twice this. Errors are those of ``equal_width_table``.
    """
    total = sum(float(np.square(p - y).sum()) for p, y in _chunks(probability, truth))
    return total / truth.size if truth.size else nan


def negative_log_likelihood(probability: np.ndarray, truth: np.ndarray, *, clip: float = CLIP) -> float:
    """Mean of -ln of the probability that was given to what is true, in nats, from 0; nan for no voxels.

    Args:
        probability: As for ``equal_width_table``, and the errors too.
        truth: Likewise.
        clip: That probability is raised to at least this, so that one voxel which is surely wrong costs -ln 1e-7 = 16.1
            nats and not infinitely many; what is surely right costs exactly 0.

    Raises:
        InputRejected: ``clip`` is not in (0, 1).
    """
    if not 0.0 < clip < 1.0:
        raise InputRejected("clip", expected="between 0 and 1", found=f"{clip}", do="give a small number such as 1e-7")
    total = 0.0
    for p, y in _chunks(probability, truth):
        total -= float(np.log(np.maximum(np.where(y, p, 1.0 - p), clip)).sum())
    return total / truth.size if truth.size else nan


def _shares(sums: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.divide(sums, count, out=np.full(count.size, nan), where=count > 0)


def _gaps(table: ReliabilityTable) -> np.ndarray:
    """|freq(b) - conf(b)| of the bins that are not empty."""
    filled = table.count > 0
    return np.abs(table.frequency[filled] - table.mean_probability[filled])


def _first_runs(ends: np.ndarray, bins: int) -> list[int]:
    """With which run each bin of equal mass begins."""
    firsts, first, below = [], 0, 0  # below: voxels in the bins so far
    for share in range(bins, 0, -1):
        if first == ends.size:
            break
        ideal = below - (below - int(ends[-1])) // share  # below + ceil(left / share)
        last = int(np.searchsorted(ends, ideal))  # the first run that ends at the ideal cut or beyond
        if last > first and ideal - ends[last - 1] <= ends[last] - ideal:
            last -= 1
        firsts.append(first)
        first, below = last + 1, int(ends[last])
    return firsts


def _filled(edges: np.ndarray, probability: np.ndarray, truth: np.ndarray) -> ReliabilityTable:
    """The table of the voxels in bins with these edges."""
    bins = edges.size - 1
    count, true = np.zeros((2, bins), dtype=np.int64)
    total = np.zeros(bins)
    for p, y in _chunks(probability, truth):
        index = np.searchsorted(edges[1:-1], p, side="right")
        count += np.bincount(index, minlength=bins)
        true += np.bincount(index[y], minlength=bins)
        total += np.bincount(index, weights=p, minlength=bins)
    return ReliabilityTable(edges, count, true, total)


def _chunks(probability: np.ndarray, truth: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Probabilities (float64) and truths (bool) in rows of at most CHUNK voxels, checked."""
    require_one_shape("probability and truth", truth.shape, probability)
    require_masks(truth=truth)
    p, y = probability.ravel(), truth.ravel()
    for start in range(0, y.size, CHUNK):
        row = p[start : start + CHUNK].astype(np.float64)
        if not (row.min() >= 0.0 and row.max() <= 1.0):  # written so that NaN is refused too
            raise ImplausibleValues(
                "probability",
                expected="probabilities in [0, 1]",
                found=f"values from {row.min():.6g} to {row.max():.6g}",
                do="give the foreground's probabilities, after the sigmoid",
            )
        yield row, y[start : start + CHUNK]


def _row(probability: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All probabilities and truths in one row, checked."""
    for _ in _chunks(probability, truth):
        pass
    return probability.ravel(), truth.ravel()


def _checked_bins(bins: int) -> int:
    if bins < 1:
        raise InputRejected("bins", expected="at least 1", found=f"{bins}", do="give a number such as 15")
    return bins
