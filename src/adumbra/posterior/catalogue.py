"""The one place that knows the names of posteriors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from adumbra.errors import InputRejected, WeightsRejected
from adumbra.posterior.augmented import Augmented
from adumbra.posterior.base import Chance, Loaded, Posterior
from adumbra.posterior.diffusion import MaskDiffusion
from adumbra.posterior.doubtful import Doubtful, fit_for
from adumbra.posterior.dropout import Dropout
from adumbra.posterior.ensemble import Ensemble
from adumbra.posterior.guided import Guided
from adumbra.posterior.heteroscedastic import LogitNoise
from adumbra.posterior.laplace import LastLayer
from adumbra.posterior.point import Point
from adumbra.posterior.run import Running
from adumbra.posterior.sampled import Sampled
from adumbra.posterior.swag import Swag
from adumbra.posterior.variational import MeanField
from adumbra.shapes import Target

POSTERIORS: Mapping[str, Callable[[Loaded], Chance]] = {
    "dropout": lambda _: Dropout(),
    "variational": MeanField.of,
    "laplace": LastLayer.of,
    "swag": Swag.of,
    "logit-noise": lambda _: LogitNoise(),
    "augmented": lambda _: Augmented(),
    "point": lambda _: Point(),
    "mask-diffusion": lambda _: MaskDiffusion(),
}
"""What a network can be drawn from. Several networks make an ensemble, of any of these."""


def natural(loaded: Loaded) -> str:
    """The posterior that weights were made for: what was fitted to them, else noise or dropout where they have it."""
    network: Any = loaded.network
    if fitted := str(loaded.card.posterior.get("name", "")):
        return fitted
    if hasattr(network, "denoised"):
        return "mask-diffusion"
    if network.config.noise_rank is not None:
        return "logit-noise"
    return "dropout" if network.chance != "head" else "point"


def posterior_of(
    networks: Sequence[Loaded], name: str = "", *, target: Target | None = None, running: Running | None = None
) -> Posterior:
    """The posterior of that name of a network, or of an ensemble of several; without a name, each one's natural one.

    Raises:
        InputRejected: No such name.
        WeightsRejected: The weights are not made for it, or not for the target.
    """
    if name and name not in POSTERIORS:
        raise InputRejected("posterior", expected=" or ".join(POSTERIORS), found=name, do="choose one of these")
    members = [_member(loaded, name or natural(loaded), target, running or Running()) for loaded in networks]
    return members[0] if len(members) == 1 else Ensemble(members)


def _member(loaded: Loaded, name: str, target: Target | None, running: Running) -> Posterior:
    """Guided by a first reading where the network asks for one."""
    if loaded.network.config.doubt_channels:
        readings, first = _readings(loaded), _first_of(loaded)
        # A modality's own doubt only tells keys apart: as small windows as the training had, each voxel in one.
        small = replace(running, side=running.side or first.card.patch, overlap=0.0)
        return Guided(
            _alone(first, natural(first), target, running, together=readings),
            _alone(first, natural(first), target, small),
            _alone(loaded, name, target, running),
            loaded,
            readings,
        )
    return _alone(loaded, name, target, running)


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


def _alone(loaded: Loaded, name: str, target: Target | None, running: Running, together: int = 10) -> Posterior:
    """Drawn from where there is doubt alone, where its dropout allows that, so many draws at once."""
    if name == "dropout" and not running.everywhere and fit_for(loaded):
        return Doubtful(loaded, target, running, together=together)
    return Sampled(loaded, POSTERIORS[name](loaded), target, running)
