"""What changes if a region is in or out of the segmentation: volume, ASPECTS, share of the MCA territory, and rules.

A decision on a region is taken into the mask and into every draw: *in* adds all voxels of the region, *out* removes
them. Nothing else changes. The volume is that of the mask, the number at the head of a report. Scores and shares are
medians over the draws, and a rule has the verdict that ``clinic.rules`` gives the changed draws, so that the state
before the decision is what the report shows elsewhere. A decision on one region says nothing of the others here,
although they may be correlated: it is an intervention, not a conditional probability.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from math import isfinite, isnan
from typing import Literal

from adumbra.clinic.distribution import printed
from adumbra.clinic.rules.quantities import QUANTITIES
from adumbra.clinic.rules.verdicts import Status, listed

Noun = Literal["core", "clot"]
"""What the segmentation is a segmentation of, in sentences."""
STATED: tuple[str, ...] = ("aspects", "pc_aspects", "mca_share", "mismatch_difference_ml", "mismatch_ratio")
"""Quantities of ``clinic.rules.quantities`` that a sentence states beside the volume, where they change as printed."""
LEAST_STATED: Mapping[str, float] = {"mismatch_difference_ml": 0.05, "mismatch_ratio": 0.05}
"""Least change of a quantity that a sentence states, as a share of its value; without an entry any change is stated."""
SHORT: Mapping[str, str] = {
    "mca_share": "share of the MCA territory",
    "mismatch_difference_ml": "mismatch",
    "mismatch_ratio": "mismatch ratio",
}
"""Names in sentences that are shorter than the label of the quantity."""


@dataclass(frozen=True)
class QuantityChange:
    """One quantity before and after a decision, as the median over the draws; nan where it is undefined.

    Attributes:
        name: A name of ``clinic.rules.quantities.QUANTITIES``.
        before: With every draw as it is.
        after: With the region in, or out of, every draw.
    """

    name: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """After minus before; nan where either is undefined or both are infinite."""
        return self.after - self.before if isfinite(self.after) or isfinite(self.before) else float("nan")

    @property
    def sentence(self) -> str:
        """The quantity after the decision and before it, such as "ASPECTS 6 instead of 7"; empty where it is equal."""
        after, before = (_words(self.name, value) for value in (self.after, self.before))
        if after == before or abs(self.change) < LEAST_STATED.get(self.name, 0.0) * abs(self.before):
            return ""
        return f"{SHORT.get(self.name, QUANTITIES[self.name].label)} {after} instead of {before}"

    def as_json(self) -> dict[str, object]:
        """Plain values; null where undefined or infinite."""
        values = {"before": self.before, "after": self.after}
        return {name: value if isfinite(value) else None for name, value in values.items()}


@dataclass(frozen=True)
class RuleChange:
    """A rule whose verdict changes with a decision.

    Attributes:
        id: Short name of the rule.
        title: Its name for a reader.
        before: The verdict with every draw as it is.
        after: The verdict with the region in, or out of, every draw.
        probability_before: Share of the draws in which the rule is met whatever the missing quantities are, before.
        probability_after: The same after.
    """

    id: str
    title: str
    before: Status
    after: Status
    probability_before: float
    probability_after: float

    @property
    def flips(self) -> bool:
        """Whether the verdict goes from *met* to *not met* or back, without *borderline* or *cannot be said*."""
        return {self.before, self.after} == {"met", "not met"}

    @property
    def words(self) -> str:
        """The change without the rule, such as "no longer met"."""
        if self.flips:
            return "no longer met" if self.before == "met" else "met"
        return f"{self.after} instead of {self.before}"

    @property
    def sentence(self) -> str:
        """The change in words, such as "DEFUSE 3 no longer met"."""
        return f"{self.title} {self.words}"

    def as_json(self) -> dict[str, object]:
        """Plain values, with the sentence."""
        return {**asdict(self), "flips": self.flips, "sentence": self.sentence}


@dataclass(frozen=True)
class ArteryChange:
    """The artery of the largest clot before and after a decision.

    Attributes:
        before: Its name; empty where it is uncertain, or where there is no clot.
        after: The same after.
        site_before: Its site for the rules; None where it is uncertain or unknown.
        site_after: The same after.
    """

    before: str
    after: str
    site_before: str | None
    site_after: str | None

    @property
    def changes(self) -> bool:
        """Whether the artery or the site is another one."""
        return self.before != self.after or self.site_before != self.site_after

    @property
    def sentence(self) -> str:
        """The change in words, such as "largest clot in M1 right instead of M2 inferior right"; empty where none is."""
        if self.before == self.after:
            return ""
        after, before = (name or "an uncertain artery" for name in (self.after, self.before))
        return f"largest clot in {after} instead of {before}"

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Consequence:
    """What changes if a region belongs to the segmentation, or does not.

    Attributes:
        belongs: Whether the region is in.
        noun: What is segmented.
        volume_ml: Volume of the mask after the decision.
        change_ml: Its change, in ml; negative where voxels leave the mask.
        quantities: Quantities of the rules that depend on the segmentation, by name.
        rules: Rules whose verdict changes, those that flip first.
        artery: The artery of the largest clot; None for a core, and where it is not known.
    """

    belongs: bool
    noun: Noun
    volume_ml: float
    change_ml: float
    quantities: Mapping[str, QuantityChange] = field(default_factory=dict)
    rules: tuple[RuleChange, ...] = ()
    artery: ArteryChange | None = None

    @property
    def changes_artery(self) -> bool:
        """Whether the artery or the site of the largest clot changes."""
        return self.artery is not None and self.artery.changes

    @property
    def score_change(self) -> float:
        """The larger change of ASPECTS and PC-ASPECTS in points, without sign; 0 where neither is known."""
        changes = [abs(self.quantities[n].change) for n in ("aspects", "pc_aspects") if n in self.quantities]
        return max((change for change in changes if not isnan(change)), default=0.0)

    @property
    def changes_presence(self) -> bool:
        """Whether the mask is empty before the decision or after it, and not both."""
        return (self.volume_ml == 0.0) != (self.volume_ml - self.change_ml == 0.0)

    @property
    def rule_rank(self) -> int:
        """2 where a rule flips between *met* and *not met*, 1 where another verdict changes, else 0."""
        return max((2 if rule.flips else 1 for rule in self.rules), default=0)

    @property
    def sentence(self) -> str:
        """The consequences in words: "If it belongs to the core: core 71 ml (+7 ml); DEFUSE 3 no longer met."."""
        start = f"If it {'belongs' if self.belongs else 'does not belong'} to the {self.noun}: "
        return f"{start}{self.facts}."

    @property
    def facts(self) -> str:
        """The consequences alone, such as "core 71 ml (+7 ml); DEFUSE 3 no longer met"."""
        parts = [f"{self.noun} unchanged"]
        if self.change_ml:
            sign = "+" if self.change_ml > 0 else "−"
            change = f"{sign}{printed(float(f'{abs(self.change_ml):.2g}'), 'ml')}"
            parts = [f"{self.noun} {printed(self.volume_ml, 'ml')} ({change})"]
        if self.artery is not None and self.volume_ml and self.volume_ml != self.change_ml and self.artery.sentence:
            parts.append(self.artery.sentence)
        parts += [text for name in STATED if name in self.quantities and (text := self.quantities[name].sentence)]
        titles: dict[str, list[str]] = {}
        for rule in self.rules:
            titles.setdefault(rule.words, []).append(rule.title)
        rules = [f"{listed(names)} {words}" for words, names in titles.items()]
        return "; ".join([", ".join(parts), *rules])

    def as_json(self) -> dict[str, object]:
        """Plain values, with the sentence."""
        return {
            "belongs": self.belongs,
            "volume_ml": self.volume_ml,
            "change_ml": self.change_ml,
            "quantities": {name: quantity.as_json() for name, quantity in self.quantities.items()},
            "rules": [rule.as_json() for rule in self.rules],
            "artery": None if self.artery is None else self.artery.as_json(),
            "sentence": self.sentence,
        }


def _words(name: str, value: float) -> str:
    if isnan(value):
        return "undefined"
    if name == "mca_share":
        return f"{100.0 * value:.0f} %"
    return printed(value, QUANTITIES[name].unit)
