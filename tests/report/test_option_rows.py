"""The options of a run are printed as text, and never as Python or JSON."""

import pytest

from adumbra.report.option_rows import OptionRow, option_rows, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), ("", "none"), (True, "yes"), (False, "no"), (0, "0"), (0.5015603421, "0.50156"), ("auto", "auto")],
)
def test_plain_values(value: object, text: str) -> None:
    assert value_text(value) == text


def test_nested_options_are_indented_rows() -> None:
    options = {"high_threshold": 0.8, "state": {"from": "decoder", "rule": {"low": 0.1}}, "calibration": None}
    assert option_rows(options) == (
        OptionRow("high threshold", "0.8"),
        OptionRow("state", ""),
        OptionRow("from", "decoder", 1),
        OptionRow("rule", "", 1),
        OptionRow("low", "0.1", 2),
        OptionRow("calibration", "none"),
    )


def test_short_series_are_listed_and_long_ones_summarised() -> None:
    series = {
        "weights": ["ab", "cd"], "before": [0.25, *[0.5] * 200, 1.0], "cases": {f"sub-{n}": "" for n in range(40)},
        "names": [f"n{n}" for n in range(9)], "empty": [], "nothing": {},
    }  # fmt: skip
    assert [row.value for row in option_rows(series)] == [
        "ab, cd", "202 numbers, 0.25 to 1", "40 entries, sub-0 to sub-39", "9 entries, n0 to n8",
    ]  # fmt: skip


def test_a_series_of_options_is_numbered() -> None:
    assert option_rows({"arms": ({"draws": 2}, {"draws": 3})}) == (
        OptionRow("arms", ""),
        OptionRow("1 of 2", "", 1),
        OptionRow("draws", "2", 2),
        OptionRow("2 of 2", "", 1),
        OptionRow("draws", "3", 2),
    )
    assert option_rows({"arms": [{"draws": 2}] * 13}) == (OptionRow("arms", "13 entries"),)
