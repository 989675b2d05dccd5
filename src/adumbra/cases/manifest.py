"""A cohort in one table: a CSV with a row for each case and a column for each file, under any headings."""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from adumbra.cases.files import CaseFiles
from adumbra.cases.image_file import absence_of
from adumbra.cases.manifest_cells import refuse_formula, refuse_outside
from adumbra.cases.names import MASKS, pseudonym, words_of
from adumbra.core.errors import AmbiguousInput, MissingInput, UnreadableFile
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import MODALITIES, Modality

_EMPTY_CELLS = ("", "-", "na", "n/a", "nan")
_OTHER = ("case", "b_value", "adc_unit")
_LARGEST_TABLE = 2**26
ROLES = (*MODALITIES, *MASKS, *_OTHER)
# Headings that need no mapping: words joined, lower case, without accents.
SYNONYMS: Mapping[str, str] = {
    "case": "case|id|caseid|subject|subjectid|patient|patientid|participant|participantid|pseudonym|identifiant",
    "dwi": "dwi|trace|diffusion|b1000|dwib1000",
    "adc": "adc|adcmap",
    "b0": "b0|s0|dwib0",
    "flair": "flair|t2flair",
    "swi": "swi|swan|swanmag|swimag",
    "phase": "phase|pha|swanphase|swiphase",
    "tof": "tof|angio|mra|tofmra",
    **{target: spec.column_words for target, spec in TARGET_SPECS.items()},
    "brain": "brain|brainmask|maskbrain|masquecerveau",
    "b_value": "bvalue|bval|b",
    "adc_unit": "adcunit|uniteadc",
}


@dataclass(frozen=True)
class Row:
    """One line of a manifest.

    Attributes:
        line: Number of the line, from 1.
        cells: Content of the cells by role; empty cells are left out.
    """

    line: int
    cells: Mapping[str, str]

    @property
    def case(self) -> str:
        """The identifier of the case, as written."""
        return self.cells["case"]


def recognises(path: Path) -> bool:
    """Whether the path is a table: ``.csv`` or ``.tsv``."""
    return path.suffix.lower() in (".csv", ".tsv") and not path.is_dir()


def files_in(path: Path, *, row: str | None = None, columns: Mapping[str, str] | None = None) -> CaseFiles:
    """The files of one row.

    Args:
        path: Table separated by commas, semicolons or tabs; UTF-8 (with or without a byte order mark) or Windows-1252.
        row: Identifier of the case; it may be left out where the table has one row.
        columns: Role to heading, where a heading is not among the ``SYNONYMS``: ``{"swi": "SWAN 3T"}``.

    Raises:
        MissingInput: No manifest, no such row, column or file.
        AmbiguousInput: An identifier twice, a role that does not exist, two columns for one role, or no row named.
        UnreadableFile: The file is not a table.
    """
    rows = rows_of(path, columns=columns)
    chosen = [r for r in rows if row in (None, r.case)]
    if len(chosen) != 1:
        identifiers = ", ".join(r.case for r in rows[:8]) + (" ..." if len(rows) > 8 else "")
        problem = AmbiguousInput if chosen else MissingInput
        raise problem(
            path.name,
            expected=f"the row of {row or 'one case'}",
            found=f"{len(rows)} rows: {identifiers}",
            do="name one of them: --row ID",
        )
    cells, line = chosen[0].cells, chosen[0].line
    scans: dict[Modality, Path] = {m: _file(path, line, m, cells[m]) for m in MODALITIES if m in cells}
    masks = {m: _file(path, line, m, cells[m]) for m in MASKS if m in cells}
    b_value = _b_value(path, line, cells.get("b_value"))
    return CaseFiles(pseudonym(chosen[0].case), scans, masks, b_value=b_value, adc_unit=cells.get("adc_unit"))


