"""Line charts: points between the axes, round axis ends, undefined points left out."""

import numpy as np
import pytest

from adumbra.report.charts import HEIGHT, LEFT, Line, chart


def test_points_lie_between_the_axes():
    plotted = chart("", [Line("a", [0.0, 0.5, 1.0], [0.0, 0.5, 1.0])], x_label="", y_label="", top=1.0)
    (line,) = plotted.lines
    assert line.points[0] == (LEFT, plotted.base)
    assert line.points[2][1] < line.points[1][1] < plotted.base < HEIGHT
    assert line.path.count(",") == 3


@pytest.mark.parametrize(("highest", "top"), [(0.0013, "0.002"), (0.3, "0.4"), (1.0, "1"), (0.0, "1"), (8.1, "10")])
def test_the_axis_ends_a_little_above_the_highest_point(highest, top):
    plotted = chart("", [Line("a", [0.0, 1.0], [0.0, highest])], x_label="", y_label="")
    assert plotted.y_ticks[-1][1] == top


def test_points_that_are_not_a_number_are_left_out():
    plotted = chart("", [Line("a", [0.0, 0.5, 1.0], [0.1, np.nan, 0.3])], x_label="", y_label="")
    assert len(plotted.lines[0].points) == 2
    empty = chart("", [Line("a", [0.0], [np.nan])], x_label="", y_label="")
    assert empty.lines[0].path == ""
