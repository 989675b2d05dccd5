"""Quantities of a case are checked where they come in."""

import numpy as np
import pytest

from adumbra.clinic.rules.case_values import case_values
from adumbra.core.errors import AmbiguousInput, ImplausibleValues, InputRejected


def test_single_values_and_draws():
    values = case_values({"age": 70, "nihss": None, "occlusion_site": "m1"}, {"core_ml": [1.0, 2.0]})
    assert values.n_draws == 2
    assert values.column("age").tolist() == [70.0, 70.0]
    assert values.column("occlusion_site").tolist() == ["m1", "m1"]
    assert values.column("nihss") is None
    assert values.column("core_ml").tolist() == [1.0, 2.0]
    assert case_values({}).n_draws == 1


def test_a_flag_and_a_site_may_have_draws():
    values = case_values({}, {"flair_change": np.array([True, False]), "occlusion_site": ["m1", "m2_other"]})
    assert values.column("flair_change").tolist() == [True, False]
    assert values.column("occlusion_site").tolist() == ["m1", "m2_other"]


def test_only_a_ratio_may_be_undefined():
    assert np.isnan(case_values({}, {"mismatch_ratio": [np.nan]}).column("mismatch_ratio")).all()
    with pytest.raises(ImplausibleValues, match="core_ml"):
        case_values({}, {"core_ml": [np.nan]})


@pytest.mark.parametrize(
    ("known", "draws", "error", "words"),
    [
        ({"nihs": 5}, {}, InputRejected, "unknown quantity"),
        ({}, {"volume": [1.0]}, InputRejected, "unknown quantity"),
        ({"core_ml": 5.0}, {"core_ml": [5.0]}, AmbiguousInput, "both"),
        ({"nihss": 43}, {}, ImplausibleValues, "43"),
        ({"nihss": 6.5}, {}, ImplausibleValues, "integer"),
        ({"age": -1}, {}, ImplausibleValues, "-1"),
        ({"age": True}, {}, InputRejected, "number"),
        ({"age": "70"}, {}, InputRejected, "number"),
        ({"onset_known": 1}, {}, InputRejected, "true or false"),
        ({"occlusion_site": "m4"}, {}, InputRejected, "m4"),
        ({}, {"occlusion_site": ["m2"]}, InputRejected, "m2"),  # a draw knows its segment
        ({}, {"core_ml": [1.0], "adc620_ml": [1.0, 2.0]}, InputRejected, "2 of adc620_ml"),
        ({}, {"core_ml": []}, InputRejected, "0 of core_ml"),
        ({}, {"mca_share": [1.2]}, ImplausibleValues, "1.2"),
    ],
)
def test_what_does_not_fit_is_refused(known, draws, error, words):
    with pytest.raises(error, match=words):
        case_values(known, draws)
