"""Options that every command has, and the two output streams.

The result goes to stdout, as text or, with ``--json``, as one JSON object and nothing else. Progress, notes and errors
go to stderr.
"""

import json as json_format
import math
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from cyclopts import Group, Parameter
from cyclopts.validators import Number
from rich.console import Console, RenderableType

from adumbra.core.errors import AdumbraError
from adumbra.core.progress import Progress, quiet

RESEARCH_USE = "Research use only, not for diagnosis."

OK, FAILED, USAGE, PARTIAL, REJECTED = 0, 1, 2, 3, 4
"""Exit codes: success; failure; wrong command line; some cases failed; rejected input."""

PhantomPreset = Literal[
    "monocentric", "multicentric", "emergency", "clots", "diffusion", "lesion-physics", "lesion-mixture", "lesion-both"
]
"""The names of ``phantom.presets.PRESETS``. They are repeated because that import would slow ``--help`` down."""
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""A flag that is off by default and has no ``--no-`` form."""
Count = Annotated[int, Parameter(validator=Number(gte=1))]
NonNegative = Annotated[int, Parameter(validator=Number(gte=0))]
Documented = TypeVar("Documented")


def _require_positive_or_auto(_: object, value: int | str) -> None:
    if value != "auto" and int(value) < 1:
        raise ValueError("Must be >= 1, or auto.")


Draws = Annotated[int | Literal["auto"], Parameter(validator=_require_positive_or_auto)]


class UsageError(Exception):
    """The options contradict each other. The exit code is 2, as for an unknown option."""


def unwrap_docstring(documented: Documented) -> Documented:
    """Joins the wrapped lines of a docstring, so that ``--help`` wraps each paragraph to the terminal.

    Args:
        documented: A command or a group of options; its docstring is replaced.

    Returns:
        The same object, so that the function can be used as a decorator.
    """
    text = re.sub(r"\n {12}(?=\S)", " ", documented.__doc__ or "")
    documented.__doc__ = re.sub(r"(?<=\S)\n {4}(?=\S)", " ", text)
    return documented


@Parameter(name="*", group=Group("Output", sort_key=9))
@dataclass(frozen=True)
class OutputOptions:
    """What a command prints, and how.

    Attributes:
        json: Print the result as one JSON object on stdout.
        quiet: Print neither result nor progress. Errors and --json are still printed.
        progress: Show a progress bar for each long step, on stderr.
        debug: Show the traceback of an error.
    """

    json: Flag = False
    quiet: Flag = False
    progress: Annotated[bool, Parameter(negative="--no-progress")] = True
    debug: Flag = False

    def progress_display(self) -> Progress:
        """The display of long steps: bars on stderr, or none with ``--quiet`` or ``--no-progress``."""
        if self.quiet or not self.progress:
            return quiet
        from adumbra.cli.progress_bars import ProgressBars

        return ProgressBars(Console(stderr=True))

    def print_note(self, text: str) -> None:
        """Prints a line about the work on stderr; with ``--quiet`` nothing."""
        if not self.quiet:
            Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)

    def print_warnings(self, warnings: Iterable[str]) -> None:
        """Prints one line for each warning on stderr; with ``--quiet`` nothing."""
        for warning in warnings:
            self.print_note(f"Warning: {warning}")

    def print_result(self, result: Mapping[str, object], *texts: RenderableType) -> None:
        """Prints the result on stdout.

        Args:
            result: Printed as one JSON object with ``--json``.
            texts: Printed otherwise, one after another; with ``--quiet`` nothing is printed.
        """
        if self.json:
            print_json(result)
        elif not self.quiet:
            # A pipe has no width, and rich would fold a table to 80 columns.
            console = Console(width=None if sys.stdout.isatty() else 160)
            for text in texts:
                console.print(text, markup=False, highlight=False, soft_wrap=isinstance(text, str))


DEFAULT_OUTPUT = OutputOptions()


def print_json(result: Mapping[str, object]) -> None:
    """Prints one JSON object on stdout. Undefined numbers are null, since JSON has no NaN."""
    text = json_format.dumps(json_value(result), indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write(text + "\n")


def json_value(value: object) -> object:
    """The value as JSON can hold it: NaN and infinity become None, and unknown types become text."""
    if isinstance(value, Mapping):
        return {str(key): json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def json_error(error: AdumbraError) -> dict[str, object]:
    """An error as ``--json`` prints it, its parts by name."""
    parts = {"where": error.where, "expected": error.expected, "found": error.found, "do": error.do}
    return {"error": {"kind": type(error).__name__, **parts}}


def command_line(tokens: list[str]) -> str:
    """The command as a manifest records it.

    Every path is reduced to its last part, because folder names may identify a patient.
    """
    return " ".join(["adumbra", *(_without_folders(token) for token in tokens)])


def _without_folders(token: str) -> str:
    option, equals, value = token.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={_without_folders(value)}"
    return Path(token).name if "/" in token or "\\" in token else token
