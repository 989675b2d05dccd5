"""The page of how good an uncertainty is: three charts, the means with their intervals, and every case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adumbra.report.bids import json_bytes
from adumbra.report.charts import Chart
from adumbra.report.staging import published
from adumbra.report.templates import template


@dataclass(frozen=True)
class Row:
    """A line of a table: what is measured, and its cells as text."""

    name: str
    cells: tuple[str, ...]


def write_quality(
    path: Path,
    *,
    title: str,
    about: str,
    charts: Sequence[Chart],
    means: Sequence[Row],
    sentences: Sequence[str],
    heads: Sequence[str],
    cases: Sequence[Row],
    plain: Mapping[str, Any],
    overwrite: bool = False,
) -> Path:
    """Writes the page, and all numbers beside it as JSON of the same name.

    Args:
        path: Of the page, ending in ``.html``.
        title: Its heading.
        about: What was judged, in a line.
        charts: Drawn side by side.
        means: Of each measure: its mean and interval.
        sentences: What must be read with them.
        heads: Of the table of cases.
        cases: A row each.
        plain: All numbers.
        overwrite: Replace an earlier page.

    Raises:
        OutputRefused: A file is there already, or cannot be written.
    """
    page = template("quality.html").render(
        title=title, about=about, charts=charts, means=means, sentences=sentences, heads=heads, cases=cases
    )
    files = {path.name: page.encode(), f"{path.stem}.json": json_bytes(plain)}
    return published(files, path.parent, overwrite=overwrite)[0]
