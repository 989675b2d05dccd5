"""The options of a run as rows of text: nested options are indented rows, and long series are summarised.

An empty series, such as the cases of a part whose calibration lists them once for all parts, has no row.

The run record holds the same options as JSON, in full.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_VALUES, MOST_ENTRIES = 8, 12
"""Longest series of plain values, and most entries of a nested option, that are listed one by one."""


@dataclass(frozen=True)
class OptionRow:
    """One row of the table of options.

    Attributes:
        name: Name of the option, in words.
        value: Its value as text; empty where the rows of its parts follow.
        depth: Number of options that contain it.
    """

    name: str
    value: str
    depth: int = 0


def option_rows(options: Mapping[str, object], *, depth: int = 0) -> tuple[OptionRow, ...]:
    """The rows of all options in their order, the parts of a nested option below it.

    Args:
        options: Plain values as JSON has them, also nested.
        depth: Depth of the first rows.
    """
    return tuple(row for name, value in options.items() for row in _rows(name.replace("_", " "), value, depth))


def value_text(value: object) -> str:
    """A plain value as text: numbers to six digits, yes and no, and ``none`` for what is empty."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rows(name: str, value: object, depth: int) -> tuple[OptionRow, ...]:
    parts = _parts(value)
    if parts is None:
        return (OptionRow(name, value_text(value), depth),)
    if not parts:
        return ()
    if not any(_parts(part) is not None for part in parts.values()) and (text := _series(value, parts)) is not None:
        return (OptionRow(name, text, depth),)
    if len(parts) > MOST_ENTRIES and isinstance(value, Sequence):
        return (OptionRow(name, f"{len(parts)} entries", depth),)
    return (OptionRow(name, "", depth), *option_rows(parts, depth=depth + 1))


def _parts(value: object) -> dict[str, object] | None:
    """The parts of a nested value by name, those of a series by number; None for a plain value."""
    if isinstance(value, Mapping):
        return {str(name): part for name, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {f"{number} of {len(value)}": part for number, part in enumerate(value, start=1)}
    return None


def _series(value: object, parts: Mapping[str, object]) -> str | None:
    """Plain values in one line; None for a mapping that is short enough to have a row for each entry."""
    if isinstance(value, Mapping):
        names = list(parts)
        return f"{len(names)} entries, {names[0]} to {names[-1]}" if len(names) > MOST_ENTRIES else None
    if len(parts) <= MOST_VALUES:
        return ", ".join(value_text(part) for part in parts.values())
    numbers = [part for part in parts.values() if isinstance(part, int | float)]
    if len(numbers) == len(parts):
        return f"{len(numbers)} numbers, {min(numbers):g} to {max(numbers):g}"
    first, *_, last = parts.values()
    return f"{len(parts)} entries, {value_text(first)} to {value_text(last)}"
