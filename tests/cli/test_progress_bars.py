import io

import pytest
from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars


@pytest.fixture
def screen():
    return io.StringIO()


@pytest.fixture
def bars(screen):
    return ProgressBars(Console(file=screen, width=100))


def test_items_pass_through_in_order_and_are_counted(bars, screen):
    assert list(bars.track(range(3), what="Drawing")) == [0, 1, 2]
    assert "Drawing" in screen.getvalue()
    assert "3/3" in screen.getvalue()


def test_loops_within_loops_share_one_display(bars, screen):
    items = [(i, j) for i in bars.track(range(2), what="Outer") for j in bars.track([7, 8], what="Inner")]
    assert items == [(0, 7), (0, 8), (1, 7), (1, 8)]
    assert screen.getvalue().count("Outer") == 1


def test_a_loop_without_length_counts(bars, screen):
    assert list(bars.track(iter("ab"), what="Streaming")) == ["a", "b"]
    assert list(bars.track(iter("ab"), what="Known", total=2)) == ["a", "b"]
    assert "2/2" in screen.getvalue()


def test_an_error_in_the_loop_closes_the_display(bars):
    with pytest.raises(ZeroDivisionError):
        [1 / item for item in bars.track([0], what="Breaking")]
    assert list(bars.track([1], what="Again")) == [1]


def test_a_loop_over_nothing_shows_nothing(bars, screen):
    assert list(bars.track([], what="Registering")) == []
    assert screen.getvalue() == ""
