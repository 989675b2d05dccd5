"""The meaning of a case's score: how often the segmentation was poor in calibration cases with a similar score.

The score is the Dice of the ensemble members with each other (``CaseFeatures.member_dice``), the best simple detector
of failures in the comparison of Zenk et al. 2025. The probability of a Dice below a limit is a non-increasing function
of it: the isotonic regression of the calibration cases (Zadrozny and Elkan 2002), which pools neighbouring cases into
blocks. Blocks of fewer than ``LEAST_BLOCK`` cases are joined to a neighbour, which preserves the order. The probability
of a new case is then the share of failures in its block, with the Wilson interval of that share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isnan

import numpy as np
from scipy.stats import binomtest

from adumbra.core.case_features import CaseFeatures, CaseScore
from adumbra.core.errors import InputRejected
from adumbra.core.references import cites
from adumbra.uncertainty.calibration.base import FittedOnCases
from adumbra.uncertainty.calibration.volume_fit import CalibrationCase, require_one_kind

POOR_DICE = 0.7
"""Dice below which a segmentation counts as poor."""
LEAST_BLOCK = 10
"""Smallest number of cases that a probability rests on."""


@cites("Zenk2025", "Zadrozny2002", "Wilson1927")
@dataclass(frozen=True)
class ScoreCalibration(FittedOnCases):
    """Share of poor segmentations by score, in blocks of calibration cases.

    Attributes:
        target: Target of the cases.
        draws: Number of draws of each case.
        members: Number of ensemble members of each case.
        dice_limit: Dice below which a segmentation counts as poor.
        edges: (B - 1,), scores between the blocks, increasing; a score at an edge belongs to the block above.
        block_cases: (B,), number of calibration cases in each block.
        block_failures: (B,), number of them with a Dice below the limit; the shares do not increase.

    Raises:
        InputRejected: The numbers do not have these properties.
    """

    target: str
    draws: int
    members: int
    dice_limit: float
    edges: tuple[float, ...]
    block_cases: tuple[int, ...]
    block_failures: tuple[int, ...]

    def __post_init__(self) -> None:
        cases, failures = np.array(self.block_cases), np.array(self.block_failures)
        possible = 0 < cases.size == failures.size == len(self.edges) + 1 and (np.diff(self.edges) > 0).all()
        if not (possible and ((failures >= 0) & (failures <= cases) & (cases > 0)).all()):
            raise InputRejected(
                "case score", expected="increasing edges and cases of each block", found="others", do="fit it again"
            )
        if (failures[1:] * cases[:-1] > failures[:-1] * cases[1:]).any():
            raise InputRejected("case score", expected="shares that do not increase", found="others", do="fit it again")

    def of_case(self, features: CaseFeatures) -> CaseScore | None:
        """The score of a case with its meaning.

        Returns:
            None where the score is undefined, or the case has another target, number of draws or number of members.
        """
        own = self.target, self.draws, self.members
        if isnan(features.member_dice) or own != (features.target, len(features.draw_ml), features.member_count):
            return None
        block = int(np.searchsorted(self.edges, features.member_dice, side="right"))
        cases, failures = self.block_cases[block], self.block_failures[block]
        wilson = binomtest(failures, cases).proportion_ci(0.95, method="wilson")
        return CaseScore(
            features.member_dice, self.members, self.dice_limit, failures / cases, float(wilson.low),
            float(wilson.high), cases,
        )  # fmt: skip


def case_score(features: CaseFeatures, calibration: ScoreCalibration | None) -> CaseScore | None:
    """The score of a case, with its meaning where a calibration for such cases exists; None for a single draw."""
    calibrated = None if calibration is None else calibration.of_case(features)
    if calibrated is not None or isnan(features.member_dice):
        return calibrated
    return CaseScore(features.member_dice, features.member_count, POOR_DICE)


@cites("Zenk2025", "Zadrozny2002")
def fit_score(cases: Sequence[CalibrationCase], *, dice_limit: float = POOR_DICE) -> ScoreCalibration:
    """Fits the share of poor segmentations by score.

    Args:
        cases: Calibration cases of one target, with one number of draws and members; a case without the target counts
            as well, with a Dice of 1 where its mask is empty and of 0 where it is not.
        dice_limit: Dice below which a segmentation counts as poor, in (0, 1].

    Raises:
        InputRejected: There are fewer than ``LEAST_BLOCK`` cases, they cannot be fitted together (see
            ``volume_fit.require_one_kind``), a score is undefined, or the limit is outside (0, 1].
    """
    target, draws, members = require_one_kind(cases)
    scores = np.array([case.features.member_dice for case in cases])
    if len(cases) < LEAST_BLOCK or np.isnan(scores).any() or not 0.0 < dice_limit <= 1.0:
        raise InputRejected(
            "cases",
            expected=f"at least {LEAST_BLOCK} with two draws or more, and a limit above 0 and up to 1",
            found=f"{len(cases)} cases, {int(np.isnan(scores).sum())} of them with one draw, limit {dice_limit}",
            do="calibrate on more cases, with more draws",
        )
    poor = np.array([case.dice < dice_limit for case in cases])
    distinct, block = np.unique(scores, return_inverse=True)
    counts, failures = np.bincount(block), np.bincount(block, weights=poor).astype(np.int64)
    rows = zip(distinct, counts, failures, strict=True)
    merged = merged_blocks([(float(s), float(s), int(c), int(f)) for s, c, f in rows])
    edges = tuple((below[1] + above[0]) / 2.0 for below, above in pairwise(merged))
    return ScoreCalibration(
        target, draws, members, dice_limit, edges, tuple(b[2] for b in merged), tuple(b[3] for b in merged),
        cases=tuple(case.name for case in cases),
    )  # fmt: skip


def merged_blocks(blocks: Sequence[tuple[float, float, int, int]]) -> list[tuple[float, float, int, int]]:
    """Blocks (lowest score, highest score, cases, failures) with shares that do not increase, none of them too small.

    Adjacent violators are pooled first; then the smallest block is joined to its smaller neighbour.
    """
    pooled: list[tuple[float, float, int, int]] = []
    for block in blocks:
        pooled.append(block)
        while len(pooled) > 1 and pooled[-1][3] * pooled[-2][2] >= pooled[-2][3] * pooled[-1][2]:
            pooled[-2:] = [_joined(pooled[-2], pooled[-1])]
    while len(pooled) > 1 and min(block[2] for block in pooled) < LEAST_BLOCK:
        smallest = min(range(len(pooled)), key=lambda i: pooled[i][2])
        beside = [i for i in (smallest - 1, smallest + 1) if 0 <= i < len(pooled)]
        first = min(smallest, min(beside, key=lambda i: pooled[i][2]))
        pooled[first : first + 2] = [_joined(pooled[first], pooled[first + 1])]
    return pooled


def _joined(
    below: tuple[float, float, int, int], above: tuple[float, float, int, int]
) -> tuple[float, float, int, int]:
    return below[0], above[1], below[2] + above[2], below[3] + above[3]
