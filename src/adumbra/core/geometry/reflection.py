"""The mirrored hemisphere: at each voxel the intensity of the same place on the other side of the head.

A reflection is an affine map of RAS+ mm with a negative determinant, see ``preprocessing.reflection``. In voxel indices
it maps the index of a voxel to that of its mirror image. Training mirrors patches and prediction mirrors volumes with
the same function here, so that both see the same values.
"""

from collections.abc import Callable, Sequence

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.midline import Plane
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Affine, Channels, Volume

Box = tuple[slice, slice, slice]


def plane_reflection(plane: Plane) -> Affine:
    """The reflection in a plane, (4, 4), RAS+ mm; it is its own inverse."""
    normal = np.asarray(plane.normal, dtype=np.float64)
    matrix = np.eye(4)
    matrix[:3, :3] -= 2.0 * np.outer(normal, normal)
    matrix[:3, 3] = 2.0 * plane.offset_mm * normal
    return matrix


def index_reflection(reflection: Affine, grid: Grid) -> Affine:
    """A reflection of RAS+ mm as a map of the voxel indices of a grid, (4, 4)."""
    return np.linalg.inv(grid.affine) @ reflection @ grid.affine


def mirrored(volume: Volume, grid: Grid, reflection: Affine) -> Volume:
    """The volume of the other side: its value at the mirror image of each voxel, interpolated linearly.

    Args:
        volume: (X, Y, Z), finite.
        grid: Grid of the volume.
        reflection: (4, 4), RAS+ mm of a voxel to those of its mirror image.

    Returns:
        float32; 0 where the mirror image lies outside the field of view.
    """
    values = volume.astype(np.float32, copy=False)
    return resample(values, grid, grid, moving_from_fixed=reflection, antialias=False)


def mirrored_box(
    read: Callable[[Box], Channels], shape: tuple[int, int, int], reflection: Affine, box: Box
) -> Channels:
    """Channels of the other side in a box of a volume, as ``mirrored`` would give them for the whole volume.

    Args:
        read: Channels (C, X, Y, Z) in a box of the volume.
        shape: Shape of the volume.
        reflection: (4, 4), index of a voxel to that of its mirror image.
        box: The voxels that are wanted.

    Returns:
        float32 (C, X, Y, Z) of the shape of the box; 0 where the mirror image lies outside the volume.
    """
    source = _source_box(shape, reflection, box)
    part = read(source).astype(np.float32, copy=False)
    sizes = tuple(s.stop - s.start for s in box)
    if 0 in part.shape:
        return np.zeros((part.shape[0], *sizes), dtype=np.float32)
    from_grid, to_grid = _index_grid(source), _index_grid(box)
    out = np.zeros((len(part), *sizes), dtype=np.float32)
    for channel, values in zip(out, part, strict=True):
        if values.any():  # a missing modality needs no interpolation
            channel[...] = resample(values, from_grid, to_grid, moving_from_fixed=reflection, antialias=False)
    return out


def mirror_channels(channels: Channels, reflection: Affine) -> Channels:
    """All channels (C, X, Y, Z) of the other side, by a reflection of their voxel indices (4, 4)."""
    x, y, z = channels.shape[1:]
    whole = (slice(0, x), slice(0, y), slice(0, z))
    return mirrored_box(lambda box: channels[(slice(None), *box)], (x, y, z), reflection, whole)


def sub_grid(grid: Grid, first: Sequence[int], shape: Sequence[int]) -> Grid:
    """The grid of a part of a volume, or of a padded one, whose voxel 0 is the voxel ``first`` of the volume."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world_mm([float(i) for i in first])
    x, y, z = (int(n) for n in shape)
    return Grid((x, y, z), affine)


def _index_grid(box: Box) -> Grid:
    """A box of voxels as a grid whose millimetres are the indices of the volume."""
    affine = np.eye(4)
    affine[:3, 3] = [s.start for s in box]
    x, y, z = (s.stop - s.start for s in box)
    return Grid((x, y, z), affine)


def _source_box(shape: tuple[int, int, int], reflection: Affine, box: Box) -> Box:
    """The voxels whose values the mirror images of a box need; empty where they lie outside the volume."""
    corners = np.array([[i, j, k, 1.0] for i in _ends(box[0]) for j in _ends(box[1]) for k in _ends(box[2])])
    mirror = corners @ reflection[:3].T
    low = np.clip(np.floor(mirror.min(axis=0)).astype(int) - 1, 0, shape)
    high = np.clip(np.ceil(mirror.max(axis=0)).astype(int) + 2, low, shape)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z


def _ends(part: slice) -> tuple[int, int]:
    return part.start, part.stop - 1
