"""The verdicts on the rules of trials and guidelines, from the draws of all targets and from what is known besides."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from adumbra.clinic.rules.case_values import CaseValues, Known, case_values
from adumbra.clinic.rules.evaluation import evaluate_rules
from adumbra.clinic.rules.reader import load_rules
from adumbra.clinic.rules.verdicts import RuleVerdict
from adumbra.clinical_summary.lesion import LesionPart
from adumbra.clinical_summary.mismatch import HypoperfusionPart
from adumbra.clinical_summary.thrombus import ThrombusPart
from adumbra.core.clinical_facts import ClinicalFacts

ORDER = ("met", "borderline", "cannot be said", "not met")
"""The order of verdicts on the report."""


def rule_values(
    lesion: LesionPart | None,
    thrombus: ThrombusPart | None,
    hypoperfusion: HypoperfusionPart | None,
    facts: ClinicalFacts,
    image_draws: Mapping[str, np.ndarray] | None = None,
) -> CaseValues:
    """All quantities of a case. Draws of several targets are compared draw by draw, as many as all of them have.

    A fact that is given takes the place of what was estimated from the images.

    Args:
        lesion: What the summary says of the lesion; None where it was not predicted.
        thrombus: The same of the thrombus.
        hypoperfusion: The same of hypoperfusion.
        facts: What is known besides.
        image_draws: Further quantities of the images, each (N,).

    Raises:
        InputRejected: A fact is of the wrong kind.
        ImplausibleValues: A fact is outside its range.
    """
    known: dict[str, Known] = {**facts.known()}
    draws: dict[str, np.ndarray] = {**(image_draws or {})}
    if lesion is not None:
        draws |= lesion.rule_draws
    if hypoperfusion is not None:
        draws["hypoperfusion_ml"] = np.asarray(hypoperfusion.volume.draws)
        if hypoperfusion.mismatch is not None:
            draws |= hypoperfusion.mismatch.rule_draws()
    if thrombus is not None:
        draws["clot_visible"] = thrombus.visible
        if thrombus.site is not None:
            known.setdefault("occlusion_site", thrombus.site)
    draws = {name: values for name, values in draws.items() if name not in known}
    count = min((len(values) for values in draws.values()), default=0)
    return case_values(known, {name: values[:count] for name, values in draws.items()} if count else None)


def verdicts(values: CaseValues) -> tuple[RuleVerdict, ...]:
    """The verdicts on all rules of the package, by ``ORDER``, then in the order of their file."""
    return tuple(sorted(evaluate_rules(load_rules(), values), key=lambda rule: ORDER.index(rule.status)))


def counts_sentence(rules: Sequence[RuleVerdict]) -> str:
    """How many rules have each verdict, and what is missing most often."""
    number = Counter[str](rule.status for rule in rules)
    parts = [f"{number[status]} {status}" for status in ORDER if number[status]]
    return f"Of {len(rules)} published rules: {', '.join(parts)}."