def rows_of(path: Path, *, columns: Mapping[str, str] | None = None) -> tuple[Row, ...]:
    """All rows of a manifest, checked except for the files that they name.

    Raises:
        MissingInput, AmbiguousInput, UnreadableFile: As in ``files_in``.
    """
    table = _table(path)
    _, headings = next(table, (1, []))
    roles = _roles(path, [heading.strip() for heading in headings], columns or {})
    rows = tuple(_row(path, line, headings, roles, cells) for line, cells in table if any(c.strip() for c in cells))
    lines: dict[str, int] = {}
    for row in rows:
        first = lines.setdefault(pseudonym(row.case), row.line)
        if first != row.line:
            raise AmbiguousInput(
                path.name,
                expected="each case once",
                found=f"{row.case!r} in lines {first} and {row.line}",
                do="give each case an identifier of its own",
            )
    return rows


def require_files(path: Path, row: Row) -> None:
    """Refuses a row that names a file which does not exist or lies outside the folder, or a b-value that is no number.

    Args:
        path: The manifest.
        row: One of ``rows_of``.

    Raises:
        MissingInput, UnreadableFile: As in ``files_in``.
    """
    for role in (*MODALITIES, *MASKS):
        if role in row.cells:
            _file(path, row.line, role, row.cells[role])
    _b_value(path, row.line, row.cells.get("b_value"))


