"""Calibration of a probability: of the voxels with a probability of 0.7, seven in ten should belong to the target.

Let n voxels have foreground probabilities p and truths y (0 or 1). They are sorted into B bins by p. In bin b the mean
probability is conf(b) and the share of voxels in the truth is freq(b):

    ECE = Σ n(b)/n |freq(b) - conf(b)|      MCE = max |freq(b) - conf(b)|      (Naeini et al. 2015)
    ACE = 1/B Σ |freq(b) - conf(b)|         over bins of equal mass            (Nixon et al. 2019)
    Brier = 1/n Σ (p - y)²                  NLL = -1/n Σ ln (y p + (1 - y)(1 - p))

The probability is that of the foreground, not that of the predicted class; the two ECEs differ. Counts are integers and
sums are float64, so that nothing saturates at 2²⁴ voxels. The background makes any network look calibrated. Therefore
give the voxels of a region (``evaluation.uncertainty.boundary``) as ``probability[region], truth[region]``. Every
measure of no voxels is nan.
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
    """Contents of a reliability diagram: voxels in bins of probability.

    Tables with the same edges can be added. The sum is the table of all their voxels.

    Attributes:
        edges: (B + 1,), float64. Bin b has edges[b] <= p < edges[b + 1]; the last bin includes its upper edge.
        count: (B,), int64, number of voxels in each bin.
        true: (B,), int64, number of voxels in each bin that are in the truth.
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
        """Table of the voxels of both.

        Raises:
            InputRejected: The edges of the bins differ.
        """
        if not np.array_equal(self.edges, other.edges):
            raise InputRejected(
                "reliability table",
                expected=f"the same {self.count.size} bins",
                found=f"{other.count.size} bins with other edges",
                do="add equal-width tables with the same number of bins; equal-mass bins differ from case to case",
            )
        return ReliabilityTable(
            self.edges, self.count + other.count, self.true + other.true, self.probability + other.probability
        )


def equal_width_table(probability: np.ndarray, truth: np.ndarray, *, bins: int = BINS) -> ReliabilityTable:
    """Reliability table with bins of equal width, with edges 0, 1/B, … 1. Tables of cases can be added.

    Args:
        probability: Foreground probabilities in [0, 1], of any shape.
        truth: True mask, bool, of the same shape.
        bins: Number of bins, at least 1.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: A probability is NaN or outside [0, 1], or the truth is not boolean.
        InputRejected: ``bins`` is less than 1.
    """
    return _filled(np.arange(_checked_bins(bins) + 1) / bins, probability, truth)


def equal_mass_table(probability: np.ndarray, truth: np.ndarray, *, bins: int = BINS) -> ReliabilityTable:
    """Reliability table with bins of as equal a number of voxels as ties allow, from an exact sort.

    Bins are filled from the lowest probability on. Each takes its share of the remaining voxels, ceil(voxels left /
    bins left), or the nearest number to it that does not split equal probabilities (the lower of two equally near ones,
    but never none). Without ties the bins are those of ``numpy.array_split``. There are fewer than ``bins`` bins where
    a run of equal probabilities takes the share of several. No bin is empty, except that no voxels give one empty bin
    from 0 to 1.

    Arguments and errors are those of ``equal_width_table``. The edges are the lowest probability of each bin, then the
    highest of all. They differ from case to case, and such tables cannot be added.
    """
    p, y = _row(probability, truth)
    ordered = runs(p, "probability")
    first = _first_runs(ordered.ends, _checked_bins(bins))
    if not first:
        return equal_width_table(p, y, bins=1)
    return _filled(np.append(ordered.values[first], ordered.values[-1]).astype(np.float64), p, y)


@cites("Naeini2015", "Guo2017")
def expected_calibration_error(table: ReliabilityTable) -> float:
    """ECE, in [0, 1]: mean |frequency - mean probability| of the bins, weighted by their voxels; nan for no voxels.

    With ``equal_width_table`` it is the ECE of Guo et al., and with ``equal_mass_table`` the equal-mass ECE. It is
    pooled over cases if the table is a sum.
    """
    gaps = np.abs(table.true - table.probability)  # n(b) |freq(b) - conf(b)|
    voxels = int(table.count.sum())
    return float(gaps.sum()) / voxels if voxels else nan


