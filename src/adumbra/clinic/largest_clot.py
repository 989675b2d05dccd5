"""The largest clot and its artery after a decision on a region: what the site of the occlusion follows from.

The report names the artery of the largest clot of the segmentation, from the parts of the draws that belong to it. A
decision changes the site only where it changes that clot: a region that joins it or is part of it, or one that is
larger. All other regions are left out without work. Fragments are joined and draws are assigned as ``clinic.clot``
does. At most ``MOST_DRAWS`` draws are read, evenly spread, both before and after a decision, so that a difference comes
from the decision and not from the choice of draws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from adumbra.clinic.clot import GAP_MM, LARGEST_ML, ClotDraws, group_fragments
from adumbra.clinic.clot_artery import ClotArtery
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import sub_grid
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.results import Maps
from adumbra.core.types import Mask

MOST_DRAWS = 5
"""Largest number of draws that the artery is read from; a draw takes about a tenth of a second."""
_MARGIN_MM = 15.0
"""Margin around a clot within which the parts of the draws are read: three gaps between fragments."""

ArteryOf = Callable[[list[Mask], Grid], ClotArtery]
"""The artery of a clot from its part in each draw; raises ``MissingInput`` where no draw contains it."""


@dataclass(frozen=True)
class ClotSite:
    """The artery of the largest clot.

    Attributes:
        artery: Its name; empty where there is no clot, where it is in no draw, or where it is too large for a clot.
        site: Its site for the rules; None where it is uncertain or unknown.
    """

    artery: str = ""
    site: str | None = None


class LargestClot:
    """Names the artery of the largest clot of a segmentation, before and after decisions on regions.

    Args:
        maps: Maps of the thrombus.
        draws: Masks of its draws.
        artery: Names the artery of a clot.
    """

    def __init__(self, maps: Maps, draws: MaskDraws, artery: ArteryOf) -> None:
        self._mask, self._grid, self._artery = maps.mask, maps.grid, artery
        chosen = np.unique(np.linspace(0, len(draws) - 1, min(MOST_DRAWS, len(draws))).round().astype(int))
        self._draws = [mask for number, mask in enumerate(draws) if number in chosen]
        labels, _ = group_fragments(maps.mask, maps.grid)
        self._largest = np.flatnonzero(labels == 1)
        self._tree = cKDTree(self._points(np.flatnonzero(labels))) if labels.any() else None
        self.before = self._site(maps.mask, self._draws)

    def after(self, region: np.ndarray, *, belongs: bool) -> ClotSite:
        """The artery of the largest clot if a region is in, or out of, the mask and every draw.

        Args:
            region: Flat indices (C order) of its voxels.
            belongs: Whether it is in.
        """
        if not self._may_change(region, belongs):
            return self.before
        (mask,) = self._decided([self._mask], region, belongs)
        return self._site(mask, self._decided(self._draws, region, belongs))

    def _may_change(self, region: np.ndarray, belongs: bool) -> bool:
        """Whether a decision can change the largest clot of the mask, or the part of the draws that belongs to it."""
        if self._tree is None:
            return belongs
        if not belongs:
            return bool(np.isin(region, self._largest).any())
        reach = GAP_MM + float(np.mean(self._grid.spacing_mm))
        nearest = self._tree.query(self._points(region), distance_upper_bound=reach * (1.0 + 1e-9))[0]
        return bool(np.isfinite(nearest).any()) or region.size > self._largest.size

    def _site(self, mask: Mask, draws: Sequence[Mask]) -> ClotSite:
        labels, count = group_fragments(mask, self._grid)
        if not count:
            return ClotSite()
        clot = np.argwhere(labels == 1)
        if len(clot) * self._grid.voxel_ml > LARGEST_ML:
            return ClotSite()
        margin = np.ceil(_MARGIN_MM / np.asarray(self._grid.spacing_mm)).astype(int)
        low = np.maximum(clot.min(axis=0) - margin, 0)
        high = np.minimum(clot.max(axis=0) + 1 + margin, self._grid.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        grid = sub_grid(self._grid, low.tolist(), (high - low).tolist())
        assigned = ClotDraws((labels == 1)[box], grid)
        try:
            artery = self._artery([assigned.parts(np.ascontiguousarray(draw[box]))[0] for draw in draws], grid)
        except MissingInput:
            return ClotSite()
        return ClotSite(artery.best if artery.is_sure else "", artery.site)

    @staticmethod
    def _decided(masks: Sequence[Mask], region: np.ndarray, belongs: bool) -> list[Mask]:
        decided = [mask.copy() for mask in masks]
        for mask in decided:
            mask.ravel()[region] = belongs
        return decided

    def _points(self, voxels: np.ndarray) -> np.ndarray:
        return self._grid.world_mm(np.column_stack(np.unravel_index(voxels, self._grid.shape)))
