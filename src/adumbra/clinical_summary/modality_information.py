"""Redundancy, unique information and synergy of two modalities about a segmentation, around one uncertain region.

The voxels are those of the region and of its surroundings up to ``REACH_MM``, so that parts inside and outside of the
segmentation are among them. T is whether a voxel is segmented, with the mean probability p of the map: a voxel counts p
times as inside and 1 − p times as outside. X and Y are the values of two modalities in ``BINS`` bins of equally many
voxels. ``information.pid`` decomposes I(T; X, Y) by the method BROJA, in bits per voxel.

What the numbers mean, and what they do not:

- They describe the segmentation of this program, which was computed from the same images, and not the true target. They
  say which sequences go with the border as it was drawn there, alone, both alike or only together.
- **Bias.** With few voxels every atom is estimated too high. N independent voxels add about
  (BINS² − 1) / (2 N ln 2) bits to I(T; X, Y), and neighbouring voxels are not independent. The same pattern of p is
  therefore laid on unrelated places of the same head, ``PLACES`` of them, where the images have the same smoothness and
  nothing to do with p. The mean of an atom over these places is its null level. An atom counts as above it where it
  exceeds their 95 % quantile.
- Nothing is said of a region whose surroundings have fewer than ``LEAST_VOXELS`` voxels at the resolution of diffusion
  images: five for each cell of the table, below which no correction of the bias is reliable.
"""

from collections.abc import Iterator, Mapping
from math import ceil

import numpy as np
from scipy import ndimage

from adumbra.clinic.shared_information import ATOMS, Atom, SharedInformation
from adumbra.core.entropy import LN2, binary_entropy
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations, cites
from adumbra.core.results import Maps
from adumbra.core.types import Mask, Modality, Volume
from adumbra.information.decompose import pid
from adumbra.information.pid import broja

BINS = 3
"""Number of bins of each modality: dark, medium and bright among the voxels."""
REACH_MM = 3.0
"""Distance from the region up to which voxels count."""
RESOLUTION_ML = 0.008
"""Volume of an independent voxel: 2 mm along each axis. Images on a finer grid have more voxels and no more detail."""
LEAST_VOXELS = 5 * 2 * BINS * BINS
"""Least number of independent voxels: five for each cell of the table of T, X and Y."""
PLACES, LEAST_PLACES = 60, 30
"""Number of unrelated places, and the least number for which a null level is stated."""
APART_MM = 12.0
"""Least displacement of an unrelated place, beyond the extent of the region."""
_INSIDE = 0.9
"""Share of the pattern that must lie in the brain at an unrelated place."""
_ATTEMPTS = 1500


@cites(*citations(broja.atoms))
def shared_information(
    region: np.ndarray, maps: Maps, scans: Mapping[Modality, Volume], *, brain: Mask, reference: Modality
) -> tuple[SharedInformation, ...]:
    """The decomposition for the reference modality with each other modality.

    Args:
        region: Flat indices (C order) of the voxels of the region.
        maps: Maps of the target.
        scans: Modalities on the grid of the maps, the reference modality among them.
        brain: (X, Y, Z), the brain mask.
        reference: The modality that each other one is compared with.

    Returns:
        One for each other modality, in the order of ``scans``. Its atoms are empty where nothing can be said.
    """
    others = [modality for modality in scans if modality != reference]
    voxels = surroundings(region, maps.grid, brain)
    independent = len(voxels) * min(1.0, maps.grid.voxel_ml / RESOLUTION_ML)
    places = list(_displaced(voxels, maps.grid, brain)) if independent >= LEAST_VOXELS else []
    if len(places) < LEAST_PLACES:
        return tuple(SharedInformation(reference, m, {}, 0.0, len(voxels), independent, len(places)) for m in others)
    p = maps.probability[tuple(voxels.T)].astype(np.float64)
    patterns = [(p, voxels), *((p[inside], at) for at, inside in places)]
    rows = []
    for modality in others:
        tables = np.stack([_table(own, scans[reference], scans[modality], at) for own, at in patterns])
        parts = pid(tables, "broja")
        own = (parts.redundancy, parts.unique_1, parts.unique_2, parts.synergy)
        atoms = {name: _beside_null(values) for name, values in zip(ATOMS, own, strict=True)}
        bits = float(binary_entropy(p.mean(keepdims=True))[0]) / LN2
        rows.append(SharedInformation(reference, modality, atoms, bits, len(voxels), independent, len(places)))
    return tuple(rows)


def surroundings(region: np.ndarray, grid: Grid, brain: Mask) -> np.ndarray:
    """The voxels of the brain up to ``REACH_MM`` from a region, with the region itself, as indices (N, 3).

    Args:
        region: Flat indices (C order).
        grid: Grid of the region.
        brain: (X, Y, Z), the brain mask.
    """
    index = np.column_stack(np.unravel_index(region, grid.shape))
    margin = [ceil(REACH_MM / spacing) + 1 for spacing in grid.spacing_mm]
    low = np.maximum(index.min(axis=0) - margin, 0)
    high = np.minimum(index.max(axis=0) + margin + 1, grid.shape)
    inside = np.zeros(high - low, dtype=bool)
    inside[tuple((index - low).T)] = True
    distance = ndimage.distance_transform_edt(~inside, sampling=grid.spacing_mm)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return np.asarray(np.argwhere(inside | ((distance <= REACH_MM) & brain[box])) + low)


def _displaced(voxels: np.ndarray, grid: Grid, brain: Mask) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices of the pattern at unrelated places, and which of its voxels lie in the brain there."""
    rng = np.random.default_rng(0)  # one head gives one answer
    spacing = np.asarray(grid.spacing_mm)
    least = np.ptp(voxels, axis=0) * spacing + APART_MM
    candidates = np.argwhere(brain)
    middle, count = voxels.mean(axis=0).round().astype(int), 0
    for target in candidates[rng.integers(len(candidates), size=_ATTEMPTS)]:
        step = target - middle
        if (np.abs(step) * spacing < least).all():
            continue
        at = voxels + step
        inside = ((at >= 0) & (at < grid.shape)).all(axis=1)
        inside[inside] = brain[tuple(at[inside].T)]
        if inside.mean() >= _INSIDE:
            yield at[inside], inside
            count += 1
        if count == PLACES:
            return


def _beside_null(values: np.ndarray) -> Atom:
    """An atom, from the estimate of the region and those of the unrelated places behind it."""
    return Atom(float(values[0]), float(values[1:].mean()), float(np.quantile(values[1:], 0.95)))


def _table(p: np.ndarray, first: Volume, second: Volume, at: np.ndarray) -> np.ndarray:
    """The joint distribution of segmentation and two modalities, (2, BINS, BINS)."""
    x, y = (_bins(volume[tuple(at.T)]) for volume in (first, second))
    cell = x * BINS + y
    inside, outside = (np.bincount(cell, weights=w, minlength=BINS * BINS) for w in (p, 1.0 - p))
    return np.stack([outside, inside]).reshape(2, BINS, BINS) / len(p)


def _bins(values: np.ndarray) -> np.ndarray:
    """The bin of each value; equal values are in one bin."""
    edges = np.quantile(values, np.arange(1, BINS) / BINS)
    return np.searchsorted(edges, values, side="left")
