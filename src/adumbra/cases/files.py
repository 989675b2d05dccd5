"""The files of one examination, assigned to modalities and masks; and reading them, the same for every layout."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

import numpy as np

from adumbra.cases.image_file import image_stem
from adumbra.cases.names import MASKS, pseudonym
from adumbra.cases.scan import read_mask, read_scan
from adumbra.cases.series import with_volumes
from adumbra.cases.units import PhaseUnitUnknown
from adumbra.core.case import Case, Conversion, Grid, Scan
from adumbra.core.errors import AmbiguousInput, GridMismatch, MissingInput
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import MODALITIES, Modality

# Images that a mask may have been drawn on, the likeliest first. A brain mask is drawn on what a lesion is drawn on.
_ANNOTATED_ON: Mapping[str, tuple[Modality, ...]] = {
    **{target: spec.annotated_on for target, spec in TARGET_SPECS.items()},
    "brain": TARGET_SPECS["lesion"].annotated_on,
}
# Images from the same acquisition as the dwi, which therefore lie where it lies.
_FROM_DWI_ACQUISITION: tuple[Modality, ...] = ("adc", "b0")


@dataclass(frozen=True)
class CaseFiles:
    """The files of one examination, as the reader of a layout assigned them.

    Attributes:
        name: Name of the case.
        scans: Path of each modality.
        masks: Path of each mask, by a name of ``names.MASKS``.
        volumes: Index of the volume that is the modality, for files that hold a series.
        b_value: b-value of the dwi in s/mm², where the layout states it.
        adc_unit: Unit of the adc, where the layout states it.
        notes: Decisions that were taken while the files were assigned.
    """

    name: str
    scans: Mapping[Modality, Path]
    masks: Mapping[str, Path] = field(default_factory=dict)
    volumes: Mapping[Modality, int] = field(default_factory=dict)
    b_value: float | None = None
    adc_unit: str | None = None
    notes: tuple[Conversion, ...] = ()


def files_by_modality(scans: Mapping[Modality, Path] | Mapping[str, Path]) -> CaseFiles:
    """The files that a user named one by one; the case is named after the beginning that their names share.

    Raises:
        AmbiguousInput: A key is not a modality.
    """
    for modality in scans:
        _require_known("files by modality", modality, MODALITIES)
    letters = zip(*(image_stem(Path(path)) for path in scans.values()), strict=False)
    shared = "".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, letters)).rstrip("_-. ")
    ordered: dict[Modality, Path] = {modality: Path(scans[modality]) for modality in MODALITIES if modality in scans}
    return CaseFiles(pseudonym(shared), ordered)


def read_case(files: CaseFiles, *, nan_to_zero: bool = False, b_value: float | None = None) -> Case:
    """Reads the files of an examination as a case: each checked, in RAS+, and on its own grid.

    A phase image in an unknown unit is left out with a warning, unless it is the only image: inside, a phase is an
    angle, and whatever needs one reports that it is missing.

    Args:
        files: The files by modality and mask.
        nan_to_zero: Fill NaN and infinite voxels with 0 and mark them as not valid, instead of refusing the file.
        b_value: The user's b-value of the dwi in s/mm²; it counts more than that of ``files``, and a warning names
            both where they differ.

    Raises:
        MissingInput: There is no scan, or a file does not exist.
        AmbiguousInput: Two modalities were given the same image.
        GridMismatch: A mask or an ADC map lies nowhere near its image.
        InputRejected: Its other branches, for what is wrong with a file.
    """
    if not files.scans:
        raise MissingInput(
            files.name, expected="at least one scan", found="none", do=f"give one of {', '.join(MODALITIES)}"
        )
    paths, volumes = with_volumes(files.scans, files.volumes)
    files = replace(files, scans=paths, volumes=volumes)
    scans, notes = {}, [*files.notes, *_without_effect(files, b_value)]
    for modality in sorted(files.scans, key=MODALITIES.index):
        try:
            scans[modality], done = read_scan(
                files.scans[modality],
                modality,
                nan_to_zero=nan_to_zero,
                volume=files.volumes.get(modality),
                b_value=b_value,
                tabulated_b_value=files.b_value,
                adc_unit=files.adc_unit,
            )
        except PhaseUnitUnknown as problem:
            if len(files.scans) == 1:
                raise
            done = (_left_out(problem),)
        notes += done
    _refuse_twins(scans, files)
    for modality in _FROM_DWI_ACQUISITION:
        if modality in scans and "dwi" in scans:
            notes += _position_notes(modality, scans[modality], "dwi", scans["dwi"])
    masks, done = _read_masks(files, scans, nan_to_zero=nan_to_zero)
    return Case(files.name, scans, masks, (*notes, *done))


def _without_effect(files: CaseFiles, b_value: float | None) -> tuple[Conversion, ...]:
    """A warning for each statement of the user or the manifest about a scan that the case does not have."""
    notes = []
    if files.adc_unit is not None and "adc" not in files.scans:
        what = f"The ADC unit {files.adc_unit} has no effect: the case has no ADC file"
        notes.append(Conversion("cases.files", "case", what, {"adc_unit": files.adc_unit}, warning=True))
    stated = b_value if b_value is not None else files.b_value
    if stated is not None and "dwi" not in files.scans:
        what = f"The b-value of {stated:g} s/mm² has no effect: the case has no DWI"
        notes.append(Conversion("cases.files", "case", what, {"b_value": stated}, warning=True))
    return tuple(notes)


def _left_out(problem: PhaseUnitUnknown) -> Conversion:
    what = f"{problem.where} was left out: expected {problem.expected}, found {problem.found}; {problem.do}"
    return Conversion("cases.files", "phase", what, warning=True)


def _read_masks(
    files: CaseFiles, scans: Mapping[Modality, Scan], *, nan_to_zero: bool
) -> tuple[dict[str, Scan], tuple[Conversion, ...]]:
    masks: dict[str, Scan] = {}
    notes: list[Conversion] = []
    for name, path in files.masks.items():
        _require_known(path.name, name, MASKS)
        masks[name], done = read_mask(path, name, nan_to_zero=nan_to_zero)
        image = next(m for m in _ANNOTATED_ON[name] if m in scans)
        notes += (*done, *_position_notes(name, masks[name], image, scans[image]))
    return masks, tuple(notes)


def _position_notes(name: str, scan: Scan, modality: Modality, image: Scan) -> tuple[Conversion, ...]:
    """The notes on where a mask lies that was drawn on ``image``, or an ADC map that was computed with it."""
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


def _refuse_twins(scans: Mapping[Modality, Scan], files: CaseFiles) -> None:
    first: dict[tuple[str, int | None], Modality] = {}
    for modality, scan in scans.items():
        twin = first.setdefault((scan.sha256, files.volumes.get(modality)), modality)
        if twin != modality:
            raise AmbiguousInput(
                files.name,
                expected=f"different images for {twin} and {modality}",
                found=f"{files.scans[twin].name} and {files.scans[modality].name} hold the same bytes",
                do=f"give the file of the {modality}, or leave it out",
            )


def _require_known(where: str, name: str, names: tuple[str, ...]) -> None:
    if name not in names:
        raise AmbiguousInput(
            where, expected=f"one of {', '.join(names)}", found=repr(name), do="use one of these names"
        )
