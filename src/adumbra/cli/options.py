"""How a command talks: the options that every command has, and the two streams that they govern.

What was asked for goes to stdout, as text or, with ``--json``, as one JSON object and nothing else. Everything about
the work (progress, warnings, errors) goes to stderr.
"""

import json as text_of
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Group, Parameter
from cyclopts.validators import Number
from rich.console import Console, RenderableType

from adumbra.core.errors import AdumbraError
from adumbra.core.progress import Progress, quiet

RESEARCH_USE = "Research use only, not for diagnosis."

OK, FAILED, USAGE, PARTIAL, REJECTED = 0, 1, 2, 3, 4
"""Exit codes: all went well; it failed; the command line is wrong; some cases failed; the input was rejected."""

Device = Literal["auto", "cpu", "cuda"]
PhantomPreset = Literal["monocentric", "multicentric", "emergency", "diffusion"]
"""``phantom.presets.PRESETS``, whose import would cost ``--help`` its quickness; a test holds them together."""
Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
"""Off unless given, so it needs no --no- form."""
Count = Annotated[int, Parameter(validator=Number(gte=1))]
From0 = Annotated[int, Parameter(validator=Number(gte=0))]


def _one_or_auto(_: object, value: int | str) -> None:
    if value != "auto" and int(value) < 1:
        raise ValueError("Must be >= 1, or auto.")


Draws = Annotated[int | Literal["auto"], Parameter(validator=_one_or_auto)]


class UsageError(Exception):
    """The options do not go together: exit code 2, like an option that does not exist."""


@Parameter(name="*", group=Group("Output", sort_key=9))
@dataclass(frozen=True)
class OutputOptions:
    """How the command talks.

    Attributes:
        json: Print the result as one JSON object on stdout.
        quiet: Print neither result nor progress; errors and --json still come.
        progress: Show a progress bar for each long step, on stderr.
        debug: Show the traceback of an error.
    """

    json: Flag = False
    quiet: Flag = False
    progress: Annotated[bool, Parameter(negative="--no-progress")] = True
    debug: Flag = False

    def watch(self) -> Progress:
        """Who watches the long steps: bars on stderr, or nobody."""
        if self.quiet or not self.progress:
            return quiet
        from adumbra.cli.progress_bars import Bars

        return Bars(Console(stderr=True))

    def tell(self, about: str) -> None:
        """A line about the work, on stderr; silent with ``--quiet``."""
        if not self.quiet:
            Console(stderr=True).print(about, markup=False, highlight=False, soft_wrap=True)

    def answer(self, result: Mapping[str, object], *shown: RenderableType) -> None:
        """The result on stdout: the mapping with ``--json``, else what is shown to people; with ``--quiet`` nothing."""
        if self.json:
            print_json(result)
        elif not self.quiet:
            # A pipe has no width: rich would fold a table to 80 columns.
            console = Console(width=None if sys.stdout.isatty() else 160)
            for item in shown:
                console.print(item, markup=False, highlight=False, soft_wrap=isinstance(item, str))


DEFAULT_OUTPUT = OutputOptions()


def print_json(result: Mapping[str, object]) -> None:
    """One JSON object on stdout; undefined numbers are null, since JSON has no NaN."""
    sys.stdout.write(text_of.dumps(plain(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def plain(value: object) -> object:
    """The value in what JSON knows: mappings, lists, text, numbers; NaN and infinity as None, the rest as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def described(error: AdumbraError) -> dict[str, object]:
    """An error as ``--json`` gives it, its parts by name."""
    parts = {"where": error.where, "expected": error.expected, "found": error.found, "do": error.do}
    return {"error": {"kind": type(error).__name__, **parts}}


def command_line(tokens: list[str]) -> str:
    """The command as it is kept in a manifest: every path cut to its last name, for folders may name a patient."""
    return " ".join(["adumbra", *(_last_name(token) for token in tokens)])


def _last_name(token: str) -> str:
    option, equals, value = token.partition("=")
    if equals and option.startswith("-"):
        return f"{option}={_last_name(value)}"
    return Path(token).name if "/" in token or "\\" in token else token
