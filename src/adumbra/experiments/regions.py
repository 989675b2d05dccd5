"""Regions in which information is estimated: brain, lesion border, lesion with its mirror image, uncertain voxels."""

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
"""Half width of the border region, in millimetres."""

HIGH_UNCERTAINTY_SHARE = 0.1
"""Share of the brain's voxels, the most uncertain ones, that form the region of high uncertainty."""


@dataclass(frozen=True, eq=False)
class BrainContext:
    """What regions are derived from, apart from the target's mask.

    Attributes:
        brain: (X, Y, Z), the brain mask.
        grid: The grid of the mask.
        entropy: (X, Y, Z), the predictive entropy in nats; None without a prediction.
    """

    brain: Mask
    grid: Grid
    entropy: Volume | None = None

    @cached_property
    def mirror_index(self) -> np.ndarray:
        """The flat index of the mirrored position of each voxel, (X·Y·Z,); -1 where that is outside the grid."""
        plane = midsagittal_plane(self.brain, self.grid)
        voxels = np.indices(self.grid.shape).reshape(3, -1).T
        mirrored = np.rint(self.grid.index(plane.mirrored(self.grid.world_mm(voxels)))).astype(np.int64)
        inside = ((mirrored >= 0) & (mirrored < self.grid.shape)).all(axis=1)
        flat = np.ravel_multi_index(tuple(np.where(inside[:, None], mirrored, 0).T), self.grid.shape)
        return np.where(inside, flat, -1)


def region_mask(name: str, target_mask: Mask, context: BrainContext) -> Mask:
    """The mask (X, Y, Z) of a region, inside the brain.

    Args:
        name: A key of ``REGIONS``; or the name of the target, for its own mask. There the target is constant, so only
            the sources have information about each other.
        target_mask: (X, Y, Z), the mask of the target.
        context: The brain.

    Raises:
        MissingInput: The region needs a prediction and there is none, or the brain is empty.
    """
    return (REGIONS[name](target_mask, context) if name in REGIONS else target_mask) & context.brain


def _target_and_mirror(target_mask: Mask, context: BrainContext) -> Mask:
    """The target's mask and its mirror image, so that the target distinguishes one from the other."""
    image = np.where(context.mirror_index >= 0, target_mask.ravel()[context.mirror_index], False)
    return target_mask | image.reshape(target_mask.shape)


def _high_uncertainty(_: Mask, context: BrainContext) -> Mask:
    if context.entropy is None:
        raise MissingInput("entropy", expected="a prediction", found="none", do="let the case be predicted")
    threshold = np.quantile(context.entropy[context.brain], 1.0 - HIGH_UNCERTAINTY_SHARE)
    return np.asarray(context.entropy >= threshold)


def _border(target_mask: Mask, context: BrainContext) -> Mask:
    return near_border(target_mask, context.grid, by_mm=BORDER_MM)


def _brain(_: Mask, context: BrainContext) -> Mask:
    return context.brain


REGIONS: Mapping[str, Callable[[Mask, BrainContext], Mask]] = {
    "brain": _brain,
    "border": _border,
    "mirror": _target_and_mirror,
    "high-uncertainty": _high_uncertainty,
}
"""``border`` lies within 5 mm of the target's surface, on both sides. ``mirror`` is the target's mask and its mirror
image in the other hemisphere. ``high-uncertainty`` is the tenth of the brain with the highest predictive entropy."""


def quantile_index(entropy: np.ndarray, *, quantiles: int) -> np.ndarray:
    """The quantile of each value by its rank, from 0 for the lowest, int8; ties are ranked in the given order."""
    rank = np.empty(entropy.size, dtype=np.int64)
    rank[np.argsort(entropy, kind="stable")] = np.arange(entropy.size)
    return (rank * quantiles // max(1, entropy.size)).astype(np.int8)
