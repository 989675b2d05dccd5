"""Reads one file as a ``Scan``: the image of a modality, or a mask, with a record of what was done to it."""

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from adumbra.cases import masks, units
from adumbra.cases.byte_order import refuse_swapped_bytes
from adumbra.cases.contrast import contrast_notes, refuse_labels, refuse_other_sequence
from adumbra.cases.image_file import ImageFile, read_image_file
from adumbra.cases.sidecar import (
    b0_warnings,
    b_value_of,
    phantom_notes,
    read_bvals,
    read_sidecar,
    require_one_b_value_per_volume,
)
from adumbra.core.case import Conversion, Scan, scan_from_array
from adumbra.core.errors import AmbiguousInput, ImplausibleValues
from adumbra.core.types import Modality

Notes = tuple[Conversion, ...]
"""What was done to a file while it was read."""


def read_scan(
    path: Path,
    modality: Modality,
    *,
    nan_to_zero: bool = False,
    volume: int | None = None,
    b_value: float | None = None,
    adc_unit: str | None = None,
    tabulated_b_value: float | None = None,
) -> tuple[Scan, Notes]:
    """Reads the image of a modality.

    Args:
        path: NIfTI or MetaImage.
        modality: The modality that the file is expected to hold.
        nan_to_zero: Fill NaN and infinite voxels with 0 and mark them as not valid, instead of refusing the file.
        volume: Index of the volume to take from a series; None accepts only files of one volume.
        b_value: The user's b-value of a dwi in s/mm²; it counts more than what the files state.
        adc_unit: The user's unit of an adc, such as ``"1e-6 mm2/s"``; None recognises the unit from the values.
        tabulated_b_value: The b-value of a dwi in a manifest, in s/mm²; the user's counts more, what the files state
            less.

    Returns:
        The scan, in RAS+ and the units of ``adumbra.core.types``, and what was done to it.

    Raises:
        InputRejected: The branch of it that names what is wrong with the file.
    """
    sidecar = read_sidecar(path)
    refuse_other_sequence(path, modality, sidecar)
    file = read_image_file(path)
    if modality in ("dwi", "b0"):
        require_one_b_value_per_volume(path, prod(file.shape[3:]))
    values, notes = _volume(file, modality, volume, is_image=True)
    values, valid_mask, filled = _finite(path.name, modality, values, nan_to_zero=nan_to_zero)
    _refuse_flat(path.name, modality, values, valid_mask)
    refuse_labels(path.name, modality, values)
    filled = (*filled, *contrast_notes(path.name, modality, values))
    metadata: dict[str, object] = {"source": path.name, "sha256": file.sha256}
    more: Notes = ()
    if modality == "adc":
        values, more = units.adc_in_1e3_mm2_s(values, where=path.name, unit=adc_unit)
    elif modality == "dwi":
        metadata["b_value"], more = b_value_of(
            path, sidecar, volume=volume, stated=b_value, tabulated=tabulated_b_value
        )
        more = (*more, *phantom_notes(sidecar))
    elif modality == "b0":
        more = b0_warnings(path, sidecar, volume=volume)
    elif modality == "phase":
        values, more = units.phase_in_radians(
            values, where=path.name, valid_mask=valid_mask, echo_time_s=sidecar.echo_time_s
        )
    if valid_mask is not None:
        metadata["valid_mask"] = scan_from_array(valid_mask, file.affine).data
    return scan_from_array(values.astype(np.float32), file.affine, **metadata), (*notes, *filled, *more)


def read_image(path: Path) -> tuple[Scan, Notes]:
    """Reads an image whose modality is not known: no unit is converted, and its contrast is not evaluated.

    Args:
        path: NIfTI or MetaImage.

    Raises:
        InputRejected: As ``read_scan``, for what is wrong in any image of a head.
    """
    file = read_image_file(path)
    values, notes = _volume(file, "head", None, is_image=True)
    values, _, _ = _finite(path.name, "head", values, nan_to_zero=False)
    _refuse_flat(path.name, "head", values, None)
    refuse_labels(path.name, "head", values)
    return scan_from_array(values.astype(np.float32), file.affine, source=path.name, sha256=file.sha256), notes


def read_mask(path: Path, name: str, *, nan_to_zero: bool = False) -> tuple[Scan, Notes]:
    """Reads a mask as booleans; an empty mask is valid.

    Args:
        path: NIfTI or MetaImage.
        name: ``"lesion"``, ``"thrombus"``, ``"hypoperfusion"`` or ``"brain"``; for messages.
        nan_to_zero: Fill NaN and infinite voxels with 0, instead of refusing the file.

    Returns:
        The mask, in RAS+, and what was done to it.

    Raises:
        InputRejected: As ``read_scan``; ``ImplausibleValues`` or ``AmbiguousInput`` for values that are not a mask's.
    """
    file = read_image_file(path)
    values, notes = _volume(file, name, None)
    values, _, filled = _finite(path.name, name, values, nan_to_zero=nan_to_zero)
    mask, more = masks.mask_from_values(values, where=path.name, name=name)
    scan = scan_from_array(mask, file.affine, source=path.name, sha256=file.sha256)
    return scan, (*notes, *filled, *more)


