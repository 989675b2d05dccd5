"""The volumes of the viewer: scans and results on one grid, as small NIfTI files inside the page.

Scans are cropped to the brain and its surroundings, windowed to a few grey levels and, where they would be too large,
resampled to larger voxels. They are for looking only. All measurements come from the full resolution.
"""

import base64
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

from adumbra.core.entropy import LN2
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Mask, Volume
from adumbra.report.tiles import box_around, intensity_windows

LEVELS = 64
"""Number of grey levels. More levels would store the noise: every bit of it costs an eighth of the file."""
FINEST_MM = 0.8
"""Smallest voxel that is stored; scanners interpolate to smaller ones."""
_SLICE_RATIO = 1.5
"""Ratio of the smallest slice thickness to the smallest voxel within the slice: readers look at axial slices."""
_SURROUNDINGS_MM = 10.0
"""Distance from the brain, in the plane of the slice, up to which a scan is stored. The ADC of air is noise."""
_ATTEMPTS = 4


@dataclass(frozen=True, eq=False)
class ScanGroup:
    """Scans that share a grid.

    Attributes:
        grid: The grid, RAS+ axes.
        scans: Scans by name, (X, Y, Z) on the grid, in the order of display.
        brain: The brain on the grid; None shows the whole volumes.
    """

    grid: Grid
    scans: Mapping[str, Volume]
    brain: Mask | None = None


@dataclass(frozen=True, eq=False)
class StoredGroup:
    """A group as the page holds it.

    Attributes:
        grid: The grid of the stored volumes: a crop of the group's grid, perhaps with larger voxels.
        scans: Gzip-compressed NIfTI files of the scans by name, in base64; values from 0 to ``LEVELS - 1``.
    """

    grid: Grid
    scans: Mapping[str, str]

    @property
    def size_bytes(self) -> int:
        """Size of the scans in the page."""
        return sum(map(len, self.scans.values()))


def stored_group(group: ScanGroup, *, budget_bytes: int) -> StoredGroup:
    """The scans of a group at the finest spacing at which they fit into a budget.

    Voxels become larger only along the axes on which they are smaller than a common spacing, so that thick slices
    remain as they are.

    Args:
        group: At least one scan.
        budget_bytes: Largest size of the scans in the page.

    Returns:
        The stored scans. They can exceed the budget by a few per cent of it if the last attempt does.
    """
    brain = group.brain if group.brain is not None and group.brain.any() else np.ones(group.grid.shape, dtype=bool)
    windows = intensity_windows(group.scans, brain)
    crop = cropped(group.grid, box_around(brain, group.grid))
    spacing_mm = FINEST_MM
    stored = _stored_at(group, windows, crop, spacing_mm)
    for _ in range(_ATTEMPTS):
        if stored.size_bytes <= budget_bytes:
            break
        # Noise that is averaged costs less, so the size falls faster than the number of voxels.
        spacing_mm = _coarser(spacing_mm, crop, stored.size_bytes / budget_bytes)
        stored = _stored_at(group, windows, crop, spacing_mm)
    return stored


def stored_mask(mask: Mask, source: Grid, target: Grid) -> str:
    """A mask on the grid of a stored group, as a compressed NIfTI file in base64. No component vanishes."""
    return nifti_base64(resample(mask, source, target).astype(np.uint8), target)


def stored_entropy(entropy: Volume, source: Grid, target: Grid) -> str:
    """A map of entropy on the grid of a stored group: 0 to ln 2 nats as 0 to ``LEVELS - 1``."""
    return nifti_base64(quantised(resample(entropy, source, target), (0.0, LN2)), target)


def cropped(grid: Grid, box: Sequence[slice]) -> Grid:
    """The grid of a crop."""
    affine = np.array(grid.affine)
    affine[:3, 3] = grid.world_mm([part.start for part in box])
    first, second, third = (part.stop - part.start for part in box)
    return Grid((first, second, third), affine)


def quantised(volume: np.ndarray, window: tuple[float, float]) -> np.ndarray:
    """Values of a window as ``LEVELS`` whole numbers from 0, uint8; values beyond the window get its ends."""
    low, high = window
    return np.rint(np.clip((volume - low) / (high - low), 0.0, 1.0) * (LEVELS - 1)).astype(np.uint8)


def nifti_base64(volume: np.ndarray, grid: Grid) -> str:
    """A gzip-compressed NIfTI file in base64, without a date. Equal volumes give equal texts."""
    image = nib.Nifti1Image(volume, grid.affine)
    image.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(image.to_bytes(), compresslevel=9, mtime=0)).decode()


def _stored_at(
    group: ScanGroup, windows: Mapping[str, tuple[float, float]], crop: Grid, spacing_mm: float
) -> StoredGroup:
    grid = respaced(crop, _spacing_at_least(crop, spacing_mm))
    stored = _surroundings(group, grid)
    scans = {}
    for name, volume in group.scans.items():
        levels = quantised(resample(volume, group.grid, grid, fill=windows[name][0]), windows[name])
        scans[name] = nifti_base64(np.where(stored, levels, np.uint8(0)), grid)
    return StoredGroup(grid, scans)


def _surroundings(group: ScanGroup, grid: Grid) -> Mask:
    """The voxels that are stored: the brain and its surroundings in the same slice; all voxels without a brain mask."""
    if group.brain is None or not group.brain.any():
        return np.ones(grid.shape, dtype=bool)
    near = resample(group.brain, group.grid, grid)
    plane = ndimage.generate_binary_structure(2, 1)[..., None]
    return ndimage.binary_dilation(near, plane, iterations=round(_SURROUNDINGS_MM / min(grid.spacing_mm[:2])))


def _spacing_at_least(grid: Grid, spacing_mm: float) -> tuple[float, float, float]:
    first, second, third = grid.spacing_mm
    return max(first, spacing_mm), max(second, spacing_mm), max(third, _SLICE_RATIO * spacing_mm)


def _coarser(spacing_mm: float, grid: Grid, excess: float) -> float:
    """A larger common spacing with about ``excess`` times fewer voxels."""
    needed, before = spacing_mm, np.prod(_spacing_at_least(grid, spacing_mm))
    while np.prod(_spacing_at_least(grid, needed)) < before * excess:
        needed += 0.05
    return needed
