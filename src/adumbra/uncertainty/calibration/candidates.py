"""Decision of candidates: which lie in veins, how probable each is, which are accepted, and how often a clot is missed.

All is fitted on held-out cases, with and without a clot:

veto         a candidate is dropped if its share in veins exceeds its share in arteries by more than a limit, the least
             from 0 on at which at most a given share of the true candidates is dropped
probability  a monotonic map of the score, logistic or isotonic
threshold    the least probability at which the accepted false candidates are at most a given number per case, over all
             cases
missed       the share of cases with a visible clot among those in which nothing was accepted, as a non-decreasing
             function of the highest probability of a rejected candidate, with the interval of Clopper and Pearson

The share of missed clots holds for a cohort with the same share of cases with a clot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan

import numpy as np
from scipy.special import expit
from scipy.stats import binomtest

from adumbra.core.candidates import CandidateFeatures, CandidateRule, MissedClot
from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.uncertainty.calibration.base import ProbabilityCalibration
from adumbra.uncertainty.calibration.case_score import merged_blocks
from adumbra.uncertainty.calibration.samples import Voxels

ACCEPT_NONE = float(np.nextafter(1.0, 2.0))
"""A threshold that no probability reaches."""
LEVEL = 0.95
"""Level of the interval of missed clots."""


@dataclass(frozen=True)
class ScoredCandidate:
    """A candidate of a calibration case.

    Attributes:
        score: Logit of the second look.
        vein_excess: Share in veins minus share in arteries; nan where no network predicts them.
        clot: Number of the true clot that it matches, from 1; 0 where it matches none.
    """

    score: float
    vein_excess: float
    clot: int


@dataclass(frozen=True)
class CandidateCase:
    """A calibration case.

    Attributes:
        name: Its name.
        clots: Number of its visible clots.
        candidates: All its candidates, those in veins included.
    """

    name: str
    clots: int
    candidates: tuple[ScoredCandidate, ...]


@dataclass(frozen=True)
class MissedBlocks:
    """Cases in which nothing was accepted, in blocks by the highest probability of a rejected candidate.

    Attributes:
        edges: (B - 1,), probabilities between the blocks, increasing; an edge belongs to the block above.
        cases: (B,), number of cases of each block.
        missed: (B,), number of them with a visible clot; the shares do not decrease.
    """

    edges: tuple[float, ...]
    cases: tuple[int, ...]
    missed: tuple[int, ...]

    def __post_init__(self) -> None:
        cases, missed = np.array(self.cases), np.array(self.missed)
        possible = 0 < cases.size == missed.size == len(self.edges) + 1 and (np.diff(self.edges) > 0).all()
        if not (possible and ((missed >= 0) & (missed <= cases) & (cases > 0)).all()):
            raise InputRejected(
                "missed clots", expected="increasing edges and cases of each block", found="others", do="fit it again"
            )

    def at(self, highest: float, *, simulated: bool) -> MissedClot:
        """The share of missed clots at the highest probability of a rejected candidate, 0 where there is none."""
        block = int(np.searchsorted(self.edges, highest, side="right"))
        missed, cases = self.missed[block], self.cases[block]
        interval = binomtest(missed, cases).proportion_ci(LEVEL, method="exact")
        return MissedClot(missed / cases, float(interval.low), float(interval.high), LEVEL, cases, simulated)


@cites("Zadrozny2002", "Clopper1934")
@dataclass(frozen=True)
class CandidateCalibration:
    """How candidates are decided.

    Attributes:
        weights: sha256 of the weights of the first pass, in the order of the members.
        posterior: Name of its posterior.
        second_look: sha256 of the weights of the second look.
        rule: Which parts of the first pass are candidates.
        vein_excess: Largest vein excess of a candidate that is not in a vein; None drops none.
        probability: Map from the sigmoid of a score to the probability of a clot.
        threshold: Probability from which a candidate is accepted.
        missed: What a decision of no clot is worth; None where every calibration case had an accepted candidate.
        false_positives: Accepted false candidates per calibration case.
        detected: Share of the visible clots of the calibration cases with an accepted candidate; nan without a clot.
        cases: Names of the calibration cases.
    """

    weights: tuple[str, ...]
    posterior: str
    second_look: tuple[str, ...]
    rule: CandidateRule
    vein_excess: float | None
    probability: ProbabilityCalibration
    threshold: float
    missed: MissedBlocks | None
    false_positives: float
    detected: float
    cases: tuple[str, ...]

    @property
    def simulated(self) -> bool:
        """Whether all calibration cases are phantoms."""
        return bool(self.cases) and all("phantom" in name for name in self.cases)

    def is_in_vein(self, features: CandidateFeatures) -> bool:
        """Whether a candidate is dropped as a vein."""
        return in_vein(features.vein_excess, self.vein_excess)

    def probability_of(self, score: float) -> float:
        """The probability of a clot of a score of the second look."""
        return _probabilities([score], self.probability)[0]

    def missed_clot(self, rejected: Sequence[float]) -> MissedClot | None:
        """What a decision of no clot is worth, from the probabilities of the rejected candidates."""
        return None if self.missed is None else self.missed.at(max(rejected, default=0.0), simulated=self.simulated)


def in_vein(excess: float, limit: float | None) -> bool:
    """Whether a vein excess is above its limit; never where either is unknown."""
    return limit is not None and not isnan(excess) and excess > limit


def vein_limit(cases: Sequence[CandidateCase], *, most_lost: float = 0.01) -> float | None:
    """The least vein excess, from 0, above which at most a share of the true candidates lies.

    It is never negative: a candidate that is less in veins than in arteries does not lie in a vein.

    Args:
        cases: Calibration cases.
        most_lost: Largest share of the true candidates that may be dropped, in [0, 1).

    Returns:
        The vein excess of a true candidate, or 0; None where no true candidate has one.
    """
    _require_share("most_lost", most_lost)
    true = np.array([c.vein_excess for case in cases for c in case.candidates if c.clot])
    true = np.sort(true[~np.isnan(true)])
    return None if not true.size else max(0.0, float(true[true.size - 1 - int(most_lost * true.size)]))


def accept_threshold(
    cases: Sequence[CandidateCase], probabilities: Sequence[Sequence[float]], *, most_false_positives: float = 0.5
) -> float:
    """The least probability of a candidate at which the accepted false candidates per case are at most a number.

    Args:
        cases: Calibration cases with and without a clot; a case without a candidate counts.
        probabilities: Probability of each candidate of each case; nan for one that is dropped.
        most_false_positives: Largest number of accepted false candidates per case.

    Returns:
        A probability of a candidate, or ``ACCEPT_NONE`` where even the highest accepts too many, or there is none.
    """
    pairs = [
        (p, c.clot > 0)
        for case, row in zip(cases, probabilities, strict=True)
        for p, c in zip(row, case.candidates, strict=True)
        if not isnan(p)
    ]
    allowed, threshold = most_false_positives * len(cases), ACCEPT_NONE
    for probability in sorted({p for p, _ in pairs}, reverse=True):
        if sum(p >= probability and not true for p, true in pairs) > allowed:
            break
        threshold = probability
    return threshold


def missed_blocks(cases: Sequence[CandidateCase], highest: Sequence[float]) -> MissedBlocks | None:
    """Blocks of the cases in which nothing was accepted, of ``case_score.LEAST_BLOCK`` cases or more if they suffice.

    Args:
        cases: These cases.
        highest: Highest probability of a rejected candidate of each, 0 where there is none.

    Returns:
        None without a case.
    """
    if not cases:
        return None
    values, missed = np.asarray(highest, dtype=np.float64), np.array([case.clots > 0 for case in cases])
    distinct, block = np.unique(-values, return_inverse=True)  # shares do not increase along these
    counts, failures = np.bincount(block), np.bincount(block, weights=missed).astype(np.int64)
    rows = [(float(v), float(v), int(c), int(f)) for v, c, f in zip(distinct, counts, failures, strict=True)]
    merged = [(-high, -low, count, lost) for low, high, count, lost in merged_blocks(rows)][::-1]
    edges = tuple((below[1] + above[0]) / 2.0 for below, above in pairwise(merged))
    return MissedBlocks(edges, tuple(row[2] for row in merged), tuple(row[3] for row in merged))


def candidate_scores(cases: Sequence[CandidateCase], limit: float | None) -> Voxels:
    """The candidates that are not in veins as observations for a calibration map, with the sigmoid of their scores.

    Args:
        cases: Calibration cases.
        limit: Limit of the vein excess, see ``vein_limit``.
    """
    rows = [c for case in cases for c in case.candidates if not in_vein(c.vein_excess, limit)]
    scores, true = np.array([c.score for c in rows]), np.array([c.clot > 0 for c in rows], dtype=bool)
    ones = np.ones(len(rows))
    return Voxels(expit(scores), true, ones, np.zeros(len(rows), np.int8), tuple(case.name for case in cases))


def candidate_probabilities(
    case: CandidateCase, probability: ProbabilityCalibration, limit: float | None
) -> tuple[float, ...]:
    """The probability of each candidate of a case; nan for one in a vein."""
    values = _probabilities([c.score for c in case.candidates], probability)
    dropped = [in_vein(c.vein_excess, limit) for c in case.candidates]
    return tuple(float("nan") if lost else p for p, lost in zip(values, dropped, strict=True))


def _probabilities(scores: Sequence[float], probability: ProbabilityCalibration) -> list[float]:
    return [float(p) for p in probability.apply(expit(np.asarray(scores, dtype=np.float64)))]


def _require_share(name: str, value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise InputRejected(name, expected="a share from 0 to below 1", found=f"{value}", do="give 0.01")
