"""The data file is valid, and a file that is not is refused with an error that names the rule."""

import re

import pytest

from adumbra.clinic.rules.criteria import Group, OtherRule, comparisons
from adumbra.clinic.rules.quantities import QUANTITIES
from adumbra.clinic.rules.reader import load_rules, rules_from_toml
from adumbra.core.errors import InputRejected

VALID = """
[[rule]]
id = "example"
title = "Example"
trial = "EXAMPLE"
year = 2020
doi = "10.1000/example"
treatment = "thrombolysis"
statement = "A trial."
source_kind = "publication"
source = "the paper"
criteria = [{ quantity = "core_ml", below = 70 }]
"""
# Named in the plan of the clinic: trials and the recommendations of the guideline of 2026.
NAMED = {
    "dawn", "defuse-3", "extend", "extend-ia-tnk", "timeless", "wake-up", "select2", "angel-aspect",
    "rescue-japan-limit", "tension", "mr-clean-late", "aha-2026-ivt-unknown-onset", "aha-2026-ivt-perfusion",
    "aha-2026-evt-6-24h", "aha-2026-evt-large-core", "aha-2026-evt-very-large-core", "aha-2026-evt-distal",
    "aha-2026-evt-basilar",
}  # fmt: skip


def test_the_file_holds_every_named_rule():
    rules = {rule.id: rule for rule in load_rules()}
    assert rules.keys() >= NAMED
    for rule in rules.values():
        assert rule.doi.startswith("10.")
        assert rule.source
        assert rule.quantities <= QUANTITIES.keys()


def test_a_criterion_that_is_not_verified_says_why():
    for rule in load_rules():
        for comparison in comparisons(rule.root):
            assert comparison.verified or comparison.note, rule.id


def test_a_valid_rule_is_read():
    (rule,) = rules_from_toml(VALID)
    assert (rule.id, rule.year, rule.verified, rule.note) == ("example", 2020, True, "")
    assert rule.criteria[0].below == 70.0


def test_a_rule_may_refer_to_a_rule_before_it():
    second = VALID.replace('id = "example"', 'id = "second"').replace(
        '{ quantity = "core_ml", below = 70 }', '{ none_of = [{ rule = "example" }], label = "not example" }'
    )
    first, rule = rules_from_toml(VALID + second)
    assert rule.criteria == (Group("none_of", (OtherRule(first),), "not example"),)
    with pytest.raises(InputRejected, match="rule second"):
        rules_from_toml(second + VALID)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"core_ml"', '"lesion_ml"', "lesion_ml"),
        ('doi = "10.1000/example"', "", "a text for doi"),
        ('"10.1000/example"', '"example"', "digital object identifier"),
        ("year = 2020", 'year = "2020"', "year"),
        ('"publication"', '"memory"', "source_kind"),
        ('"thrombolysis"', '"surgery"', "treatment"),
        ('source = "the paper"', 'source = " "', "a text for source"),
        ('source = "the paper"', 'source = "the paper"\nlimit = 3', "limit"),
        ('[{ quantity = "core_ml", below = 70 }]', "[]", "at least one criterion"),
        ("below = 70", "under = 70", "under"),
        ("below = 70", 'below = "70"', "limits"),
        ("below = 70", "is = true", "limits"),
        ("below = 70", "at_least = 80, below = 70", "lower limit"),
        ('"core_ml", below = 70', '"occlusion_site", one_of = ["m9"]', "sites"),
        ('"core_ml", below = 70', '"flair_change", below = 1', "true or false"),
        ('quantity = "core_ml", below = 70', 'some_of = ["core_ml"]', "all_of"),
        ('quantity = "core_ml", below = 70', 'rule = "other"', "a rule before it"),
        ("below = 70", "below = 70, verified = 1", "core_ml"),
    ],
)
def test_a_rule_that_is_not_valid_is_refused_by_name(old, new, words):
    assert old in VALID
    with pytest.raises(InputRejected, match=words) as error:
        rules_from_toml(VALID.replace(old, new))
    assert error.value.where == "rule example"


def test_two_rules_with_one_id_are_refused():
    with pytest.raises(InputRejected, match="rule example") as error:
        rules_from_toml(VALID + VALID)
    assert "second" in error.value.found


def test_text_that_is_no_toml_is_refused():
    with pytest.raises(InputRejected, match=re.escape("rules.toml")):
        rules_from_toml("[[rule")
