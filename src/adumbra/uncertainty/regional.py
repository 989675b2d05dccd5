"""Regional uncertainty: agreement of the draws and spread of their volume, for each component of the mask and the case.

Clinical decisions are about lesions, not voxels. A voxel is predicted positive by a draw if it belongs to the mask of
the draw. With c the number of the n draws that predict a voxel positive, and sums over the voxels of a region:

    expected overlap of two draws   E|A ∩ B| = Σ c (c - 1) / (n (n - 1))
    expected size of a draw         E|A|     = Σ c / n
    Dice of two draws               E|A ∩ B| / E|A| = Σ c (c - 1) / ((n - 1) Σ c)

This is the mean of the Dice of all pairs of draws, with each pair weighted by |A| + |B|. It equals the unweighted mean
where the draws have one size. The two differ by at most the standard deviation of the pairs' Dice times the coefficient
of variation of |A| + |B| (Cauchy and Schwarz). Unlike the unweighted mean, it needs counts of voxels only, whose memory
does not grow with the number of draws.

The components of the mask are known only after the last draw, and their volume in each draw needs the masks of the
draws again. Therefore the masks of the first draws are stored, with one bit per voxel. The first draws represent all
of them if the draws are independent. All must be stored if they have an order, such as ensemble members in turn.
"""

from collections.abc import Iterator
from math import ceil, nan

import numpy as np
from scipy import ndimage

from adumbra.core.errors import GridMismatch, InputRejected
from adumbra.core.geometry.components import component_sizes, label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.references import cites
from adumbra.core.results import Maps, RegionalUncertainty, RegionUncertainty, VolumeDraws
from adumbra.core.statistics import coefficient_of_variation
from adumbra.core.types import Labels, Mask

STORED_DRAWS = 64  # a coefficient of variation from 64 draws has a relative standard error of about a tenth


class DrawMasks:
    """Masks of the draws: counts over all of them, and the masks of the first; 12 bytes per voxel for 64 stored draws.

    Attributes:
        draws: Number of draws that were added.
        counts: (X, Y, Z), number of draws that predict each voxel positive; None before the first.
    """

    def __init__(self, *, stored: int = STORED_DRAWS) -> None:
        if stored < 2:
            raise InputRejected("stored", expected="2 draws or more", found=f"{stored}", do=f"store {STORED_DRAWS}")
        self.draws = 0
        self.counts: np.ndarray | None = None
        self._capacity = stored
        self._bits = np.zeros((0, 0), dtype=np.uint8)

    def add(self, mask: Mask) -> None:
        """Adds the mask of one draw.

        Raises:
            GridMismatch: The mask does not have the shape of the earlier ones.
        """
        if self.counts is None:
            self.counts = np.zeros(mask.shape, dtype=np.uint32)
            self._bits = np.zeros((self._capacity, ceil(mask.size / 8)), dtype=np.uint8)
        if mask.shape != self.counts.shape:
            raise GridMismatch(
                f"draw {self.draws + 1}",
                expected=f"the shape of the draws before it, {self.counts.shape}",
                found=f"{mask.shape}",
                do="use one DrawMasks for each case",
            )
        if self.draws < self._capacity:
            self._bits[self.draws] = np.packbits(mask)
        self.counts += mask
        self.draws += 1

    def packed(self) -> MaskDraws | None:
        """The masks of the first draws; None before the first."""
        if self.counts is None:
            return None
        x, y, z = self.counts.shape
        return MaskDraws((x, y, z), self._bits[: min(self.draws, self._capacity)].copy())

    def stored_masks(self) -> Iterator[np.ndarray]:
        """Masks of the first draws, each a uint8 array of 0 and 1 for every voxel in C order."""
        size = 0 if self.counts is None else self.counts.size
        return (np.unpackbits(bits, count=size) for bits in self._bits[: self.draws])


@cites("Roy2019", "Mehrtash2020", "Dice1945")
def regional_uncertainty(
    maps: Maps, draws: VolumeDraws, draw_masks: DrawMasks, *, reach_mm: float = 5.0
) -> RegionalUncertainty:
    """Entropy, agreement and spread of volume, for the case and for each component of its mask.

    Args:
        maps: Maps from ``maps.summarise``.
        draws: Volumes of the draws from the same call.
        draw_masks: Masks of the draws from the same call: ``summarise(..., draw_masks=draw_masks)``.
        reach_mm: Distance in mm that extends a component to its region. The region is the component and the voxels
            within this distance that are nearer to it than to another component; 0 is the component alone. Voxels
            farther away belong to the case and to no component.

    Raises:
        InputRejected: The masks are not those of the maps' draws, or the reach is not a distance.
        GridMismatch: The masks lie on another grid.
    """
    counts = _checked_counts(maps, draws, draw_masks)
    labels, count = components_by_size(maps.mask)
    regions = nearest_component(labels, maps.grid, reach_mm=reach_mm)
    voxels = np.flatnonzero(regions)
    region = regions.ravel()[voxels]
    c = counts.ravel()[voxels].astype(np.float64)
    positive, pairs = (np.bincount(region, weights=w, minlength=count + 1) for w in (c, c * (c - 1)))
    stored = draw_masks.stored_masks()
    sizes_by_draw = [np.bincount(region, weights=mask[voxels], minlength=count + 1) for mask in stored]
    voxel_ml = maps.grid.voxel_ml
    summaries = _mask_summaries(maps, labels, count)
    components = tuple(
        RegionUncertainty(*summaries[k], _dice(positive[k], pairs[k], draw_masks.draws), *_volumes(sizes, voxel_ml))
        for k, sizes in enumerate(np.transpose(sizes_by_draw)[1:], start=1)
    )
    c = counts[counts > 0].astype(np.float64)
    dice = _dice(c.sum(), (c * (c - 1)).sum(), draw_masks.draws)
    case = RegionUncertainty(*summaries[0], dice, *_volumes(np.rint(np.array(draws.volumes_ml) / voxel_ml), voxel_ml))
    return RegionalUncertainty(case, components, reach_mm, draw_masks.draws, len(sizes_by_draw))


