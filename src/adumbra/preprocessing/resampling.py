"""Resamples scans and cases to another grid, together with their masks of valid voxels."""

from dataclasses import replace

import numpy as np

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample, within_view
from adumbra.core.types import Affine, Modality


def resample_case(case: Case, grid: Grid) -> Case:
    """Resamples all scans and masks of a case to one grid, by the geometry of their headers."""
    scans = {name: resample_by_modality(scan, grid, modality=name) for name, scan in case.scans.items()}
    masks = {name: resample_by_modality(mask, grid) for name, mask in case.masks.items()}
    spacing = [round(s, 4) for s in grid.spacing_mm]
    note = Conversion(
        "preprocessing.resampling",
        "case",
        "Resampled onto one grid",
        {"shape": list(grid.shape), "spacing_mm": spacing},
    )
    return case.updated(note, scans=scans, masks=masks)


def resample_by_modality(
    scan: Scan, grid: Grid, *, modality: Modality | None = None, moving_from_fixed: Affine | None = None
) -> Scan:
    """Resamples a scan as its modality requires: phase as an angle, all others linearly. See ``resample_scan``."""
    if modality == "phase":
        return resample_phase(scan, grid, moving_from_fixed=moving_from_fixed)
    return resample_scan(scan, grid, moving_from_fixed=moving_from_fixed)


def resample_scan(scan: Scan, grid: Grid, *, moving_from_fixed: Affine | None = None) -> Scan:
    """Resamples a scan to a grid; its other fields, such as ``native``, are unchanged.

    Voxels that are not valid do not influence their neighbours: only valid ones are averaged.

    Args:
        scan: An image or a mask.
        grid: Grid of the result.
        moving_from_fixed: RAS+ mm of the world of ``grid`` to that of the scan, (4, 4); None trusts the headers.

    Returns:
        The scan on ``grid``, zero where it is not valid; its ``valid_mask`` is None where all voxels are valid.
    """
    if moving_from_fixed is None and scan.grid.coincides(grid):
        return _replaced(scan, scan.data, grid, scan.valid_mask)
    in_view = within_view(scan.grid, grid, moving_from_fixed)
    if scan.valid_mask is None or scan.data.dtype == bool:
        data = resample(scan.data, scan.grid, grid, moving_from_fixed=moving_from_fixed)
        return _replaced(scan, data, grid, in_view & _valid_on(scan, grid, moving_from_fixed))
    weight = resample(scan.valid_mask.astype(np.float32), scan.grid, grid, moving_from_fixed=moving_from_fixed)
    total = resample(np.where(scan.valid_mask, scan.data, 0.0), scan.grid, grid, moving_from_fixed=moving_from_fixed)
    valid_mask = in_view & (weight >= 0.5)
    return _replaced(scan, np.divide(total, weight, out=np.zeros_like(total), where=valid_mask), grid, valid_mask)


def resample_phase(scan: Scan, grid: Grid, *, moving_from_fixed: Affine | None = None) -> Scan:
    """Resamples a wrapped phase image by its cosine and sine; the angle itself is never interpolated."""
    parts = [
        resample_scan(
            _replaced(scan, f(scan.data), scan.grid, scan.valid_mask), grid, moving_from_fixed=moving_from_fixed
        )
        for f in (np.cos, np.sin)
    ]
    valid_mask = parts[0].valid_mask
    angle = np.arctan2(parts[1].data, parts[0].data)
    return _replaced(
        scan, angle if valid_mask is None else np.where(valid_mask, angle, np.float32(0)), grid, valid_mask
    )


def _valid_on(scan: Scan, grid: Grid, moving_from_fixed: Affine | None) -> np.ndarray:
    """The valid voxels of ``scan`` on another grid; True everywhere for a scan that is valid everywhere."""
    if scan.valid_mask is None:
        return np.ones((1, 1, 1), dtype=bool)
    return resample(scan.valid_mask, scan.grid, grid, interpolation="nearest", moving_from_fixed=moving_from_fixed)


def _replaced(scan: Scan, data: np.ndarray, grid: Grid, valid_mask: np.ndarray | None) -> Scan:
    everywhere = valid_mask is None or bool(valid_mask.all())
    return replace(scan, data=data, grid=grid, valid_mask=None if everywhere else valid_mask)
