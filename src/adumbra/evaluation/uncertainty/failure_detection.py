"""Detection of failed segmentations by the score of a case, without the truth.

The risk of a case is 1 - Dice. Cases are retained in descending order of their score, and with R(k) the summed risk of
the first k of n the AURC is 1/n Σ R(k)/k; ties are expected over their orders, as in ``selective_prediction``. The
excess AURC is the AURC minus that of the order by the risk itself. The detected share is that of the failures among the
cases with the lowest scores that a reader would get if a share of all cases were referred.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, nan

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.evaluation.statistics import RESAMPLES
from adumbra.evaluation.tied_ranks import runs
from adumbra.evaluation.uncertainty.association import Association, case_association
from adumbra.evaluation.uncertainty.selective_prediction import Ranking, aurc

FAILED_DICE = 0.5
"""Dice below which a segmentation counts as failed."""
REFERRED = 0.1
"""Share of the cases that are referred to a reader."""


@dataclass(frozen=True)
class FailureDetection:
    """Detection of failures by a case score; nan where a measure is undefined.

    Attributes:
        association: Spearman's rho of the score and Dice, with its bootstrap interval; the best score has 1.
        aurc: Area under the risk-coverage curve of the cases, from 0.
        excess_aurc: AURC minus that of the best order, from 0.
        failures: Number of failed cases.
        referred: Number of referred cases.
        detected: Expected number of failed cases among the referred ones, where ties at the limit are drawn at random.
        detected_share: ``detected / failures``; nan without failures.
    """

    association: Association
    aurc: float
    excess_aurc: float
    failures: int
    referred: int
    detected: float
    detected_share: float


@cites("Zenk2025", "Geifman2019", "Spearman1904")
def failure_detection(
    score: Sequence[float] | np.ndarray,
    dice: Sequence[float] | np.ndarray,
    *,
    generator: np.random.Generator,
    failed_dice: float = FAILED_DICE,
    referred: float = REFERRED,
    resamples: int = RESAMPLES,
) -> FailureDetection:
    """How well a score of cases detects failed segmentations.

    Args:
        score: (N,), a higher one stands for a better segmentation, such as the Dice of members with each other.
        dice: (N,), Dice with the truth, 1 where mask and truth are empty.
        generator: Random generator of the bootstrap resamples.
        failed_dice: Dice below which a segmentation counts as failed.
        referred: Share of the cases that are referred, in [0, 1]; their number is rounded up.
        resamples: Number of bootstrap resamples, at least 1.

    Raises:
        InputRejected: The lengths differ, there is no case, or the share is outside [0, 1].
        ImplausibleValues: A score is not a number, or a Dice is outside [0, 1].
    """
    scores, dices = np.asarray(score, dtype=np.float64), np.asarray(dice, dtype=np.float64)
    if scores.ndim != 1 or scores.shape != dices.shape or not scores.size or not 0.0 <= referred <= 1.0:
        raise InputRejected(
            "scores",
            expected="one score and one Dice for each of one case or more, and a share from 0 to 1",
            found=f"shapes {scores.shape} and {dices.shape}, share {referred}",
            do="give both in the order of the cases",
        )
    if not (np.isfinite(scores).all() and ((dices >= 0.0) & (dices <= 1.0)).all()):
        raise ImplausibleValues(
            "scores", expected="finite scores, and Dice from 0 to 1", found="others", do="leave undefined cases out"
        )
    risk, failed = 1.0 - dices, dices < failed_dice
    count = ceil(round(referred * scores.size, 9))
    detected = _expected_among_lowest(scores, failed, count)
    failures = int(np.count_nonzero(failed))
    area = case_aurc(scores, risk)
    association = case_association(scores, dices, generator=generator, resamples=resamples)
    return FailureDetection(
        association, area, max(0.0, area - case_aurc(-risk, risk)), failures, count,
        detected, detected / failures if failures else nan,
    )  # fmt: skip


@cites("Geifman2019")
def case_aurc(score: np.ndarray, risk: np.ndarray) -> float:
    """Area under the risk-coverage curve of cases that are retained in descending order of their score (N,)."""
    order = runs(-score, "score")
    summed = np.cumsum(np.bincount(np.searchsorted(order.values, -score), weights=risk, minlength=order.values.size))
    return aurc(Ranking(order.ends, summed))


def _expected_among_lowest(score: np.ndarray, failed: np.ndarray, count: int) -> float:
    """Expected number of failed cases among those with the lowest scores; ties at the limit are drawn at random."""
    order = runs(score, "score")
    ends, summed = np.append(0, order.ends), np.append(0, order.cumulative_count(score[failed]))
    return float(np.interp(count, ends, summed))