def components_by_size(mask: Mask) -> tuple[Labels, int]:
    """The 26-connected components of a mask, numbered from 1 by decreasing size, then by their first voxel in C order.

    Returns:
        int32 labels of the shape of the mask, 0 outside; and the number of components.
    """
    labels, count = label_components(mask, connectivity=26)
    _, first = np.unique(labels.ravel()[np.flatnonzero(labels)], return_index=True)
    order = np.lexsort((first, -component_sizes(labels, count)))
    rank = np.zeros(count + 1, dtype=np.int32)
    rank[1 + order] = np.arange(1, count + 1)
    return rank[labels], count


def nearest_component(labels: Labels, grid: Grid, *, reach_mm: float) -> Labels:
    """Label of the nearest component for every voxel within a distance of it; 0 elsewhere.

    A voxel equally near to two components has the label of one of them, the same in every run.

    Args:
        labels: (X, Y, Z), labels of the components, 0 outside.
        grid: Grid of the labels.
        reach_mm: Distance between centres of voxels, in mm, from 0.

    Raises:
        InputRejected: The reach is negative or not a number.
    """
    if not reach_mm >= 0.0:
        raise InputRejected("reach_mm", expected="a distance from 0 mm", found=f"{reach_mm}", do="give millimetres")
    extended = np.zeros_like(labels)
    box = bounding_box(labels > 0, grid, reach_mm=reach_mm)
    inside = labels[box]
    if inside.size:
        distance, nearest = ndimage.distance_transform_edt(inside == 0, sampling=grid.spacing_mm, return_indices=True)
        extended[box] = np.where(distance <= reach_mm, inside[tuple(nearest)], 0)
    return extended


def bounding_box(mask: Mask, grid: Grid, *, reach_mm: float) -> tuple[slice, ...]:
    """Box around a mask and all voxels within a distance, with a margin of one voxel; empty for an empty mask."""
    if not mask.any():
        return (slice(0, 0),) * 3
    box = []
    for axis, spacing in enumerate(grid.spacing_mm):
        filled = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        margin = 1 + int(min(reach_mm / spacing, mask.shape[axis]))
        box.append(slice(max(0, int(filled[0]) - margin), int(filled[-1]) + margin + 1))
    return tuple(box)


def _checked_counts(maps: Maps, draws: VolumeDraws, draw_masks: DrawMasks) -> np.ndarray:
    if draw_masks.counts is None or not draw_masks.draws == maps.draws == len(draws.volumes_ml):
        raise InputRejected(
            "draw masks",
            expected=f"those of the maps' {maps.draws} draws",
            found=f"the masks of {draw_masks.draws} draws, and {len(draws.volumes_ml)} volumes",
            do="give a new DrawMasks to each summarise(), and the results of one call here",
        )
    if draw_masks.counts.shape != maps.grid.shape:
        raise GridMismatch(
            "draw masks",
            expected=f"the maps' shape {maps.grid.shape}",
            found=f"{draw_masks.counts.shape}",
            do="use the masks of the same draws",
        )
    return draw_masks.counts


def _mask_summaries(
    maps: Maps, labels: Labels, count: int
) -> list[tuple[float, tuple[float, float, float] | None, float]]:
    """Volume, centroid and mean entropy of the whole mask (first) and of each component."""
    index = np.argwhere(labels)
    label = labels[tuple(index.T)]
    columns = [np.ones(label.size), maps.entropy[tuple(index.T)], *index.T]
    sums = np.array([np.bincount(label, weights=column, minlength=count + 1) for column in columns])
    sums[:, 0] = sums[:, 1:].sum(axis=1)
    return [_mask_summary(size, entropy, index_sum, maps.grid) for size, entropy, *index_sum in sums.T.tolist()]


def _mask_summary(
    size: float, entropy: float, index_sum: list[float], grid: Grid
) -> tuple[float, tuple[float, float, float] | None, float]:
    if size == 0:
        return 0.0, None, nan
    x, y, z = grid.world_mm(np.array(index_sum) / size).tolist()
    return size * grid.voxel_ml, (x, y, z), entropy / size


def _dice(positive: float, pairs: float, draws: int) -> float:
    """Dice of two draws from Σ c and Σ c (c - 1)."""
    if draws < 2:
        return nan
    return float(pairs / ((draws - 1) * positive)) if positive else 1.0


def _volumes(sizes: np.ndarray, voxel_ml: float) -> tuple[float, float, float]:
    """Mean volume over the draws, its coefficient of variation, and the share of draws that are not empty."""
    return float(sizes.mean()) * voxel_ml, coefficient_of_variation(sizes), float((sizes > 0).mean())
