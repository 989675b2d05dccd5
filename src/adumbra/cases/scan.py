"""One file in, one ``Scan`` out: an image of a modality, or a mask; with what was done to it on the way."""

import re
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from adumbra.cases import masks, sidecar, units
from adumbra.cases.names import modality_in
from adumbra.cases.probe import Probe, image_stem, probed
from adumbra.core.case import Conversion, Scan, scan_from
from adumbra.core.errors import AmbiguousInput, ImplausibleValues
from adumbra.core.types import Modality

Read = tuple[Scan, tuple[Conversion, ...]]


def read_scan(
    path: Path,
    modality: Modality,
    *,
    nan_to_zero: bool = False,
    volume: int | None = None,
    b_value: float | None = None,
    adc_unit: str | None = None,
) -> Read:
    """The image of a modality, and what was done to it.

    Args:
        path: NIfTI or MetaImage.
        modality: What the file is said to hold.
        nan_to_zero: Fill NaN and infinite voxels with 0 and mark them as not valid, instead of refusing the file.
        volume: Which volume of a series to take; without it only files of one volume are read.
        b_value: In s/mm², of a dwi, where the user knows better than the files.
        adc_unit: Such as ``"1e-6 mm2/s"``, of an adc; without it the unit is recognised from the values.

    Raises:
        InputRejected: The branch of it that says what is wrong with the file.
    """
    _refuse_other_kind(path, modality)
    probe = probed(path)
    values, notes = _volume(probe, modality, volume)
    values, valid_mask, filled = _finite(path.name, modality, values, nan_to_zero=nan_to_zero)
    _refuse_flat(path.name, modality, values, valid_mask)
    about: dict[str, object] = {"source": path.name, "sha256": probe.sha256}
    more: tuple[Conversion, ...] = ()
    if modality == "adc":
        values, more = units.adc_in_1e3_mm2_s(values, where=path.name, unit=adc_unit)
    elif modality == "dwi":
        about["b_value"], told = sidecar.b_value_of(path, volume=volume, stated=b_value)
        more = (*told, *sidecar.phantom_notes(path))
    elif modality == "phase":
        echo_time_s = sidecar.echo_time_s(path)
        values, more = units.phase_in_radians(values, where=path.name, valid_mask=valid_mask, echo_time_s=echo_time_s)
    if valid_mask is not None:
        about["valid_mask"] = scan_from(valid_mask, probe.affine).data
    return scan_from(values.astype(np.float32), probe.affine, **about), (*notes, *filled, *more)


def read_mask(path: Path, name: str, *, nan_to_zero: bool = False) -> Read:
    """A mask by its name (``"lesion"``, ``"thrombus"``, ``"brain"``), as booleans; an empty one is valid.

    Raises:
        InputRejected: As ``read_scan``; ``ImplausibleValues`` or ``AmbiguousInput`` for values that make no mask.
    """
    probe = probed(path)
    values, notes = _volume(probe, name, None)
    values, _, filled = _finite(path.name, name, values, nan_to_zero=nan_to_zero)
    mask, more = masks.mask_from(values, where=path.name, name=name)
    scan = scan_from(mask, probe.affine, source=path.name, sha256=probe.sha256)
    return scan, (*notes, *filled, *more)


def has_two_values(path: Path) -> bool:
    """Whether an image holds zero and one other value and no more, whatever it is named."""
    values, _ = _volume(probed(path), "case", 0)
    return bool(values.min() == 0 and _at_most_two(values) and values.max() > 0)


