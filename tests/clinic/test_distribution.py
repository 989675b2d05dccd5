"""Numbers over the draws: their quantiles, and how they are printed."""

from math import inf, isnan, nan

import pytest

from adumbra.clinic.distribution import Distribution, percent, printed
from adumbra.core.errors import InputRejected


def test_median_interval_and_probabilities():
    volume = Distribution("core", "ml", (10.0, 20.0, 30.0, 40.0, 50.0), level=0.5)
    assert (volume.median, volume.low, volume.high) == (30.0, 20.0, 40.0)
    assert volume.probability_at_least(30.0) == 0.6
    assert volume.probability_below(30.0) == 0.4
    assert volume.sentence() == "core 30 ml (50 % of the draws: 20 ml to 40 ml)"


def test_draws_that_are_infinite_or_undefined():
    ratio = Distribution("mismatch ratio", "", (2.0, inf, inf, nan))
    assert ratio.median == inf
    assert (ratio.infinite_share, ratio.undefined_share) == (0.5, 0.25)
    assert ratio.probability_at_least(1.8) == 0.75
    assert ratio.probability_below(1.8) == 0.0
    assert ratio.as_json()["median"] is None
    assert "infinite" in ratio.sentence()
    assert "undefined in 25 % of the draws" in ratio.sentence()


def test_a_number_that_is_nowhere_defined():
    ratio = Distribution("mismatch ratio", "", (nan, nan))
    assert isnan(ratio.median)
    assert ratio.sentence() == "mismatch ratio undefined"


@pytest.mark.parametrize("arguments", [((), 0.95), ((1.0,), 1.0), ((1.0,), 0.0)])
def test_no_draws_and_levels_that_are_none_are_refused(arguments):
    with pytest.raises(InputRejected, match="core"):
        Distribution("core", "ml", *arguments)


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        (114.17, None, "114 ml"),
        (69.98, None, "70 ml"),
        (69.98, 70.0, "69.98 ml"),  # never printed as the limit that it keeps to
        (70.0, 70.0, "70 ml"),
        (0.0, None, "0 ml"),
        (-12.345, None, "-12.3 ml"),
        (inf, 70.0, "infinite"),
    ],
)
def test_numbers_differ_from_their_limit_as_printed(value, limit, text):
    assert printed(value, "ml", limit=limit) == text


def test_a_third_is_written_in_words():
    assert printed(1 / 3, "") == "one third"


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (1.0, "100 %"), (0.004, "less than 1 %"), (0.996, "more than 99 %"), (0.5, "50 %")],
)
def test_percent(share, text):
    assert percent(share) == text
