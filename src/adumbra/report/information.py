"""The page of information about a target: bars of the atoms with their intervals, and every number."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adumbra.core.atomic_io import write_all_atomically
from adumbra.report.bars import BarChart
from adumbra.report.bids import json_bytes
from adumbra.report.templates import template


def write_information(
    path: Path,
    *,
    title: str,
    subtitle: str,
    notes: Sequence[str],
    sections: Sequence[tuple[str, Sequence[BarChart]]],
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    plain: Mapping[str, Any],
    csv: bytes,
    overwrite: bool = False,
) -> Path:
    """Writes the page, and beside it all numbers as JSON and as CSV of the same name.

    Args:
        path: Path of the page, ending in ``.html``.
        title: Heading of the page.
        subtitle: The configuration, in one line.
        notes: Notes on the interpretation of the numbers.
        sections: Charts under their headings.
        columns: Column headings of the table of all numbers.
        rows: Rows of that table.
        plain: All numbers, for JSON.
        csv: All numbers, as the content of the CSV file.
        overwrite: Replace existing files.

    Raises:
        OutputRefused: A file exists already, or cannot be written.
    """
    page = template("information.html").render(
        title=title, subtitle=subtitle, notes=notes, sections=sections, columns=columns, rows=rows
    )
    files = {path.name: page.encode(), f"{path.stem}.json": json_bytes(plain), f"{path.stem}.csv": csv}
    return write_all_atomically(files, path.parent, overwrite=overwrite)[0]
