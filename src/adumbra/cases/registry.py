"""Opens a case, whatever the layout of its files; the one place that knows every reader's name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from adumbra.cases import bids, folder, isles, manifest
from adumbra.cases.files import Files, by_name, opened
from adumbra.cases.names import pseudonym
from adumbra.cases.probe import image_stem, is_image_name
from adumbra.cases.subjects import examinations, is_subject, subjects_in
from adumbra.core.case import Case
from adumbra.core.errors import AmbiguousInput, MissingInput, UnreadableFile
from adumbra.core.types import Modality


@dataclass(frozen=True)
class Reader:
    """How one layout is known, and how its files are found: ``files_in(path, row, columns)``."""

    recognises: Callable[[Path], bool]
    files_in: Callable[[Path, str | None, Mapping[str, str] | None], Files]


# The first that recognises a path reads it.
READERS: Mapping[str, Reader] = {
    "manifest": Reader(
        manifest.recognises, lambda path, row, columns: manifest.files_in(path, row=row, columns=columns)
    ),
    "isles22": Reader(isles.recognises, lambda path, _row, _columns: isles.files_in(path)),
    "bids": Reader(bids.recognises, lambda path, _row, _columns: bids.files_in(path)),
    "folder": Reader(folder.recognises, lambda path, _row, columns: folder.files_in(path, columns=columns)),
    "file": Reader(
        lambda path: path.is_file() and is_image_name(path),
        lambda path, _row, columns: folder.classified(pseudonym(image_stem(path)), [path], columns=columns),
    ),
}


@dataclass(frozen=True)
class CaseRef:
    """A case that can be opened later, in another process too.

    Attributes:
        name: As the opened case will be called.
        source: What ``open_case`` takes.
        row: Of a manifest.
        columns: Mapping of a manifest's headings, or of words in file names.
    """

    name: str
    source: Path
    row: str | None = None
    columns: Mapping[str, str] | None = field(default=None, hash=False)

    def open(self, *, nan_to_zero: bool = False, b_value: float | None = None) -> Case:
        """The case, as ``open_case`` gives it."""
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
    """One examination: scans and masks, each on its own grid, in RAS+, mm and 10⁻³ mm²/s, and what was done to them.

    Args:
        source: A subject of ISLES'22 or BIDS, a folder of images, a manifest (CSV), an image, or the files by modality.
        name: The case's, instead of the one that the layout gives.
        row: Which row of a manifest.
        columns: Role to heading of a manifest, or role to word in the file names of a folder.
        nan_to_zero: Fill NaN holes with 0 and mark them as not known, instead of refusing the file.
        masks: By name (``"lesion"``, ``"thrombus"``, ``"brain"``); instead of those that the layout gives.
        b_value: Of the dwi in s/mm², where the user knows better than the files.
        adc_unit: Of the adc, such as ``"1e-6 mm2/s"``, where the values do not tell it.

    Raises:
        InputRejected: One of its branches, naming the file, what was expected, what was found and what to do.
    """
    files = by_name(source) if isinstance(source, Mapping) else files_at(Path(source), row=row, columns=columns)
    given = {mask: Path(path) for mask, path in (masks or {}).items()}
    files = replace(files, name=pseudonym(name or files.name), masks={**files.masks, **given},
                    adc_unit=adc_unit or files.adc_unit)  # fmt: skip
    return opened(files, nan_to_zero=nan_to_zero, b_value=b_value)


def files_at(path: Path, *, row: str | None = None, columns: Mapping[str, str] | None = None) -> Files:
    """Which file holds what, found by the first reader that recognises the path.

    Raises:
        MissingInput: Nothing is there, or nothing that a reader recognises.
        AmbiguousInput: It holds several cases; and what the reader raises.
    """
    _refuse_absent(path, "a case")
    for reader in READERS.values():
        if reader.recognises(path):
            return reader.files_in(path, row, columns)
    found = find_cases(path, columns=columns)
    if len(found) > 1:
        names = ", ".join(ref.name for ref in found[:6]) + (" ..." if len(found) > 6 else "")
        raise AmbiguousInput(path.name, expected="one case", found=f"{len(found)}: {names}", do="name one of them")
    return files_at(found[0].source, row=row, columns=columns)


def find_cases(root: str | Path, *, columns: Mapping[str, str] | None = None) -> tuple[CaseRef, ...]:
    """The cases of a data set, none of them opened yet, by name.

    Args:
        root: Of BIDS or ISLES'22 (``sub-*``, or ``rawdata`` with them), a manifest, a folder of case folders, a case.
        columns: As ``open_case`` has it.

    Raises:
        MissingInput: Nothing is there, or no case is in it.
        AmbiguousInput: Two cases would have the same name; and what is wrong with a manifest.
    """
    root = Path(root)
    _refuse_absent(root, "a data set")
    if manifest.recognises(root):
        rows = manifest.rows_of(root, columns=columns)
        refs = [CaseRef(pseudonym(row.case), root, row.case, columns) for row in rows]
    else:
        refs = _in_folders(root, columns)
    if not refs:
        raise MissingInput(
            root.name,
            expected="a BIDS or ISLES'22 data set, a manifest, or folders of images",
            found="no case",
            do="check the path: it should hold sub-* folders, or folders of .nii.gz or .mha files",
        )
    _refuse_namesakes(root, refs)
    return tuple(refs)


def _in_folders(root: Path, columns: Mapping[str, str] | None) -> list[CaseRef]:
    subjects = examinations(root) if is_subject(root) else subjects_in(root) if root.is_dir() else ()
    if subjects:
        return [CaseRef(subject.name, subject.folder) for subject in subjects]
    own = [reader for reader in READERS.values() if reader.recognises(root)]
    if own:
        return [CaseRef(own[0].files_in(root, None, columns).name, root, None, columns)]
    children = sorted(child for child in root.iterdir() if child.is_dir()) if root.is_dir() else []
    return [CaseRef(pseudonym(c.name), c, None, columns) for c in children if folder.recognises(c)]


def _refuse_absent(path: Path, expected: str) -> None:
    try:
        there = path.exists()
        if path.is_dir():
            next(path.iterdir(), None)  # asks for the right to read it
    except OSError as problem:
        found = str(problem.strerror)
        raise UnreadableFile(
            path.name, expected=expected, found=found, do="check the path and its permissions"
        ) from problem
    if not there:
        raise MissingInput(path.name, expected=expected, found="no such file or folder", do="check the path")


def _refuse_namesakes(root: Path, refs: list[CaseRef]) -> None:
    seen: dict[str, CaseRef] = {}
    for ref in refs:
        if seen.setdefault(ref.name, ref) is not ref:
            found = f"{seen[ref.name].source.name} and {ref.source.name} would both be {ref.name}"
            raise AmbiguousInput(root.name, expected="each case once", found=found, do="rename one of them")
