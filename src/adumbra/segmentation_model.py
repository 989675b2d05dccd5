"""A segmentation model: trained networks, the posterior that is sampled, and its calibration."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adumbra.core.atlas.head_context import ContextInput
from adumbra.core.case import Case
from adumbra.core.errors import InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import InferenceConfig
from adumbra.core.progress import Progress, quiet
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Mask, Modality, Target, Volume
from adumbra.fusion.refinement.refined_case import RefinedCase
from adumbra.inference.posteriors import Posterior, PreparedCase
from adumbra.inference.protocols import TrainedNetwork
from adumbra.networks.registry import DEFAULT_WEIGHTS, SINGLE_WEIGHTS, LoadedNetwork, load
from adumbra.posterior.ensemble import DeepEnsemble, EnsembleCase
from adumbra.posterior.native_grid import OnNativeGrid
from adumbra.posterior.refined import Refinement, refinement_of
from adumbra.posterior.registry import default_posterior, member_posteriors
from adumbra.posterior.second_look import DecidedCase, SecondLook, second_look_of
from adumbra.posterior.upstream import with_upstream_prior
from adumbra.preprocessing.pipeline import align_case, network_case
from adumbra.preprocessing.regions import RegionReader
from adumbra.uncertainty.calibration.candidate_fit import DecisionIdentity, read_decision, require_decision_for
from adumbra.uncertainty.calibration.io import Calibration, read_calibration, require_for

ENSEMBLE = "ensemble"
"""Name of the posterior of several networks, each with its own default posterior."""
_PRESENCE = 1  # Second word of the seed that says which draws hold a candidate.


@dataclass(frozen=True, eq=False)
class SegmentationModel:
    """Everything about a segmentation that does not depend on the case.

    Attributes:
        target: The target to segment.
        networks: One trained network, or the members of an ensemble.
        members: The posterior of each network.
        posterior: The posterior that is sampled: that of the only network, or an ensemble of ``members``.
        posterior_name: Its name in ``posterior.registry``, or ``ENSEMBLE``.
        calibration: Calibration of the probabilities and of the volume; None leaves them as they are.
        config: Settings of the prediction.
        refinement: A second pass over some windows; None makes none.
        second_look: A second look at candidates, and their decision; None makes none.
    """

    target: Target
    networks: Sequence[LoadedNetwork]
    members: Sequence[Posterior]
    posterior: Posterior
    posterior_name: str
    calibration: Calibration | None
    config: InferenceConfig
    refinement: Refinement | None = None
    second_look: SecondLook | None = None

    @property
    def _later_networks(self) -> tuple[TrainedNetwork, ...]:
        """The networks of the second pass and of the second look."""
        second = () if self.refinement is None else self.refinement.networks
        return (*second, *(() if self.second_look is None else self.second_look.networks))

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The input modalities of all networks."""
        configs = [n.network.config for n in (*self.networks, *self._later_networks)]
        return tuple(dict.fromkeys(modality for config in configs for modality in config.modalities))

    @property
    def mirrored(self) -> bool:
        """Whether any of the networks takes images of the other side of the head."""
        return any(n.network.config.mirrored for n in (*self.networks, *self._later_networks))

    @property
    def context(self) -> tuple[ContextInput, ...]:
        """The context inputs that any of the networks takes."""
        second = () if self.refinement is None else self.refinement.networks
        return tuple(dict.fromkeys(name for n in (*self.networks, *second) for name in n.network.config.context))

    @property
    def b_range(self) -> tuple[float, float] | None:
        """The b-values in s/mm² that every network was trained for; None where a card does not state them."""
        stated = [network.card.b_range for network in self.networks]
        ranges = [each for each in stated if each is not None]
        if not ranges or len(ranges) < len(stated):
            return None
        return max(low for low, _ in ranges), min(high for _, high in ranges)

    @property
    def weights(self) -> tuple[str, ...]:
        """The sha256 of all weights, those of the second pass and of the second look last."""
        return tuple(n.card.sha256 for n in (*self.networks, *self._later_networks))

    def align(self, case: Case, *, progress: Progress = quiet) -> Case:
        """The case on the grid of the target's reference modality, with what the networks take beside its scans.

        Args:
            case: As ``cases.registry.open_case`` gives it.
            progress: Follows the registrations.

        Raises:
            InputRejected: See ``preprocessing.pipeline.align_case``.
        """
        aligned = align_case(
            case,
            target=self.target,
            modalities=self.modalities,
            registration=self.config.registration,
            mirrored=self.mirrored,
            in_atlas=bool(self.context),
            progress=progress,
        )
        return with_upstream_prior(aligned, compute=self.config.compute) if "upstream" in self.context else aligned

    def network_cases(self, aligned: Case) -> Mapping[float, Case]:
        """The case at the spacing of each network, by spacing in millimetres; the first network's comes first.

        Args:
            aligned: As ``align`` gives it.

        Raises:
            InputRejected: See ``preprocessing.pipeline.network_case``.
        """
        spacings = dict.fromkeys(network.card.spacing_mm for network in self.networks)
        return {spacing: network_case(aligned, spacing_mm=spacing) for spacing in spacings}

    def prepare(self, cases: Mapping[float, Case], grid: Grid, *, within: Mask) -> PreparedCase:
        """The case prepared by every member at its own spacing; the draws lie on ``grid``.

        Args:
            cases: As ``network_cases`` gives them.
            grid: Grid of the draws.
            within: (X, Y, Z) of ``grid``, the analysed region; attention maps are 0 outside.
        """
        spacings = (network.card.spacing_mm for network in self.networks)
        members = [
            OnNativeGrid(member.prepare(cases[spacing]), cases[spacing].grid, grid, within)
            for member, spacing in zip(self.members, spacings, strict=True)
        ]
        return members[0] if len(members) == 1 else EnsembleCase(members)

    def refine(self, first: PreparedCase, aligned: Case, *, within: Mask) -> RefinedCase | None:
        """The case with its second pass, at the scan's own resolution; None for a model without one.

        Args:
            first: As ``prepare`` gives it, on the grid of the aligned case.
            aligned: As ``preprocessing.pipeline.align_case`` gives it.
            within: (X, Y, Z), the analysed region.

        Raises:
            MissingInput: The oracle selection has no ground truth.
        """
        if self.refinement is None:
            return None
        read = RegionReader(aligned, self.networks[0].card.spacing_mm)
        return self.refinement.second_pass.refine(first, aligned, read, region=within)

    def decide(self, first: PreparedCase, aligned: Case, *, within: Mask) -> DecidedCase | None:
        """The candidates of a case with their decisions; None for a model without a second look.

        Args:
            first: The case prepared by all earlier passes, on the grid of the aligned case.
            aligned: As ``align`` gives it.
            within: (X, Y, Z), the analysed region.
        """
        if self.second_look is None:
            return None
        maps = self.second_look.first_pass(first, aligned.grid, within=within, members=self.member_count)
        return self.second_look.decide(maps, RegionReader(aligned, self.networks[0].card.spacing_mm))

    def draws(self, prepared: PreparedCase, decided: DecidedCase | None, n: int) -> Iterator[Volume]:
        """``n`` draws of a case, one at a time; where candidates were decided, each is present with its probability.

        Args:
            prepared: The case prepared by all passes.
            decided: As ``decide`` gives it.
            n: Number of draws.
        """
        draws = prepared.draws(n, np.random.default_rng(self.config.seed))
        return draws if decided is None else decided.draws(draws, np.random.default_rng([self.config.seed, _PRESENCE]))

    @property
    def member_count(self) -> int:
        """Number of ensemble members. They take turns: draw k of a case is of member k % ``member_count``."""
        return len(self.networks)

    @property
    def network_thresholds(self) -> tuple[float, float]:
        """Threshold and high threshold of the mask, for the probabilities of the networks."""
        card, config = self.networks[0].card, self.config
        usual = card.threshold, card.high_threshold
        if self.second_look is not None:
            usual = self.second_look.mask_threshold, 0.0  # draws hold the contours of the second look
        low = usual[0] if config.threshold is None else config.threshold
        high = usual[1] if config.high_threshold is None else config.high_threshold
        return low, high

    @property
    def thresholds(self) -> tuple[float, float]:
        """Threshold and high threshold of the mask, for the probabilities as they are calibrated."""
        low, high = self.network_thresholds
        if self.calibration is None:
            return low, high
        return self.calibration.calibrated_threshold(low), self.calibration.calibrated_threshold(high)


