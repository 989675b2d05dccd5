"""Evaluation of rules on one case, draw by draw, so that correlated criteria are evaluated together.

The probability of a rule is the share of the draws in which all its criteria hold. Missing quantities leave a lower and
an upper bound: the share in which the rule is met whatever they are, and the share in which it may be met.
"""

from collections.abc import Iterable
from dataclasses import replace

from adumbra.clinic.rules.case_values import CaseValues
from adumbra.clinic.rules.criteria import Comparison, Criterion, Group, OtherRule, Rule, comparisons, parts_of
from adumbra.clinic.rules.quantities import ordered
from adumbra.clinic.rules.truth import deciding_missing, truth
from adumbra.clinic.rules.verdicts import BORDERLINE, CriterionVerdict, RuleVerdict, Status, status_of, status_words
from adumbra.clinic.rules.wording import comparison_sentence, group_sentence

PERFUSION_QUANTITIES = frozenset(
    {"hypoperfusion_ml", "tmax10_ml", "mismatch_difference_ml", "mismatch_set_difference_ml", "mismatch_ratio"}
)
PERFUSION_NOTE = (
    "The rule is about perfusion that was measured with contrast. Hypoperfusion that is estimated without contrast is "
    "estimated, not measured perfusion."
)
UNVERIFIED_NOTE = "Some of the criteria could not be checked in a primary source."


def evaluate_rules(
    rules: Iterable[Rule], values: CaseValues, *, borderline: tuple[float, float] = BORDERLINE
) -> tuple[RuleVerdict, ...]:
    """The verdicts on several rules, in their order. Arguments and errors are those of ``evaluate_rule``."""
    return tuple(evaluate_rule(rule, values, borderline=borderline) for rule in rules)


def evaluate_rule(rule: Rule, values: CaseValues, *, borderline: tuple[float, float] = BORDERLINE) -> RuleVerdict:
    """The verdict on one rule.

    Args:
        rule: The rule.
        values: What is known of the case.
        borderline: Probabilities at and below the first are *not met*, at and above the second *met*.

    Raises:
        InputRejected: The limits of borderline are not 0 <= first < second <= 1.
    """
    verdict = evaluate_criterion(rule.root, values, borderline=borderline)
    words = status_words(verdict)
    if verdict.status != "cannot be said":
        words = f"{words}: {verdict.sentence}"
    return RuleVerdict(
        id=rule.id,
        title=rule.title,
        treatment=rule.treatment,
        statement=rule.statement,
        verdict=replace(verdict, sentence=words),
        draws=values.n_draws,
        year=rule.year,
        doi=rule.doi,
        source=rule.source,
        notes=_notes(rule),
    )


def evaluate_criterion(
    criterion: Criterion, values: CaseValues, *, borderline: tuple[float, float] = BORDERLINE
) -> CriterionVerdict:
    """The verdict on one criterion, with those on its parts. Arguments and errors are those of ``evaluate_rule``."""
    result = truth(criterion, values)
    low, high = float(result.holds.mean()), float((~result.fails).mean())
    status = status_of(low, high, borderline)
    parts = tuple(evaluate_criterion(part, values, borderline=borderline) for part in parts_of(criterion))
    return CriterionVerdict(
        status,
        low,
        high,
        ordered(deciding_missing(criterion, values)) if status == "cannot be said" else (),
        _sentence(criterion, parts, values, status, low),
        all(comparison.verified for comparison in comparisons(criterion)),
        parts,
    )


def _sentence(
    criterion: Criterion, parts: tuple[CriterionVerdict, ...], values: CaseValues, status: Status, share: float
) -> str:
    match criterion:
        case Comparison():
            return comparison_sentence(criterion, values, status, share)
        case Group():
            return group_sentence(criterion, parts, status, share)
        case OtherRule(rule=rule):
            return f"{rule.title} is {status}"


def _notes(rule: Rule) -> tuple[str, ...]:
    perfusion = (PERFUSION_NOTE,) if rule.quantities & PERFUSION_QUANTITIES else ()
    unverified = () if rule.verified else (UNVERIFIED_NOTE,)
    return (*perfusion, *unverified, *([rule.note] if rule.note else ()))
