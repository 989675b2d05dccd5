"""Resampling of a volume to another grid: the only place where values are interpolated.

All computations are in voxel indices. One affine maps the index of a target voxel to that of a source voxel, and ITK
receives images without geometry. Any invertible affine therefore works, also a sheared or nearly orthonormal one that
the readers of ITK refuse, and world coordinates are RAS+ throughout, never the LPS of ITK.
"""

from typing import Literal

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Affine, Mask

Interpolation = Literal["linear", "nearest"]
EXACT_MM = 0.01
"""Voxels closer than this are the same voxel, as in ``Grid.coincides``."""
_LOWEST_LEVEL, _HIGHEST_LEVEL = 0.3, 0.5  # Range of the level at which an interpolated mask is thresholded.
_FWHM_TO_SIGMA = 1.0 / np.sqrt(8.0 * np.log(2.0))
_TRUNCATE = 3.0  # Where the anti-aliasing filter ends, in standard deviations.


@cites("Cardoso2015")
def resample(
    data: np.ndarray,
    source: Grid,
    target: Grid,
    *,
    interpolation: Interpolation = "linear",
    fill: float = 0.0,
    antialias: bool = True,
    moving_from_fixed: Affine | None = None,
) -> np.ndarray:
    """Resamples a volume from one grid to another.

    Where the voxels of both grids coincide (the same grid, flipped or permuted axes, a crop, a pad) they are copied and
    nothing is interpolated. A mask under linear interpolation is the 0/1 field thresholded at the level between 0.3 and
    0.5 that preserves its volume best, because one half removes too much of small round shapes. A component too small
    to reach that level anywhere retains the one voxel that it covers most, so that no lesion vanishes.

    Args:
        data: (X, Y, Z), finite; bool, or numbers that are converted to float32.
        source: Grid of ``data``.
        target: Grid of the result.
        interpolation: ``"nearest"`` never creates a new value.
        fill: Value outside the field of view of the source, which ends at the outer faces of its voxels.
        antialias: Whether to blur first along the axes on which the target is coarser.
        moving_from_fixed: Maps RAS+ mm of the target's world to the source's, (4, 4); None is the identity.

    Returns:
        bool for bool ``data``, else float32, of the shape of ``target``.
    """
    index_map = _source_from_target(source, target, moving_from_fixed)
    values = data if data.dtype == bool else data.astype(np.float32, copy=False)
    if (steps := _whole_steps(index_map, source, target)) is not None:
        return _copied(values, steps, target.shape, fill)
    if interpolation == "nearest":
        return _interpolated(values, index_map, target.shape, sitk.sitkNearestNeighbor, fill)
    field = _antialiased(values, index_map) if antialias else values
    linear = _interpolated(field.astype(np.float32, copy=False), index_map, target.shape, sitk.sitkLinear, fill)
    return _mask_of_field(linear, data, index_map) if data.dtype == bool else linear


def within_view(source: Grid, target: Grid, moving_from_fixed: Affine | None = None) -> Mask:
    """True at the voxels of ``target`` whose centres lie inside the field of view of ``source``."""
    index_map = _source_from_target(source, target, moving_from_fixed)
    i, j, k = np.ogrid[tuple(slice(0, n) for n in target.shape)]
    inside = np.ones((1, 1, 1), dtype=bool)
    for row, size in zip(index_map[:3], source.shape, strict=True):
        # Axes with a coefficient of zero are left out, so that aligned grids cost three short vectors.
        along = (c * x for c, x in zip(row[:3], (i, j, k), strict=True) if abs(c) > 1e-12)
        at = sum(along, np.full((1, 1, 1), row[3]))
        inside = inside & (at >= -0.5 - 1e-6) & (at <= size - 0.5 + 1e-6)
    return np.ascontiguousarray(np.broadcast_to(inside, target.shape))


def reach_voxels(source: Grid, target: Grid) -> tuple[int, int, int]:
    """How many voxels of the source, on each side along each axis, a voxel of the target is computed from."""
    first, second, third = np.ceil(_TRUNCATE * _antialiasing_sigmas(_source_from_target(source, target, None))) + 1
    return int(first), int(second), int(third)


def _source_from_target(source: Grid, target: Grid, moving_from_fixed: Affine | None) -> Affine:
    """The affine from the index of a target voxel to that of a source voxel."""
    world = target.affine if moving_from_fixed is None else moving_from_fixed @ target.affine
    return np.linalg.solve(source.affine, world)


def _whole_steps(index_map: Affine, source: Grid, target: Grid) -> np.ndarray | None:
    """``index_map`` in whole numbers if it only flips, permutes and shifts voxels; None otherwise."""
    whole = np.round(index_map)
    axes = np.abs(whole[:3, :3])
    if not (np.array_equal(axes.sum(axis=0), [1, 1, 1]) and np.array_equal(axes.sum(axis=1), [1, 1, 1])):
        return None
    corners = target.index(target.corners_mm()) @ (index_map - whole)[:3, :3].T + (index_map - whole)[:3, 3]
    off_mm = np.abs(corners).max(axis=0) * np.asarray(source.spacing_mm)
    return whole.astype(int) if off_mm.max() <= EXACT_MM else None


