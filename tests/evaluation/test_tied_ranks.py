"""Runs of tied values: by hand."""

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues
from adumbra.evaluation.tied_ranks import runs


def test_three_runs_by_hand() -> None:
    values = np.array([2.0, 1.0, 2.0, 3.0, 1.0])
    result = runs(values, "map")
    assert result.values.tolist() == [1.0, 2.0, 3.0]
    assert result.ends.tolist() == [2, 4, 5]
    assert result.cumulative_count(values[[0, 3, 4]]).tolist() == [1, 2, 3]
    assert result.cumulative_count(values[[2, 2, 0]]).tolist() == [0, 3, 3]


def test_one_run_no_run_and_signed_zeros() -> None:
    assert runs(np.full(4, 0.1), "map").ends.tolist() == [4]
    assert runs(np.zeros(0), "map").ends.tolist() == []
    assert runs(np.zeros(0), "map").cumulative_count(np.zeros(0)).tolist() == []
    zeros = runs(np.array([0.0, -0.0]), "map")
    assert zeros.ends.tolist() == [2]
    assert zeros.cumulative_count(np.array([-0.0, 0.0])).tolist() == [2]


def test_the_values_are_left_as_they_were() -> None:
    values = np.array([2.0, 1.0])
    runs(values, "map")
    assert values.tolist() == [2.0, 1.0]


def test_infinite_values_have_a_place_and_nan_has_none() -> None:
    assert runs(np.array([np.inf, 0.0, np.inf, -np.inf]), "map").ends.tolist() == [1, 2, 4]
    with pytest.raises(ImplausibleValues, match="map"):
        runs(np.array([0.0, np.nan, 1.0]), "map")
