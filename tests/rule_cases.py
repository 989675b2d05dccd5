"""A case that the tests of rules share: its quantities, and the verdict on one rule."""

from adumbra.clinic.rules.case_values import case_values
from adumbra.clinic.rules.evaluation import evaluate_rule
from adumbra.clinic.rules.reader import load_rules

RULES = {rule.id: rule for rule in load_rules()}
PATIENT = {
    "age": 70,
    "nihss": 18,
    "prestroke_mrs": 0,
    "occlusion_site": "m1",
    "hours_since_last_known_well": 8.0,
    "onset_known": True,
    "mca_share": 0.2,
    "flair_change": False,
    "mass_effect": False,
}
SMALL_CORE = {
    "core_ml": 20.0,
    "adc620_ml": 20.0,
    "mismatch_difference_ml": 80.0,
    "mismatch_ratio": 5.0,
    "aspects": 8,
}


def verdict(rule, known, draws=None):
    return evaluate_rule(RULES[rule], case_values(known, draws))