def has_two_values(path: Path) -> bool:
    """Whether an image holds zero and exactly one other, positive value, whatever its name is."""
    values, _ = _volume(read_image_file(path), "case", 0)
    return bool(values.min() == 0 and _at_most_two(values) and values.max() > 0)


def _volume(file: ImageFile, subject: str, volume: int | None, *, is_image: bool = False) -> tuple[np.ndarray, Notes]:
    """The stored values of one volume, scaled as the header says; axes as in the file."""
    layout, stage = file.layout, f"cases.{file.kind}"
    count = prod(layout.shape[3:])
    if count > 1 and volume is None:
        raise _series(file)
    if volume is not None and not 0 <= volume < count:
        raise AmbiguousInput(
            file.path.name,
            expected=f"a series with a volume of index {volume}",
            found=f"{count} volumes",
            do="check that the .bval file beside the image belongs to it",
        )
    flat = np.frombuffer(file.content, layout.dtype, prod(layout.shape), layout.offset)
    stored = flat.reshape((*layout.shape[:3], count), order="F")[..., volume or 0]
    if is_image:
        refuse_swapped_bytes(file.path.name, stored)
    notes = [replace(note, stage=stage, subject=subject) for note in layout.notes]
    if len(layout.shape) > 3:
        what = f"Volume {(volume or 0) + 1} of {count} was read from a file of shape {layout.shape}"
        notes.append(Conversion(stage, subject, what, {"volume": volume or 0, "volumes": count}))
    if (layout.slope, layout.intercept) == (1.0, 0.0):
        return stored, tuple(notes)
    what = f"Stored values multiplied by {layout.slope:g}, plus {layout.intercept:g} (scl_slope, scl_inter)"
    notes.append(Conversion(stage, subject, what, {"slope": layout.slope, "intercept": layout.intercept}))
    with np.errstate(over="ignore", invalid="ignore"):
        return stored * np.float64(layout.slope) + layout.intercept, tuple(notes)


def _series(file: ImageFile) -> AmbiguousInput:
    bvals, count = read_bvals(file.path), prod(file.shape[3:])
    b_values = f" with b-values {', '.join(f'{b:g}' for b in bvals)} s/mm²" if bvals else ""
    return AmbiguousInput(
        file.path.name,
        expected="one volume",
        found=f"shape {file.shape}: {count} volumes{b_values}",
        do="store one volume in a file of its own: for dwi the trace (or mean) of b about 1000, for b0 that of b = 0,"
        " for swi and phase one echo",
    )


def _finite(
    where: str, subject: str, values: np.ndarray, *, nan_to_zero: bool
) -> tuple[np.ndarray, np.ndarray | None, Notes]:
    """Values that float32 can hold, where they were measured (None: everywhere), and what was filled."""
    if values.dtype.kind != "f":
        return values, None, ()
    largest = float(np.finfo(np.float32).max)
    with np.errstate(invalid="ignore"):
        valid_mask = np.abs(values) <= largest  # False for NaN, infinity, and what would become infinity
    lost = int(valid_mask.size - np.count_nonzero(valid_mask))
    if not lost:
        return values, None, ()
    nan = int(np.isnan(values).sum())
    counted = f"{lost:,} of {valid_mask.size:,} voxels: {nan:,} NaN, {lost - nan:,} infinite or beyond float32"
    if not nan_to_zero or not valid_mask.any():
        raise ImplausibleValues(
            where,
            expected=f"finite values in every voxel of the {subject}",
            found=counted,
            do="export it again, or pass --nan-to-zero to fill these voxels with 0 and mark them as not valid",
        )
    what = f"{counted}; they were filled with 0 and marked as not valid"
    note = Conversion("cases.scan", subject, what, {"filled": lost, "nan": nan}, warning=True)
    return np.where(valid_mask, values, 0), valid_mask, (note,)


def _at_most_two(values: np.ndarray) -> bool:
    low, high = values.min(), values.max()
    return bool(((values == low) | (values == high)).all())


def _refuse_flat(where: str, modality: str, values: np.ndarray, valid_mask: np.ndarray | None) -> None:
    measured = values if valid_mask is None else values[valid_mask]
    if _at_most_two(measured):
        low, high = measured.min(), measured.max()
        raise ImplausibleValues(
            where,
            expected=f"an image of the {modality} with more than two values",
            found=f"{low + 0.0:g} in every voxel"
            if low == high
            else f"only the values {low:g} and {high:g}, as of a mask",
            do=f"give the {modality} image itself; give a mask with --truth or --brain-mask",
        )
