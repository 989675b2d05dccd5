"""The verdict on a rule or a criterion: met, not met, borderline with a probability, or cannot be said."""

from dataclasses import dataclass
from typing import Literal

from adumbra.clinic.distribution import percent
from adumbra.clinic.rules.quantities import QUANTITIES
from adumbra.core.errors import InputRejected

Status = Literal["met", "not met", "borderline", "cannot be said"]
BORDERLINE = (0.05, 0.95)
"""A rule is borderline where it is met in more than 5 % and less than 95 % of the draws. Outside, one of the two
answers is left with at most 5 % of the draws, which is what a one-sided limit at the 95 % level leaves out. With 20
draws, 5 % is a single draw."""
DISCLAIMER = (
    "Research use only. A verdict states whether the criteria of a published rule are met. It recommends nothing, and "
    "criteria that are not listed here, such as contraindications, are not evaluated."
)
"""Stands wherever verdicts are shown."""


@dataclass(frozen=True)
class CriterionVerdict:
    """The verdict on one criterion.

    Attributes:
        status: The verdict.
        probability_low: Share of the draws in which it holds, whatever the missing quantities are.
        probability_high: Share of the draws in which it may hold; equal to ``probability_low`` if nothing is missing.
        missing: Names of the missing quantities on which the verdict depends.
        sentence: The verdict in words.
        verified: Whether the criterion was read in the source without contradiction elsewhere.
        parts: Verdicts on the parts of a group.
    """

    status: Status
    probability_low: float
    probability_high: float
    missing: tuple[str, ...]
    sentence: str
    verified: bool
    parts: "tuple[CriterionVerdict, ...]" = ()

    @property
    def probability(self) -> float | None:
        """Share of the draws in which it holds; None where missing quantities leave it open."""
        return self.probability_low if self.probability_low == self.probability_high else None

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "status": self.status,
            "probability": self.probability,
            "probability_low": self.probability_low,
            "probability_high": self.probability_high,
            "missing": list(self.missing),
            "sentence": self.sentence,
            "verified": self.verified,
            "parts": [part.as_json() for part in self.parts],
        }


@dataclass(frozen=True)
class RuleVerdict:
    """The verdict on one rule, with its source.

    Attributes:
        id: Short name of the rule.
        title: Its name for a reader.
        treatment: Treatment that the rule is about.
        statement: What the source states of patients who meet the criteria.
        verdict: The verdict on all criteria together; its parts are those of the rule, in its order.
        draws: Number of draws that the probability rests on; 1 where no quantity has draws.
        year: Year of the publication.
        doi: Digital object identifier of the publication.
        source: Text in which the criteria were read.
        notes: Sentences that must stand beside the verdict.
    """

    id: str
    title: str
    treatment: str
    statement: str
    verdict: CriterionVerdict
    draws: int
    year: int
    doi: str
    source: str
    notes: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """The verdict on the rule."""
        return self.verdict.status

    @property
    def sentence(self) -> str:
        """The verdict in words, with the criteria that decide it."""
        return f"{self.title}: {self.verdict.sentence}."

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "id": self.id,
            "title": self.title,
            "treatment": self.treatment,
            "statement": self.statement,
            "sentence": self.sentence,
            **{name: value for name, value in self.verdict.as_json().items() if name not in {"sentence", "parts"}},
            "criteria": [part.as_json() for part in self.verdict.parts],
            "draws": self.draws,
            "year": self.year,
            "doi": self.doi,
            "source": self.source,
            "notes": list(self.notes),
        }


def status_of(low: float, high: float, borderline: tuple[float, float]) -> Status:
    """The status of a probability that lies between two bounds.

    Args:
        low: Lower bound of the probability that a criterion holds.
        high: Upper bound; equal to the lower one where nothing is missing.
        borderline: Probabilities at and below the first are *not met*, at and above the second *met*.

    Raises:
        InputRejected: The limits of borderline are not 0 <= first < second <= 1.
    """
    first, second = borderline
    if not 0.0 <= first < second <= 1.0:
        raise InputRejected(
            "borderline",
            expected="two probabilities with 0 <= first < second <= 1",
            found=f"{first} and {second}",
            do=f"give limits such as {BORDERLINE}",
        )
    if low >= second:
        return "met"
    if high <= first:
        return "not met"
    return "borderline" if low == high else "cannot be said"


def status_words(verdict: CriterionVerdict) -> str:
    """A status as a reader sees it, such as "cannot be said: NIHSS and age missing"."""
    if verdict.status == "borderline":
        return f"borderline with probability {verdict.probability_low:.2f}"
    if verdict.status != "cannot be said":
        return verdict.status
    rest = verdict.probability_high
    bound = "" if rest == 1.0 else f" (what is known holds in {percent(rest)} of the draws)"
    return f"cannot be said: {listed([QUANTITIES[name].label for name in verdict.missing])} missing{bound}"


def listed(words: list[str], last: str = "and") -> str:
    """Words as an enumeration: "a", "a and b", "a, b and c"."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
