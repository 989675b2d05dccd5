"""The territory of prominent veins against the core, draw by draw."""

import json
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from adumbra.clinic.cues.asymmetry import Comparison, Cue
from adumbra.clinic.cues.veins import VEINS
from adumbra.clinic.swi_mismatch import swi_mismatch
from adumbra.core.errors import GridMismatch, MissingInput
from atlas_cases import GRID, cube

CORE, VEIN_TERRITORY = cube((48.0, -12.0, 40.0), 6.0), cube((48.0, -12.0, 40.0), 14.0)
EMPTY = np.zeros(GRID.shape, bool)
SIGN = replace(VEINS, separates=True)
UNCLEAR = Cue(VEINS, (Comparison("MCA", 0.09, 0.01, 1.0, 1000),))
PRESENT = Cue(SIGN, (Comparison("MCA", 0.09, 0.01, 1.0, 1000),))
ABSENT = Cue(SIGN, (Comparison("MCA", 0.05, 0.05, 1.0, 1000),))


def ml(mask: np.ndarray) -> float:
    return float(mask.sum()) * GRID.voxel_ml


def test_volumes_differences_and_ratio_are_those_of_the_masks() -> None:
    result = swi_mismatch([CORE, EMPTY], PRESENT, VEIN_TERRITORY, GRID)
    assert result.volumes is not None
    veins = ml(VEIN_TERRITORY)
    assert result.volumes.difference.draws == pytest.approx((veins - ml(CORE), veins))
    assert result.volumes.set_difference.draws == pytest.approx((veins - ml(CORE), veins))
    assert result.volumes.ratio.draws == (pytest.approx(veins / ml(CORE)), inf)
    assert result.probability_larger == 1.0
    assert "outside the core" in result.sentence()
    json.dumps(result.as_json())


def test_a_core_elsewhere_lies_outside_the_territory_of_the_veins() -> None:
    result = swi_mismatch([cube((-48.0, -12.0, 40.0), 18.0)], PRESENT, VEIN_TERRITORY, GRID)
    assert result.volumes is not None
    assert result.volumes.difference.median < 0.0
    assert result.volumes.set_difference.median == pytest.approx(ml(VEIN_TERRITORY))
    assert result.probability_larger == 0.0


def test_where_veins_are_alike_there_is_no_mismatch() -> None:
    result = swi_mismatch([CORE], ABSENT, EMPTY, GRID)
    assert result.is_stated
    assert result.probability_larger == 0.0


def test_an_unclear_sign_states_no_mismatch_and_keeps_the_numbers() -> None:
    result = swi_mismatch([CORE], UNCLEAR, VEIN_TERRITORY, GRID)
    assert not result.is_stated
    assert result.probability_larger is None
    assert "cannot be said" in result.sentence()
    plain = json.loads(json.dumps(result.as_json()))
    assert plain["stated"] is False
    assert plain["veins_ml"]["median"] == pytest.approx(ml(VEIN_TERRITORY))


def test_without_swi_nothing_is_said() -> None:
    result = swi_mismatch([CORE], Cue(VEINS, unavailable="no SWI was given"), None, GRID)
    assert result.volumes is None
    assert result.probability_larger is None
    assert "no SWI was given" in result.sentence()
    assert json.loads(json.dumps(result.as_json()))["veins_ml"] is None


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(MissingInput):
        swi_mismatch([], PRESENT, VEIN_TERRITORY, GRID)
    with pytest.raises(GridMismatch):
        swi_mismatch(iter([np.zeros((2, 2, 2), bool)]), PRESENT, VEIN_TERRITORY, GRID)
