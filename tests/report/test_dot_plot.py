"""Dot plots: every draw is one dot at its volume, inside the box."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adumbra.core.results import Estimate
from adumbra.report.dot_plot import HEIGHT, WIDTH, dot_plot


def estimate(value: float, low: float, high: float) -> Estimate:
    return Estimate(value, low, high, 0.95, "ml")


def test_larger_volumes_lie_further_right() -> None:
    chart = dot_plot([1.0, 5.0, 9.0], estimate(5.0, 1.2, 8.8))
    assert [x for x, _ in chart.circles] == sorted(x for x, _ in chart.circles)
    assert chart.band[0] < chart.value < chart.band[1]
    assert chart.value == pytest.approx(WIDTH / 2, abs=1)
    assert [text for _, text in chart.ticks] == ["2.5", "5", "7.5"]


def test_equal_draws_are_stacked() -> None:
    chart = dot_plot([2.0] * 5, estimate(2.0, 2.0, 2.0))
    assert len({x for x, _ in chart.circles}) == 1
    heights = sorted(y for _, y in chart.circles)
    assert all(b - a >= 2 * chart.radius for a, b in pairwise(heights))


def test_no_lesion_in_any_draw_still_has_an_axis() -> None:
    chart = dot_plot([0.0] * 20, estimate(0.0, 0.0, 0.0))
    assert len(chart.circles) == 20
    assert chart.ticks[0][1] == "0"


@given(st.lists(st.floats(0, 900), min_size=1, max_size=200))
def test_every_draw_is_one_dot_inside_the_box(volumes: list[float]) -> None:
    low, high = (float(v) for v in np.quantile(volumes, [0.025, 0.975]))
    chart = dot_plot(volumes, estimate(volumes[0], low, high))
    assert len(chart.circles) == len(volumes)
    assert all(0 <= x <= WIDTH for x, _ in chart.circles)
    assert all(0 <= y <= HEIGHT for _, y in chart.circles)
    assert 1 <= len(chart.ticks) <= 8
