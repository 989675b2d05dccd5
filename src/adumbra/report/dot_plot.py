"""A dot plot of the draws as coordinates for an SVG: one dot per draw, stacked along the axis of volume."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adumbra.core.results import Estimate

WIDTH, HEIGHT, FOOT, MARGIN, RADIUS = 420.0, 120.0, 26.0, 14.0, 4.5


@dataclass(frozen=True)
class DotPlot:
    """Coordinates in a box of ``width`` by ``height``, y downwards.

    Attributes:
        circles: Centre (x, y) of each draw's dot.
        radius: Radius of the dots.
        band: Left and right end of the interval.
        value: The x of the segmented volume.
        ticks: Position and text of each tick of the axis.
        base: The y of the axis.
        width: Width of the box.
        height: Height of the box.
    """

    circles: tuple[tuple[float, float], ...]
    radius: float
    band: tuple[float, float]
    value: float
    ticks: tuple[tuple[float, str], ...]
    base: float = HEIGHT - FOOT
    width: float = WIDTH
    height: float = HEIGHT


def dot_plot(volumes_ml: Sequence[float], estimate: Estimate) -> DotPlot:
    """The dot plot of the draws' volumes, with the value and the interval of an estimate."""
    low, high = _axis_ends([*volumes_ml, estimate.value, estimate.low, estimate.high])
    circles = _stacked([_x(volume, low, high) for volume in sorted(volumes_ml)])
    band = (_x(estimate.low, low, high), _x(estimate.high, low, high))
    ticks = tuple((_x(tick, low, high), f"{tick:g}") for tick in _ticks(low, high))
    return DotPlot(circles, RADIUS, band, _x(estimate.value, low, high), ticks)


def _axis_ends(values: Sequence[float]) -> tuple[float, float]:
    """The ends of the axis: the range of the values with a margin, at least 0.1 ml wide, never below zero."""
    low, high = min(values), max(values)
    margin = max(0.06 * (high - low), 0.05)
    return float(max(0.0, low - margin)), float(high + margin)


def _x(volume: float, low: float, high: float) -> float:
    return float(MARGIN + (volume - low) / (high - low) * (WIDTH - 2.0 * MARGIN))


def _stacked(positions: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """A dot at each position, from left to right, on the lowest level where it touches no other dot.

    If the levels would leave the box, they are closer together and dots overlap.
    """
    ends: list[float] = []  # right end of the last dot of each level
    levels = []
    for x in positions:
        level = next((k for k, end in enumerate(ends) if end <= x - RADIUS), len(ends))
        ends[level : level + 1] = [x + RADIUS]
        levels.append(level)
    foot = HEIGHT - FOOT - RADIUS - 3.0
    step = min(2.1 * RADIUS, (foot - RADIUS) / max(1, len(ends) - 1))
    return tuple((x, foot - level * step) for x, level in zip(positions, levels, strict=True))


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers between the ends."""
    raw = (high - low) / 4.0
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw)
    return [float(round(k * step, 10)) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]