@cites("Naeini2015")
def maximum_calibration_error(table: ReliabilityTable) -> float:
    """MCE, in [0, 1]: largest |frequency - mean probability| of the bins that are not empty; nan for no voxels.

    A bin of one voxel counts as much as one of a million voxels.
    """
    gaps = _gaps(table)
    return float(gaps.max()) if gaps.size else nan


def average_calibration_error(table: ReliabilityTable) -> float:
    """Unweighted mean |frequency - mean probability| of the bins that are not empty; nan for no voxels.

    With ``equal_width_table`` it is the ACE of MONAI, netcal and ValUES. The ACE of Nixon et al. is
    ``adaptive_calibration_error``.
    """
    gaps = _gaps(table)
    return float(gaps.mean()) if gaps.size else nan


@cites("Nixon2019")
def adaptive_calibration_error(
    probability: np.ndarray, truth: np.ndarray, *, bins: int = BINS, above: float = 0.0
) -> float:
    """ACE of Nixon et al., in [0, 1]: unweighted mean over bins of equal mass; nan for no voxels.

    Their mean over classes changes nothing here, because both of two classes have the same gaps. Where ties make the
    bins unequal it differs from the equal-mass ECE, which weights the bins. Errors are those of ``equal_width_table``.

    Args:
        probability: Foreground probabilities in [0, 1], of any shape.
        truth: True mask, bool, of the same shape.
        bins: Largest number of bins.
        above: Lowest probability that counts, as in their thresholded TACE; 0 takes all voxels. Nearly every voxel of a
            brain has a probability of almost 0, and so has nearly every bin of equal mass; 0.01 excludes these voxels.
    """
    p, y = _row(probability, truth)
    counted = p >= above
    return average_calibration_error(equal_mass_table(p[counted], y[counted], bins=bins))


@cites("Brier1950")
def brier_score(probability: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared difference of probability and truth, in [0, 1]; nan for no voxels.

    Brier's original sum over both classes is twice this value. Errors are those of ``equal_width_table``.
    """
    total = sum(float(np.square(p - y).sum()) for p, y in _chunks(probability, truth))
    return total / truth.size if truth.size else nan


def negative_log_likelihood(probability: np.ndarray, truth: np.ndarray, *, clip: float = CLIP) -> float:
    """NLL: mean of -ln of the probability of the true class, in nats, from 0; nan for no voxels.

    Args:
        probability: Foreground probabilities in [0, 1], of any shape.
        truth: True mask, bool, of the same shape.
        clip: Lower bound of the probability of the true class. A voxel that is wrong with certainty then costs
            -ln 1e-7 = 16.1 nats instead of infinity. A voxel that is right with certainty costs exactly 0.

    Raises:
        InputRejected: ``clip`` is not in (0, 1). Other errors are those of ``equal_width_table``.
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
    """Index of the first run of each bin of equal mass."""
    firsts, first, below = [], 0, 0  # below: voxels in the bins so far
    for share in range(bins, 0, -1):
        if first == ends.size:
            break
        ideal = below - (below - int(ends[-1])) // share  # below + ceil(left / share)
        last = int(np.searchsorted(ends, ideal))  # the first run that ends at the ideal split or beyond
        if last > first and ideal - ends[last - 1] <= ends[last] - ideal:
            last -= 1
        firsts.append(first)
        first, below = last + 1, int(ends[last])
    return firsts


def _filled(edges: np.ndarray, probability: np.ndarray, truth: np.ndarray) -> ReliabilityTable:
    """Reliability table with given edges."""
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
    """Checked probabilities (float64) and truths (bool) in chunks of at most CHUNK voxels."""
    require_one_shape("probability and truth", truth.shape, probability)
    require_masks(truth=truth)
    p, y = probability.ravel(), truth.ravel()
    for start in range(0, y.size, CHUNK):
        row = p[start : start + CHUNK].astype(np.float64)
        if not (row.min() >= 0.0 and row.max() <= 1.0):  # refuses NaN too
            raise ImplausibleValues(
                "probability",
                expected="probabilities in [0, 1]",
                found=f"values from {row.min():.6g} to {row.max():.6g}",
                do="give foreground probabilities, after the sigmoid",
            )
        yield row, y[start : start + CHUNK]


def _row(probability: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All probabilities and truths as checked arrays (N,)."""
    for _ in _chunks(probability, truth):
        pass
    return probability.ravel(), truth.ravel()


def _checked_bins(bins: int) -> int:
    if bins < 1:
        raise InputRejected("bins", expected="at least 1", found=f"{bins}", do="give a number such as 15")
    return bins
