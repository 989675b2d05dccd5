"""The input of the brain network: a volume of any sequence at 4 mm, in units that do not depend on its scale.

Voxels that were not measured hold one exact value: the zeros of a margin, of skull stripping or of masked air, and the
interpolation residue around them. They take no part in the statistics. The grid is that of the measured part, so that
a margin of any width changes nothing.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Channels, Mask, Volume

SPACING_MM = 4.0
"""Spacing of the isotropic grid of the network."""
_RESIDUE = 1e-6  # Largest residue of interpolation, relative to the largest magnitude.
_SHARE = 0.01  # Share of the voxels from which on one exact value marks voxels that were not measured.
_DARKEST = 1.0  # Percentile of the measured values that becomes 0.


@dataclass(frozen=True, eq=False)
class BrainInput:
    """The input of the brain network.

    Attributes:
        channels: (2, X, Y, Z), the normalised values and the measured share of each voxel.
        grid: Grid of the channels.
    """

    channels: Channels
    grid: Grid


def content_of(volume: Volume) -> Mask:
    """True where a voxel was measured: its value differs from the exact value of the background, if there is one.

    Args:
        volume: (X, Y, Z), finite.
    """
    largest = float(np.abs(volume).max(initial=0.0))
    nonzero = np.abs(volume) > _RESIDUE * largest
    if nonzero.mean() <= 1 - _SHARE:
        return nonzero
    lowest = volume == volume.min()
    return ~lowest if lowest.mean() >= _SHARE else np.ones_like(nonzero)


def brain_input(volume: Volume, content: Mask, grid: Grid) -> BrainInput:
    """The input of the brain network for a volume.

    Args:
        volume: (X, Y, Z), finite, in any unit.
        content: The measured voxels; not empty.
        grid: Grid of the volume.
    """
    box = bounding_box(content)
    corner = np.eye(4)
    corner[:3, 3] = [s.start for s in box]
    i, j, k = volume[box].shape
    part = Grid((i, j, k), grid.affine @ corner)
    coarse = respaced(part, (SPACING_MM,) * 3)
    measured = content[box].astype(np.float32)
    magnitude = float(np.abs(volume[box][content[box]]).max()) or 1.0
    values = resample(volume[box] / np.float32(magnitude) * measured, part, coarse)
    share = np.clip(resample(measured, part, coarse), 0, 1)
    return BrainInput(normalised(values, share), coarse)


def bounding_box(mask: Mask) -> tuple[slice, slice, slice]:
    """The smallest box around a mask that is not empty."""
    axes = (np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3))
    i, j, k = (slice(int(at[0]), int(at[-1]) + 1) for at in axes)
    return i, j, k


def normalised(values: Volume, share: Volume) -> Channels:
    """Values between −1 and 1 whatever the unit, 0 where nothing was measured, with the measured share: (2, X, Y, Z).

    The darkest measured values become 0 and the mean of the brighter half about one half; brighter values are
    compressed, so that a bright infarct or vessel does not set the scale.

    Args:
        values: (X, Y, Z), values times ``share``.
        share: (X, Y, Z), the measured share of each voxel.
    """
    own = values / np.maximum(share, np.float32(0.05))
    inside = own[share > 0.5] if (share > 0.5).any() else own[share > 0]
    if not inside.size:
        return np.stack([np.zeros_like(values), share])
    lowest = np.percentile(inside, _DARKEST)
    above = np.maximum(inside - lowest, 0)
    scale = float(above[above >= above.mean()].mean())
    relative = (own - np.float32(lowest)) / np.float32(scale if scale > 0 else 1.0)
    return np.stack([relative / (1 + np.abs(relative)) * (share > 0.05), share]).astype(np.float32)
