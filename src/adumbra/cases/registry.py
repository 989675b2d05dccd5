"""Opens a case from files in any layout. This is the only place that knows the name of every reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from adumbra.cases import bids, folder, isles, manifest
from adumbra.cases.files import CaseFiles, files_by_modality, read_case
from adumbra.cases.image_file import image_stem, is_image_name
from adumbra.cases.names import pseudonym
from adumbra.cases.sidecar import require_b_value
from adumbra.cases.subjects import examinations, is_subject, subjects_in
from adumbra.cases.units import power_of
from adumbra.core.case import Case
from adumbra.core.errors import AmbiguousInput, MissingInput, UnreadableFile
from adumbra.core.types import Modality


@dataclass(frozen=True)
class Reader:
    """The reader of one layout.

    Attributes:
        recognises: Whether a path has this layout.
        files_in: The files of one examination, from the path, the row of a manifest, and the mapping of columns.
        options: Those of ``row`` and ``columns`` that have a meaning in this layout.
    """

    recognises: Callable[[Path], bool]
    files_in: Callable[[Path, str | None, Mapping[str, str] | None], CaseFiles]
    options: tuple[str, ...] = ()


# The first reader that recognises a path is used.
READERS: Mapping[str, Reader] = {
    "manifest": Reader(
        manifest.recognises,
        lambda path, row, columns: manifest.files_in(path, row=row, columns=columns),
        ("row", "columns"),
    ),
    "isles22": Reader(isles.recognises, lambda path, _row, _columns: isles.files_in(path)),
    "bids": Reader(bids.recognises, lambda path, _row, _columns: bids.files_in(path)),
    "folder": Reader(
        folder.recognises, lambda path, _row, columns: folder.files_in(path, columns=columns), ("columns",)
    ),
    "file": Reader(
        lambda path: path.is_file() and is_image_name(path),
        lambda path, _row, columns: folder.classify(pseudonym(image_stem(path)), [path], columns=columns),
        ("columns",),
    ),
}


@dataclass(frozen=True)
class CaseLocation:
    """Where a case lies, so that it can be opened later, also in another process.

    Attributes:
        name: Name that the opened case will have.
        source: Path for ``open_case``.
        row: Row of a manifest.
        columns: Mapping of the headings of a manifest, or of words in file names.
    """

    name: str
    source: Path
    row: str | None = None
    columns: Mapping[str, str] | None = field(default=None, hash=False)

    def open(self, *, nan_to_zero: bool = False, b_value: float | None = None) -> Case:
        """Opens the case; see ``open_case``."""
        return open_case(
            self.source, name=self.name, row=self.row, columns=self.columns, nan_to_zero=nan_to_zero, b_value=b_value
        )


def open_case(
    source: str | Path | Mapping[Modality, Path],
    *,
    name: str | None = None,
    row: str | None = None,
    columns: Mapping[str, str] | None = None,
    nan_to_zero: bool = False,
    masks: Mapping[str, Path] | None = None,
    b_value: float | None = None,
    adc_unit: str | None = None,
) -> Case:
    """Opens one examination: scans and masks, each on its own grid, in RAS+, mm and 10⁻³ mm²/s, with their provenance.

    Args:
        source: A subject of ISLES'22 or BIDS, a folder of images, a manifest (CSV), an image, or the files by modality.
        name: Name of the case, instead of the one that the layout gives.
        row: Identifier of the row of a manifest.
        columns: Role to heading of a manifest, or role to word in the file names of a folder.
        nan_to_zero: Fill NaN and infinite voxels with 0 and mark them as not valid, instead of refusing the file.
        masks: Masks by name (``"lesion"``, ``"thrombus"``, ``"hypoperfusion"``, ``"brain"``), instead of those that
            the layout gives.
        b_value: b-value of the dwi in s/mm²; it counts more than what the files state.
        adc_unit: Unit of the adc, such as ``"1e-6 mm2/s"``, where the values do not settle it.

    Raises:
        InputRejected: One of its branches, naming the file, what was expected, what was found and what to do.
    """
    require_b_value(b_value, where="b_value")
    if adc_unit is not None:
        power_of(adc_unit, where="adc_unit")
    if isinstance(source, Mapping):
        _refuse_unused("files by modality", "files by modality", (), row=row, columns=columns)
        files = files_by_modality(source)
    else:
        files = files_at(Path(source), row=row, columns=columns)
    given = {mask: Path(path) for mask, path in (masks or {}).items()}
    files = replace(files, name=pseudonym(name or files.name), masks={**files.masks, **given},
                    adc_unit=adc_unit or files.adc_unit)  # fmt: skip
    return read_case(files, nan_to_zero=nan_to_zero, b_value=b_value)


def files_at(path: Path, *, row: str | None = None, columns: Mapping[str, str] | None = None) -> CaseFiles:
    """The files of the case at a path, assigned by the first reader that recognises it.

    Raises:
        MissingInput: The path does not exist, or no reader recognises it.
        AmbiguousInput: It holds several cases; also whatever the reader raises.
    """
    _refuse_absent(path, "a case")
    for layout, reader in READERS.items():
        if reader.recognises(path):
            _refuse_unused(path.name, f"the layout {layout}", reader.options, row=row, columns=columns)
            return reader.files_in(path, row, columns)
    locations = find_cases(path, columns=columns)
    if len(locations) > 1:
        names = ", ".join(location.name for location in locations[:6]) + (" ..." if len(locations) > 6 else "")
        raise AmbiguousInput(
            path.name, expected="one case", found=f"{len(locations)}: {names}", do="give the path of one of them"
        )
    return files_at(locations[0].source, row=row, columns=columns)


def _refuse_unused(
    where: str, layout: str, options: tuple[str, ...], *, row: str | None, columns: Mapping[str, str] | None
) -> None:
    """Refuses a row or a mapping of columns that has no meaning in a layout."""
    for name, value, option in (("row", row, "--row"), ("columns", columns, "--column")):
        if value and name not in options:
            raise AmbiguousInput(
                where,
                expected=f"a manifest (.csv, .tsv){' or a folder of images' * (name == 'columns')} for {option}",
                found=layout,
                do=f"leave out {option}, or give the manifest",
            )


def find_cases(root: str | Path, *, columns: Mapping[str, str] | None = None) -> tuple[CaseLocation, ...]:
    """The cases of a data set, in the order of their names, without opening any.

    Args:
        root: A data set of BIDS or ISLES'22 (``sub-*``, or ``rawdata`` with them), a manifest, a folder of case
            folders, or a case.
        columns: As in ``open_case``.

    Raises:
        MissingInput: The path does not exist, or holds no case.
        AmbiguousInput: Two cases would have the same name; also whatever is wrong with a manifest.
    """
    root = Path(root)
    _refuse_absent(root, "a data set")
    if manifest.recognises(root):
        rows = manifest.rows_of(root, columns=columns)
        locations = [CaseLocation(pseudonym(row.case), root, row.case, columns) for row in rows]
    else:
        locations = _in_folders(root, columns)
    if not locations:
        raise MissingInput(
            root.name,
            expected="a BIDS or ISLES'22 data set, a manifest, or folders of images",
            found="no case",
            do="check the path: it must hold sub-* folders, or folders of .nii.gz or .mha files",
        )
    _refuse_namesakes(root, locations)
    return tuple(locations)


def _in_folders(root: Path, columns: Mapping[str, str] | None) -> list[CaseLocation]:
    subjects = examinations(root) if is_subject(root) else subjects_in(root) if root.is_dir() else ()
    if subjects:
        return [CaseLocation(subject.name, subject.folder) for subject in subjects]
    own = [reader for reader in READERS.values() if reader.recognises(root)]
    if own:
        return [CaseLocation(own[0].files_in(root, None, columns).name, root, None, columns)]
    children = sorted(child for child in root.iterdir() if child.is_dir()) if root.is_dir() else []
    return [CaseLocation(pseudonym(c.name), c, None, columns) for c in children if folder.recognises(c)]


def _refuse_absent(path: Path, expected: str) -> None:
    try:
        exists = path.exists()
        if path.is_dir():
            next(path.iterdir(), None)  # Fails where the folder must not be read.
    except OSError as problem:
        raise UnreadableFile(
            path.name, expected=expected, found=str(problem.strerror), do="check the path and its permissions"
        ) from problem
    if not exists:
        raise MissingInput(path.name, expected=expected, found="no such file or folder", do="check the path")


def _refuse_namesakes(root: Path, locations: list[CaseLocation]) -> None:
    by_name: dict[str, CaseLocation] = {}
    for location in locations:
        first = by_name.setdefault(location.name, location)
        if first is not location:
            raise AmbiguousInput(
                root.name,
                expected="each case once",
                found=f"{first.source.name} and {location.source.name} would both be {location.name}",
                do="rename one of them",
            )
