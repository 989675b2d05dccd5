"""Page of the quality of an uncertainty map: three charts, the means with their intervals, and a table of cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adumbra.core.atomic_io import write_all_atomically
from adumbra.report.bids import json_bytes
from adumbra.report.charts import Chart
from adumbra.report.templates import template


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: Heading of the row.
        cells: Text of its cells.
    """

    name: str
    cells: tuple[str, ...]


def write_uncertainty_quality(
    path: Path,
    *,
    title: str,
    subtitle: str,
    charts: Sequence[Chart],
    means: Sequence[Row],
    sentences: Sequence[str],
    headings: Sequence[str],
    cases: Sequence[Row],
    plain: Mapping[str, Any],
    overwrite: bool = False,
) -> Path:
    """Writes the page, and all numbers beside it as JSON of the same name.

    Args:
        path: Path of the page, ending in ``.html``.
        title: Heading of the page.
        subtitle: Line below the heading: the cases and the uncertainty measure.
        charts: Charts side by side.
        means: A row for each measure, with its mean, interval and number of cases.
        sentences: Notes that must be read with the numbers.
        headings: Headings of the columns of ``cases``.
        cases: A row for each case.
        plain: All numbers, as plain values.
        overwrite: Whether an earlier page is replaced.

    Raises:
        OutputRefused: A file exists and is not to be replaced, or cannot be written.
    """
    page = template("uncertainty_quality.html").render(
        title=title, subtitle=subtitle, charts=charts, means=means, sentences=sentences, headings=headings, cases=cases
    )
    files = {path.name: page.encode(), f"{path.stem}.json": json_bytes(plain)}
    return write_all_atomically(files, path.parent, overwrite=overwrite)[0]
