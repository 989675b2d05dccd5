"""Where information is asked for: the outline, its border, its mirror image, where the network doubts, the brain."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.midline import midsagittal_plane
from adumbra.core.types import Mask, Volume
from adumbra.evaluation.uncertainty.boundary import near_border

BORDER_MM = 5.0
DOUBTFUL_SHARE = 0.1
"""Of the brain's voxels, the most uncertain, that are the zone of high uncertainty."""


@dataclass(frozen=True, eq=False)
class BrainContext:
    """What zones are made of, beside an outline.

    Attributes:
        brain: (X, Y, Z).
        grid: Where it lies.
        entropy: Of a prediction, nats; None where there is none.
    """

    brain: Mask
    grid: Grid
    entropy: Volume | None = None

    @cached_property
    def mirror(self) -> np.ndarray:
        """Of each voxel the flat index of the voxel at its mirrored place, (X·Y·Z,); -1 where that is off the grid."""
        plane = midsagittal_plane(self.brain, self.grid)
        places = np.indices(self.grid.shape).reshape(3, -1).T
        there = np.rint(self.grid.index(plane.mirrored(self.grid.world_mm(places)))).astype(np.int64)
        inside = ((there >= 0) & (there < self.grid.shape)).all(axis=1)
        flat = np.ravel_multi_index(tuple(np.where(inside[:, None], there, 0).T), self.grid.shape)
        return np.where(inside, flat, -1)


def zone(name: str, target_mask: Mask, head: BrainContext) -> Mask:
    """A zone by its name, inside the brain; empty where there is no outline.

    Args:
        name: Of ``ZONES``; or the target's, for its outline, in which it is constant and only the sources tell of each
            other.
        target_mask: Of the target, (X, Y, Z).
        head: Whose.

    Raises:
        MissingInput: The zone needs a prediction, and there is none; or the brain is empty.
    """
    return (ZONES[name](target_mask, head) if name in ZONES else target_mask) & head.brain


def _mirrored(target_mask: Mask, head: BrainContext) -> Mask:
    """The outline and its mirror image: the target tells one from the other."""
    image = np.where(head.mirror >= 0, target_mask.ravel()[head.mirror], False)
    return target_mask | image.reshape(target_mask.shape)


def _doubtful(_: Mask, head: BrainContext) -> Mask:
    if head.entropy is None:
        raise MissingInput("entropy", expected="a prediction", found="none", do="let the case be predicted")
    return np.asarray(head.entropy >= np.quantile(head.entropy[head.brain], 1.0 - DOUBTFUL_SHARE))


def _border(target_mask: Mask, head: BrainContext) -> Mask:
    return near_border(target_mask, head.grid, by_mm=BORDER_MM)


def _brain(_: Mask, head: BrainContext) -> Mask:
    return head.brain


ZONES: Mapping[str, Callable[[Mask, BrainContext], Mask]] = {
    "brain": _brain,
    "border": _border,
    "mirror": _mirrored,
    "high-uncertainty": _doubtful,
}
"""``border``: within 5 mm of the target's surface, on both sides. ``mirror``: the target and its place in the other
half of the brain. ``high-uncertainty``: the tenth of the brain where the predictive entropy is highest."""


def quantile_of(entropy: np.ndarray, *, parts: int) -> np.ndarray:
    """In which of so many equal parts by rank each value lies, from 0 for the lowest; ties in the order given, int8."""
    rank = np.empty(entropy.size, dtype=np.int64)
    rank[np.argsort(entropy, kind="stable")] = np.arange(entropy.size)
    return (rank * parts // max(1, entropy.size)).astype(np.int8)
