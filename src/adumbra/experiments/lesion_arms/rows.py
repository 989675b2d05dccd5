"""The rows of the study: a file with one line of JSON for each arm and seed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from adumbra.core.atomic_io import write_atomically

Scores = Mapping[str, float | None]
"""Measures of one case by name; None where a measure is undefined."""

CaseScores = Mapping[str, Scores]
"""Measures of one case by threshold, as text."""


@dataclass(frozen=True)
class Row:
    """One arm with one seed.

    Attributes:
        arm: Name of the arm.
        seed: Seed of the training.
        budget: What rows must share to be compared, see ``design.Study.budget``.
        steps: Number of optimiser steps.
        cpu_seconds: Measured CPU time of the training, in seconds; None where it was interrupted.
        parameters: Number of parameters of the network.
        measured: Measures by preset, by case, by threshold.
        details: Facts that are not compared, such as the hash of the weights.
    """

    arm: str
    seed: int
    budget: Mapping[str, object]
    steps: int
    cpu_seconds: float | None
    parameters: int
    measured: Mapping[str, Mapping[str, CaseScores]]
    details: Mapping[str, object]

    @property
    def key(self) -> tuple[str, int, str]:
        """What a file has one row of: arm, seed and budget."""
        return self.arm, self.seed, budget_key(self.budget)


def budget_key(budget: Mapping[str, object]) -> str:
    """A budget as text; equal budgets give equal texts."""
    return json.dumps(budget, sort_keys=True)


def read_rows(path: Path) -> tuple[Row, ...]:
    """The rows of a file; none where it does not exist."""
    if not path.exists():
        return ()
    names = [field.name for field in fields(Row)]
    contents = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    return tuple(Row(*(content[name] for name in names)) for content in contents)


def write_row(path: Path, row: Row) -> None:
    """Adds a row to a file, or replaces the one of the same key."""
    others = [other for other in read_rows(path) if other.key != row.key]
    write_rows(path, [*others, row])


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Writes a file of these rows."""
    lines = [json.dumps(asdict(row)) + "\n" for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(lines).encode())
