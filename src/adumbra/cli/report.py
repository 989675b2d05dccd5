"""``adumbra report``: writes the report of a prediction again."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from adumbra.cli.options import DEFAULT_OUTPUT, OK, OutputOptions


def report(
    directory: Path,
    /,
    *,
    overwrite: Annotated[bool, Parameter(negative="--no-overwrite")] = True,
    output: OutputOptions = DEFAULT_OUTPUT,
) -> int:
    """Write the report of every prediction in a folder again, from its maps and its manifest.

    Args:
        directory: The folder that adumbra predict wrote.
        overwrite: Replace the existing report.
    """
    from adumbra import assessment

    pages = assessment.report(directory, overwrite=overwrite)
    output.print_result({"reports": pages}, *(f"Report: {page}" for page in pages))
    return OK
