"""No printed interval is larger than the brain."""

from dataclasses import replace

import pytest

from adumbra.clinic.interval_limits import limited_to_brain
from adumbra.core.results import Estimate, Findings

VOLUME = Estimate(80.0, 1.8, 4600.0, 0.95, "ml", "calibration")
RESULTS = Findings("lesion", VOLUME, Estimate(1.0, 1.0, 1.0, 0.95, "lesions"), (), ("first",))


def test_an_interval_beyond_the_brain_ends_there_and_says_so():
    limited = limited_to_brain(RESULTS, brain_ml=1400.0)
    assert (limited.volume_ml.low, limited.volume_ml.high, limited.volume_ml.value) == (1.8, 1400.0, 80.0)
    assert limited.notes[0] == "first"
    assert "1400 ml" in limited.notes[1]


def test_an_interval_that_was_ended_at_the_brain_before_has_the_note_too():
    results = replace(RESULTS, volume_ml=replace(VOLUME, high=1400.0))
    assert "limited" in limited_to_brain(results, brain_ml=1400.0).notes[-1]


@pytest.mark.parametrize("brain_ml", [5000.0, 0.0])
def test_an_interval_inside_the_brain_or_without_one_is_unchanged(brain_ml):
    assert limited_to_brain(RESULTS, brain_ml=brain_ml) is RESULTS


@pytest.mark.parametrize("high", [float("inf"), 1e300])
def test_an_infinite_interval_ends_at_the_brain(high):
    results = replace(RESULTS, volume_ml=replace(VOLUME, low=2000.0, high=high))
    limited = limited_to_brain(results, brain_ml=1400.0)
    assert (limited.volume_ml.low, limited.volume_ml.high) == (1400.0, 1400.0)


def test_a_mask_larger_than_the_brain_is_said():
    results = replace(RESULTS, volume_ml=replace(VOLUME, value=1500.0))
    assert "is larger than that of the brain" in limited_to_brain(results, brain_ml=1400.0).notes[-1]
