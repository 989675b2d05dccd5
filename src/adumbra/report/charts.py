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
        name: Shown beside it.
        x: Of its points; points with a nan are left out.
        y: Of its points.
        style: ``"line"``, ``"dots"`` (points on a line) or ``"faint"`` (something to compare with).
    """

    name: str
    x: Sequence[float] | np.ndarray
    y: Sequence[float] | np.ndarray
    style: str = "line"


@dataclass(frozen=True)
class Drawn:
    """A line in the chart's own coordinates: the path, its points, and where its name stands."""

    name: str
    style: str
    path: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Chart:
    """Coordinates in a box of ``width`` by ``height``, y downwards.

    Attributes:
        title: Of the chart.
        x_label: Of the axis.
        y_label: Of the axis.
        lines: To be drawn.
        x_ticks: Place and text.
        y_ticks: Place and text.
    """

    title: str
    x_label: str
    y_label: str
    lines: tuple[Drawn, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    left: float = LEFT
    base: float = HEIGHT - FOOT
    width: float = WIDTH
    height: float = HEIGHT


def chart(title: str, lines: Sequence[Line], *, x_label: str, y_label: str, top: float | None = None) -> Chart:
    """A chart whose x runs from 0 to 1, and whose y from 0 to ``top``, or to a little above the highest point."""
    highest = max((float(np.nanmax(line.y)) for line in lines if np.isfinite(line.y).any()), default=1.0)
    upper = top if top is not None else _rounded(highest)
    drawn = tuple(_drawn(line, upper) for line in lines)
    x_ticks = tuple((_x(t), f"{t:g}") for t in (0.0, 0.25, 0.5, 0.75, 1.0))
    y_ticks = tuple((_y(upper * t, upper), f"{upper * t:.3g}") for t in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Chart(title, x_label, y_label, drawn, x_ticks, y_ticks)


def quality_charts(found: Curves, *, of: str) -> list[Chart]:
    """Reliability, risk and coverage, retention by lesion; ``of`` names what the last two are of."""
    ideal = Line("perfect", (0.0, 1.0), (0.0, 1.0), "faint")
    reliability = [ideal, Line("near the boundary", *found.boundary, "dots"), Line("brain", *found.brain, "dots")]
    return [
        chart("Reliability", reliability, x_label="probability", y_label="share of voxels in the truth", top=1.0),
        chart("Risk and coverage", [Line(of, *found.risk)], x_label="share of voxels kept",
              y_label="share of them that is wrong"),
        chart("Retention by lesion", [Line(of, *found.retention)], x_label="share of lesions kept as predicted",
              y_label="lesion-wise F1", top=1.0),
    ]  # fmt: skip


def _rounded(value: float) -> float:
    """The next of 1, 2, 4 and 8 times a power of ten; of 0 it is 1."""
    if value <= 0.0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1.0, 2.0, 4.0, 8.0, 10.0) if step * power >= value * (1.0 - 1e-12)))


def _drawn(line: Line, upper: float) -> Drawn:
    x, y = (np.asarray(values, dtype=np.float64) for values in (line.x, line.y))
    there = np.isfinite(x) & np.isfinite(y)
    points = tuple((_x(float(a)), _y(float(b), upper)) for a, b in zip(x[there], y[there], strict=True))
    return Drawn(line.name, line.style, " ".join(f"{a:.1f},{b:.1f}" for a, b in points), points)


def _x(value: float) -> float:
    return LEFT + value * (WIDTH - LEFT - MARGIN)


def _y(value: float, upper: float) -> float:
    return HEIGHT - FOOT - min(value / upper, 1.0) * (HEIGHT - FOOT - MARGIN)
