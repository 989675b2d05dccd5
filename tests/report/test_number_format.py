"""Numbers as the page prints them, also those that are undefined."""

import pytest

from adumbra.core.results import Estimate
from adumbra.report.number_format import (
    format_defined,
    format_interval,
    format_ml,
    format_position,
    format_score,
    score_title,
)


@pytest.mark.parametrize(("value", "text"), [(0.0, "0.00"), (9.99, "9.99"), (9.996, "10.0"), (123.44, "123.4")])
def test_small_volumes_have_two_decimals(value: float, text: str) -> None:
    assert format_ml(value) == text


def test_an_interval_has_both_ends_and_its_unit() -> None:
    assert format_interval(Estimate(11.0, 8.1, 12.31, 0.95, "ml")) == "8.10 to 12.3 ml"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("dice", 0.91234, "0.912"),
        ("dice", float("nan"), "undefined"),
        ("detected", float("nan"), "undefined"),
        ("detected", 1.0, "yes"),
        ("detected_strictly", 0.0, "no"),
        ("count_difference", -2.0, "-2"),
        ("false_positives", 3.0, "3"),
        ("volume_difference_ml", 12.345, "12.3"),
    ],
)
def test_a_score_is_printed_by_its_kind(name: str, value: float, text: str) -> None:
    assert format_score(value, name) == text


def test_an_undefined_number_is_a_dash() -> None:
    assert format_defined(0.123, "%.2f") == "0.12"
    assert format_defined(float("nan"), "%.2f") == "–"


def test_positions_have_true_minus_signs() -> None:
    assert format_position((-15.4, 0.6, 37.0)) == "−15, 1, 37"


@pytest.mark.parametrize(
    ("name", "title"), [("lesion_f1", "Lesion F1"), ("volume_difference_ml", "Volume difference (ml)")]
)
def test_titles_of_scores(name: str, title: str) -> None:
    assert score_title(name) == title
