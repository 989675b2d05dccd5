"""The one place that knows the names of posteriors, and that makes one of trained networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from adumbra.core.errors import InputRejected, WeightsRejected
from adumbra.core.legacy import current_value
from adumbra.core.options import ComputeConfig
from adumbra.core.types import Target
from adumbra.fusion.two_pass import TwoPassPosterior
from adumbra.inference.posteriors import Posterior, StochasticApproximation
from adumbra.inference.protocols import TrainedNetwork
from adumbra.posterior.deterministic import Deterministic, DeterministicPosterior
from adumbra.posterior.diffusion import MaskDiffusion
from adumbra.posterior.ensemble import DeepEnsemble
from adumbra.posterior.heteroscedastic import Heteroscedastic
from adumbra.posterior.laplace import LastLayerLaplace
from adumbra.posterior.mc_dropout import MCDropout
from adumbra.posterior.sampled_posterior import SampledPosterior
from adumbra.posterior.selective_dropout import SelectiveMCDropout
from adumbra.posterior.swag import Swag
from adumbra.posterior.test_time_augmentation import TestTimeAugmentation
from adumbra.posterior.variational import MeanField

POSTERIORS: Mapping[str, Callable[[TrainedNetwork], StochasticApproximation]] = {
    "dropout": lambda _: MCDropout(),
    "variational": MeanField.of,
    "laplace": LastLayerLaplace.of,
    "swag": Swag.of,
    "heteroscedastic": lambda _: Heteroscedastic(),
    "tta": lambda _: TestTimeAugmentation(),
    "deterministic": lambda _: Deterministic(),
    "mask-diffusion": lambda _: MaskDiffusion(),
}
"""The approximations that a network's draws can be made with. Several networks make an ensemble of any of these."""


def default_posterior(trained: TrainedNetwork) -> str:
    """The posterior that weights were trained for: a fitted one, else predicted noise or dropout where they have it."""
    if fitted := str(trained.card.posterior.get("name", "")):
        return fitted
    network = trained.network
    if network.mask_denoising is not None:
        return "mask-diffusion"
    if network.logit_noise is not None:
        return "heteroscedastic"
    return "dropout" if network.first_stochastic_stage != "head" else "deterministic"


def posterior_of(
    networks: Sequence[TrainedNetwork],
    name: str = "",
    *,
    target: Target | None = None,
    compute: ComputeConfig | None = None,
) -> Posterior:
    """The posterior of one network, or of an ensemble of several; see ``member_posteriors``."""
    members = member_posteriors(networks, name, target=target, compute=compute)
    return members[0] if len(members) == 1 else DeepEnsemble(members)


def member_posteriors(
    networks: Sequence[TrainedNetwork],
    name: str = "",
    *,
    target: Target | None = None,
    compute: ComputeConfig | None = None,
) -> tuple[Posterior, ...]:
    """The posterior of each network.

    Args:
        networks: One, or several for an ensemble.
        name: A name of ``POSTERIORS``; empty takes the default of each network.
        target: The target to segment; None is each network's first.
        compute: How the networks are applied.

    Raises:
        InputRejected: There is no posterior of that name.
        WeightsRejected: The weights do not support it, or do not segment the target.
    """
    if name and name not in POSTERIORS:
        today = current_value("posterior", name)
        remedy = "choose one of these" if today == name else f"use its name of today, {today}"
        raise InputRejected("posterior", expected=" or ".join(POSTERIORS), found=name, do=remedy)
    return tuple(
        _member(trained, name or default_posterior(trained), target, compute or ComputeConfig()) for trained in networks
    )


def _member(trained: TrainedNetwork, name: str, target: Target | None, compute: ComputeConfig) -> Posterior:
    """The posterior of one network; a guided network gets its guidance maps from a first pass."""
    second = _single_pass(trained, name, target, compute)
    if not trained.network.config.guidance_channels:
        return second
    first, draws = _first_pass(trained), trained.card.first_pass_draws
    # Windows as small as in training, each voxel in one of them: a single modality's map only ranks attention keys.
    small = replace(compute, window=compute.window or first.card.patch, overlap=0.0)
    return TwoPassPosterior(
        first=_single_pass(first, default_posterior(first), target, compute, batch_size=draws),
        single_modality=_single_pass(first, default_posterior(first), target, small),
        second=second,
        modalities=trained.network.config.modalities,
        first_pass_draws=draws,
    )


def _first_pass(trained: TrainedNetwork) -> TrainedNetwork:
    if trained.first_pass is None:
        raise WeightsRejected(
            trained.card.name,
            expected="the weights of the first pass beside them",
            found="none",
            do="keep both files in one folder",
        )
    return trained.first_pass


def _single_pass(
    trained: TrainedNetwork, name: str, target: Target | None, compute: ComputeConfig, batch_size: int = 10
) -> Posterior:
    """The posterior of a network alone; dropout is sampled at uncertain voxels only, where the network allows it."""
    if name == "dropout" and not compute.dense_draws and trained.network.sparse_decoding is not None:
        return SelectiveMCDropout(trained, target, compute, batch_size=batch_size)
    if name == "deterministic":
        return DeterministicPosterior(trained, Deterministic(), target, compute)
    return SampledPosterior(trained, POSTERIORS[name](trained), target, compute)
