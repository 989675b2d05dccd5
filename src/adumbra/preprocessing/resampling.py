"""Scans and cases on another grid, with what is known of each voxel carried along."""

from dataclasses import replace

import numpy as np

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resampled, within_view
from adumbra.core.types import Affine, Modality


def case_onto(case: Case, grid: Grid) -> Case:
    """The case with all scans and masks on one grid, by the geometry of their headers."""
    scans = {name: onto(scan, grid, modality=name) for name, scan in case.scans.items()}
    masks = {name: onto(mask, grid) for name, mask in case.masks.items()}
    spacing = [round(s, 4) for s in grid.spacing_mm]
    note = Conversion(
        "preprocessing.resampling",
        "case",
        "Resampled onto one grid",
        {"shape": list(grid.shape), "spacing_mm": spacing},
    )
    return case.updated(note, scans=scans, masks=masks)


def onto(scan: Scan, grid: Grid, *, modality: Modality | None = None, moving_from_fixed: Affine | None = None) -> Scan:
    """The scan on another grid in the way that its modality needs: phase around the circle, all else linearly."""
    if modality == "phase":
        return phase_onto(scan, grid, moving_from_fixed=moving_from_fixed)
    return scan_onto(scan, grid, moving_from_fixed=moving_from_fixed)


def scan_onto(scan: Scan, grid: Grid, *, moving_from_fixed: Affine | None = None) -> Scan:
    """The scan resampled onto a grid; ``native`` and everything else of it survive.

    Voxels that were not measured have no say in the values of their neighbours: the known ones are averaged alone.

    Args:
        scan: An image or a mask.
        grid: Where the result lies.
        moving_from_fixed: RAS+ mm of ``grid``'s world to the scan's; None trusts the headers.

    Returns:
        The scan on ``grid``, zero where not ``valid_mask``; ``valid_mask`` is None where everything is.
    """
    if moving_from_fixed is None and scan.grid.coincides(grid):
        return _replaced(scan, scan.data, grid, scan.valid_mask)
    seen = within_view(scan.grid, grid, moving_from_fixed)
    if scan.valid_mask is None or scan.data.dtype == bool:
        data = resampled(scan.data, scan.grid, grid, moving_from_fixed=moving_from_fixed)
        return _replaced(scan, data, grid, seen & _carried(scan, grid, moving_from_fixed))
    weight = resampled(scan.valid_mask.astype(np.float32), scan.grid, grid, moving_from_fixed=moving_from_fixed)
    total = resampled(np.where(scan.valid_mask, scan.data, 0.0), scan.grid, grid, moving_from_fixed=moving_from_fixed)
    valid_mask = seen & (weight >= 0.5)
    return _replaced(scan, np.divide(total, weight, out=np.zeros_like(total), where=valid_mask), grid, valid_mask)


def phase_onto(scan: Scan, grid: Grid, *, moving_from_fixed: Affine | None = None) -> Scan:
    """A wrapped phase image on another grid: its cosine and sine are interpolated, never the angle itself."""
    parts = [
        scan_onto(_replaced(scan, f(scan.data), scan.grid, scan.valid_mask), grid, moving_from_fixed=moving_from_fixed)
        for f in (np.cos, np.sin)
    ]
    valid_mask = parts[0].valid_mask
    angle = np.arctan2(parts[1].data, parts[0].data)
    return _replaced(
        scan, angle if valid_mask is None else np.where(valid_mask, angle, np.float32(0)), grid, valid_mask
    )


def _carried(scan: Scan, grid: Grid, moving_from_fixed: Affine | None) -> np.ndarray:
    """What was known of the voxels of ``scan``, on another grid."""
    if scan.valid_mask is None:
        return np.ones((1, 1, 1), dtype=bool)
    return resampled(scan.valid_mask, scan.grid, grid, interpolation="nearest", moving_from_fixed=moving_from_fixed)


def _replaced(scan: Scan, data: np.ndarray, grid: Grid, valid_mask: np.ndarray | None) -> Scan:
    everywhere = valid_mask is None or bool(valid_mask.all())
    return replace(scan, data=data, grid=grid, valid_mask=None if everywhere else valid_mask)
