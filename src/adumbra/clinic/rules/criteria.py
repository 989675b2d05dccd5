"""A rule of a trial or guideline: its source, and its criteria as a tree of comparisons, groups and other rules."""

from dataclasses import dataclass
from typing import Literal

Combination = Literal["all_of", "any_of", "none_of"]
SourceKind = Literal["publication", "guideline table", "registry record", "secondary source"]


@dataclass(frozen=True)
class Comparison:
    """One quantity against its limits. A number must keep to all limits that are given.

    Attributes:
        quantity: Name in ``quantities.QUANTITIES``.
        at_least: Lower limit that belongs to the range.
        above: Lower limit that does not.
        at_most: Upper limit that belongs to the range.
        below: Upper limit that does not.
        flag: Value that a flag must have; None for numbers and sites.
        one_of: Sites that are accepted; empty for numbers and flags.
        verified: Whether the criterion was read in the source that the rule names, without contradiction elsewhere.
        note: What a reader should know of it; empty for nothing.
    """

    quantity: str
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    flag: bool | None = None
    one_of: tuple[str, ...] = ()
    verified: bool = True
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Criteria of which all must hold, or at least one, or none.

    Attributes:
        combination: How the parts are combined.
        parts: At least one criterion.
        label: Name for a reader; empty for none.
    """

    combination: Combination
    parts: "tuple[Criterion, ...]"
    label: str = ""


@dataclass(frozen=True)
class OtherRule:
    """Another rule that must be met, or, within ``none_of``, must not be met."""

    rule: "Rule"


Criterion = Comparison | Group | OtherRule


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        id: Short name, unique in the file.
        title: Name for a reader.
        trial: Trial or guideline that the rule comes from.
        year: Year of the publication.
        doi: Its digital object identifier.
        treatment: ``"thrombectomy"`` or ``"thrombolysis"``.
        statement: What the source states of patients who meet the criteria. It is not a statement of this program.
        source_kind: Kind of the text in which the criteria were read.
        source: That text.
        criteria: All of them must hold.
        note: What a reader should know of the rule; empty for nothing.
    """

    id: str
    title: str
    trial: str
    year: int
    doi: str
    treatment: str
    statement: str
    source_kind: SourceKind
    source: str
    criteria: tuple[Criterion, ...]
    note: str = ""

    @property
    def root(self) -> Group:
        """The criteria as one group."""
        return Group("all_of", self.criteria)

    @property
    def verified(self) -> bool:
        """Whether every criterion is verified, those of other rules included."""
        return all(comparison.verified for comparison in comparisons(self.root))

    @property
    def quantities(self) -> frozenset[str]:
        """Names of all quantities that the rule uses."""
        return frozenset(comparison.quantity for comparison in comparisons(self.root))


def parts_of(criterion: Criterion) -> tuple[Criterion, ...]:
    """The parts of a group, the criteria of another rule as one group, and nothing for a comparison."""
    match criterion:
        case Comparison():
            return ()
        case Group(parts=parts):
            return parts
        case OtherRule(rule=rule):
            return (rule.root,)


def comparisons(criterion: Criterion) -> tuple[Comparison, ...]:
    """All comparisons of a criterion, from left to right."""
    if isinstance(criterion, Comparison):
        return (criterion,)
    return tuple(comparison for part in parts_of(criterion) for comparison in comparisons(part))
