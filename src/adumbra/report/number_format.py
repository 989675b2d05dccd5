"""Numbers and names as the page prints them: the filters of its template."""

from collections.abc import Mapping
from math import isnan
from typing import Any

from adumbra.core.results import Estimate

MINUS, EN_DASH = "\N{MINUS SIGN}", "\N{EN DASH}"


def format_ml(value: float) -> str:
    """Millilitres with two decimals below 10, and with one from 10."""
    return f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}"


def format_interval(estimate: Estimate) -> str:
    """The interval of a volume: ``"8.10 to 12.3 ml"``."""
    return f"{format_ml(estimate.low)} to {format_ml(estimate.high)} ml"


def format_value(value: float | None) -> str:
    """A number of the clinical summary: two decimals below 1, else one where there is any; an en dash for none."""
    if value is None or isnan(value):
        return EN_DASH
    return f"{value:.2f}" if 0.0 < abs(value) < 0.995 else f"{value:.1f}".removesuffix(".0")


def format_row_interval(row: Mapping[str, Any]) -> str:
    """The interval of a distribution of the clinical summary: ``"8.1 to 12.3"``."""
    if row["low"] is None or row["high"] is None:
        return EN_DASH
    return f"{format_value(row['low'])} to {format_value(row['high'])}"


def format_score(value: float, name: str) -> str:
    """A score by its kind: a decision is yes or no, a count is an integer, nan is ``"undefined"``."""
    if isnan(value):
        return "undefined"
    if name.startswith("detected"):
        return "yes" if value else "no"
    if name.startswith(("count", "false")):
        return f"{value:.0f}"
    return format_ml(value) if name.endswith("_ml") else f"{value:.3f}"


def format_defined(value: float, form: str) -> str:
    """A number in a printf format; an en dash for nan."""
    return EN_DASH if isnan(value) else form % value


def format_position(position_mm: tuple[float, float, float]) -> str:
    """A position in whole millimetres with true minus signs: ``"−15, −1, 37"``."""
    return ", ".join(f"{round(value):d}".replace("-", MINUS) for value in position_mm)


def score_title(name: str) -> str:
    """The title of a score: ``"Lesion F1"`` for ``"lesion_f1"``; the unit of ``"…_ml"`` follows in parentheses."""
    words = name.removesuffix("_ml").replace("_", " ").replace("f1", "F1")
    return words[:1].upper() + words[1:] + (" (ml)" if name.endswith("_ml") else "")
