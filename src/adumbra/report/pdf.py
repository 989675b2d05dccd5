"""The clinical report as a PDF, set by Typst. Nothing is loaded from elsewhere, and equal documents give equal bytes.

The texts reach Typst as JSON beside the template, never as source. A text of a user therefore cannot contain a command.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.resources import files
from itertools import count
from pathlib import Path

from matplotlib import get_data_path

from adumbra.core.atomic_io import write_all_atomically
from adumbra.report.bids import RESEARCH_USE
from adumbra.report.document import Document, EntryList, Figure, Section, Table

_TEMPLATE = "report.typ"
_LONGEST_HEADER = 60
"""Characters of the case's name at the head of a page."""
_NARROWEST, _WIDEST = 8, 48
"""Range of the characters by which the width of a column of texts is weighted."""


def write_pdf(path: Path, document: Document, *, overwrite: bool = False) -> Path:
    """Writes the PDF of a document.

    Args:
        path: Path of the file.
        document: What the PDF contains.
        overwrite: Replace an earlier file.

    Returns:
        The path.

    Raises:
        OutputRefused: The file exists already, or cannot be written.
    """
    return write_all_atomically({path.name: pdf_bytes(document)}, path.parent, overwrite=overwrite)[0]


def pdf_bytes(document: Document) -> bytes:
    """The bytes of the PDF of a document: A4 pages, tagged for screen readers, without a date."""
    import typst  # a compiler of 80 MB, which is loaded only where a PDF is written

    with tempfile.TemporaryDirectory(prefix="adumbra-pdf-") as folder:
        root = Path(folder)
        (root / _TEMPLATE).write_bytes(files("adumbra.report").joinpath("assets", _TEMPLATE).read_bytes())
        (root / "document.json").write_text(json.dumps(_content(document, root)), encoding="utf-8")
        return typst.compile(root / _TEMPLATE, root=root, ignore_system_fonts=True, font_paths=[_fonts()])


def _fonts() -> Path:
    """The folder of DejaVu Sans, which Matplotlib installs; Typst brings fonts with serifs only."""
    return Path(get_data_path()) / "fonts" / "ttf"


def _content(document: Document, root: Path) -> dict[str, object]:
    """The document as JSON values; its pictures are written into the folder."""
    numbers = count()

    def drawn(figures: Sequence[Figure]) -> list[dict[str, object]]:
        return [_figure(figure, root, next(numbers)) for figure in figures]

    return {
        "notice": RESEARCH_USE,
        "title": document.title,
        "case": document.case,
        "page_header": document.case[:_LONGEST_HEADER],
        "conclusion": document.conclusion,
        "warnings": document.warnings,
        "footer": document.footer,
        "sections": [
            _section(section, drawn(section.figures), [_list(one, drawn) for one in section.lists])
            for section in document.sections
        ],
    }


def _section(section: Section, figures: list[dict[str, object]], lists: list[dict[str, object]]) -> dict[str, object]:
    return {
        "title": section.title,
        "label": section.label,
        "paragraphs": section.paragraphs,
        "tables": [asdict(table) | {"widths": _widths(table)} for table in section.tables if table.columns],
        "rows": _side_by_side(figures),
        "lists": lists,
    }


def _list(one: EntryList, drawn: Callable[[Sequence[Figure]], list[dict[str, object]]]) -> dict[str, object]:
    """A list of items with their pictures; further numbers are left out."""
    entries = [
        {
            "title": entry.title,
            "sentences": entry.sentences,
            "facts": entry.facts,
            "rows": _side_by_side(drawn(entry.figures)),
        }
        for entry in one.entries
    ]
    return {"title": one.title, "paragraphs": one.paragraphs, "entries": entries}


def _widths(table: Table) -> list[int]:
    """The weight of each column's width, which is the length of its longest cell; 0 for a column of numbers."""
    longest = [max(map(len, cells)) for cells in zip(*filter(None, (table.header, *table.rows)), strict=True)]
    return [
        0 if column in table.numeric else min(max(length, _NARROWEST), _WIDEST) for column, length in enumerate(longest)
    ]


def _figure(figure: Figure, root: Path, number: int) -> dict[str, object]:
    name = f"figure-{number}{figure.suffix}"
    (root / name).write_bytes(figure.image)
    return {"file": name, "caption": figure.caption, "alt": figure.alt or figure.caption, "width": figure.width}


def _side_by_side(figures: list[dict[str, object]]) -> list[list[dict[str, object]]]:
    """Figures in rows whose widths add up to at most the width of the text."""
    rows: list[list[dict[str, object]]] = []
    used = 2.0
    for figure in figures:
        width = float(str(figure["width"]))
        if used + width > 1.0 + 1e-9:
            rows.append([])
            used = 0.0
        rows[-1].append(figure)
        used += width
    return rows
