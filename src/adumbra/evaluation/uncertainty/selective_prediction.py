"""Selective prediction: the risk-coverage curve, and the detection of wrong voxels by their uncertainty.

Voxels are retained in ascending order of uncertainty. With e(k) the number of wrong ones among the first k of n, the
risk at coverage k/n is e(k)/k, and (Geifman et al. 2019)

    AURC = 1/n Σ_k e(k)/k           excess AURC = AURC - AURC of the oracle, which retains all right voxels first

Voxels of equal uncertainty have no order. Therefore e(k) is replaced by its expected value over all their orders: in a
run of m voxels with w wrong ones, it increases by w/m per voxel. AURC is linear in e, so the result is exactly its
expected value. A constant, uninformative map has the error rate as its AURC, and the oracle has an excess of exactly 0.

AUROC is the probability that a wrong voxel is more uncertain than a right one, where ties count half (mid-ranks). AUPRC
is the average precision of wrong voxels over the distinct values of the uncertainty.
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
    """Voxels in ascending order of uncertainty, in runs of equal uncertainty.

    Attributes:
        ends: (R,), int64, number of voxels up to the end of each run.
        wrong: (R,), int64, number of wrong voxels among them.
    """

    ends: np.ndarray
    wrong: np.ndarray

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return int(self.ends[-1]) if self.ends.size else 0

    @property
    def errors(self) -> int:
        """Number of wrong voxels."""
        return int(self.wrong[-1]) if self.wrong.size else 0


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Risk-coverage curve: the share of wrong voxels among the retained ones, at each coverage.

    Attributes:
        coverage: (K,), share of retained voxels, ascending to 1. The risk is undefined at coverage 0.
        risk: (K,), share of wrong voxels, expected over the orders of ties.
    """

    coverage: np.ndarray
    risk: np.ndarray


@dataclass(frozen=True, eq=False)
class ErrorDetection:
    """Detection of wrong voxels by their uncertainty; nan where a measure is undefined.

    Attributes:
        voxels: Number of voxels.
        errors: Number of wrong voxels. ``errors / voxels`` is the AURC of a constant map.
        aurc: Area under the risk-coverage curve, from 0; lower is better. nan for no voxels, 0 for no errors.
        excess_aurc: AURC minus that of the oracle, from 0; nan for no voxels.
        auroc: Area under the ROC curve: 1 is perfect, 0.5 a constant map. nan without errors and without right voxels.
        auprc: Average precision: 1 is perfect, the error rate a constant map. nan without errors, 1 if all is wrong.
        curve: Risk-coverage curve.
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
    """All measures of this module, computed with a single sort.

    Args:
        uncertainty: Uncertainty of any shape and unit; higher is more uncertain. Infinite values are ordered too.
        wrong: Wrong voxels, bool, of the same shape: ``prediction != truth``.
        points: Largest number of points of the curve.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: An uncertainty is NaN, or ``wrong`` is not boolean.
    """
    ranking = rank_voxels(uncertainty, wrong)
    return ErrorDetection(
        ranking.voxels,
        ranking.errors,
        aurc(ranking),
        excess_aurc(ranking),
        auroc(ranking),
        auprc(ranking),
        risk_coverage(ranking, points=points),
    )


def rank_voxels(uncertainty: np.ndarray, wrong: np.ndarray) -> Ranking:
    """Voxels in the order of their uncertainty, sorted once for all measures.

    Arguments and errors are those of ``error_detection``.
    """
    require_one_shape("uncertainty and errors", wrong.shape, uncertainty)
    require_masks(errors=wrong)
    ordered = runs(uncertainty.ravel(), "uncertainty")
    return Ranking(ordered.ends, ordered.cumulative_count(uncertainty[wrong]))


def aurc(ranking: Ranking) -> float:
    """AURC: area under the risk-coverage curve, expected over the orders of ties; nan for no voxels."""
    ends, wrong = _knots(ranking)
    total = 0.0
    for start in range(0, ranking.voxels, CHUNK):
        retained = np.arange(start + 1, min(start + CHUNK, ranking.voxels) + 1, dtype=np.float64)
        total += float((np.interp(retained, ends, wrong) / retained).sum())
    return total / ranking.voxels if ranking.voxels else nan


def excess_aurc(ranking: Ranking) -> float:
    """Excess AURC: AURC minus that of the oracle with as many errors, from 0; exactly 0 for the oracle itself."""
    right = ranking.voxels - ranking.errors
    oracle = Ranking(np.array([right, ranking.voxels]), np.array([0, ranking.errors]))
    return max(0.0, aurc(ranking) - aurc(oracle)) if ranking.voxels else nan


def auroc(ranking: Ranking) -> float:
    """AUROC of the detection of wrong voxels, counted in integers; nan unless some voxels are wrong and some right."""
    right = ranking.ends - ranking.wrong
    wrong_in_run, right_in_run = np.diff(ranking.wrong, prepend=0), np.diff(right, prepend=0)
    pairs = ranking.errors * (ranking.voxels - ranking.errors)
    halves = int((wrong_in_run * (2 * right - right_in_run)).sum())  # half-pairs in order: a tied pair counts one
    return halves / (2 * pairs) if pairs else nan


def auprc(ranking: Ranking) -> float:
    """AUPRC: average precision of the detection of wrong voxels, without interpolation; nan without errors."""
    if ranking.errors == 0:
        return nan
    wrong_in_run = np.diff(ranking.wrong, prepend=0)
    flagged = ranking.voxels - ranking.ends + np.diff(ranking.ends, prepend=0)  # at least as uncertain as the run
    detected = ranking.errors - ranking.wrong + wrong_in_run
    return float((wrong_in_run * (detected / flagged)).sum()) / ranking.errors


def risk_coverage(ranking: Ranking, *, points: int = POINTS) -> RiskCoverage:
    """Risk-coverage curve at up to ``points`` evenly spaced coverages of whole voxels; empty for no voxels."""
    if ranking.voxels == 0:
        return RiskCoverage(np.zeros(0), np.zeros(0))
    retained = np.unique(np.ceil(np.arange(1, points + 1) * (ranking.voxels / points))).clip(1, ranking.voxels)
    return RiskCoverage(retained / ranking.voxels, np.interp(retained, *_knots(ranking)) / retained)


def _knots(ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """Retained voxels and errors, from (0, 0); between these the expected number of errors is linear."""
    return np.append(0.0, ranking.ends), np.append(0.0, ranking.wrong)