def _volume(probe: Probe, subject: str, volume: int | None) -> tuple[np.ndarray, tuple[Conversion, ...]]:
    """The stored values, scaled, of one volume; axes as in the file."""
    layout, station = probe.layout, f"cases.{probe.kind}"
    count = prod(layout.shape[3:])
    if count > 1 and volume is None:
        raise _series(probe)
    if volume is not None and not 0 <= volume < count:
        raise AmbiguousInput(
            probe.path.name, expected=f"volume {volume}", found=f"{count} volumes", do="check the .bval file beside it"
        )
    flat = np.frombuffer(probe.content, layout.dtype, prod(layout.shape), layout.offset)
    stored = flat.reshape((*layout.shape[:3], count), order="F")[..., volume or 0]
    notes = [replace(note, station=station, subject=subject) for note in layout.notes]
    if len(layout.shape) > 3:
        what = f"Volume {(volume or 0) + 1} of {count} was read from a file of shape {layout.shape}"
        notes.append(Conversion(station, subject, what, {"volume": volume or 0, "volumes": count}))
    if (layout.slope, layout.intercept) == (1.0, 0.0):
        return stored, tuple(notes)
    what = f"Stored values multiplied by {layout.slope:g}, plus {layout.intercept:g} (scl_slope, scl_inter)"
    notes.append(Conversion(station, subject, what, {"slope": layout.slope, "intercept": layout.intercept}))
    with np.errstate(over="ignore", invalid="ignore"):
        return stored * np.float64(layout.slope) + layout.intercept, tuple(notes)


def _series(probe: Probe) -> AmbiguousInput:
    bvals, count = sidecar.bvals_beside(probe.path), prod(probe.shape[3:])
    told = f" with b-values {', '.join(f'{b:g}' for b in bvals)} s/mm²" if bvals else ""
    return AmbiguousInput(
        probe.path.name,
        expected="one volume",
        found=f"shape {probe.shape}: {count} volumes{told}",
        do="store the volume that is meant in its own file: for dwi the trace (or mean) of b about 1000, for b0 that of"
        " b = 0, for swi and phase one echo",
    )


def _finite(
    where: str, subject: str, values: np.ndarray, *, nan_to_zero: bool
) -> tuple[np.ndarray, np.ndarray | None, tuple[Conversion, ...]]:
    """Values that float32 can hold, and where they were measured (None: everywhere)."""
    if values.dtype.kind != "f":
        return values, None, ()
    largest = float(np.finfo(np.float32).max)
    with np.errstate(invalid="ignore"):
        valid_mask = np.abs(values) <= largest  # False for NaN, infinity, and what would become infinity
    lost = int(valid_mask.size - np.count_nonzero(valid_mask))
    if not lost:
        return values, None, ()
    nan = int(np.isnan(values).sum())
    found = f"{lost:,} of {valid_mask.size:,} voxels: {nan:,} NaN, {lost - nan:,} infinite or beyond float32"
    if not nan_to_zero or not valid_mask.any():
        raise ImplausibleValues(
            where,
            expected=f"finite values in every voxel of the {subject}",
            found=found,
            do="export it again, or pass --nan-to-zero to fill them with 0 and have them marked as not valid",
        )
    what = f"{found}; they were filled with 0 and marked as not valid"
    note = Conversion("cases.scan", subject, what, {"filled": lost, "nan": nan}, warning=True)
    return np.where(valid_mask, values, 0), valid_mask, (note,)


def _at_most_two(values: np.ndarray) -> bool:
    low, high = values.min(), values.max()
    return bool(((values == low) | (values == high)).all())


def _refuse_flat(where: str, modality: str, values: np.ndarray, valid_mask: np.ndarray | None) -> None:
    measured = values if valid_mask is None else values[valid_mask]
    if _at_most_two(measured):
        low, high = measured.min(), measured.max()
        found = f"{low:g} in every voxel" if low == high else f"only the values {low:g} and {high:g}, as of a mask"
        raise ImplausibleValues(
            where, expected=f"a {modality} image", found=found, do="give the image itself; a mask goes in as a mask"
        )


def _refuse_other_kind(path: Path, modality: Modality) -> None:
    """A diffusion-weighted image and its ADC map are easily swapped, and the swap is plausible: names are believed.

    Not those of nnU-Net's channels (``dwi_case7_0001``), where a number tells what the file holds.
    """
    stem = image_stem(path)
    named = "adc" if sidecar.says_adc(path) else None if re.search(r"_\d{4}$", stem) else modality_in(stem)
    if {named, modality} in ({"dwi", "adc"}, {"b0", "adc"}):
        raise AmbiguousInput(
            path.name,
            expected=f"the {modality} image",
            found=f"a file that its name or side-car calls {named}",
            do=f"give it as {named}, or rename it if the name is wrong",
        )
