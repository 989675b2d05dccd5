"""Bar charts with intervals, as coordinates for an SVG."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, ROW_HEIGHT, LEFT, RIGHT, FOOT = 460.0, 26.0, 150.0, 66.0, 26.0


@dataclass(frozen=True)
class Bar:
    """One bar.

    Attributes:
        name: Label beside the bar.
        value: Value that the length of the bar shows.
        low: Lower end of the interval; nan without an interval.
        high: Upper end of the interval; nan without an interval.
        faint: True for a bar that serves as a comparison.
    """

    name: str
    value: float
    low: float
    high: float
    faint: bool = False


@dataclass(frozen=True)
class PlottedBar:
    """A bar in the chart's own coordinates; ``whisker`` holds the ends of the interval, or None without one."""

    name: str
    text: str
    y: float
    x: float
    width: float
    whisker: tuple[float, float] | None
    faint: bool


@dataclass(frozen=True)
class BarChart:
    """Coordinates in a box of ``width`` by ``height``, y downwards; ``zero`` is the x where bars begin."""

    title: str
    unit: str
    bars: tuple[PlottedBar, ...]
    ticks: tuple[tuple[float, str], ...]
    zero: float
    width: float
    height: float


def bar_chart(title: str, rows: Sequence[Bar], *, unit: str, top: float | None = None) -> BarChart:
    """Horizontal bars from 0 to ``top``, or to the largest value or interval end if ``top`` is None."""
    ends = [max(row.value, row.high if row.high == row.high else row.value) for row in rows]
    upper = top or max([*ends, 0.0]) or 1.0
    plotted = tuple(_plotted(row, number, upper) for number, row in enumerate(rows))
    ticks = tuple((_x(upper * share, upper), f"{upper * share:.2g}") for share in (0.0, 0.5, 1.0))
    return BarChart(title, unit, plotted, ticks, _x(0.0, upper), WIDTH, ROW_HEIGHT * len(rows) + FOOT)


def _plotted(row: Bar, number: int, upper: float) -> PlottedBar:
    start, end = _x(0.0, upper), _x(max(row.value, 0.0), upper)
    has_interval = row.low == row.low and row.high == row.high
    whisker = (_x(max(row.low, 0.0), upper), _x(max(row.high, 0.0), upper)) if has_interval else None
    return PlottedBar(row.name, f"{row.value:.4f}", ROW_HEIGHT * number, start, end - start, whisker, row.faint)


def _x(value: float, upper: float) -> float:
    return LEFT + min(value / upper, 1.0) * (WIDTH - LEFT - RIGHT)
