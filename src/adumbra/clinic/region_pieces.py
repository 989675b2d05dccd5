"""Uncertain voxels cut into pieces that a reader can decide on.

The uncertain voxels of a large lesion are one connected rim. It surrounds the lesion, crosses several regions of
ASPECTS, and no single answer is right for all of it. A 26-connected component is therefore cut twice:

1. at the borders of the regions of a map, because the consequences of a decision, such as ASPECTS, change there. A part
   smaller than ``SMALLEST_ML`` stays with the nearest larger part of its component.
2. at the middle of its longest axis (the first principal component of its voxels in mm), until no piece is longer than
   ``LONGEST_MM``. A piece of this length can be overlooked in one picture of three planes.

Both cuts depend on positions in mm only: they do not change with the orientation of the grid. A watershed of the
entropy was not used, because the entropy along a rim has no basins: it is highest on the surface where the probability
is one half, and its maxima along this surface are noise.
"""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from adumbra.core.entropy import UNCERTAIN_NATS
from adumbra.core.errors import GridMismatch
from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Maps
from adumbra.core.types import Labels, Mask

LONGEST_MM = 40.0
"""Length along its longest axis above which a piece is cut in two; a convention, about that of an ASPECTS region."""
SMALLEST_ML = 0.2
"""Volume below which the part of a component in another region is no piece of its own: 25 voxels of 2 mm. The border
of the atlas is no more precise than some millimetres."""


def uncertain_pieces(
    maps: Maps, *, within: Mask, labels: Labels | None = None, longest_mm: float = LONGEST_MM
) -> tuple[np.ndarray, ...]:
    """The pieces of the uncertain voxels, each as the flat indices (C order) of its voxels, ascending.

    A voxel is uncertain if its predictive entropy is at least ``core.entropy.UNCERTAIN_NATS``. Every uncertain voxel
    of ``within`` belongs to exactly one piece. The pieces come in the order of their first voxel.

    Args:
        maps: Maps of the target.
        within: (X, Y, Z), the voxels that may be listed, such as the brain.
        labels: (X, Y, Z), regions at whose borders components are cut; None cuts by length only.
        longest_mm: Length from which a piece is cut in two; infinite cuts by regions only.

    Raises:
        GridMismatch: The mask or the labels do not have the shape of the maps.
    """
    for name, array in (("within", within), ("labels", labels)):
        if array is not None and array.shape != maps.grid.shape:
            raise GridMismatch(
                name,
                expected=f"shape {maps.grid.shape}, that of the maps",
                found=f"shape {array.shape}",
                do="give it on the grid of the maps",
            )
    uncertain = (maps.entropy >= np.float32(UNCERTAIN_NATS)) & within
    components, count = label_components(uncertain, connectivity=26)
    index = np.flatnonzero(uncertain)
    order = np.argsort(components.ravel()[index], kind="stable")
    sizes = np.bincount(components.ravel()[index], minlength=count + 1)[1:]
    pieces: list[np.ndarray] = []
    for voxels in np.split(index[order], np.cumsum(sizes)[:-1]) if count else []:
        parts = [voxels] if labels is None else _by_region(voxels, labels, maps.grid)
        pieces += [piece for part in parts for piece in _cut(part, maps.grid, longest_mm)]
    return tuple(sorted(pieces, key=lambda piece: int(piece[0])))


def positions_mm(voxels: np.ndarray, grid: Grid) -> np.ndarray:
    """RAS+ mm of flat voxel indices, (N, 3)."""
    return grid.world_mm(np.column_stack(np.unravel_index(voxels, grid.shape)))


def _by_region(voxels: np.ndarray, labels: Labels, grid: Grid) -> list[np.ndarray]:
    """The voxels of a component by region; parts that are too small belong to the nearest larger part."""
    own = labels.ravel()[voxels]
    names, number, sizes = np.unique(own, return_inverse=True, return_counts=True)
    large = sizes * grid.voxel_ml >= SMALLEST_ML
    if len(names) == 1 or not large.any():
        return [voxels]
    settled = large[number]
    if not settled.all():
        places = positions_mm(voxels, grid)
        _, nearest = cKDTree(places[settled]).query(places[~settled])
        number[~settled] = number[settled][nearest]
    return [voxels[number == n] for n in np.flatnonzero(large)]


def _cut(voxels: np.ndarray, grid: Grid, longest_mm: float) -> Iterator[np.ndarray]:
    """The voxels cut at the middle of the longest axis until no piece is longer than ``longest_mm``."""
    places = positions_mm(voxels, grid)
    centred = places - places.mean(axis=0)
    along = centred @ np.linalg.eigh(centred.T @ centred)[1][:, -1]
    if np.ptp(along) <= longest_mm:
        yield voxels
        return
    first = along <= (along.min() + along.max()) / 2.0
    for half in (voxels[first], voxels[~first]):
        yield from _cut(half, grid, longest_mm)
