"""Criteria and verdicts in words: what a rule asks for, and how the case stands to it."""

import numpy as np

from adumbra.clinic.distribution import Distribution, percent, printed
from adumbra.clinic.rules.case_values import CaseValues
from adumbra.clinic.rules.criteria import Comparison, Criterion, Group, OtherRule
from adumbra.clinic.rules.quantities import QUANTITIES, SITE_GROUPS, SITE_WORDS
from adumbra.clinic.rules.verdicts import CriterionVerdict, Status, listed

COMBINATIONS = {"all_of": "all of", "any_of": "at least one of", "none_of": "none of"}


def criterion_words(criterion: Criterion) -> str:
    """A criterion as a reader sees it, such as "core below 70 ml"."""
    match criterion:
        case Comparison(quantity=name, flag=flag):
            kind = QUANTITIES[name]
            if flag is not None:
                return kind.words[0 if flag else 1]
            return f"{kind.label} {requirement(criterion)}"
        case OtherRule(rule=rule):
            return f"{rule.title} (all criteria)"
        case Group(combination=combination, parts=parts, label=label):
            start = f"{label}: " if label else ""
            return f"{start}{COMBINATIONS[combination]} ({'; '.join(criterion_words(part) for part in parts)})"


def requirement(comparison: Comparison) -> str:
    """What a comparison asks of a number or a site, such as "from 18 years to 90 years" or "below 70 ml"."""
    if comparison.one_of:
        return listed([SITE_WORDS[site] for site in comparison.one_of], "or")
    unit = QUANTITIES[comparison.quantity].unit
    if comparison.at_least is not None and comparison.at_most is not None:
        ends = (printed(comparison.at_least, unit), printed(comparison.at_most, unit))
        return f"exactly {ends[0]}" if ends[0] == ends[1] else f"from {ends[0]} to {ends[1]}"
    limits = (
        ("at least", comparison.at_least),
        ("above", comparison.above),
        ("at most", comparison.at_most),
        ("below", comparison.below),
    )
    return " and ".join(f"{word} {printed(limit, unit)}" for word, limit in limits if limit is not None)


def comparison_sentence(comparison: Comparison, values: CaseValues, status: Status, share: float) -> str:
    """How a case stands to one comparison, such as "core 114 ml is above 70 ml".

    Args:
        comparison: The comparison.
        values: The case.
        status: The verdict on the comparison.
        share: Share of the draws in which it holds.
    """
    kind = QUANTITIES[comparison.quantity]
    column = values.column(comparison.quantity)
    if column is None:
        return f"{kind.label} is missing; the rule asks for: {criterion_words(comparison)}"
    if kind.kind == "flag":
        words = kind.words[0 if column.mean() >= 0.5 else 1]
        return f"{words}{_in_draws(float(max(column.mean(), 1.0 - column.mean())))}"
    if kind.kind == "site":
        return _site_sentence(comparison, column, status)
    numbers = Distribution(kind.label, kind.unit, tuple(column.tolist()))
    median = numbers.median
    limit = _crossed(comparison, median)
    subject = numbers.sentence(limit=_nearest(comparison, median))
    if np.isnan(median):
        return f"{subject}, because there is neither core nor hypoperfusion"
    if status != "not met":
        return f"{subject} is {requirement(comparison)}{_in_draws(share)}"
    if limit is None:  # met by the median, yet in few draws
        return f"{subject} is {requirement(comparison)} only{_in_draws(share)}"
    side = {1: "above", 0: "exactly", -1: "below"}[int(np.sign(median - limit))]
    also = f", and the rule asks for {requirement(comparison)}" if side == "exactly" else ""
    few = f" ({requirement(comparison)}{_in_draws(share)})" if share > 0.0 else ""
    return f"{subject} is {side} {printed(limit, kind.unit)}{also}{few}"


def group_sentence(group: Group, parts: tuple[CriterionVerdict, ...], status: Status, share: float) -> str:
    """How a case stands to a group of criteria.

    Args:
        group: The group.
        parts: The verdicts on its parts.
        status: The verdict on the group.
        share: Share of the draws in which it holds.
    """
    start = f"{group.label}: " if group.label else ""
    if group.combination == "all_of":
        return start + _all_of(parts, status, share)
    holding = [part.sentence for part in parts if part.status == "met"]
    if group.combination == "any_of":
        if status == "met":
            return f"{start}{holding[0]}" if holding else f"{start}one of the alternatives holds{_in_draws(share)}"
        return f"{start}{_count(status)} of {len(parts)} alternatives ({'; '.join(part.sentence for part in parts)})"
    if status == "not met" and holding:
        return f"{start}{holding[0]}, which the rule excludes"
    return f"{start}{_count('met' if status == 'not met' else 'not met')} of what the rule excludes"


def _all_of(parts: tuple[CriterionVerdict, ...], status: Status, share: float) -> str:
    deciding = [part.sentence for part in parts if part.status == status]
    if status == "not met" and not deciding:
        return f"the criteria hold together only{_in_draws(share)}"
    if status in {"borderline", "cannot be said"}:
        deciding = [part.sentence for part in parts if part.status in {"borderline", status}]
    return "; ".join(deciding or [part.sentence for part in parts])


def _count(status: Status) -> str:
    return {"not met": "none", "met": "one"}.get(status, "possibly one")


def _in_draws(share: float) -> str:
    return "" if share == 1.0 else f" in {percent(share)} of the draws"


def _nearest(comparison: Comparison, value: float) -> float:
    """The limit that is nearest to a number."""
    limits = (comparison.at_least, comparison.above, comparison.at_most, comparison.below)
    return min((limit for limit in limits if limit is not None), key=lambda limit: abs(value - limit))


def _crossed(comparison: Comparison, value: float) -> float | None:
    """The limit that a number does not keep to; None where it keeps to all."""
    crossed = (
        (comparison.at_least, np.less),
        (comparison.above, np.less_equal),
        (comparison.at_most, np.greater),
        (comparison.below, np.greater_equal),
    )
    return next((limit for limit, crosses in crossed if limit is not None and crosses(value, limit)), None)


def _site_sentence(comparison: Comparison, column: np.ndarray, status: Status) -> str:
    names, counts = np.unique(column, return_counts=True)
    site = str(names[counts.argmax()])
    share = float(counts.max()) / column.size
    words = f"occlusion site {SITE_WORDS[site]}{_in_draws(share)}"
    if status == "cannot be said" and site in SITE_GROUPS:
        segments = " or ".join(SITE_WORDS[segment] for segment in SITE_GROUPS[site])
        return f"{words} is missing its segment ({segments})"
    if status == "not met":
        return f"{words} is not {requirement(comparison)}"
    return words
