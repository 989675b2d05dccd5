"""Properties of every verdict: order, certainty, and what more knowledge may change."""

from dataclasses import replace

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from adumbra.clinic.rules.case_values import case_values
from adumbra.clinic.rules.criteria import Comparison, Group, OtherRule
from adumbra.clinic.rules.evaluation import evaluate_criterion
from adumbra.clinic.rules.reader import load_rules
from adumbra.clinic.rules.truth import truth

N_DRAWS = 4
RULES = load_rules()
SCALARS = {
    "age": st.sampled_from([17, 18, 79, 80, 81, 91]),
    "nihss": st.sampled_from([2, 6, 9, 10, 20, 26]),
    "prestroke_mrs": st.integers(0, 4),
    "aspects": st.integers(0, 10),
    "pc_aspects": st.integers(0, 10),
    "mca_share": st.sampled_from([0.1, 1 / 3, 0.5]),
    "occlusion_site": st.sampled_from(["ica", "ica_intracranial", "m1", "m2", "m2_other", "basilar", "none"]),
    "hours_since_last_known_well": st.sampled_from([2.0, 4.5, 6.0, 9.0, 16.0, 24.0, 30.0]),
    "hours_since_recognition": st.sampled_from([2.0, 4.5, 5.0]),
    "hours_since_sleep_midpoint": st.sampled_from([5.0, 9.0, 10.0]),
    **{
        name: st.booleans()
        for name in (
            "onset_known",
            "flair_change",
            "mass_effect",
            "collateral_flow",
            "evt_possible",
            "perfusion_penumbra",
        )
    },
}
DRAWN = {
    "core_ml": [10.0, 21.0, 31.0, 69.0, 70.0, 114.0],
    "adc620_ml": [10.0, 50.0, 70.0, 100.0, 114.0],
    "mismatch_difference_ml": [-5.0, 10.0, 15.0, 80.0],
    "mismatch_ratio": [0.5, 1.2, 1.8, 3.0, np.inf, np.nan],
}
KNOWN = st.fixed_dictionaries({}, optional=SCALARS)
DRAWS = st.fixed_dictionaries(
    {}, optional={name: st.lists(st.sampled_from(v), min_size=N_DRAWS, max_size=N_DRAWS) for name, v in DRAWN.items()}
)


def reversed_criterion(criterion):
    match criterion:
        case Comparison():
            return criterion
        case OtherRule(rule=rule):
            return OtherRule(replace(rule, criteria=reversed_criterion(rule.root).parts))
        case Group(parts=parts):
            return replace(criterion, parts=tuple(reversed_criterion(part) for part in reversed(parts)))


def answer(criterion, values):
    verdict = evaluate_criterion(criterion, values)
    return verdict.status, verdict.probability_low, verdict.probability_high, verdict.missing


@given(st.sampled_from(RULES), KNOWN, DRAWS)
def test_a_verdict_does_not_depend_on_the_order_of_criteria(rule, known, draws):
    values = case_values(known, draws)
    assert answer(rule.root, values) == answer(reversed_criterion(rule.root), values)


@given(st.sampled_from(RULES), KNOWN, DRAWS)
def test_a_certain_probability_gives_a_certain_verdict(rule, known, draws):
    verdict = evaluate_criterion(rule.root, case_values(known, draws))
    assert 0.0 <= verdict.probability_low <= verdict.probability_high <= 1.0
    assert (verdict.probability == 1.0) <= (verdict.status == "met")
    assert (verdict.probability == 0.0) <= (verdict.status == "not met")
    assert (verdict.status == "cannot be said") == bool(verdict.missing)


@given(st.sampled_from(RULES), KNOWN, DRAWS, st.data())
def test_more_knowledge_never_takes_back_a_verdict(rule, known, draws, data):
    before = evaluate_criterion(rule.root, case_values(known, draws))
    left = [name for name in SCALARS if name not in known]
    assume(left)
    name = data.draw(st.sampled_from(left))
    after = evaluate_criterion(rule.root, case_values({**known, name: data.draw(SCALARS[name])}, draws))
    assert after.probability_low >= before.probability_low
    assert after.probability_high <= before.probability_high
    if before.status != "cannot be said":
        assert after.status == before.status
    if name not in before.missing:
        assert after.status == before.status or before.status == "cannot be said"


@given(st.sampled_from(RULES), KNOWN, DRAWS, st.integers(0, N_DRAWS - 1))
def test_a_draw_is_evaluated_as_if_it_were_the_only_one(rule, known, draws, i):
    assume(draws)
    together = truth(rule.root, case_values(known, draws))
    alone = truth(rule.root, case_values(known, {name: column[i : i + 1] for name, column in draws.items()}))
    assert (together.holds[i], together.fails[i]) == (alone.holds[0], alone.fails[0])
    assert not (together.holds & together.fails).any()
