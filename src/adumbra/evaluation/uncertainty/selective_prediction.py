"""Does an uncertainty find the errors? Risk and coverage, and the detection of wrong voxels.

Voxels are kept from the surest on. With e(k) the wrong ones among the first k of n, the risk at coverage k/n is e(k)/k,
and (Geifman et al. 2019)

    AURC = 1/n Σ_k e(k)/k           excess AURC = AURC - AURC of the oracle, which keeps all right voxels first

Equally uncertain voxels have no order. In place of e(k) stands its expected value over all their orders: in a run of m
voxels, w of them wrong, it rises by w/m a voxel. AURC is linear in e, so this is exactly its expected value too. A map
that says nothing has the error rate as its AURC, and the oracle has an excess of exactly 0.

AUROC is the probability that a wrong voxel is more uncertain than a right one, ties counting half (mid-ranks); AUPRC is
the average precision of wrong voxels over the thresholds that tell voxels apart.
"""

from dataclasses import dataclass
from math import nan

import numpy as np

from adumbra.core.references import cites
from adumbra.evaluation.tied_ranks import runs
from adumbra.evaluation.validation import require_masks, require_one_shape

POINTS = 100
CHUNK = 1 << 20  # ranks at a time


@dataclass(frozen=True, eq=False)
class Ranking:
    """Voxels from the surest to the least sure, in runs of equal uncertainty.

    Attributes:
        ends: (R,), int64, voxels up to the end of each run.
        wrong: (R,), int64, wrong voxels among them.
    """

    ends: np.ndarray
    wrong: np.ndarray

    @property
    def voxels(self) -> int:
        """How many voxels there are."""
        return int(self.ends[-1]) if self.ends.size else 0

    @property
    def errors(self) -> int:
        """How many of them are wrong."""
        return int(self.wrong[-1]) if self.wrong.size else 0


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The curve: at each coverage the share of wrong voxels among those that are kept.

    Attributes:
        coverage: (K,), rising to 1; coverage 0 has no risk.
        risk: (K,), expected over the orders of ties.
    """

    coverage: np.ndarray
    risk: np.ndarray


@dataclass(frozen=True, eq=False)
class ErrorDetection:
    """How well an uncertainty tells wrong voxels from right ones; nan where it is undefined.

    Attributes:
        voxels: How many were judged.
        errors: How many of them are wrong. ``errors / voxels`` is the AURC of a map that says nothing.
        aurc: From 0; lower is better. nan for no voxels, 0 for no errors.
        excess_aurc: What of it is above the oracle's, from 0; nan for no voxels.
        auroc: 1 finds all, 0.5 says nothing; nan without errors, and where all is wrong.
        auprc: 1 finds all, the error rate says nothing; nan without errors, 1 where all is wrong.
        curve: Risk over coverage.
    """

    voxels: int
    errors: int
    aurc: float
    excess_aurc: float
    auroc: float
    auprc: float
    curve: RiskCoverage


@cites("Geifman2019", "Hanley1982")
def error_detection(uncertainty: np.ndarray, wrong: np.ndarray, *, points: int = POINTS) -> ErrorDetection:
    """All measures of this module from one sort.

    Args:
        uncertainty: Of any shape and unit; higher is less sure. Infinite values are ordered like others.
        wrong: bool, of the same shape: ``prediction != truth``.
        points: How many coverages the curve has at most.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: An uncertainty is NaN, or ``wrong`` is not boolean.
    """
    ranking = ranked(uncertainty, wrong)
    return ErrorDetection(
        ranking.voxels,
        ranking.errors,
        aurc(ranking),
        excess_aurc(ranking),
        auroc(ranking),
        auprc(ranking),
        risk_coverage(ranking, points=points),
    )


def ranked(uncertainty: np.ndarray, wrong: np.ndarray) -> Ranking:
    """The voxels in order of their uncertainty: sorted once for all measures. Errors as in ``error_detection``."""
    require_one_shape("uncertainty and errors", wrong.shape, uncertainty)
    require_masks(errors=wrong)
    ordered = runs(uncertainty.ravel(), "uncertainty")
    return Ranking(ordered.ends, ordered.counted(uncertainty[wrong]))


def aurc(ranking: Ranking) -> float:
    """Area under the risk-coverage curve, expected over the orders of ties; nan for no voxels."""
    ends, wrong = _knots(ranking)
    total = 0.0
    for start in range(0, ranking.voxels, CHUNK):
        kept = np.arange(start + 1, min(start + CHUNK, ranking.voxels) + 1, dtype=np.float64)
        total += float((np.interp(kept, ends, wrong) / kept).sum())
    return total / ranking.voxels if ranking.voxels else nan


def excess_aurc(ranking: Ranking) -> float:
    """AURC above that of the oracle with as many errors, from 0; exactly 0 for an oracle's uncertainty."""
    right = ranking.voxels - ranking.errors
    oracle = Ranking(np.array([right, ranking.voxels]), np.array([0, ranking.errors]))
    return max(0.0, aurc(ranking) - aurc(oracle)) if ranking.voxels else nan


def auroc(ranking: Ranking) -> float:
    """Area under the ROC curve of finding wrong voxels, counted in integers; nan unless some are wrong and some not."""
    right = ranking.ends - ranking.wrong
    wrong_in_run, right_in_run = np.diff(ranking.wrong, prepend=0), np.diff(right, prepend=0)
    pairs = ranking.errors * (ranking.voxels - ranking.errors)
    halves = int((wrong_in_run * (2 * right - right_in_run)).sum())  # of pairs in order; a tied pair is one half
    return halves / (2 * pairs) if pairs else nan


def auprc(ranking: Ranking) -> float:
    """Average precision of finding wrong voxels, one threshold a run and no interpolation; nan without errors."""
    if ranking.errors == 0:
        return nan
    wrong_in_run = np.diff(ranking.wrong, prepend=0)
    flagged = ranking.voxels - ranking.ends + np.diff(ranking.ends, prepend=0)  # at least as uncertain as the run
    found = ranking.errors - ranking.wrong + wrong_in_run
    return float((wrong_in_run * (found / flagged)).sum()) / ranking.errors


def risk_coverage(ranking: Ranking, *, points: int = POINTS) -> RiskCoverage:
    """The curve at up to ``points`` evenly spaced coverages, each of a whole number of voxels; empty for no voxels."""
    if ranking.voxels == 0:
        return RiskCoverage(np.zeros(0), np.zeros(0))
    kept = np.unique(np.ceil(np.arange(1, points + 1) * (ranking.voxels / points))).clip(1, ranking.voxels)
    return RiskCoverage(kept / ranking.voxels, np.interp(kept, *_knots(ranking)) / kept)


def _knots(ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """Between these the expected number of errors rises evenly: kept voxels and errors, from (0, 0)."""
    return np.append(0.0, ranking.ends), np.append(0.0, ranking.wrong)
