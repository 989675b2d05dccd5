"""The second look of trained networks at the candidates of a first pass, and the decision that follows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.special import expit

from adumbra.core.candidates import MASK_THRESHOLD, Candidate, CandidateDecision, CandidateRule
from adumbra.core.errors import WeightsRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import ComputeConfig
from adumbra.core.results import Maps
from adumbra.core.types import Mask, Volume
from adumbra.fusion.candidates.contours import CandidateContour, candidate_contour, contour_mask, decided_draws
from adumbra.fusion.candidates.cubes import CaseReader
from adumbra.fusion.candidates.examination import Examiner, Look, look_again
from adumbra.fusion.candidates.extraction import Extracted, extract_candidates
from adumbra.fusion.candidates.first_pass import FirstPass, first_pass
from adumbra.inference.posteriors import PreparedCase
from adumbra.networks.registry import LoadedNetwork
from adumbra.uncertainty.calibration.candidate_fit import decision_as_json
from adumbra.uncertainty.calibration.candidates import CandidateCalibration

FIRST_PASS_DRAWS = 4
"""Number of draws of the first pass whose mean has the candidates; an ensemble takes at least one of each member."""
_SEED = 0  # Seed of these draws: candidates belong to the case, not to the draws of the prediction.


@dataclass(frozen=True, eq=False)
class DecidedCase:
    """The candidates of a case with their decisions.

    Attributes:
        decision: Candidates and outcomes, as they are reported.
        mask: (X, Y, Z), the contours of the accepted candidates.
        contours: Contours of the accepted and of the rejected candidates, but not of those in veins.
        probabilities: Probability of each of these.
        low: Low threshold of the candidates.
    """

    decision: CandidateDecision
    mask: Mask
    contours: tuple[CandidateContour, ...]
    probabilities: tuple[float, ...]
    low: float

    def draws(self, first: Iterator[Volume], generator: np.random.Generator) -> Iterator[Volume]:
        """Draws of the first pass in which each candidate is present with its probability.

        Args:
            first: Draws of the first pass.
            generator: Its only randomness.
        """
        return decided_draws(first, self.contours, self.probabilities, low=self.low, generator=generator)


@dataclass(frozen=True, eq=False)
class SecondLook:
    """Networks of a second look, and the decision.

    Attributes:
        networks: The networks; all see the same cube.
        calibration: The decision; None accepts candidates by the sigmoid of the score, and drops no vein.
        compute: How the networks are applied.
    """

    networks: Sequence[LoadedNetwork]
    calibration: CandidateCalibration | None
    compute: ComputeConfig

    @property
    def examiners(self) -> tuple[Examiner, ...]:
        """The networks with their cubes."""
        return tuple(examiner_of(network) for network in self.networks)

    @property
    def rule(self) -> CandidateRule:
        """Which parts of the first pass are candidates."""
        return self.examiners[0].rule

    @property
    def mask_threshold(self) -> float:
        """Probability from which a voxel of a draw belongs to its mask."""
        return MASK_THRESHOLD

    @property
    def threshold(self) -> float:
        """Probability from which a candidate is accepted."""
        return MASK_THRESHOLD if self.calibration is None else self.calibration.threshold

    @property
    def methods(self) -> tuple[object, ...]:
        """The classes whose papers a manifest names."""
        calibration = () if self.calibration is None else (CandidateCalibration, type(self.calibration.probability))
        return (*dict.fromkeys(type(network.network) for network in self.networks), *calibration)

    def as_json(self, decision: CandidateDecision) -> Mapping[str, object]:
        """Weights, settings and outcome as plain values, for a manifest."""
        fitted = None if self.calibration is None else decision_as_json(self.calibration)
        return {
            "weights": [network.card.sha256 for network in self.networks],
            "candidates": asdict(self.rule),
            "decision": fitted,
            "accepted": len(decision.accepted),
        }

    def first_pass(self, prepared: PreparedCase, grid: Grid, *, within: Mask, members: int) -> FirstPass:
        """The maps of a first pass in which candidates are searched.

        Args:
            prepared: The case prepared by the first pass; its draws lie on ``grid``.
            grid: Grid of the case.
            within: (X, Y, Z), the analysed region.
            members: Number of members, which take turns.
        """
        draws = prepared.draws(max(FIRST_PASS_DRAWS, members), np.random.default_rng(_SEED))
        return first_pass(draws, prepared.structure_maps(), grid, low=self.rule.low, within=within)

    def candidates(self, maps: FirstPass) -> tuple[Extracted, ...]:
        """The candidates of a first pass, those in veins included."""
        return extract_candidates(maps, self.rule)

    def look(self, candidate: Extracted, maps: FirstPass, read: CaseReader) -> Look:
        """The second look at one candidate."""
        return look_again(candidate, maps, read, self.examiners, self.compute)

    def decide(self, maps: FirstPass, read: CaseReader) -> DecidedCase:
        """Looks at the candidates of a case, and decides each.

        Args:
            maps: As ``first_pass`` gives them.
            read: Gives the case on the grid of a cube.
        """
        candidates = self.candidates(maps)
        veins = [c for c in candidates if self.calibration is not None and self.calibration.is_in_vein(c.features)]
        others = [c for c in candidates if c not in veins]
        looks = [self.look(candidate, maps, read) for candidate in others]
        probabilities = [self._probability(look.score) for look in looks]
        contours = [candidate_contour(*pair, maps) for pair in zip(others, looks, strict=True)]
        accepted = [p >= self.threshold for p in probabilities]
        mask = contour_mask((c for c, yes in zip(contours, accepted, strict=True) if yes), maps.grid)
        missed = None
        if self.calibration is not None and not any(accepted):
            missed = self.calibration.missed_clot(probabilities)
        rows = _rows(others, veins, probabilities, accepted, contours, maps.grid)
        decision = CandidateDecision(rows, self.threshold, self.calibration is not None, missed)
        return DecidedCase(decision, mask, tuple(contours), tuple(probabilities), self.rule.low)

    def _probability(self, score: float) -> float:
        return float(expit(score)) if self.calibration is None else self.calibration.probability_of(score)


def _rows(
    others: Sequence[Extracted],
    veins: Sequence[Extracted],
    probabilities: Sequence[float],
    accepted: Sequence[bool],
    contours: Sequence[CandidateContour],
    grid: Grid,
) -> tuple[Candidate, ...]:
    """The candidates by rank."""
    order = sorted(range(len(others)), key=lambda i: -probabilities[i])
    rows = []
    for rank, i in enumerate(order, start=1):
        volume_ml = int(np.count_nonzero(contours[i].mask)) * grid.voxel_ml if accepted[i] else 0.0
        outcome = "accepted" if accepted[i] else "rejected"
        rows.append(Candidate(rank, others[i].features, outcome, probabilities[i], volume_ml))  # type: ignore[arg-type]
    last = len(rows) + 1
    rows += [Candidate(rank, c.features, "in a vein", None) for rank, c in enumerate(veins, start=last)]
    return tuple(rows)


def with_decision(maps: Maps, decided: DecidedCase | None) -> Maps:
    """The maps with the mask of the accepted candidates; unchanged where no candidates were decided."""
    return maps if decided is None else replace(maps, mask=decided.mask, decided=True)


def second_look_of(
    networks: Sequence[LoadedNetwork], calibration: CandidateCalibration | None, compute: ComputeConfig
) -> SecondLook:
    """The second look of some networks.

    Raises:
        WeightsRejected: A network is not one of a second look, or they differ in cube or candidates.
    """
    first = examiner_of(networks[0])
    for network in networks[1:]:
        other = examiner_of(network)
        if (first.spacing_mm, first.side, first.rule) != (other.spacing_mm, other.side, other.rule):
            raise WeightsRejected(
                network.card.name,
                expected=f"a cube of {first.side} voxels of {first.spacing_mm:g} mm, and candidates of {first.rule}",
                found=f"{other.side} voxels of {other.spacing_mm:g} mm, and {other.rule}",
                do="give networks of one second look",
            )
    return SecondLook(networks, calibration, compute)


def examiner_of(network: LoadedNetwork) -> Examiner:
    """A network of a second look with its cube.

    Raises:
        WeightsRejected: The network segments, and does not look at candidates.
    """
    classification = network.network.candidate_classification
    if classification is None:
        raise WeightsRejected(
            network.card.name,
            expected="weights of a second look",
            found=f"weights of architecture {network.card.architecture}",
            do="give weights of trainings/thrombus/second_look.py",
        )
    config, card = network.network.config, network.card
    return Examiner(classification, config.modalities, config.mirrored, card.spacing_mm, card.patch)
