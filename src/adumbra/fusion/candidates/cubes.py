"""The cube around a candidate that a second look sees: images, mirror images, and maps of the first pass."""

from collections.abc import Callable, Sequence

import numpy as np

from adumbra.core.case import Case, Scan
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import Box, sub_grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Channels, Modality, Volume
from adumbra.fusion.candidates.first_pass import FirstPass, missing_flow

CaseReader = Callable[[Grid], Case]
"""A case on any grid in network units, zero outside its fields of view; with ``Case.mirrors`` where they are known."""
_STRUCTURES = ("arteries", "veins", "flow")


def cube_grid(centre_mm: Sequence[float], axes: Grid, *, spacing_mm: float, side: int) -> Grid:
    """A cube of voxels around a point, with the axes of another grid.

    Args:
        centre_mm: The point, RAS+ mm; the centre of the cube.
        axes: The grid whose axes it has.
        spacing_mm: Its spacing.
        side: Its side, in voxels.
    """
    affine = np.eye(4)
    affine[:3, :3] = axes.affine[:3, :3] / np.asarray(axes.spacing_mm) * spacing_mm
    affine[:3, 3] = np.asarray(centre_mm) - affine[:3, :3] @ np.full(3, (side - 1) / 2)
    return Grid((side, side, side), affine)


def cube_images(case: Case, modalities: Sequence[Modality], *, mirrored: bool) -> Channels:
    """The images of a case on the grid of a cube, (C, X, Y, Z), then their mirror images; zeros where they are missing.

    Args:
        case: The case on the grid of the cube.
        modalities: The images, in order.
        mirrored: Whether mirror images follow.
    """
    images = [_data(case.scans.get(m), case.grid) for m in modalities]
    mirrors = [_data(case.mirrors.get(m), case.grid) for m in modalities] if mirrored else []
    return np.stack([*images, *mirrors])


def _data(scan: Scan | None, grid: Grid) -> Volume:
    return np.zeros(grid.shape, dtype=np.float32) if scan is None else scan.data


def cube_maps(maps: FirstPass, grid: Grid) -> Channels:
    """The maps of a first pass on the grid of a cube, in the order of ``networks.second_look.MAPS`` without the last.

    Maps that no network predicts are zero.
    """
    volumes = [maps.probability, *(maps.structures.get(name) for name in _STRUCTURES)]  # type: ignore[call-overload]
    return np.stack([_resampled(volume, maps.grid, grid) for volume in volumes])


def with_missing_flow(maps: Channels) -> np.ndarray:
    """The maps of ``cube_maps`` with arteries minus flow behind them, (5, X, Y, Z)."""
    _, arteries, _, flow = maps
    absent = missing_flow({"arteries": arteries, "flow": flow})
    assert absent is not None  # both are given
    return np.concatenate([maps, absent[None]])


def present_modalities(case: Case, modalities: Sequence[Modality]) -> np.ndarray:
    """(C,), float32, 1 where the case has the modality."""
    return np.array([modality in case.scans for modality in modalities], dtype=np.float32)


def _resampled(volume: Volume | None, source: Grid, target: Grid) -> np.ndarray:
    if volume is None:
        return np.zeros(target.shape, dtype=np.float32)
    box = _box_of(target, source)
    part = np.ascontiguousarray(volume[box])
    grid = sub_grid(source, [axis.start for axis in box], part.shape)
    return np.clip(resample(part, grid, target, antialias=False), 0.0, 1.0)


def _box_of(target: Grid, source: Grid) -> Box:
    """The voxels of a grid that interpolation on another grid reads; at least one along each axis."""
    corners, last = source.index(target.corners_mm()), np.asarray(source.shape) - 1
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, last)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, low, last) + 1
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z