def load_model(target: Target, config: InferenceConfig | None = None) -> SegmentationModel:
    """The networks, posterior and calibration of a configuration.

    Raises:
        WeightsRejected: Weights or calibration cannot be used, do not know the target, or do not belong together.
        InputRejected: There is no such posterior, or no network segments the target.
    """
    config = config or InferenceConfig()
    _require_network(target, config)
    released = SINGLE_WEIGHTS if config.posterior else DEFAULT_WEIGHTS
    networks = _networks(released.get(target, target) if config.weights is None else config.weights)
    members = member_posteriors(networks, config.posterior, target=target, compute=config.compute)
    posterior = members[0] if len(members) == 1 else DeepEnsemble(members)
    name = config.posterior or (default_posterior(networks[0]) if len(networks) == 1 else ENSEMBLE)
    second = config.refinement
    seconds = [] if second is None else _networks(second.weights)
    refinement = None
    if second is not None:
        refinement = refinement_of(seconds, second, target=target, first_members=len(members), compute=config.compute)
    look = _second_look(config, networks, posterior=name)
    used = (*networks, *seconds, *(() if look is None else look.networks))
    calibration = _calibration(config, used, target=target, posterior=name)
    return SegmentationModel(target, networks, members, posterior, name, calibration, config, refinement, look)


