"""Features of one case from its draws, and where the width of its volume interval comes from.

The draws stream. Stored are one sum of probabilities and, for an ensemble, one count of positive draws per member, so
memory grows with the number of members and not with that of draws. The mask of a member holds the voxels that at least
half of its draws predict positive; for a deterministic member it is the mask of any draw.

The variance of the volume is split on the scale g(v) = ln(1 + v / 0.1 ml). With b the variance of the members' means
of g and w the mean variance of the draws of a member that has differing draws, an interval from l to h at the level
1 - α has the squared width W² = (g(h) - g(l))² and the equivalent variance V = (W / 2z)², with z the quantile of the
normal distribution at 1 - α/2. The shares are b / V, w / V, and the rest. If b + w exceeds V, there is no rest.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations
from math import isfinite, nan
from typing import Literal

import numpy as np
from scipy.stats import norm

from adumbra.core.case_features import FEATURE_THRESHOLDS, CaseFeatures, WidthShares
from adumbra.core.entropy import binary_entropy
from adumbra.core.errors import InputRejected
from adumbra.core.geometry.components import hysteresis_threshold
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.results import Estimate, VolumeDraws
from adumbra.core.types import Mask, Volume
from adumbra.uncertainty.regional import STORED_DRAWS, DrawMasks

UNIT_ML = 0.1
"""Unit u of the scale g(v) = ln(1 + v / u), in ml."""


class MemberMasks(DrawMasks):
    """Masks of the draws, also by ensemble member: draw k is of member k % ``member_count``.

    Attributes:
        member_count: Number of members.
    """

    def __init__(self, member_count: int = 1, *, stored: int = STORED_DRAWS) -> None:
        super().__init__(stored=stored)
        self.member_count = member_count
        self._positive: list[np.ndarray] = []

    def add(self, mask: Mask) -> None:
        """Adds the mask of one draw; errors are those of ``DrawMasks.add``."""
        member = self.draws % self.member_count
        super().add(mask)
        if self.member_count > 1:
            if member == len(self._positive):
                self._positive.append(np.zeros(mask.shape, dtype=np.uint16))
            self._positive[member] += mask

    @property
    def members(self) -> tuple[int, ...]:
        """Member of each draw."""
        return tuple(draw % self.member_count for draw in range(self.draws))

    def member_dice(self) -> float:
        """Mean Dice of the pairs of members' masks; for one network the expected Dice of two draws.

        Two empty masks have a Dice of 1. nan for a single draw.
        """
        if self.counts is None or self.draws < 2:
            return nan
        if len(self._positive) < 2:
            c = self.counts[self.counts > 0].astype(np.float64)
            return float((c * (c - 1)).sum() / ((self.draws - 1) * c.sum())) if c.size else 1.0
        voxels = np.flatnonzero(self.counts)
        masks = []
        for member, positive in enumerate(self._positive):
            draws = len(range(member, self.draws, self.member_count))
            masks.append(2 * positive.ravel()[voxels].astype(np.int64) >= draws)
        return float(np.mean([_dice(one, other) for one, other in combinations(masks, 2)]))


class ProbabilitySum:
    """Sum of the draws' probabilities in a region, float32.

    Attributes:
        within: (X, Y, Z), mask of the region.
        draws: Number of draws that were added.
    """

    def __init__(self, within: Mask) -> None:
        self.within, self.draws = within, 0
        self._total = np.zeros(int(np.count_nonzero(within)), dtype=np.float32)

    def passing(self, draws: Iterable[Volume]) -> Iterator[Volume]:
        """The same draws, each added when it is taken."""
        for draw in draws:
            self._total += draw[self.within]
            self.draws += 1
            yield draw

    def mean(self) -> np.ndarray:
        """Mean probability of the voxels of the region, (N,), float32."""
        return self._total / np.float32(max(self.draws, 1))


@cites("Zenk2025")
def case_features(
    draws: VolumeDraws,
    masks: MemberMasks,
    probability: ProbabilitySum,
    *,
    grid: Grid,
    brain: Mask,
    threshold: float,
    high_threshold: float = 0.0,
) -> CaseFeatures:
    """Features of a case.

    Args:
        draws: Volumes of the draws.
        masks: Masks of the same draws.
        probability: Sum of the same draws, before a calibration map.
        grid: Grid of the draws.
        brain: (X, Y, Z), brain mask.
        threshold: Threshold of these probabilities.
        high_threshold: Hysteresis threshold of these probabilities.

    Raises:
        InputRejected: The numbers of draws differ, or there is none.
    """
    counts = {len(draws.volumes_ml), masks.draws, probability.draws}
    if len(counts) > 1 or 0 in counts:
        raise InputRejected(
            "draws",
            expected="volumes, masks and sum of the same draws",
            found=f"{sorted(counts)} draws",
            do="give them",
        )
    mean = probability.mean()
    volume = np.zeros(probability.within.shape, dtype=np.float32)
    volume[probability.within] = mean
    mask = hysteresis_threshold(volume, low=threshold, high=high_threshold)
    voxel_ml = grid.voxel_ml
    return CaseFeatures(
        draws.target,
        draws.volumes_ml,
        masks.members,
        masks.member_dice(),
        int(np.count_nonzero(mask)) * voxel_ml,
        float(mean.sum(dtype=np.float64)) * voxel_ml,
        tuple(int(np.count_nonzero(mean >= np.float32(t))) * voxel_ml for t in FEATURE_THRESHOLDS),
        float(binary_entropy(mean).sum()) * voxel_ml,
        int(np.count_nonzero(brain)) * voxel_ml,
    )


def log_volume(volume_ml: np.ndarray | float) -> np.ndarray:
    """g(v) = ln(1 + v / u): linear well below the unit u, logarithmic above, and 0 at 0 ml."""
    return np.asarray(np.log1p(np.asarray(volume_ml, dtype=np.float64) / UNIT_ML))


def volume_of(scaled: np.ndarray | float) -> np.ndarray:
    """Inverse of ``log_volume``, in ml; values below 0 give 0 ml, and an overflow is infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(np.expm1(np.maximum(np.asarray(scaled, dtype=np.float64), 0.0)) * UNIT_ML)


