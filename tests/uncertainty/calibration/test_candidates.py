"""The decision of candidates, on cohorts that can be counted by hand."""

import json
from dataclasses import replace
from math import nan

import numpy as np
import pytest

from adumbra.core.candidates import CandidateFeatures, CandidateRule
from adumbra.core.errors import InputRejected, WeightsRejected
from adumbra.uncertainty.calibration.candidate_fit import (
    DecisionIdentity,
    DecisionLimits,
    fit_decision,
    read_decision,
    require_decision_for,
    write_decision,
)
from adumbra.uncertainty.calibration.candidates import (
    ACCEPT_NONE,
    CandidateCase,
    ScoredCandidate,
    accept_threshold,
    candidate_probabilities,
    missed_blocks,
    vein_limit,
)

IDENTITY = DecisionIdentity(("a" * 64,), "deterministic", ("b" * 64,), CandidateRule())


def case(*candidates, clots=0, name="sub-phantom43n00000"):
    """A case of candidates (score, vein excess, clot)."""
    return CandidateCase(name, clots, tuple(ScoredCandidate(*c) for c in candidates))


def test_the_veto_drops_no_true_candidate_or_few():
    true = [case((0.0, excess / 100, 1), clots=1) for excess in range(-49, 51)]
    false = [case((0.0, 0.9, 0))]
    assert vein_limit(true + false, most_lost=0.0) == 0.5
    assert vein_limit(true + false, most_lost=0.01) == 0.49, "one of a hundred may be lost"
    assert vein_limit([case((0.0, -0.4, 1), clots=1)]) == 0.0, "not less in veins than in arteries"
    assert vein_limit(false) is None
    assert vein_limit([case((0.0, nan, 1), clots=1)]) is None
    with pytest.raises(InputRejected, match="most_lost"):
        vein_limit(true, most_lost=1.0)


def test_the_threshold_counts_cases_without_a_clot():
    """False candidates at 0.9, 0.7 and 0.5, a true one at 0.8: half a false one per case are 1, 2 and 3 of them."""
    cases = [case((0, nan, 1), (0, nan, 0), clots=1), case((0, nan, 0), (0, nan, 0))]
    rows = [(0.8, 0.9), (0.7, 0.5)]
    assert accept_threshold(cases, rows) == 0.8, "one false candidate in two cases"
    assert accept_threshold([*cases, case(), case()], [*rows, (), ()]) == 0.7, "two in four; empty cases count"
    assert accept_threshold(cases, rows, most_false_positives=1.5) == 0.5
    assert accept_threshold(cases, rows, most_false_positives=0.0) == ACCEPT_NONE
    assert accept_threshold(cases, [(0.8, nan), (nan, nan)], most_false_positives=0.0) == 0.8, "veins do not count"


def test_equal_probabilities_are_accepted_together():
    cases = [case((0, nan, 1), (0, nan, 0), clots=1)]
    assert accept_threshold(cases, [(0.8, 0.8)]) == ACCEPT_NONE
    assert accept_threshold(cases, [(0.8, 0.8)], most_false_positives=1.0) == 0.8


def test_missed_clots_follow_the_best_rejected_candidate():
    """20 cases without a candidate, one of them with a clot, and 10 with a candidate of 0.4, four of them with one."""
    low = [case(clots=int(n == 0)) for n in range(20)]
    high = [case((0, nan, 0), clots=int(n < 4)) for n in range(10)]
    blocks = missed_blocks([*low, *high], [0.0] * 20 + [0.4] * 10)
    assert (blocks.edges, blocks.cases, blocks.missed) == ((0.2,), (20, 10), (1, 4))
    missed = blocks.at(0.0, simulated=True)
    assert (missed.probability, missed.cases, missed.simulated) == (0.05, 20, True)
    assert (missed.low, missed.high) == pytest.approx((0.00127, 0.24873), abs=1e-4), "Clopper and Pearson, 1 of 20"
    assert blocks.at(0.39, simulated=True).probability == 0.4
    assert missed_blocks([], []) is None


def test_missed_clots_do_not_decrease_and_small_blocks_are_joined():
    cases = [case(clots=int(n < 3)) for n in range(12)] + [case((0, nan, 0)) for _ in range(12)]
    blocks = missed_blocks(cases, [0.1] * 12 + [0.3] * 12)
    assert (blocks.edges, blocks.cases, blocks.missed) == ((), (24,), (3,)), "a decreasing share is pooled"
    few = missed_blocks(cases[:5], [0.1, 0.1, 0.1, 0.2, 0.3])
    assert few.cases == (5,)


@pytest.fixture
def cohort():
    """20 cases with a clot of score about 2 in an artery, 20 without; all with a false candidate, and a vein."""
    rng = np.random.default_rng(3)
    cases = []
    for number in range(40):
        false = [(float(rng.normal(-2.0)), -0.2, 0), (3.0, 0.9, 0)]
        true = [(float(rng.normal(2.0)), -0.5, 1)] if number % 2 else []
        cases.append(case(*true, *false, clots=number % 2, name=f"sub-phantom43n{number:05d}"))
    return cases


def features(vein_share, artery_share):
    return CandidateFeatures(0.1, (0.0, 0.0, 0.0), 0.9, 0.5, artery_share, vein_share, nan, nan, 1.0)


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_a_fitted_decision_separates_them(cohort, method):
    decision = fit_decision(cohort, IDENTITY, DecisionLimits(method=method))
    assert decision.vein_excess == 0.0
    assert decision.is_in_vein(features(0.9, 0.0))
    assert not decision.is_in_vein(features(0.0, 0.6))
    assert not decision.is_in_vein(features(nan, nan)), "nothing is dropped without structures"
    assert decision.probability_of(2.5) > 0.5 > decision.probability_of(-6.0)
    assert decision.false_positives <= 0.5
    assert decision.detected == 1.0
    assert decision.simulated


def test_the_probability_is_that_of_candidates_outside_veins(cohort):
    decision = fit_decision(cohort, IDENTITY, DecisionLimits(most_lost=0.0))
    row = candidate_probabilities(cohort[1], decision.probability, 0.5)
    assert np.isnan(row[2]), "the vein"
    assert row[0] > row[1]


def test_a_cohort_of_one_kind_is_refused(cohort):
    for kind in (0, 1):
        with pytest.raises(InputRejected, match="with a visible clot and cases without"):
            fit_decision([c for c in cohort if c.clots == kind], IDENTITY)


def test_a_decision_is_read_as_it_was_written(cohort, tmp_path):
    path = tmp_path / "look.decision.json"
    decision = fit_decision(cohort, IDENTITY)
    write_decision(path, decision)
    assert read_decision(path) == decision
    require_decision_for(decision, IDENTITY)
    for other in (replace(IDENTITY, posterior="mc-dropout"), replace(IDENTITY, rule=CandidateRule(low=0.2))):
        with pytest.raises(WeightsRejected, match="calibrate the second look"):
            require_decision_for(decision, other)
    plain = json.loads(path.read_text())
    path.write_text(json.dumps(plain | {"threshold": None, "missed": {"edges": []}}))
    with pytest.raises(WeightsRejected, match="calibrate the second look again"):
        read_decision(path)
