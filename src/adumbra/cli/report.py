"""``adumbra report``: the page of a prediction, made again from what was written."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from adumbra.cli.options import DEFAULT_OUTPUT, OK, OutputOptions


def report(
    directory: Path,
    /,
    *,
    overwrite: Annotated[bool, Parameter(negative="--no-overwrite")] = True,
    manner: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Make the report of every prediction in a folder again, from its maps and its manifest.

    Args:
        directory: Folder that adumbra predict wrote.
        overwrite: Replace the report that is there.
    """
    from adumbra import pipeline

    pages = pipeline.report(directory, overwrite=overwrite)
    manner.answer({"reports": pages}, *(f"Report: {page}" for page in pages))
    return OK
