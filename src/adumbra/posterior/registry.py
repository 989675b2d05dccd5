"""The one place that knows the names of posteriors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from adumbra.core.errors import InputRejected, WeightsRejected
from adumbra.core.types import Target
from adumbra.fusion.two_pass import TwoPassPosterior
from adumbra.inference.protocols import Loaded, Posterior, StochasticApproximation
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.posterior.deterministic import Deterministic
from adumbra.posterior.diffusion import MaskDiffusion
from adumbra.posterior.ensemble import DeepEnsemble
from adumbra.posterior.heteroscedastic import Heteroscedastic
from adumbra.posterior.laplace import LastLayerLaplace
from adumbra.posterior.mc_dropout import MCDropout
from adumbra.posterior.sampled_posterior import SampledPosterior
from adumbra.posterior.selective_dropout import SelectiveMCDropout, fit_for
from adumbra.posterior.swag import Swag
from adumbra.posterior.test_time_augmentation import TestTimeAugmentation
from adumbra.posterior.variational import MeanField

POSTERIORS: Mapping[str, Callable[[Loaded], StochasticApproximation]] = {
    "dropout": lambda _: MCDropout(),
    "variational": MeanField.of,
    "laplace": LastLayerLaplace.of,
    "swag": Swag.of,
    "heteroscedastic": lambda _: Heteroscedastic(),
    "tta": lambda _: TestTimeAugmentation(),
    "deterministic": lambda _: Deterministic(),
    "mask-diffusion": lambda _: MaskDiffusion(),
}
"""What a network can be drawn from. Several networks make an ensemble, of any of these."""


def default_posterior(loaded: Loaded) -> str:
    """The posterior that weights were made for: what was fitted to them, else noise or dropout where they have it."""
    network: Any = loaded.network
    if fitted := str(loaded.card.posterior.get("name", "")):
        return fitted
    if hasattr(network, "denoised"):
        return "mask-diffusion"
    if network.config.noise_rank is not None:
        return "heteroscedastic"
    return "dropout" if network.first_stochastic_stage != "head" else "deterministic"


def posterior_of(
    networks: Sequence[Loaded],
    name: str = "",
    *,
    target: Target | None = None,
    inference: InferenceConfig | None = None,
) -> Posterior:
    """The posterior of that name of a network, or of an ensemble of several; without a name, each one's natural one.

    Raises:
        InputRejected: No such name.
        WeightsRejected: The weights are not made for it, or not for the target.
    """
    if name and name not in POSTERIORS:
        raise InputRejected("posterior", expected=" or ".join(POSTERIORS), found=name, do="choose one of these")
    members = [
        _member(loaded, name or default_posterior(loaded), target, inference or InferenceConfig())
        for loaded in networks
    ]
    return members[0] if len(members) == 1 else DeepEnsemble(members)


def _member(loaded: Loaded, name: str, target: Target | None, inference: InferenceConfig) -> Posterior:
    """Guided by a first reading where the network asks for one."""
    if loaded.network.config.guidance_channels:
        first_pass_draws, first = _readings(loaded), _first_of(loaded)
        # A modality's own doubt only tells keys apart: as small windows as the training had, each voxel in one.
        small = replace(inference, side=inference.side or first.card.patch, overlap=0.0)
        return TwoPassPosterior(
            _alone(first, default_posterior(first), target, inference, together=first_pass_draws),
            _alone(first, default_posterior(first), target, small),
            _alone(loaded, name, target, inference),
            loaded,
            first_pass_draws,
        )
    return _alone(loaded, name, target, inference)


def _first_of(loaded: Loaded) -> Loaded:
    if loaded.first is None:
        raise WeightsRejected(
            loaded.card.name, expected="the weights of a first reading beside them", found="none", do="keep both files"
        )
    return loaded.first


def _readings(loaded: Loaded) -> int:
    """How many draws of the first reading the network was trained with; four where its card does not say."""
    cross = loaded.card.training.get("cross")
    return int(cross["draws"]) if isinstance(cross, Mapping) and "draws" in cross else 4


def _alone(
    loaded: Loaded, name: str, target: Target | None, inference: InferenceConfig, together: int = 10
) -> Posterior:
    """Drawn from where there is doubt alone, where its dropout allows that, so many draws at once."""
    if name == "dropout" and not inference.dense_draws and fit_for(loaded):
        return SelectiveMCDropout(loaded, target, inference, together=together)
    return SampledPosterior(loaded, POSTERIORS[name](loaded), target, inference)
