from dataclasses import asdict, replace
from math import nan

import pytest

from adumbra.clinic.candidates import NO_CLOT, candidate_notes
from adumbra.core.candidates import Candidate, CandidateDecision, CandidateFeatures, MissedClot
from adumbra.report.bids import plain

FEATURES = CandidateFeatures(0.12, (30.0, 4.5, -8.0), 0.9, 0.4, 0.7, 0.1, 0.6, nan, 1.0)
MISSED = MissedClot(0.1, 0.012, 0.317, 0.95, 20, simulated=True)
ACCEPTED = Candidate(1, FEATURES, "accepted", 0.84, 0.2)
REJECTED = Candidate(2, FEATURES, "rejected", 0.2)
VEIN = Candidate(3, FEATURES, "in a vein", None)
DECISION = CandidateDecision((ACCEPTED, REJECTED, VEIN), 0.41, calibrated=True)


def test_without_a_second_look_there_is_no_note():
    assert candidate_notes(None) == ()


def test_accepted_candidates_are_counted():
    (note,) = candidate_notes(DECISION)
    assert note == "1 of 3 candidates accepted, each with a probability of a clot of at least 0.41."


def test_no_clot_is_stated_with_how_often_it_is_wrong():
    none = replace(DECISION, candidates=(REJECTED,), missed=MISSED)
    first, second = candidate_notes(none)
    assert first == f"{NO_CLOT}: none of 1 candidate was accepted."
    assert second.startswith("A visible clot was missed in 10 of 100 simulated cases (phantoms, not patients)")
    assert "among 20 with a similar best candidate (95% interval 1 to 32)" in second
    assert candidate_notes(replace(none, candidates=()))[0] == f"{NO_CLOT}: the first pass has no candidate."
    assert "unknown" in candidate_notes(replace(none, missed=None))[1]
    assert "phantoms" not in candidate_notes(replace(none, missed=replace(MISSED, simulated=False)))[1]


def test_uncalibrated_probabilities_are_named():
    notes = candidate_notes(replace(DECISION, candidates=(REJECTED,), calibrated=False))
    assert len(notes) == 2
    assert "not calibrated" in notes[1]


def test_a_decision_survives_json():
    stored = plain(asdict(replace(DECISION, missed=MISSED)))
    assert stored["candidates"][0]["features"]["missing_flow_around"] is None
    again = CandidateDecision.from_json(stored)
    assert plain(asdict(again)) == stored
    assert again.accepted[0].features.position_mm == FEATURES.position_mm
    stored["candidates"][0]["outcome"] = "seen"
    with pytest.raises(ValueError, match="outcome"):
        CandidateDecision.from_json(stored)
