"""The page of what sources tell about a target: bars of the atoms with their intervals, and every number."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adumbra.report.bars import Bars
from adumbra.report.bids import json_bytes
from adumbra.report.staging import published
from adumbra.report.templates import template


def write_information(
    path: Path,
    *,
    title: str,
    about: str,
    sentences: Sequence[str],
    sections: Sequence[tuple[str, Sequence[Bars]]],
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    plain: Mapping[str, Any],
    csv: bytes,
    overwrite: bool = False,
) -> Path:
    """Writes the page, and beside it all numbers as JSON and as CSV of the same name.

    Args:
        path: Of the page, ending in ``.html``.
        title: Its heading.
        about: What was asked, in a line.
        sentences: What must be read with it.
        sections: Charts under their headings.
        heads: Of the table of all numbers.
        rows: Its rows.
        plain: All numbers.
        csv: The same as a table.
        overwrite: Replace earlier files.

    Raises:
        OutputRefused: A file is there already, or cannot be written.
    """
    page = template("information.html").render(
        title=title, about=about, sentences=sentences, sections=sections, heads=heads, rows=rows
    )
    files = {path.name: page.encode(), f"{path.stem}.json": json_bytes(plain), f"{path.stem}.csv": csv}
    return published(files, path.parent, overwrite=overwrite)[0]