def width_shares(
    interval: Estimate, features: CaseFeatures, *, within_source: Literal["annotators", "draws"]
) -> WidthShares | None:
    """Shares of the squared width of a volume interval on the scale g, see the module.

    Args:
        interval: Volume interval of the case, in ml.
        features: Features of the same case.
        within_source: What the draws of one member differ in.

    Returns:
        None for an interval that is unbounded or has no width.
    """
    width = float(log_volume(interval.high) - log_volume(interval.low))
    if not (isfinite(width) and width > 0.0):
        return None
    total = (width / (2.0 * float(norm.ppf((1.0 + interval.level) / 2.0)))) ** 2
    between, within = variance_parts(features)
    if interval.by == "draws" and between + within == 0.0:
        return None
    largest = between + within if interval.by == "draws" else max(total, between + within)
    shares = between / largest, within / largest
    return WidthShares(*shares, max(0.0, 1.0 - sum(shares)), within_source)


def variance_parts(features: CaseFeatures) -> tuple[float, float]:
    """Variance of g between the members' means, and mean variance of g among the draws of a member whose draws differ.

    Variances are divided by n - 1, and are 0 for fewer than two values.
    """
    scaled, members = log_volume(np.array(features.draw_ml)), np.array(features.members)
    groups = [scaled[members == member] for member in dict.fromkeys(features.members)]
    between = _variance(np.array([group.mean() for group in groups]))
    within = [variance for group in groups if (variance := _variance(group)) > 0.0]
    return between, float(np.mean(within)) if within else 0.0


def _variance(values: np.ndarray) -> float:
    if values.size < 2 or values.min() == values.max():  # the rounding of the mean must not look like spread
        return 0.0
    return float(values.var(ddof=1))


def _dice(one: np.ndarray, other: np.ndarray) -> float:
    sizes = int(np.count_nonzero(one)) + int(np.count_nonzero(other))
    return 2.0 * int(np.count_nonzero(one & other)) / sizes if sizes else 1.0
