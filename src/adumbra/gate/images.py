"""The gate for images, masks, pairs of files and cases: it calls the readers of ``cases`` and keeps their records."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from adumbra.cases.files import CaseFiles, read_case
from adumbra.cases.image_file import image_stem
from adumbra.cases.names import mask_in, modality_in
from adumbra.cases.registry import CaseLocation, files_at, find_cases
from adumbra.cases.scan import read_image, read_mask, read_scan
from adumbra.cases.series import with_volumes
from adumbra.core.case import Conversion, Scan
from adumbra.core.errors import AdumbraError, GridMismatch
from adumbra.core.types import Modality
from adumbra.gate.verdict import Refusal, Verdict, refusal_of, warnings_of

Notes = tuple[Conversion, ...]
SAME_GRID_VOXELS = 0.1
"""Distance, as a share of a voxel, up to which two grids of one shape are the same: headers are rounded."""
MOVED_VOXELS = 0.5
"""Distance, in voxels, from which two grids of one shape cannot both be right."""


def image_verdict(path: Path, modality: Modality | None = None) -> Verdict:
    """The verdict on an image of a modality; the name states the modality where it is not given."""
    stated = modality or modality_in(image_stem(path))
    try:
        scan, notes = read_image(path) if stated is None else read_scan(path, stated)
    except AdumbraError as error:
        return Verdict(str(path), "image", (refusal_of(error),))
    facts = {"modality": stated or "not stated", **_geometry(scan, notes)}
    return Verdict(str(path), "image", (), warnings_of(notes), facts)


def mask_verdict(path: Path) -> Verdict:
    """The verdict on a mask; an empty mask is valid."""
    try:
        scan, notes = read_mask(path, _mask_name(path))
    except AdumbraError as error:
        return Verdict(str(path), "mask", (refusal_of(error),))
    inside = int(np.count_nonzero(scan.data))
    facts = {"voxels": inside, "ml": round(inside * scan.grid.voxel_ml, 4), **_geometry(scan, notes)}
    return Verdict(str(path), "mask", (), warnings_of(notes), facts)


def _mask_name(path: Path) -> str:
    named = mask_in(image_stem(path))
    return named if named not in (None, "?") else "lesion"


def _geometry(scan: Scan, notes: Notes) -> dict[str, object]:
    """Shape, spacing and directions; no direction is stated where sform and qform differ."""
    native, differ = scan.native, any("apart_mm" in note.values for note in notes)
    return {
        "shape": list(native.shape),
        "spacing_mm": [round(s, 4) for s in native.spacing_mm],
        "axes": "not stated: sform and qform differ" if differ else native.axcodes,
        "sha256": scan.sha256,
    }


def pair_verdict(first: Path, second: Path) -> Verdict:
    """The verdict on two files of one examination: each by itself, and how far apart their voxels lie.

    A mask and the image that it was drawn on, and two masks, must share a grid; two images may lie on grids of their
    own, and one is resampled with a record.
    """
    refusals: list[Refusal] = []
    scans: list[Scan] = []
    warnings: list[str] = []
    for path in (first, second):
        try:
            scan, notes = _as_named(path)
        except AdumbraError as error:
            refusals.append(refusal_of(error))
        else:
            scans.append(scan)
            warnings += [f"{path.name}: {warning}" for warning in warnings_of(notes)]
    facts: dict[str, object] = {}
    if len(scans) == 2:
        try:
            warning, facts = _compared(scans[0], scans[1])
            warnings += warning
        except AdumbraError as error:
            refusals.append(refusal_of(error))
    return Verdict(f"{first}, {second}", "pair", tuple(refusals), tuple(warnings), facts)


def _as_named(path: Path) -> tuple[Scan, Notes]:
    """The file as its name calls it: a modality or a mask; a file of two values is a mask whatever its name is."""
    stem = image_stem(path)
    modality = modality_in(stem)
    if mask_in(stem) is not None:
        return read_mask(path, _mask_name(path))
    if modality is None:
        try:
            return read_mask(path, "lesion")
        except AdumbraError:
            return read_image(path)
    return read_scan(path, modality)


def _compared(first: Scan, second: Scan) -> tuple[list[str], dict[str, object]]:
    """The warnings on the grids of two files and their distance.

    Raises:
        GridMismatch: They do not meet, or a mask lies on another grid than its counterpart.
    """
    one, other = first.native, second.native
    masks = first.data.dtype == bool or second.data.dtype == bool
    if one.shape != other.shape:
        return _of_other_shape(first, second, masks=masks)
    apart_mm = one.distance_mm(other)
    facts: dict[str, object] = {"apart_mm": round(apart_mm, 4)}
    voxel_mm = min(*one.spacing_mm, *other.spacing_mm)
    if apart_mm <= SAME_GRID_VOXELS * voxel_mm:
        return [], facts
    if (masks and apart_mm > MOVED_VOXELS * voxel_mm) or not _meet(first, second):
        raise GridMismatch(
            f"{first.source}, {second.source}",
            expected=f"one grid, to {SAME_GRID_VOXELS * voxel_mm:.2g} mm",
            found=f"voxels up to {apart_mm:.2f} mm apart (shape {one.shape} both, axes {one.axcodes} and"
            f" {other.axcodes})",
            do=f"correct the geometry of {second.source}, or resample it onto the grid of {first.source}",
        )
    what = f"{second.source} has the shape of {first.source}, but lies up to {apart_mm:.2f} mm from it"
    return [f"{what}: it is resampled"], facts


def _of_other_shape(first: Scan, second: Scan, *, masks: bool) -> tuple[list[str], dict[str, object]]:
    one, other = first.native, second.native
    centres = [grid.world_mm((np.asarray(grid.shape) - 1) / 2) for grid in (one, other)]
    apart_mm = float(np.linalg.norm(centres[0] - centres[1]))
    facts: dict[str, object] = {"centres_apart_mm": round(apart_mm, 4)}
    shapes = f"{first.source} has shape {one.shape} and {second.source} shape {other.shape}"
    if masks or not _meet(first, second):
        raise GridMismatch(
            f"{first.source}, {second.source}",
            expected="one grid" if masks else "two images of one head, which overlap",
            found=f"{shapes}; their centres are {apart_mm:.2f} mm apart",
            do=f"resample {second.source} onto the grid of {first.source}, or give the files of one examination",
        )
    return [f"{shapes}, with centres {apart_mm:.2f} mm apart: one is resampled to the grid of the other"], facts


def _meet(first: Scan, second: Scan) -> bool:
    """Whether the boxes of two scans overlap along every axis of each."""

    def meets(scan: Scan, other: Scan) -> bool:
        corners = scan.grid.index(other.grid.corners_mm())
        inside = np.asarray(scan.grid.shape) - 0.5
        return bool(((corners.max(axis=0) >= -0.5) & (corners.min(axis=0) <= inside)).all())

    return meets(first, second) and meets(second, first)


def case_verdicts(path: Path) -> tuple[Verdict, ...]:
    """The verdict on a case, or on each case of a data set: every file by itself, then all together."""
    try:
        locations = find_cases(path)
    except AdumbraError as error:
        return (Verdict(str(path), "case", (refusal_of(error),)),)
    return tuple(_case_verdict(location) for location in locations)


def _case_verdict(location: CaseLocation) -> Verdict:
    path, name = location.source, location.name
    try:
        files = files_at(path, row=location.row)
        scans, volumes = with_volumes(files.scans, files.volumes)
        files = replace(files, scans=scans, volumes=volumes)
    except AdumbraError as error:
        return Verdict(str(path), "case", (refusal_of(error),))
    try:
        case = read_case(files)
    except AdumbraError as error:
        return Verdict(str(path), "case", _refusals(files) or (refusal_of(error),))
    facts: dict[str, object] = {"case": name, "scans": sorted(case.scans), "masks": sorted(case.masks)}
    return Verdict(str(path), "case", (), case.warnings, facts)


def _refusals(files: CaseFiles) -> tuple[Refusal, ...]:
    """The refusal of each file of a case that cannot be read by itself."""
    refusals = []
    for modality, path in files.scans.items():
        try:
            read_scan(path, modality, volume=files.volumes.get(modality), adc_unit=files.adc_unit)
        except AdumbraError as error:
            refusals.append(refusal_of(error))
    for name, path in files.masks.items():
        try:
            read_mask(path, name)
        except AdumbraError as error:
            refusals.append(refusal_of(error))
    return tuple(refusals)
