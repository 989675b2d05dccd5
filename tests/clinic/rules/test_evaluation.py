"""Verdicts: the worked case, missing quantities, borderline, and the sentences for a reader."""

import json

import numpy as np
import pytest

from adumbra.clinic.mismatch import mismatch
from adumbra.clinic.rules.case_values import case_values
from adumbra.clinic.rules.criteria import Comparison, Group
from adumbra.clinic.rules.evaluation import (
    PERFUSION_NOTE,
    UNVERIFIED_NOTE,
    evaluate_criterion,
    evaluate_rule,
    evaluate_rules,
)
from adumbra.clinic.rules.quantities import SITE_GROUPS
from adumbra.clinic.rules.verdicts import status_of
from adumbra.core.errors import InputRejected
from rule_cases import PATIENT, RULES, SMALL_CORE, verdict


def test_the_worked_case():
    """A core of 114 ml fails DEFUSE 3 and meets the volume of SELECT2: both are stated."""
    draws = mismatch([114.17], [245.14], [0.927 * 114.17]).rule_draws()
    known = PATIENT | {"adc620_ml": 114.17}
    defuse, select = verdict("defuse-3", known, draws), verdict("select2", known, draws)
    assert defuse.status == "not met"
    assert defuse.sentence == "DEFUSE 3: not met: core 114 ml is above 70 ml."
    assert [part.status for part in defuse.verdict.parts] == ["met"] * 5 + ["not met", "met", "met"]
    assert select.status == "met"
    assert "114 ml is at least 50 ml" in select.sentence


def test_the_worked_case_without_anything_but_the_images():
    draws = mismatch([114.17], [245.14], [0.927 * 114.17]).rule_draws()
    assert verdict("defuse-3", {}, draws).status == "not met"  # settled by the core, whatever is missing
    select = verdict("select2", {"adc620_ml": 114.17}, draws)
    assert select.status == "cannot be said"
    assert select.verdict.parts[-1].status == "met"  # its volume
    assert "ASPECTS" not in select.sentence  # the volume is enough, so ASPECTS does not matter


def test_missing_quantities_are_named():
    result = verdict("wake-up", {"onset_known": False, "age": 60})
    assert result.status == "cannot be said"
    assert result.verdict.missing == (
        "mca_share",
        "flair_change",
        "evt_possible",
        "nihss",
        "prestroke_mrs",
        "hours_since_last_known_well",
        "hours_since_recognition",
    )
    assert "NIHSS" in result.sentence
    assert "age" not in result.sentence


def test_only_nihss_is_missing():
    known = {name: value for name, value in (PATIENT | SMALL_CORE).items() if name != "nihss"}
    assert verdict("defuse-3", known).sentence == "DEFUSE 3: cannot be said: NIHSS missing."


def test_a_known_criterion_settles_a_rule_although_others_are_missing():
    result = verdict("wake-up", {"age": 81})
    assert result.status == "not met"
    assert result.verdict.missing == ()
    assert result.sentence == "WAKE-UP: not met: age 81 years is above 80 years."


def test_one_alternative_settles_an_any_of_although_others_are_missing():
    result = verdict("select2", {**PATIENT, "aspects": 4})
    assert result.status == "met"
    assert result.verdict.missing == ()


def test_an_artery_without_its_segment():
    result = verdict("dawn", PATIENT | SMALL_CORE | {"occlusion_site": "ica"})
    assert result.status == "cannot be said"
    assert result.verdict.missing == ("occlusion_site",)
    assert "missing its segment (cervical ICA or intracranial ICA)" in result.verdict.parts[4].sentence


@pytest.mark.parametrize(("artery", "segments"), SITE_GROUPS.items())
def test_knowing_the_segment_never_takes_back_a_verdict(artery, segments):
    known = PATIENT | SMALL_CORE | {"evt_possible": False, "collateral_flow": True, "hours_since_last_known_well": 6.0}
    for rule in RULES.values():
        before = evaluate_rule(rule, case_values(known | {"occlusion_site": artery}))
        after = {evaluate_rule(rule, case_values(known | {"occlusion_site": segment})).status for segment in segments}
        assert before.status in after | {"cannot be said"}
        assert before.status == "cannot be said" or after == {before.status}


def test_a_rule_that_refers_to_others_names_what_they_miss():
    known = {name: value for name, value in (PATIENT | SMALL_CORE).items() if name != "core_ml"}
    result = verdict("mr-clean-late", known | {"collateral_flow": True})
    assert result.status == "cannot be said"
    assert result.verdict.missing == ("core_ml",)


def test_borderline_has_the_probability_of_the_draws():
    core = np.array([60.0] * 62 + [80.0] * 38)
    result = verdict("defuse-3", {k: v for k, v in (PATIENT | SMALL_CORE).items() if k != "core_ml"}, {"core_ml": core})
    assert result.status == "borderline"
    assert result.verdict.probability == 0.62
    assert result.draws == 100
    assert result.sentence.startswith("DEFUSE 3: borderline with probability 0.62: core 60 ml")
    assert "is below 70 ml in 62 % of the draws" in result.sentence


