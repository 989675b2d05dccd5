"""Which file holds what, before any is opened; and the opening, which is the same for every layout."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

import numpy as np

from adumbra.cases.names import pseudonym
from adumbra.cases.probe import image_stem
from adumbra.cases.scan import read_mask, read_scan
from adumbra.cases.units import PhaseUnitUnknown
from adumbra.core.case import Case, Conversion, Grid, Scan
from adumbra.core.errors import AmbiguousInput, GridMismatch, MissingInput
from adumbra.core.types import MODALITIES, TARGETS, Modality

MASKS = (*TARGETS, "brain")
# The images that an outline may have been drawn on, likeliest first.
_DRAWN_ON: Mapping[str, tuple[Modality, ...]] = {
    "thrombus": ("swi", "tof", "phase", "dwi", "adc", "b0", "flair"),
    "lesion": ("dwi", "adc", "b0", "flair", "swi", "tof", "phase"),
}
# What comes from the same acquisition as the dwi, and so lies where it lies.
_OF_THE_DWI: tuple[Modality, ...] = ("adc", "b0")


@dataclass(frozen=True)
class Files:
    """One examination's files, as a layout's reader found them.

    Attributes:
        name: The case's.
        scans: By modality.
        masks: By name.
        volumes: Which volume of a series a modality is, where its file holds several.
        b_value: Of the dwi in s/mm², where the layout tells it.
        adc_unit: Of the adc, where the layout tells it.
        notes: What was decided while finding them.
    """

    name: str
    scans: Mapping[Modality, Path]
    masks: Mapping[str, Path] = field(default_factory=dict)
    volumes: Mapping[Modality, int] = field(default_factory=dict)
    b_value: float | None = None
    adc_unit: str | None = None
    notes: tuple[Conversion, ...] = ()


def by_name(scans: Mapping[Modality, Path] | Mapping[str, Path]) -> Files:
    """Files that the user named one by one; the case takes the beginning that their names share.

    Raises:
        AmbiguousInput: A name that is no modality.
    """
    for modality in scans:
        _known("files by name", modality, MODALITIES)
    letters = zip(*(image_stem(Path(path)) for path in scans.values()), strict=False)
    shared = "".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, letters)).rstrip("_-. ")
    known: dict[Modality, Path] = {modality: Path(scans[modality]) for modality in MODALITIES if modality in scans}
    return Files(pseudonym(shared), known)


def opened(files: Files, *, nan_to_zero: bool = False, b_value: float | None = None) -> Case:
    """The case that the files hold: every file judged, read, and turned to RAS+, each on its own grid.

    A phase in an unknown unit is left out, with a warning, unless it is all there is. Nothing can be done with it:
    inside, a phase is an angle, and whoever needs one is told that it is missing. Everything else can be done without.

    Raises:
        MissingInput: No scan, or a file that is not there.
        AmbiguousInput: Two modalities were given the same image.
        GridMismatch: A mask lies nowhere near its image.
        InputRejected: Other branches, for what is wrong with a file.
    """
    if not files.scans:
        raise MissingInput(
            files.name, expected="at least one scan", found="none", do=f"give one of {', '.join(MODALITIES)}"
        )
    scans, notes = {}, list(files.notes)
    for modality in sorted(files.scans, key=MODALITIES.index):
        try:
            scans[modality], done = read_scan(
                files.scans[modality],
                modality,
                nan_to_zero=nan_to_zero,
                volume=files.volumes.get(modality),
                b_value=b_value if b_value is not None else files.b_value,
                adc_unit=files.adc_unit,
            )
        except PhaseUnitUnknown as problem:
            if len(files.scans) == 1:
                raise
            done = (_left_out(problem),)
        notes += done
    _refuse_twins(scans, files)
    for modality in _OF_THE_DWI:
        if modality in scans and "dwi" in scans:
            notes += _placed(modality, scans[modality], "dwi", scans["dwi"])
    masks, done = _masks(files, scans, nan_to_zero=nan_to_zero)
    return Case(files.name, scans, masks, (*notes, *done))


def _left_out(problem: PhaseUnitUnknown) -> Conversion:
    what = f"{problem.where} was left out: expected {problem.expected}, found {problem.found}; {problem.do}"
    return Conversion("cases.files", "phase", what, warning=True)


def _masks(
    files: Files, scans: Mapping[Modality, Scan], *, nan_to_zero: bool
) -> tuple[dict[str, Scan], tuple[Conversion, ...]]:
    masks: dict[str, Scan] = {}
    notes: list[Conversion] = []
    for name, path in files.masks.items():
        _known(path.name, name, MASKS)
        masks[name], done = read_mask(path, name, nan_to_zero=nan_to_zero)
        image = next(m for m in _DRAWN_ON.get(name, _DRAWN_ON["lesion"]) if m in scans)
        notes += (*done, *_placed(name, masks[name], image, scans[image]))
    return masks, tuple(notes)


def _placed(name: str, scan: Scan, modality: Modality, image: Scan) -> tuple[Conversion, ...]:
    """What is worth a note in where a mask lies that was drawn on an image, or an ADC map that was computed with it."""
    if scan.grid.coincides(image.grid, tolerance_mm=0.1):
        return ()
    if not _overlap(scan.grid, image.grid):
        raise GridMismatch(
            scan.source,
            expected=f"the {name} where {image.source} is (centre {_centre(image.grid)} mm)",
            found=f"a volume that does not touch it (centre {_centre(scan.grid)} mm)",
            do=f"give the {name} of this examination, with the geometry of the {modality} that it belongs to",
        )
    apart_mm = scan.grid.distance_mm(image.grid)
    moved = bool(np.isfinite(apart_mm))
    what = f"The {name} lies on another grid than the {modality} (shape {scan.grid.shape}, not {image.grid.shape})"
    if moved:
        what = f"The {name} has the shape of the {modality}, but lies up to {apart_mm:.1f} mm from it"
    values = {"shape": list(scan.grid.shape), "apart_mm": round(apart_mm, 3) if moved else None}
    return (Conversion("cases.files", name, what, values, warning=moved),)


def _overlap(mask: Grid, image: Grid) -> bool:
    """Whether the two boxes meet along every axis of each of them."""
    return _meets(mask, image) and _meets(image, mask)


def _meets(one: Grid, other: Grid) -> bool:
    corners = other.index(one.corners_mm())
    return bool(((corners.max(axis=0) >= -0.5) & (corners.min(axis=0) <= np.asarray(other.shape) - 0.5)).all())


def _centre(grid: Grid) -> list[float]:
    return [round(float(x), 1) for x in grid.world_mm((np.asarray(grid.shape) - 1) / 2)]


def _refuse_twins(scans: Mapping[Modality, Scan], files: Files) -> None:
    seen: dict[tuple[str, int | None], Modality] = {}
    for modality, scan in scans.items():
        twin = seen.setdefault((scan.sha256, files.volumes.get(modality)), modality)
        if twin != modality:
            raise AmbiguousInput(
                files.name,
                expected=f"different images for {twin} and {modality}",
                found=f"{files.scans[twin].name} and {files.scans[modality].name} hold the same bytes",
                do=f"give the {modality}'s own file, or leave it out",
            )


def _known(where: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise AmbiguousInput(
            where, expected=f"one of {', '.join(names)}", found=repr(name), do="use one of these names"
        )
