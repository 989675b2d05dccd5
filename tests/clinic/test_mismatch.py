"""Mismatch of core and hypoperfusion, by both definitions."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adumbra.clinic.mismatch import mismatch
from adumbra.core.errors import ImplausibleValues, InputRejected


def test_the_worked_case():
    """Core 114.17 ml, hypoperfusion 245.14 ml, 92.7 % of the core inside."""
    result = mismatch([114.17], [245.14], [0.927 * 114.17])
    assert round(result.ratio.median, 2) == 2.15
    assert result.difference.median == pytest.approx(130.97)
    assert result.set_difference.median == pytest.approx(245.14 - 0.927 * 114.17)
    assert result.set_difference.median == pytest.approx(139.30, abs=0.01)
    assert result.notes() == ()


def test_hand_made_draws():
    result = mismatch([10.0, 20.0, 30.0], [40.0, 20.0, 15.0], [10.0, 0.0, 15.0])
    assert result.difference.draws == (30.0, 0.0, -15.0)  # negative: the core is the larger one
    assert result.set_difference.draws == (30.0, 20.0, 0.0)
    assert result.ratio.draws == (4.0, 1.0, 0.5)
    assert result.difference.probability_at_least(15.0) == pytest.approx(1 / 3)
    assert result.set_difference.probability_at_least(15.0) == pytest.approx(2 / 3)


def test_no_core_and_no_hypoperfusion():
    result = mismatch([0.0, 0.0, 5.0], [12.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    assert result.ratio.draws[0] == np.inf
    assert np.isnan(result.ratio.draws[1])
    assert result.ratio.draws[2] == 0.0
    assert result.ratio.infinite_share == result.ratio.undefined_share == pytest.approx(1 / 3)
    assert [word for note in result.notes() for word in ("infinite", "undefined") if word in note] == [
        "infinite",
        "undefined",
    ]
    text = json.dumps(result.as_json(), allow_nan=False)
    assert json.loads(text)["mismatch_ratio"]["undefined_share"] == pytest.approx(1 / 3)


def test_an_empty_case():
    result = mismatch([0.0], [0.0], [0.0])
    assert result.ratio.sentence() == "mismatch ratio undefined"
    assert result.difference.median == result.set_difference.median == 0.0


@given(st.lists(st.tuples(*[st.floats(0.0, 500.0)] * 2, st.floats(0.0, 1.0)), min_size=1, max_size=8))
def test_the_set_difference_is_never_below_the_difference_of_volumes(draws):
    core, hypoperfusion, share = (np.array(column) for column in zip(*draws, strict=True))
    result = mismatch(core, hypoperfusion, share * np.minimum(core, hypoperfusion))
    differences, set_differences = np.array(result.difference.draws), np.array(result.set_difference.draws)
    assert (set_differences >= differences - 1e-9).all()
    assert (set_differences >= 0.0).all()
    assert (set_differences <= hypoperfusion + 1e-9).all()


@pytest.mark.parametrize(
    ("volumes", "error"),
    [
        (([1.0], [1.0, 2.0], [1.0]), InputRejected),
        (([], [], []), InputRejected),
        (([-1.0], [1.0], [0.0]), ImplausibleValues),
        (([np.nan], [1.0], [0.0]), ImplausibleValues),
        (([1.0], [2.0], [1.5]), ImplausibleValues),
    ],
)
def test_volumes_that_do_not_fit_are_refused(volumes, error):
    with pytest.raises(error):
        mismatch(*volumes)
