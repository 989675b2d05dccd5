"""How unsure the draws are of each part of the mask and of all of it, since one acts on lesions and not on voxels.

A draw calls a voxel when it says that the voxel belongs to the target. With c the number of the n draws that call a
voxel, and sums over the voxels of a region:

    expected overlap of two draws   E|A ∩ B| = Σ c (c - 1) / (n (n - 1))
    expected size of a draw         E|A|     = Σ c / n
    pairwise Dice                   E|A ∩ B| / E|A| = Σ c (c - 1) / ((n - 1) Σ c)

This is the mean of the Dice of all pairs of draws, each pair weighted by |A| + |B|. It is the plain mean where the
draws are of one size, and differs from it by no more than the standard deviation of the pairs' Dice times the
coefficient of variation of |A| + |B| (Cauchy and Schwarz). It has what the plain mean has not: counts of voxels are
enough for it, and their memory is the same for any number of draws.

Which components the mask has is known only when all draws are in, and their volume in each draw needs the draws again.
So the calls of the first draws are kept, one bit a voxel. Draws that come in no order are stood for by the first; where
there are more than are kept and they have an order, as the members of an ensemble in turn, all must be kept.
"""

from collections.abc import Iterator
from math import ceil, nan

import numpy as np
from scipy import ndimage

from adumbra.core.errors import GridMismatch, InputRejected
from adumbra.core.geometry.components import component_sizes, labelled
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.results import Maps, RegionalUncertainty, RegionUncertainty, VolumeDraws
from adumbra.core.types import Labels, Mask

KEPT = 64  # of the draws' calls: a coefficient of variation from 64 draws is known to about a tenth of itself


class DrawMasks:
    """How many draws call each voxel, and which voxels the first draws call: 12 bytes a voxel for 64 kept draws.

    Attributes:
        draws: How many were added.
        counts: (X, Y, Z), how many of them call a voxel; None before the first.
    """

    def __init__(self, *, kept: int = KEPT) -> None:
        if kept < 2:
            raise InputRejected("kept", expected="2 draws or more", found=f"{kept}", do=f"keep {KEPT}")
        self.draws = 0
        self.counts: np.ndarray | None = None
        self._most = kept
        self._bits = np.zeros((0, 0), dtype=np.uint8)

    def add(self, called: Mask) -> None:
        """Takes in what one draw calls.

        Raises:
            GridMismatch: It has another shape than the draws before it.
        """
        if self.counts is None:
            self.counts = np.zeros(called.shape, dtype=np.uint32)
            self._bits = np.zeros((self._most, ceil(called.size / 8)), dtype=np.uint8)
        if called.shape != self.counts.shape:
            raise GridMismatch(
                f"draw {self.draws + 1}",
                expected=f"the shape of the draws before it, {self.counts.shape}",
                found=f"{called.shape}",
                do="count the calls of one case with one Calls",
            )
        if self.draws < self._most:
            self._bits[self.draws] = np.packbits(called)
        self.counts += called
        self.draws += 1

    def kept(self) -> Iterator[np.ndarray]:
        """The calls of the first draws, each 0 or 1 for every voxel in C order, uint8."""
        size = 0 if self.counts is None else self.counts.size
        return (np.unpackbits(bits, count=size) for bits in self._bits[: self.draws])


@cites("Roy2019", "Mehrtash2020", "Dice1945")
def regional_uncertainty(
    maps: Maps, draws: VolumeDraws, draw_masks: DrawMasks, *, reach_mm: float = 5.0
) -> RegionalUncertainty:
    """Entropy, agreement and spread of volume, for the case and for each component of its mask.

    Args:
        maps: Of ``maps.summarised``.
        draws: Likewise.
        draw_masks: That the same pass was given: ``summarised(..., draw_masks=draw_masks)``.
        reach_mm: A component's region is itself and the voxels nearest to it, and to no other component, whose centres
            lie within this distance of one of its voxels; 0 is the component alone. What draws call farther off belongs
            to the case and to no component.

    Raises:
        InputRejected: The calls are not those of the maps' draws, or the reach is not a distance.
        GridMismatch: The calls lie on another grid.
    """
    counts = _checked(maps, draws, draw_masks)
    labels, count = by_size(maps.mask)
    regions = near(labels, maps.grid, reach_mm=reach_mm)
    where = np.flatnonzero(regions)
    region = regions.ravel()[where]
    own = counts.ravel()[where].astype(np.float64)
    called, pairs = (np.bincount(region, weights=w, minlength=count + 1) for w in (own, own * (own - 1)))
    sizes_by_draw = [np.bincount(region, weights=bits[where], minlength=count + 1) for bits in draw_masks.kept()]
    voxel_ml = maps.grid.voxel_ml
    mask = _of_mask(maps, labels, count)
    components = tuple(
        RegionUncertainty(*mask[k], _dice(called[k], pairs[k], draw_masks.draws), *_volumes(sizes, voxel_ml))
        for k, sizes in enumerate(np.transpose(sizes_by_draw)[1:], start=1)
    )
    everywhere = counts[counts > 0].astype(np.float64)
    dice = _dice(everywhere.sum(), (everywhere * (everywhere - 1)).sum(), draw_masks.draws)
    case = RegionUncertainty(*mask[0], dice, *_volumes(np.rint(np.array(draws.volumes_ml) / voxel_ml), voxel_ml))
    return RegionalUncertainty(case, components, reach_mm, draw_masks.draws, len(sizes_by_draw))


