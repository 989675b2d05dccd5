"""Line charts as coordinates for an SVG: reliability, risk and coverage, retention."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adumbra.core.results import Curves

WIDTH, HEIGHT, LEFT, FOOT, MARGIN = 340.0, 260.0, 52.0, 42.0, 12.0


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        name: Label in the legend.
        x: Horizontal coordinates of its points; points with a nan are left out.
        y: Vertical coordinates of its points.
        style: ``"line"``, ``"markers"`` (a line with its points) or ``"faint"`` (a comparison).
    """

    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    style: str = "line"


@dataclass(frozen=True)
class PlottedLine:
    """A line in the chart's own coordinates, as an SVG path and as points."""

    name: str
    style: str
    path: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """Coordinates in a box of ``width`` by ``height``, y downwards.

    Attributes:
        title: Title of the chart.
        x_label: Label of the horizontal axis.
        y_label: Label of the vertical axis.
        lines: Lines to draw.
        x_ticks: Position and text of each tick of the horizontal axis.
        y_ticks: Position and text of each tick of the vertical axis.
        left: The x of the vertical axis.
        base: The y of the horizontal axis.
        width: Width of the box.
        height: Height of the box.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[PlottedLine, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    left: float = LEFT
    base: float = HEIGHT - FOOT
    width: float = WIDTH
    height: float = HEIGHT


def chart(title: str, lines: Sequence[Line], *, x_label: str, y_label: str, top: float | None = None) -> Chart:
    """A chart with x from 0 to 1 and y from 0 to ``top``, or to a round number above the highest point."""
    highest = max((float(np.nanmax(line.y)) for line in lines if np.isfinite(line.y).any()), default=1.0)
    upper = top if top is not None else _rounded_up(highest)
    plotted = tuple(_plotted(line, upper) for line in lines)
    x_ticks = tuple((_x(t), f"{t:g}") for t in (0.0, 0.25, 0.5, 0.75, 1.0))
    y_ticks = tuple((_y(upper * t, upper), f"{upper * t:.3g}") for t in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Chart(title, x_label, y_label, plotted, x_ticks, y_ticks)


def quality_charts(curves: Curves, *, of: str) -> list[Chart]:
    """Charts of reliability, of risk and coverage, and of retention by lesion.

    Args:
        curves: Curves of the uncertainty against the ground truth.
        of: Legend of the last two charts, such as ``"this case"``.
    """
    ideal = Line("perfect", (0.0, 1.0), (0.0, 1.0), "faint")
    boundary, brain = Line("near the boundary", *curves.boundary, "markers"), Line("brain", *curves.brain, "markers")
    return [
        chart("Reliability", [ideal, boundary, brain], x_label="predicted probability",
              y_label="share of voxels in the ground truth", top=1.0),
        chart("Risk and coverage", [Line(of, *curves.risk)], x_label="coverage: share of voxels retained",
              y_label="risk: share of them that is wrong"),
        chart("Retention by lesion", [Line(of, *curves.retention)], x_label="share of lesions retained as predicted",
              y_label="lesion-wise F1", top=1.0),
    ]  # fmt: skip


def _rounded_up(value: float) -> float:
    """The next of 1, 2, 4 and 8 times a power of ten; 1 for values that are not positive."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1.0, 2.0, 4.0, 8.0, 10.0) if step * power >= value * (1.0 - 1e-12)))


def _plotted(line: Line, upper: float) -> PlottedLine:
    x, y = (np.asarray(values, dtype=np.float64) for values in (line.x, line.y))
    defined = np.isfinite(x) & np.isfinite(y)
    points = tuple((_x(float(a)), _y(float(b), upper)) for a, b in zip(x[defined], y[defined], strict=True))
    return PlottedLine(line.name, line.style, " ".join(f"{a:.1f},{b:.1f}" for a, b in points), points)


def _x(value: float) -> float:
    return LEFT + value * (WIDTH - LEFT - MARGIN)


def _y(value: float, upper: float) -> float:
    return HEIGHT - FOOT - min(value / upper, 1.0) * (HEIGHT - FOOT - MARGIN)
