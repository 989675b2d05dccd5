"""Scans and cases on another grid, with what is known of each voxel carried along."""

from dataclasses import replace

import numpy as np

from adumbra.case import Case, Conversion, Scan
from adumbra.shapes import Affine, Modality
from adumbra.space.grid import Grid
from adumbra.space.resampling import resampled, within_view


def case_onto(case: Case, grid: Grid) -> Case:
    """The case with all scans and masks on one grid, by the geometry of their headers."""
    scans = {name: onto(scan, grid, modality=name) for name, scan in case.scans.items()}
    masks = {name: onto(mask, grid) for name, mask in case.masks.items()}
    spacing = [round(s, 4) for s in grid.spacing_mm]
    note = Conversion(
        "prepare.resample", "case", "Resampled onto one grid", {"shape": list(grid.shape), "spacing_mm": spacing}
    )
    return case.having(note, scans=scans, masks=masks)


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
        The scan on ``grid``, zero where not ``known``; ``known`` is None where everything is.
    """
    if moving_from_fixed is None and scan.grid.coincides(grid):
        return _replaced(scan, scan.data, grid, scan.known)
    seen = within_view(scan.grid, grid, moving_from_fixed)
    if scan.known is None or scan.data.dtype == bool:
        data = resampled(scan.data, scan.grid, grid, moving_from_fixed=moving_from_fixed)
        return _replaced(scan, data, grid, seen & _carried(scan, grid, moving_from_fixed))
    weight = resampled(scan.known.astype(np.float32), scan.grid, grid, moving_from_fixed=moving_from_fixed)
    total = resampled(np.where(scan.known, scan.data, 0.0), scan.grid, grid, moving_from_fixed=moving_from_fixed)
    known = seen & (weight >= 0.5)
    return _replaced(scan, np.divide(total, weight, out=np.zeros_like(total), where=known), grid, known)


def phase_onto(scan: Scan, grid: Grid, *, moving_from_fixed: Affine | None = None) -> Scan:
    """A wrapped phase image on another grid: its cosine and sine are interpolated, never the angle itself."""
    parts = [
        scan_onto(_replaced(scan, f(scan.data), scan.grid, scan.known), grid, moving_from_fixed=moving_from_fixed)
        for f in (np.cos, np.sin)
    ]
    known = parts[0].known
    angle = np.arctan2(parts[1].data, parts[0].data)
    return _replaced(scan, angle if known is None else np.where(known, angle, np.float32(0)), grid, known)


def _carried(scan: Scan, grid: Grid, moving_from_fixed: Affine | None) -> np.ndarray:
    """What was known of the voxels of ``scan``, on another grid."""
    if scan.known is None:
        return np.ones((1, 1, 1), dtype=bool)
    return resampled(scan.known, scan.grid, grid, interpolation="nearest", moving_from_fixed=moving_from_fixed)


def _replaced(scan: Scan, data: np.ndarray, grid: Grid, known: np.ndarray | None) -> Scan:
    everywhere = known is None or bool(known.all())
    return replace(scan, data=data, grid=grid, known=None if everywhere else known)
