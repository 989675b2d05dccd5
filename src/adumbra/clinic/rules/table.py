"""All rules as a table in Markdown, for the documentation. A test keeps the page and the data file equal."""

from collections.abc import Iterable

from adumbra.clinic.rules.criteria import Criterion, Rule, comparisons
from adumbra.clinic.rules.wording import criterion_words

UNVERIFIED = " †"


def rules_table(rules: Iterable[Rule]) -> str:
    """The rules with their criteria, one row each, and the notes below, in the order of the file.

    A criterion that could not be verified is marked with †.
    """
    rules = tuple(rules)
    rows = [
        "| rule | criteria, of which all must hold | what the source states of such patients | read in |",
        "|---|---|---|---|",
        *(_row(rule) for rule in rules),
    ]
    notes = [f"- **{rule.title}.** {text}" for rule in rules if (text := _notes(rule))]
    return "\n".join([*rows, "", *notes]) + "\n"


def _row(rule: Rule) -> str:
    criteria = "<br>".join(_criterion(criterion) for criterion in rule.criteria)
    read_in = f"{rule.source} ({rule.source_kind})"
    title = f"[{rule.title}](https://doi.org/{rule.doi}), {rule.year}"
    return f"| {title} | {criteria} | {rule.statement} | {read_in} |"


def _criterion(criterion: Criterion) -> str:
    unverified = any(not comparison.verified for comparison in comparisons(criterion))
    return criterion_words(criterion) + (UNVERIFIED if unverified else "")


def _notes(rule: Rule) -> str:
    notes = [
        f"{criterion_words(comparison)}: {comparison.note}."
        for criterion in rule.criteria
        for comparison in comparisons(criterion)
        if comparison.note
    ]
    return " ".join([*([rule.note] if rule.note else []), *(note[0].upper() + note[1:] for note in notes)])