def cells_of(path: Path, *, row: str | None = None, columns: Mapping[str, str] | None = None) -> dict[str, str]:
    """All cells of one row by heading, also of columns that name no file; empty cells are left out.

    Args:
        path: The manifest.
        row: Identifier of the case; it may be left out where the table has one row.
        columns: Role to heading, where a heading is not among the ``SYNONYMS``.

    Raises:
        MissingInput, AmbiguousInput, UnreadableFile: As in ``files_in``.
    """
    table = _table(path)
    _, headings = next(table, (1, []))
    index = _roles(path, [heading.strip() for heading in headings], columns or {})["case"]
    for _, cells in table:
        if any(cell.strip() for cell in cells) and row in (None, cells[index].strip() if index < len(cells) else ""):
            return {heading: cell.strip() for heading, cell in zip(headings, cells, strict=False) if cell.strip()}
    return {}


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    text = _text(path)
    first = text.split("\n", 1)[0]
    separator = max(";,\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for cells in reader:
            yield reader.line_num, cells
    except csv.Error as problem:
        where = f"{path.name}, line {reader.line_num}"
        raise UnreadableFile(where, expected="a CSV row", found=str(problem), do="correct its quotes") from problem


def _text(path: Path) -> str:
    if not path.is_file():
        actual = "a folder" if path.is_dir() else absence_of(path)
        raise MissingInput(path.name, expected="a manifest (.csv, .tsv)", found=actual, do="check the path")
    try:
        if (size := path.stat().st_size) > _LARGEST_TABLE:
            actual = f"{size:,} bytes"
            expected = f"a table of at most {_LARGEST_TABLE:,} bytes"
            raise UnreadableFile(path.name, expected=expected, found=actual, do="split it")
        stored = path.read_bytes()
    except OSError as problem:
        raise UnreadableFile(
            path.name, expected="a readable file", found=str(problem.strerror), do="check its permissions"
        ) from problem
    if b"\0" in stored:
        kind = "UTF-16 text" if stored[:2] in (b"\xff\xfe", b"\xfe\xff") else "a spreadsheet or binary bytes"
        actual = f"{len(stored):,} bytes of {kind}"
        raise UnreadableFile(path.name, expected="a text table in UTF-8", found=actual, do="save it as CSV (UTF-8)")
    try:
        return stored.decode("utf-8-sig")
    except UnicodeDecodeError:
        return stored.decode("cp1252", errors="replace")


def _roles(path: Path, headings: list[str], columns: Mapping[str, str]) -> dict[str, int]:
    """Index of the column of each role."""
    roles = {role: _column(path, headings, role, heading) for role, heading in columns.items()}
    for index, heading in enumerate(headings):
        role = next((r for r, names in SYNONYMS.items() if re.fullmatch(names, "".join(words_of(heading)))), None)
        if role is None or role in columns or index in roles.values():
            continue
        if role in roles:
            raise AmbiguousInput(
                path.name,
                expected=f"one column for {role}",
                found=f"the columns {headings[roles[role]]!r} and {heading!r}",
                do=f"state the right one: columns={{'{role}': '{heading}'}}",
            )
        roles[role] = index
    _require_columns(path, headings, roles)
    return roles


def _require_columns(path: Path, headings: list[str], roles: Mapping[str, int]) -> None:
    if "case" in roles and set(roles) & set(MODALITIES):
        return
    lacking = "case" if "case" not in roles else f"one of {', '.join(MODALITIES)}"
    raise MissingInput(
        f"{path.name}, line 1",
        expected=f"a column for {lacking}",
        found=", ".join(headings) or "no headings",
        do=f"use these headings, or map yours: columns={{'{lacking.split()[-1]}': 'HEADING'}}",
    )


def _column(path: Path, headings: list[str], role: str, heading: str) -> int:
    if role not in ROLES:
        raise AmbiguousInput(
            path.name, expected=f"one of {', '.join(ROLES)}", found=repr(role), do="use one of these names"
        )
    fitting = [i for i, h in enumerate(headings) if h == heading]
    fitting = fitting or [i for i, h in enumerate(headings) if words_of(h) == words_of(heading) != []]
    if len(fitting) != 1:
        raise MissingInput(
            f"{path.name}, line 1",
            expected=f"one column {heading!r} for {role}",
            found=f"{len(fitting)} such among {', '.join(headings)}",
            do="check the heading and the mapping",
        )
    return fitting[0]


def _row(path: Path, line: int, headings: list[str], roles: Mapping[str, int], cells: list[str]) -> Row:
    where = f"{path.name}, line {line}"
    if len(cells) > len(headings) and any(cell.strip() for cell in cells[len(headings) :]):
        raise UnreadableFile(
            where,
            expected=f"{len(headings)} cells, one for each heading",
            found=f"{len(cells)} cells",
            do="put cells that contain the separator in quotes",
        )
    by_role = {role: cells[i].strip() for role, i in roles.items() if i < len(cells)}
    by_role = {role: cell for role, cell in by_role.items() if cell.lower() not in _EMPTY_CELLS}
    for role, cell in by_role.items():
        refuse_formula(f"{where}, column for {role}", cell)
    if "case" not in by_role:
        raise MissingInput(
            f"{where}, column {headings[roles['case']]}",
            expected="an identifier",
            found="an empty cell",
            do="give the case an identifier",
        )
    return Row(line, by_role)


def _file(manifest: Path, line: int, role: str, cell: str) -> Path:
    """The file that a cell names, inside the folder of the manifest; Windows separators are accepted."""
    where = f"{manifest.name}, line {line}, column for {role}"
    refuse_outside(where, cell, manifest.parent)
    for written in (cell, cell.replace("\\", "/")):
        path = manifest.parent / written
        if path.is_file():
            return path
    raise MissingInput(
        f"{manifest.name}, line {line}, column for {role}",
        expected="a file",
        found=f"{cell!r}: " + ("a folder" if (manifest.parent / cell).is_dir() else "no such file"),
        do="give a path relative to the folder of the manifest; leave the cell empty if there is no such image",
    )


def _b_value(manifest: Path, line: int, cell: str | None) -> float | None:
    if cell is None:
        return None
    try:
        return float(cell.replace(",", "."))
    except ValueError as problem:
        where = f"{manifest.name}, line {line}, column for b_value"
        raise UnreadableFile(
            where, expected="a b-value in s/mm²", found=repr(cell), do="give a number such as 1000"
        ) from problem
