"""Bars with intervals as coordinates for an SVG: what each atom of a decomposition holds."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, ROW, LEFT, RIGHT, FOOT = 460.0, 26.0, 150.0, 66.0, 26.0


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        name: Beside it.
        value: Its length.
        low: Lower end of its interval; nan where there is none.
        high: Upper end.
        faint: Drawn to be compared with.
    """

    name: str
    value: float
    low: float
    high: float
    faint: bool = False


@dataclass(frozen=True)
class DrawnBar:
    """A bar in the chart's own coordinates; ``whisker`` is None without an interval."""

    name: str
    text: str
    y: float
    x: float
    width: float
    whisker: tuple[float, float] | None
    faint: bool


@dataclass(frozen=True)
class Bars:
    """Coordinates in a box of ``width`` by ``height``, y downwards; ``zero`` is where bars begin."""

    title: str
    unit: str
    bars: tuple[DrawnBar, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float
    width: float
    height: float


def bars(title: str, rows: Sequence[Bar], *, unit: str, top: float | None = None) -> Bars:
    """Horizontal bars from 0 to ``top``, or to the furthest end of an interval."""
    ends = [max(row.value, row.high if row.high == row.high else row.value) for row in rows]
    upper = top or max([*ends, 0.0]) or 1.0
    drawn = tuple(_drawn(row, number, upper) for number, row in enumerate(rows))
    ticks = tuple((_x(upper * share, upper), f"{upper * share:.2g}") for share in (0.0, 0.5, 1.0))
    return Bars(title, unit, drawn, ticks, _x(0.0, upper), WIDTH, ROW * len(rows) + FOOT)


def _drawn(row: Bar, number: int, upper: float) -> DrawnBar:
    start, end = _x(0.0, upper), _x(max(row.value, 0.0), upper)
    known = row.low == row.low and row.high == row.high
    whisker = (_x(max(row.low, 0.0), upper), _x(max(row.high, 0.0), upper)) if known else None
    return DrawnBar(row.name, f"{row.value:.4f}", ROW * number, start, end - start, whisker, row.faint)


def _x(value: float, upper: float) -> float:
    return LEFT + min(value / upper, 1.0) * (WIDTH - LEFT - RIGHT)
