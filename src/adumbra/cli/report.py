"""``adumbra report``: the page of a prediction, made again from what was written."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from adumbra.cli.manner import OK, USUAL, Manner


def report(
    directory: Path,
    /,
    *,
    overwrite: Annotated[bool, Parameter(negative="--no-overwrite")] = True,
    manner: Manner = USUAL,
) -> int:
    """Make the report of every prediction in a folder again, from its maps and its manifest.

    Args:
        directory: Folder that adumbra predict wrote.
        overwrite: Replace the report that is there.
    """
    from adumbra import road

    pages = road.report(directory, overwrite=overwrite)
    manner.answer({"reports": pages}, *(f"Report: {page}" for page in pages))
    return OK