def test_criteria_are_evaluated_together_in_each_draw():
    """Each criterion holds in half of the draws: together in half of them, or in none."""
    known = {k: v for k, v in (PATIENT | SMALL_CORE).items() if k not in {"core_ml", "mismatch_ratio"}}
    core = np.array([60.0, 80.0] * 10)
    together = verdict("defuse-3", known, {"core_ml": core, "mismatch_ratio": np.where(core < 70, 2.0, 1.0)})
    apart = verdict("defuse-3", known, {"core_ml": core, "mismatch_ratio": np.where(core < 70, 1.0, 2.0)})
    assert (together.status, together.verdict.probability) == ("borderline", 0.5)
    assert (apart.status, apart.verdict.probability) == ("not met", 0.0)
    assert apart.sentence == "DEFUSE 3: not met: the criteria hold together only in 0 % of the draws."


def test_what_is_known_bounds_the_probability_where_something_is_missing():
    result = verdict("defuse-3", SMALL_CORE | {"core_ml": None}, {"core_ml": [60.0, 60.0, 60.0, 80.0]})
    assert result.status == "cannot be said"
    assert (result.verdict.probability_low, result.verdict.probability_high) == (0.0, 0.75)
    assert result.verdict.probability is None
    assert "what is known holds in 75 % of the draws" in result.sentence


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [
        (0.05, 0.05, "not met"),
        (0.06, 0.06, "borderline"),
        (0.94, 0.94, "borderline"),
        (0.95, 0.95, "met"),
        (0.95, 1.0, "met"),
        (0.0, 0.05, "not met"),
        (0.0, 1.0, "cannot be said"),
        (0.5, 0.6, "cannot be said"),
    ],
)
def test_status_of_a_probability(low, high, status):
    assert status_of(low, high, (0.05, 0.95)) == status


def test_the_limits_of_borderline_are_an_argument():
    values = case_values({}, {"core_ml": [60.0, 60.0, 60.0, 80.0]})
    core = Comparison("core_ml", below=70.0)
    assert evaluate_criterion(core, values).status == "borderline"
    assert evaluate_criterion(core, values, borderline=(0.3, 0.7)).status == "met"
    assert evaluate_criterion(core, values, borderline=(0.75, 0.9)).status == "not met"
    with pytest.raises(InputRejected, match="borderline"):
        evaluate_criterion(core, values, borderline=(0.6, 0.5))


@pytest.mark.parametrize(
    ("criterion", "value", "sentence"),
    [
        (Comparison("core_ml", below=70.0), 70.0, "core 70 ml is exactly 70 ml, and the rule asks for below 70 ml"),
        (Comparison("core_ml", below=70.0), 69.99, "core 69.99 ml is below 70 ml"),
        (Comparison("core_ml", below=70.0), 70.01, "core 70.01 ml is above 70 ml"),
        (Comparison("nihss", at_least=6.0), 5, "NIHSS 5 is below 6"),
        (Comparison("mca_share", below=1 / 3), 0.4, "lesion as a share of the MCA territory 0.4 is above one third"),
        (
            Comparison("mismatch_ratio", at_least=1.8),
            np.nan,
            "mismatch ratio (hypoperfusion over core) undefined, because there is neither core nor hypoperfusion",
        ),
        (
            Comparison("mismatch_ratio", at_least=1.8),
            np.inf,
            "mismatch ratio (hypoperfusion over core) infinite is at least 1.8",
        ),
        (Comparison("flair_change", flag=False), True, "marked FLAIR change in the lesion"),
        (Comparison("occlusion_site", one_of=("m1",)), "pca", "occlusion site PCA is not M1"),
        (Comparison("nihss", at_least=6.0), None, "NIHSS is missing; the rule asks for: NIHSS at least 6"),
    ],
)
def test_sentences(criterion, value, sentence):
    assert evaluate_criterion(criterion, case_values({criterion.quantity: value})).sentence == sentence


def test_none_of():
    group = Group("none_of", (Comparison("age", above=80.0), Comparison("nihss", below=6.0)))
    statuses = {
        (age, nihss): evaluate_criterion(group, case_values({"age": age, "nihss": nihss})).status
        for age in (70, 81, None)
        for nihss in (10, 5, None)
    }
    assert statuses == {
        (70, 10): "met",
        (70, 5): "not met",
        (70, None): "cannot be said",
        (81, 10): "not met",
        (81, 5): "not met",
        (81, None): "not met",
        (None, 10): "cannot be said",
        (None, 5): "not met",
        (None, None): "cannot be said",
    }


def test_notes_and_plain_values():
    verdicts = evaluate_rules(RULES.values(), case_values(PATIENT | SMALL_CORE))
    assert [result.id for result in verdicts] == list(RULES)
    plain = json.loads(json.dumps([result.as_json() for result in verdicts], allow_nan=False))
    for result, row in zip(verdicts, plain, strict=True):
        assert row["status"] == result.status
        assert row["doi"] == RULES[result.id].doi
        assert len(row["criteria"]) == len(RULES[result.id].criteria)
        assert all(part["sentence"] for part in row["criteria"])
    notes = {result.id: result.notes for result in verdicts}
    assert PERFUSION_NOTE in notes["defuse-3"]
    assert PERFUSION_NOTE not in notes["dawn"]
    assert UNVERIFIED_NOTE in notes["extend"]
    assert UNVERIFIED_NOTE not in notes["defuse-3"]


def test_no_sentence_recommends():
    for known in ({}, PATIENT, PATIENT | SMALL_CORE, SMALL_CORE):
        for result in evaluate_rules(RULES.values(), case_values(known)):
            words = result.sentence.lower().split()
            assert not {"should", "recommend", "recommended", "eligible", "treat", "must"} & set(words), result.sentence
