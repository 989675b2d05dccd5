"""What the gate says of one path: accepted, accepted with warnings, or refused, each in one line."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from adumbra.core.case import Conversion
from adumbra.core.errors import AdumbraError
from adumbra.core.options import InputKind as Kind

Status = Literal["valid", "warning", "refused"]


@dataclass(frozen=True)
class Refusal:
    """One reason for which a file cannot be used.

    Attributes:
        error: Name of the class of the error, of ``core.errors``.
        where: The file, and the place in it.
        actual: What was found, with its numbers.
        expected: What was expected.
        do: What the user can do.
    """

    error: str
    where: str
    actual: str
    expected: str
    do: str

    @property
    def line(self) -> str:
        """The reason in one line: file, finding, expectation, remedy."""
        return one_line(f"{self.where}: found {self.actual}; expected {self.expected}; remedy: {self.do}")

    def as_json(self) -> dict[str, str]:
        """Plain values for ``--json``: the line, and its parts under the names of an error."""
        parts = {
            "error": self.error,
            "where": self.where,
            "found": self.actual,
            "expected": self.expected,
            "do": self.do,
        }
        return {"line": self.line, **parts}


@dataclass(frozen=True)
class Verdict:
    """The verdict on one path, or on the two files of a pair.

    Attributes:
        path: The path as it was given; both, separated by a comma, for a pair.
        kind: What it was validated as.
        refusals: Why it cannot be used; empty where it can.
        warnings: What a reader records and the user must see; the file is accepted with them.
        facts: What the file is, as plain values: shape, spacing, number of cases ...
    """

    path: str
    kind: Kind
    refusals: tuple[Refusal, ...] = ()
    warnings: tuple[str, ...] = ()
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """Whether the path is refused, accepted with warnings, or valid."""
        return "refused" if self.refusals else "warning" if self.warnings else "valid"

    @property
    def lines(self) -> tuple[str, ...]:
        """One line for each refusal, else one for each warning, else one that says what is valid."""
        name = one_line(", ".join(Path(part).name for part in self.path.split(", ")))
        if self.refusals:
            return tuple(f"refused  {refusal.line}" for refusal in self.refusals)
        if self.warnings:
            return tuple(f"warning  {name}: {one_line(warning)}" for warning in self.warnings)
        facts = ", ".join(f"{key} {value}" for key, value in self.facts.items() if key != "sha256")
        return (one_line(f"valid    {name}: {self.kind}{', ' * bool(facts)}{facts}"),)

    def with_advice(self, adapted: Callable[[str], str]) -> "Verdict":
        """The verdict with the remedies that a command can follow."""
        return replace(self, refusals=tuple(replace(r, do=adapted(r.do)) for r in self.refusals))

    def as_json(self) -> dict[str, object]:
        """Plain values for ``--json``."""
        return {
            "path": one_line(self.path),
            "kind": self.kind,
            "status": self.status,
            "refusals": [refusal.as_json() for refusal in self.refusals],
            "warnings": [one_line(warning) for warning in self.warnings],
            "facts": self.facts,
        }


def refusal_of(error: AdumbraError) -> Refusal:
    """The reason that an error gives."""
    return Refusal(type(error).__name__, one_line(error.where), error.found, error.expected, error.do)


def warnings_of(notes: tuple[Conversion, ...]) -> tuple[str, ...]:
    """The sentences of a provenance that the user must see, each once."""
    return tuple(dict.fromkeys(note.what for note in notes if note.warning))


def one_line(text: str) -> str:
    """The text in one line that any terminal can print: without control characters and broken letters."""
    printable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+", " ", printable).strip()
