"""The relative FLAIR signal of the core against the mirrored side, and when its change is marked."""

import json
from math import isnan

import numpy as np
import pytest

from adumbra.clinic.flair_mismatch import LEAST_VOXELS, MARKED, flair_mismatch
from adumbra.clinic.rules.case_values import case_values
from adumbra.core.errors import GridMismatch, MissingInput
from atlas_cases import GRID, cube
from cue_cases import images_of

CORE = cube((48.0, -12.0, 40.0), 10.0)


def flair(ratio: float) -> np.ndarray:
    """FLAIR of 200 everywhere, and ``ratio`` times that in the core."""
    return np.where(CORE, 200.0 * ratio, 200.0).astype(np.float32)


@pytest.mark.parametrize(("ratio", "marked"), [(1.0, False), (1.14, False), (1.16, True), (1.5, True)])
def test_the_relative_signal_is_the_ratio_of_both_sides(ratio: float, marked: bool) -> None:
    result = flair_mismatch([CORE], images_of(flair=flair(ratio)))
    assert result.relative_signal is not None
    assert result.relative_signal.median == pytest.approx(ratio, rel=1e-5)
    assert result.rule_draws()["flair_change"].tolist() == [marked]
    assert ("no marked" in result.sentence()) != marked


def test_the_unit_of_the_image_changes_nothing() -> None:
    one, other = (flair_mismatch([CORE], images_of(flair=scale * flair(1.3))) for scale in (1.0, 0.01))
    assert one.relative_signal is not None
    assert other.relative_signal is not None
    assert one.relative_signal.median == pytest.approx(other.relative_signal.median, rel=1e-5)


def test_draws_differ_and_a_limit_inside_their_interval_is_borderline() -> None:
    half = CORE & cube((48.0, -12.0, 44.0), 8.0)
    image = np.where(half, 300.0, flair(1.0)).astype(np.float32)
    result = flair_mismatch([CORE, half], images_of(flair=image))
    assert result.relative_signal is not None
    assert result.relative_signal.draws == pytest.approx((1.0, 1.5), rel=1e-5)
    assert result.probability_marked == 0.5
    assert "borderline" in result.sentence()
    assert "50 %" in result.sentence()


def test_the_draws_are_those_that_the_rules_take() -> None:
    result = flair_mismatch([CORE, np.zeros(GRID.shape, bool)], images_of(flair=flair(1.3)))
    values = case_values({}, result.rule_draws())
    assert values.column("flair_change").tolist() == [True, False]
    assert result.probability_marked == 1.0


def test_a_core_on_both_sides_has_no_reference() -> None:
    result = flair_mismatch([CORE | cube((-48.0, -12.0, 40.0), 10.0)], images_of(flair=flair(1.3)))
    assert result.relative_signal is not None
    assert isnan(result.relative_signal.median)
    assert result.rule_draws() == {}
    assert "cannot be said" in result.sentence()
    assert result.as_json()["probability_marked"] is None


def test_a_mirrored_side_that_flair_did_not_measure_is_no_reference() -> None:
    image = flair(1.3)
    image[:22] = np.nan  # The left side.
    result = flair_mismatch([CORE], images_of(flair=image))
    assert result.relative_signal is not None
    assert isnan(result.relative_signal.median)


def test_a_core_of_few_voxels_has_no_relative_signal() -> None:
    few = np.zeros(GRID.shape, bool)
    few.ravel()[np.flatnonzero(CORE)[: LEAST_VOXELS - 1]] = True
    assert np.isnan(flair_mismatch([few], images_of(flair=flair(1.3))).probability_marked)


def test_without_flair_nothing_is_said() -> None:
    result = flair_mismatch([CORE], images_of())
    assert result.relative_signal is None
    assert result.rule_draws() == {}
    assert "no FLAIR" in result.sentence()
    plain = json.loads(json.dumps(result.as_json()))
    assert plain["relative_signal"] is None
    assert plain["marked_limit"] == MARKED


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(GridMismatch):
        flair_mismatch([np.zeros((2, 2, 2), bool)], images_of(flair=flair(1.0)))
    with pytest.raises(MissingInput):
        flair_mismatch([], images_of(flair=flair(1.0)))