def _copied(data: np.ndarray, steps: np.ndarray, shape: tuple[int, int, int], fill: float) -> np.ndarray:
    """Voxels copied along whole steps; ``fill`` where the source has none."""
    axes = np.abs(steps[:3, :3]).argmax(axis=0)
    out = np.full(shape, fill, dtype=data.dtype)
    to_index, from_index = [], []
    for axis, size in enumerate(shape):
        row = steps[axes[axis]]
        at = row[axis] * np.arange(size) + row[3]
        valid = np.flatnonzero((at >= 0) & (at < data.shape[axes[axis]]))
        to_index.append(valid)
        from_index.append(at[valid])
    out[np.ix_(*to_index)] = data.transpose(axes)[np.ix_(*from_index)]
    return out


def _antialiased(data: np.ndarray, index_map: Affine) -> np.ndarray:
    """``data`` blurred along each axis on which the target has larger voxels, as float32.

    The Gaussian turns the source's point spread, a Gaussian one voxel wide at half maximum, into that of the target
    (Cardoso et al., MICCAI 2015). On oblique grids, the target's width along a source axis is the length of that row.
    """
    sigmas = _antialiasing_sigmas(index_map)
    return ndimage.gaussian_filter(data.astype(np.float32), sigmas, mode="nearest", truncate=_TRUNCATE)


def _antialiasing_sigmas(index_map: Affine) -> np.ndarray:
    """Standard deviation of that Gaussian along each axis of the source, in its voxels."""
    widths = np.linalg.norm(index_map[:3, :3], axis=1)
    return np.where(widths > 1.05, np.sqrt(np.maximum(widths**2 - 1.0, 0.0)) * _FWHM_TO_SIGMA, 0.0)


def _interpolated(
    data: np.ndarray, index_map: Affine, shape: tuple[int, int, int], interpolator: int, fill: float
) -> np.ndarray:
    """``data`` interpolated at every index of a volume of ``shape``, mapped by ``index_map``; ``fill`` outside."""
    # GetImageFromArray takes the last axis as the first of ITK, hence the reversed rows and columns.
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(index_map[2::-1, 2::-1].ravel().tolist())
    transform.SetTranslation(index_map[2::-1, 3].tolist())
    image = sitk.GetImageFromArray(np.ascontiguousarray(data).view(np.uint8) if data.dtype == bool else data)
    origin, spacing, directions = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), np.eye(3).ravel().tolist()
    size = [int(n) for n in reversed(shape)]
    out = sitk.Resample(image, size, transform, interpolator, origin, spacing, directions, float(fill))
    return sitk.GetArrayFromImage(out).astype(data.dtype, copy=False)


def _mask_of_field(field: np.ndarray, mask: np.ndarray, index_map: Affine) -> Mask:
    """``field`` thresholded to preserve its volume, with one voxel for each component of ``mask`` that would vanish."""
    out = field >= _level_keeping_volume(field)
    labels, count = label_components(mask)
    inverse = np.linalg.inv(index_map)
    landing = np.round(np.argwhere(mask) @ inverse[:3, :3].T + inverse[:3, 3]).astype(np.intp)
    inside = ((landing >= 0) & (landing < out.shape)).all(axis=1)
    owner, at = labels[mask][inside], np.ravel_multi_index(tuple(landing[inside].T), out.shape)
    survives = np.zeros(count + 1, dtype=bool)
    survives[owner[out.ravel()[at]]] = True
    out.ravel()[_most_covered(owner[~survives[owner]], at[~survives[owner]])] = True
    return out


def _level_keeping_volume(field: np.ndarray) -> float:
    """The level, from 0.3 to 0.5, above which the number of voxels is the sum of the field."""
    values = field[field >= _LOWEST_LEVEL]
    wanted = round(float(field.sum(dtype=np.float64)))
    if wanted >= values.size:
        return _LOWEST_LEVEL
    level = float(np.partition(values, values.size - wanted)[values.size - wanted]) if wanted else _HIGHEST_LEVEL
    # The margin of rounding includes a border that falls exactly on one half, as that of a symmetric mask does.
    return min(level, _HIGHEST_LEVEL) - 1e-5


def _most_covered(owner: np.ndarray, at: np.ndarray) -> np.ndarray:
    """For each owner, the index at which most of its voxels land."""
    pairs, votes = np.unique(np.stack([owner, at]), axis=1, return_counts=True)
    order = np.lexsort((-votes, pairs[0]))
    _, first = np.unique(pairs[0][order], return_index=True)
    return pairs[1][order][first]
