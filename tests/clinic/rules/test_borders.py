"""Values at the limits of every rule: a limit belongs to the range, or not, as the source writes it."""

import numpy as np
import pytest

from rule_cases import PATIENT, RULES, SMALL_CORE, verdict

LATE = {"perfusion_penumbra": True, "evt_possible": False}
WOKE = {"onset_known": False, "hours_since_last_known_well": 12.0}

# Each line: a rule, one quantity at its limit and beside it, and the verdict. All other criteria hold.
BORDERS = [
    ("defuse-3", {"core_ml": 70.0}, "not met"),
    ("defuse-3", {"core_ml": 69.999}, "met"),
    ("defuse-3", {"mismatch_difference_ml": 15.0}, "met"),
    ("defuse-3", {"mismatch_difference_ml": 14.99}, "not met"),
    ("defuse-3", {"mismatch_ratio": 1.8}, "met"),
    ("defuse-3", {"mismatch_ratio": 1.79}, "not met"),
    ("defuse-3", {"mismatch_ratio": np.inf}, "met"),
    ("defuse-3", {"mismatch_ratio": np.nan}, "not met"),
    ("defuse-3", {"hours_since_last_known_well": 6.0}, "met"),
    ("defuse-3", {"hours_since_last_known_well": 16.0}, "met"),
    ("defuse-3", {"hours_since_last_known_well": 16.01}, "not met"),
    ("defuse-3", {"hours_since_last_known_well": 5.99}, "not met"),
    ("defuse-3", {"age": 90}, "met"),
    ("defuse-3", {"age": 91}, "not met"),
    ("defuse-3", {"nihss": 6}, "met"),
    ("defuse-3", {"nihss": 5}, "not met"),
    ("defuse-3", {"prestroke_mrs": 3}, "not met"),
    ("defuse-3", {"occlusion_site": "ica"}, "met"),  # both of its segments are accepted
    ("defuse-3", {"occlusion_site": "m2"}, "not met"),
    ("extend", {"mismatch_ratio": 1.2}, "not met"),
    ("extend", {"mismatch_ratio": 1.21}, "met"),
    ("extend", {"mismatch_difference_ml": 10.0}, "not met"),
    ("extend", {"mismatch_difference_ml": 10.1}, "met"),
    ("extend", {"core_ml": 70.0}, "not met"),
    ("extend", {"hours_since_last_known_well": 4.5}, "met"),
    ("extend", {"hours_since_last_known_well": 9.0}, "met"),
    ("extend", {"prestroke_mrs": 2}, "not met"),
    ("dawn", {"core_ml": 30.999}, "met"),
    ("dawn", {"core_ml": 31.0, "nihss": 19}, "not met"),
    ("dawn", {"core_ml": 31.0, "nihss": 20}, "met"),
    ("dawn", {"core_ml": 51.0, "nihss": 20}, "not met"),
    ("dawn", {"core_ml": 50.9, "nihss": 20}, "met"),
    ("dawn", {"core_ml": 20.9, "age": 80, "nihss": 10}, "met"),
    ("dawn", {"core_ml": 21.0, "age": 80}, "not met"),
    ("dawn", {"core_ml": 21.0, "age": 79}, "met"),
    ("dawn", {"mca_share": 1 / 3}, "not met"),
    ("dawn", {"occlusion_site": "ica_cervical"}, "not met"),
    ("select2", {"adc620_ml": 50.0}, "met"),
    ("select2", {"adc620_ml": 49.9}, "not met"),
    ("select2", {"aspects": 5}, "met"),
    ("select2", {"aspects": 3}, "met"),
    ("select2", {"aspects": 2}, "not met"),
    ("select2", {"adc620_ml": 50.0, "age": 85}, "met"),
    ("select2", {"adc620_ml": 50.0, "age": 86}, "not met"),
    ("select2", {"adc620_ml": 50.0, "hours_since_last_known_well": 24.0}, "met"),
    ("angel-aspect", {"adc620_ml": 70.0}, "met"),
    ("angel-aspect", {"adc620_ml": 100.0}, "met"),
    ("angel-aspect", {"adc620_ml": 100.1}, "not met"),
    ("angel-aspect", {"adc620_ml": 114.17, "aspects": 4}, "met"),
    ("angel-aspect", {"adc620_ml": 80.0, "hours_since_last_known_well": 5.0}, "not met"),
    ("angel-aspect", {"adc620_ml": 80.0, "hours_since_last_known_well": 5.0, "aspects": 2}, "met"),
    ("rescue-japan-limit", {"aspects": 5}, "met"),
    ("rescue-japan-limit", {"aspects": 5, "flair_change": True}, "not met"),
    ("rescue-japan-limit", {"aspects": 5, "flair_change": True, "hours_since_last_known_well": 5.9}, "met"),
    ("rescue-japan-limit", {"aspects": 6}, "not met"),
    ("tension", {"aspects": 3, "nihss": 25}, "met"),
    ("tension", {"aspects": 3, "nihss": 26}, "not met"),
    ("tension", {"aspects": 3, "hours_since_last_known_well": 12.1}, "not met"),
    ("tension", {"aspects": 3, "hours_since_last_known_well": 12.1, "onset_known": False}, "met"),
    ("timeless", {"nihss": 5}, "met"),
    ("timeless", {"nihss": 4}, "not met"),
    ("timeless", {"occlusion_site": "m2"}, "met"),
    ("extend-ia-tnk", {"hours_since_last_known_well": 4.5, "evt_possible": True}, "met"),
    ("extend-ia-tnk", {"hours_since_last_known_well": 4.6, "evt_possible": True}, "not met"),
    ("wake-up", {"onset_known": False, "hours_since_recognition": 4.5, "evt_possible": False}, "met"),
    ("wake-up", {"onset_known": False, "hours_since_recognition": 4.6, "evt_possible": False}, "not met"),
    ("wake-up", {"onset_known": True, "hours_since_recognition": 2.0, "evt_possible": False}, "not met"),
    ("aha-2026-ivt-unknown-onset", {"onset_known": False, "hours_since_recognition": 4.5}, "met"),
    (
        "aha-2026-ivt-unknown-onset",
        {"onset_known": False, "hours_since_recognition": 2.0, "mca_share": 1 / 3},
        "not met",
    ),
    (
        "aha-2026-ivt-unknown-onset",
        {"onset_known": False, "hours_since_recognition": 2.0, "flair_change": True},
        "not met",
    ),
    ("aha-2026-evt-6-24h", {"aspects": 6}, "met"),
    ("aha-2026-evt-6-24h", {"aspects": 5}, "not met"),
    ("aha-2026-evt-large-core", {"aspects": 5}, "met"),
    ("aha-2026-evt-large-core", {"aspects": 2}, "not met"),
    ("aha-2026-evt-large-core", {"aspects": 5, "age": 80}, "not met"),
    ("aha-2026-evt-large-core", {"aspects": 5, "mass_effect": True}, "not met"),
    ("aha-2026-evt-very-large-core", {"aspects": 0, "hours_since_last_known_well": 6.0}, "met"),
    ("aha-2026-evt-very-large-core", {"aspects": 0, "hours_since_last_known_well": 6.1}, "not met"),
    ("aha-2026-evt-dominant-m2", {"occlusion_site": "m2_dominant", "hours_since_last_known_well": 6.0}, "met"),
    ("aha-2026-evt-distal", {"occlusion_site": "m2_other", "hours_since_last_known_well": 6.0}, "met"),
    ("aha-2026-evt-distal", {"occlusion_site": "m2_dominant", "hours_since_last_known_well": 6.0}, "not met"),
    ("aha-2026-evt-basilar", {"occlusion_site": "basilar", "pc_aspects": 6, "nihss": 10}, "met"),
    ("aha-2026-evt-basilar", {"occlusion_site": "basilar", "pc_aspects": 5}, "not met"),
    ("aha-2026-evt-basilar", {"occlusion_site": "basilar", "pc_aspects": 6, "nihss": 9}, "not met"),
    ("aha-2026-evt-basilar-mild", {"occlusion_site": "basilar", "pc_aspects": 6, "nihss": 9}, "met"),
    ("aha-2026-evt-basilar-mild", {"occlusion_site": "basilar", "pc_aspects": 6, "nihss": 10}, "not met"),
    ("aha-2026-evt-dominant-m2", {"occlusion_site": "m2_other", "hours_since_last_known_well": 6.0}, "not met"),
    ("aha-2026-ivt-perfusion", LATE | {"hours_since_last_known_well": 9.0}, "met"),
    ("aha-2026-ivt-perfusion", LATE | {"hours_since_last_known_well": 9.1}, "not met"),
    ("aha-2026-ivt-perfusion", LATE | WOKE | {"hours_since_sleep_midpoint": 9.0}, "met"),
    ("aha-2026-ivt-perfusion", LATE | WOKE | {"hours_since_sleep_midpoint": 9.1}, "not met"),
    ("aha-2026-ivt-lvo", LATE | {"hours_since_last_known_well": 24.0}, "met"),
    ("aha-2026-ivt-lvo", LATE | {"evt_possible": True}, "not met"),
    ("aha-2026-evt-0-6h", {"hours_since_last_known_well": 6.0, "aspects": 3}, "met"),
    ("aha-2026-evt-0-6h", {"hours_since_last_known_well": 6.0, "aspects": 2}, "not met"),
    ("aha-2026-evt-mrs-2", {"hours_since_last_known_well": 5.0, "prestroke_mrs": 2, "aspects": 6}, "met"),
    ("aha-2026-evt-mrs-2", {"hours_since_last_known_well": 5.0, "prestroke_mrs": 1}, "not met"),
    ("aha-2026-evt-mrs-3-4", {"hours_since_last_known_well": 5.0, "prestroke_mrs": 4}, "met"),
    ("aha-2026-evt-mrs-3-4", {"hours_since_last_known_well": 5.0, "prestroke_mrs": 5}, "not met"),
    ("mr-clean-late", {"collateral_flow": True, "nihss": 2}, "met"),  # below the NIHSS of DAWN and DEFUSE 3
    ("mr-clean-late", {"collateral_flow": True}, "not met"),  # for it meets DAWN
    ("mr-clean-late", {"collateral_flow": True, "nihss": 1}, "not met"),
]


@pytest.mark.parametrize(("rule", "changes", "expected"), BORDERS)
def test_borders(rule, changes, expected):
    result = verdict(rule, PATIENT | SMALL_CORE | changes)
    assert result.status == expected, result.sentence


def test_every_rule_is_met_and_not_met_in_the_table_of_borders():
    answers = {(rule, expected) for rule, _, expected in BORDERS}
    assert answers == {(rule, status) for rule in RULES for status in ("met", "not met")}