def by_size(mask: Mask) -> tuple[Labels, int]:
    """The 26-connected components of a mask, numbered from 1 by falling size; of two of one size, the first in C order.

    Returns:
        int32 labels of the mask's shape, 0 outside, and how many components there are.
    """
    labels, count = labelled(mask, connectivity=26)
    _, first = np.unique(labels.ravel()[np.flatnonzero(labels)], return_index=True)
    order = np.lexsort((first, -component_sizes(labels, count)))
    rank = np.zeros(count + 1, dtype=np.int32)
    rank[1 + order] = np.arange(1, count + 1)
    return rank[labels], count


def near(labels: Labels, grid: Grid, *, reach_mm: float) -> Labels:
    """Every voxel within a distance of a component, in mm between centres, with the label of the nearest one.

    A voxel equally near to two has the label of one of them, the same in every run.

    Raises:
        InputRejected: The reach is negative or not a number.
    """
    if not reach_mm >= 0.0:
        raise InputRejected("reach_mm", expected="a distance from 0 on", found=f"{reach_mm}", do="give millimetres")
    spread = np.zeros_like(labels)
    box = surrounding(labels > 0, grid, reach_mm=reach_mm)
    inside = labels[box]
    if inside.size:
        distance, nearest = ndimage.distance_transform_edt(inside == 0, sampling=grid.spacing_mm, return_indices=True)
        spread[box] = np.where(distance <= reach_mm, inside[tuple(nearest)], 0)
    return spread


def surrounding(mask: Mask, grid: Grid, *, reach_mm: float) -> tuple[slice, ...]:
    """The box that holds a mask, what lies within a distance of it, and one voxel more; of an empty mask, nothing."""
    if not mask.any():
        return (slice(0, 0),) * 3
    box = []
    for axis, spacing in enumerate(grid.spacing_mm):
        held = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        margin = 1 + int(min(reach_mm / spacing, mask.shape[axis]))
        box.append(slice(max(0, int(held[0]) - margin), int(held[-1]) + margin + 1))
    return tuple(box)


def _checked(maps: Maps, draws: VolumeDraws, draw_masks: DrawMasks) -> np.ndarray:
    if draw_masks.counts is None or not draw_masks.draws == maps.draws == len(draws.volumes_ml):
        raise InputRejected(
            "calls",
            expected=f"those of the maps' {maps.draws} draws",
            found=f"the calls of {draw_masks.draws} draws, and {len(draws.volumes_ml)} volumes",
            do="give a new Calls to each summarised(), and here what came of that one pass",
        )
    if draw_masks.counts.shape != maps.grid.shape:
        raise GridMismatch(
            "calls", expected=f"the maps' shape {maps.grid.shape}", found=f"{draw_masks.counts.shape}", do="give theirs"
        )
    return draw_masks.counts


def _of_mask(maps: Maps, labels: Labels, count: int) -> list[tuple[float, tuple[float, float, float] | None, float]]:
    """Volume, centroid and mean entropy of the whole mask (first) and of each component."""
    index = np.argwhere(labels)
    label = labels[tuple(index.T)]
    columns = [np.ones(label.size), maps.entropy[tuple(index.T)], *index.T]
    sums = np.array([np.bincount(label, weights=column, minlength=count + 1) for column in columns])
    sums[:, 0] = sums[:, 1:].sum(axis=1)
    return [_described(size, entropy, at, maps.grid) for size, entropy, *at in sums.T.tolist()]


def _described(
    size: float, entropy: float, at: list[float], grid: Grid
) -> tuple[float, tuple[float, float, float] | None, float]:
    if size == 0:
        return 0.0, None, nan
    x, y, z = grid.world_mm(np.array(at) / size).tolist()
    return size * grid.voxel_ml, (x, y, z), entropy / size


def _dice(called: float, pairs: float, draws: int) -> float:
    if draws < 2:
        return nan
    return float(pairs / ((draws - 1) * called)) if called else 1.0


def _volumes(sizes: np.ndarray, voxel_ml: float) -> tuple[float, float, float]:
    """Mean volume of the draws' voxels, its coefficient of variation, share of draws with any."""
    mean = float(sizes.mean())  # of whole numbers: draws of one size vary by exactly 0
    cv = float(sizes.std(ddof=1)) / mean if mean > 0 and sizes.size > 1 else nan
    return mean * voxel_ml, cv, float((sizes > 0).mean())