def _require_network(target: Target, config: InferenceConfig) -> None:
    """Refuses a target without released weights, unless the configuration names weights."""
    available = [name for name, spec in TARGET_SPECS.items() if spec.network is not None]
    if config.weights is None and target not in available:
        raise InputRejected(
            "target",
            expected=f"a target that a released network segments: {' or '.join(available)}",
            found=f"{target}, which is estimated from the others",
            do="call adumbra.assess for it, choose one of these targets, or name weights that were trained for it",
        )


def _networks(weights: str | Path | Sequence[str | Path]) -> list[LoadedNetwork]:
    return [load(name) for name in ([weights] if isinstance(weights, str | Path) else weights)]


def _second_look(config: InferenceConfig, networks: Sequence[LoadedNetwork], *, posterior: str) -> SecondLook | None:
    """The second look of a configuration with its decision.

    The one beside the weights is used for the posterior and the ensemble that its decision belongs to. A second look
    that is named must belong to them, or have no decision yet.
    """
    beside, named = config.second_look == "beside", config.second_look
    if named == "none" or (beside and networks[0].second_look is None):
        return None
    looks = _networks(networks[0].second_look or "" if beside else named)
    look = second_look_of(looks, None, config.compute)
    if looks[0].decision is None:
        return look
    decision, shas = read_decision(looks[0].decision), tuple(network.card.sha256 for network in networks)
    identity = DecisionIdentity(shas, posterior, tuple(n.card.sha256 for n in looks), look.rule)
    if beside and (decision.weights, decision.posterior) != (shas, posterior):
        return None
    require_decision_for(decision, identity)
    return second_look_of(looks, decision, config.compute)


def _calibration(
    config: InferenceConfig, networks: Sequence[LoadedNetwork], *, target: Target, posterior: str
) -> Calibration | None:
    """The calibration of a configuration; one that belongs to other weights or another posterior is refused."""
    beside = config.calibration == "beside"
    path = networks[0].calibration if beside else config.calibration
    if path is None or path == "none":
        return None
    calibration = read_calibration(Path(path))
    weights = tuple(network.card.sha256 for network in networks)
    if beside and (posterior != calibration.posterior or (len(networks) > 1 and weights != calibration.weights)):
        return None  # the file beside the first weights is for the posterior and the ensemble that they belong to
    require_for(calibration, target=target, posterior=posterior, weights=weights)
    return calibration
