"""ASPECTS and PC-ASPECTS as values: the involvement of each region, and the distribution of each score."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

from adumbra.clinic.distribution import Distribution
from adumbra.core.atlas.aspects import ASPECTS_REGIONS, REGION_TITLES
from adumbra.core.atlas.vessels import SIDES

FULL_SCORE = 10
"""Score without an involved region."""
RANGES: tuple[tuple[int, int], ...] = ((0, 2), (3, 5), (6, 10))
"""Ranges of the score that treatment rules distinguish, both ends included."""
LEAST_COVERED = 0.5
"""Share of a region in the field of view below which a note says so."""


@dataclass(frozen=True)
class RegionInvolvement:
    """The lesion in one region, over the draws.

    Attributes:
        region: A name of ``core.atlas.aspects.REGIONS``.
        side: ``"right"``, ``"left"``, or empty for a region of the midline.
        points: Points that the region costs.
        limit: Share of the region from which it is involved.
        share: Share of the region in the field of view that is lesion, 0 to 1; undefined for a region out of view.
        volume_ml: Volume of the region in the field of view.
        covered: Share of the region that lies in the field of view, 0 to 1.
    """

    region: str
    side: str
    points: int
    limit: float
    share: Distribution
    volume_ml: float
    covered: float

    @property
    def title(self) -> str:
        """The region in words, such as ``"right caudate nucleus (C)"``."""
        title = REGION_TITLES[self.region]
        code = f" ({self.region})" if self.region in ASPECTS_REGIONS else ""
        return f"{self.side} {title}{code}".strip()

    @property
    def probability(self) -> float:
        """Share of the draws in which the region is involved; a region out of view never is."""
        return self.share.probability_at_least(self.limit)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "region": self.region,
            "side": self.side,
            "title": self.title,
            "points": self.points,
            "limit": self.limit,
            "probability": self.probability,
            "share": self.share.as_json(),
            "volume_ml": self.volume_ml,
            "covered": self.covered if isfinite(self.covered) else None,
        }


@dataclass(frozen=True)
class Score:
    """The distribution of a score of 0 to 10 over the draws.

    Attributes:
        distribution: The score in every draw. With an even number of draws, the median may lie between two scores.
    """

    distribution: Distribution

    @property
    def probabilities(self) -> tuple[float, ...]:
        """Share of the draws with each score, from 0 to 10."""
        counts = np.bincount(np.asarray(self.distribution.draws, dtype=np.intp), minlength=FULL_SCORE + 1)
        return tuple((counts / counts.sum()).tolist())

    def probability_between(self, low: int, high: int) -> float:
        """Share of the draws with a score from ``low`` to ``high``, both included."""
        draws = np.asarray(self.distribution.draws)
        return float(((draws >= low) & (draws <= high)).mean())

    def as_json(self) -> dict[str, object]:
        """Plain values, with the probability of each score and of each of ``RANGES``."""
        return {
            **self.distribution.as_json(),
            "probabilities": list(self.probabilities),
            "ranges": {f"{low}-{high}": self.probability_between(low, high) for low, high in RANGES},
        }


@dataclass(frozen=True)
class Aspects:
    """ASPECTS and PC-ASPECTS of a lesion over the draws.

    Attributes:
        regions: Every region, those of ASPECTS first.
        sides: ASPECTS of the right and of the left side.
        score: ASPECTS of the more affected side, the lower of both scores in each draw.
        pc_score: PC-ASPECTS.
    """

    regions: tuple[RegionInvolvement, ...]
    sides: Mapping[str, Score]
    score: Score
    pc_score: Score

    @property
    def side_probability(self) -> dict[str, float]:
        """Share of the draws with the lower score on the right, on the left, and with equal scores (``"neither"``)."""
        right, left = (np.asarray(self.sides[side].distribution.draws) for side in SIDES)
        return {
            SIDES[0]: float((right < left).mean()),
            SIDES[1]: float((left < right).mean()),
            "neither": float((right == left).mean()),
        }

    def notes(self) -> tuple[str, ...]:
        """Sentences that must stand beside the scores: which regions lie outside the field of view."""
        return tuple(
            f"Only {100.0 * row.covered:.0f} % of the {row.title} lies in the field of view; what is beyond it is not "
            "counted as involved."
            for row in self.regions
            if row.covered < LEAST_COVERED
        )

    def rule_draws(self) -> dict[str, np.ndarray]:
        """The draws under the names that the rules use, each of shape (N,)."""
        return {
            "aspects": np.asarray(self.score.distribution.draws),
            "pc_aspects": np.asarray(self.pc_score.distribution.draws),
        }

    def as_json(self) -> dict[str, object]:
        """Plain values of all regions and scores, with the notes."""
        return {
            "aspects": self.score.as_json(),
            "aspects_by_side": {side: score.as_json() for side, score in self.sides.items()},
            "pc_aspects": self.pc_score.as_json(),
            "side_probability": self.side_probability,
            "regions": [row.as_json() for row in self.regions],
            "notes": list(self.notes()),
        }
