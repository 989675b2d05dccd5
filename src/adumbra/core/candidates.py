"""Candidates of a clot: what a first pass suggests, how each was decided, and what a decision of none is worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from adumbra.core.errors import InputRejected

MASK_THRESHOLD = 0.5
"""Probability from which a voxel of an accepted candidate belongs to the mask, once candidates are decided."""
Outcome = Literal["accepted", "rejected", "in a vein"]
"""How a candidate was decided; a candidate in a vein is dropped before the second look."""


@dataclass(frozen=True)
class CandidateRule:
    """Which parts of a first pass are candidates.

    Attributes:
        low: Mean probability from which a voxel belongs to a candidate.
        peak: Mean probability that a candidate reaches somewhere.
        most: Largest number of candidates of a case; those with the highest peaks are used.

    Raises:
        InputRejected: The thresholds are not 0 < low <= peak <= 1, low is not below 0.5, or there may be no candidate.
    """

    low: float = 0.1
    peak: float = 0.2
    most: int = 10

    def __post_init__(self) -> None:
        if not (0.0 < self.low <= self.peak <= 1.0 and self.low < MASK_THRESHOLD and self.most >= 1):
            raise InputRejected(
                "candidates",
                expected="thresholds with 0 < low <= peak <= 1 and low below 0.5, and at least one candidate",
                found=f"low {self.low}, peak {self.peak}, at most {self.most}",
                do="give a low threshold such as 0.1 and a peak such as 0.2",
            )


@dataclass(frozen=True)
class CandidateFeatures:
    """What the first pass gives for a candidate.

    The shares are weighted by the probability of a clot; they are nan where no network predicts the structure.

    Attributes:
        volume_ml: Volume of the candidate at the low threshold.
        position_mm: Its centre weighted by the probability, RAS+ mm.
        peak: Highest mean probability.
        mean_probability: Mean of the mean probability.
        artery_share: Share of the candidate in arteries as if they were open.
        vein_share: Share of it in veins.
        missing_flow: Share of it in lumen that is expected and in which no flow is seen.
        missing_flow_around: Expected lumen without flow within ``fusion.candidates.extraction.AROUND_MM`` of the
            candidate, over all expected lumen there; nan where no lumen is expected.
        agreement: Largest share of the draws of the first pass that reach the low threshold at one voxel of it.
    """

    volume_ml: float
    position_mm: tuple[float, float, float]
    peak: float
    mean_probability: float
    artery_share: float
    vein_share: float
    missing_flow: float
    missing_flow_around: float
    agreement: float

    @property
    def vein_excess(self) -> float:
        """Share in veins minus share in arteries, in [-1, 1]; nan where either is."""
        return self.vein_share - self.artery_share


@dataclass(frozen=True)
class Candidate:
    """A candidate with its decision.

    Attributes:
        rank: 1 is the most probable; candidates in veins are last.
        features: What the first pass gives.
        outcome: How it was decided.
        probability: Probability of a clot after the second look; None for a candidate in a vein.
        contour_ml: Volume of the contour that it adds to the mask; 0 unless it is accepted.
    """

    rank: int
    features: CandidateFeatures
    outcome: Outcome
    probability: float | None
    contour_ml: float = 0.0


@dataclass(frozen=True)
class MissedClot:
    """How often a visible clot was missed in calibration cases in which nothing was accepted.

    Attributes:
        probability: Share of these cases with a visible clot.
        low: Lower end of the Clopper-Pearson interval.
        high: Upper end of the interval.
        level: Level of the interval.
        cases: Number of calibration cases that the share rests on.
        simulated: Whether all of them are phantoms.
    """

    probability: float
    low: float
    high: float
    level: float
    cases: int
    simulated: bool


@dataclass(frozen=True)
class CandidateDecision:
    """All candidates of a case, and the rule that decided them.

    Attributes:
        candidates: By rank.
        threshold: Probability from which a candidate is accepted.
        calibrated: Whether probabilities and threshold were fitted on held-out cases.
        missed: What a decision of no clot is worth; None where a candidate was accepted, or nothing was fitted.
    """

    candidates: tuple[Candidate, ...]
    threshold: float
    calibrated: bool
    missed: MissedClot | None = None

    @property
    def accepted(self) -> tuple[Candidate, ...]:
        """The accepted candidates."""
        return tuple(candidate for candidate in self.candidates if candidate.outcome == "accepted")

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "CandidateDecision":
        """The decision of plain values, as ``dataclasses.asdict`` gives them with null in place of nan.

        Raises:
            ValueError: An outcome is unknown.
        """
        candidates = tuple(_candidate(row) for row in plain["candidates"])
        missed = None if plain["missed"] is None else MissedClot(**plain["missed"])
        return cls(candidates, plain["threshold"], plain["calibrated"], missed)


def _candidate(plain: Mapping[str, Any]) -> Candidate:
    if plain["outcome"] not in get_args(Outcome):
        raise ValueError(f"outcome: expected one of {', '.join(get_args(Outcome))}, found {plain['outcome']}")
    features = features_from_json(plain["features"])
    return Candidate(plain["rank"], features, plain["outcome"], plain["probability"], plain["contour_ml"])


def features_from_json(plain: Mapping[str, Any]) -> CandidateFeatures:
    """The features of plain values, with null in place of nan."""
    x, y, z = (float(value) for value in plain["position_mm"])
    numbers = {key: float("nan") if value is None else value for key, value in plain.items() if key != "position_mm"}
    return CandidateFeatures(position_mm=(x, y, z), **numbers)
