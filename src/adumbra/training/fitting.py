"""What a training fits to its weights, for a posterior to draw from: tensors beside them, and words on their card.

variational       the standard deviation of each weight, which was trained with it
swag              moments of the weights over the last part of the training, at a constant learning rate
laplace           the curvature of the loss in the head's weights, over whole training cases
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from adumbra.inference.device import autocast
from adumbra.inference.sliding_window import windows_over
from adumbra.networks.unet import UNet
from adumbra.networks.weights import FITTED
from adumbra.posterior.laplace import Curvature, fitted
from adumbra.posterior.swag import SwagMoments
from adumbra.posterior.weightspace import selected
from adumbra.training.config import TrainConfig
from adumbra.training.objective import TELLS_THE_SAME
from adumbra.training.patches import CachedCase

WANDERING = 0.25  # Share of the steps of a training for SWAG over which its weights wander.
STEADY = 0.25  # Of the highest learning rate, meanwhile.
DENOISER = "denoiser."  # Before the names of what a regulariser trains beside the network.
_EVERY = 10  # Steps between snapshots.
_RANK = 10
_SIGMA = ".log_sigma"
_CASES = 32  # That the curvature is summed over; the sum is scaled to all.


@dataclass(frozen=True, eq=False)
class FittedPosterior:
    """What is saved with the weights.

    Attributes:
        weights: Of the network itself.
        tensors: Of the posterior.
        about: Its name and plain values, for the card; empty where nothing was fitted.
    """

    weights: Mapping[str, Tensor]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    about: Mapping[str, object] = field(default_factory=dict)

    @property
    def stored(self) -> dict[str, Tensor]:
        """All of it, as ``networks.weights.save_weights`` takes it."""
        return dict(self.weights) | {f"{FITTED}{name}": tensor for name, tensor in self.tensors.items()}


def own_weights(ema_weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the network itself, without the spreads and the denoiser that were trained with them."""
    return {n: t for n, t in ema_weights.items() if not n.endswith(_SIGMA) and not n.startswith(DENOISER)}


def variational(ema_weights: Mapping[str, Tensor]) -> FittedPosterior:
    """Means and spreads."""
    spreads = {n.removesuffix(_SIGMA) + ".weight": t.float() for n, t in ema_weights.items() if n.endswith(_SIGMA)}
    return FittedPosterior(own_weights(ema_weights), spreads, {"name": "variational"})


def snapshot_due(number: int, config: TrainConfig) -> bool:
    """Whether the weights after this step, counted from 0, are one of SWAG's snapshots."""
    begin = round(config.steps * (1.0 - WANDERING))
    return config.posterior == "swag" and number >= begin and (number - begin) % _EVERY == 0


def least_steps(config: TrainConfig) -> int:
    """With fewer nothing is learned: a SWAG needs two snapshots, and only a Laplace can do without a step."""
    if config.posterior == "swag":
        return round((_EVERY + 1) / WANDERING)
    return 0 if config.posterior == "laplace" and config.initial else 1


def swag_moments() -> SwagMoments:
    """That keeps as many deviations as are stored."""
    return SwagMoments(_RANK)


def swag(snapshots: SwagMoments, network: UNet) -> FittedPosterior:
    """The mean of the snapshots as weights; the Gaussian of those of the decoder."""
    found = snapshots.fitted()
    chosen = selected(network, "decoder")
    tensors = {f"variance/{name}": found.variance[name] for name in chosen}
    tensors |= {f"deviations/{name}": found.deviations[name].half() for name in chosen}
    weights = {name: mean.float() for name, mean in snapshots.mean.items()}
    return FittedPosterior(weights, tensors, {"name": "swag", "snapshots": snapshots.count, "rank": found.rank})


def laplace(
    network: UNet, ema_weights: Mapping[str, Tensor], cases: Sequence[CachedCase], config: TrainConfig
) -> FittedPosterior:
    """The Gaussian around the head of a network that holds the averaged weights."""
    some = cases[:: max(1, len(cases) // _CASES)][:_CASES]
    head = network.decoder.head
    targets = len(config.network.targets)
    curvature = Curvature.empty(targets, config.network.widths[0] + 1)
    for case in some:
        add_case(curvature, network, case, config)
    mean = torch.cat([head.weight.flatten(1), head.bias[:, None]], 1)  # type: ignore[index]  # it has a bias
    weight = len(cases) / len(some) / TELLS_THE_SAME
    found = fitted(curvature, mean.detach().double().cpu().numpy(), weight=weight)
    about = {"form": found.form, "prior_precision": list(found.prior_precision), "weight": weight, "cases": len(some)}
    return FittedPosterior(own_weights(ema_weights), {"root": found.root}, {"name": "laplace", **about})


@torch.inference_mode()
def add_case(curvature: Curvature, network: UNet, case: CachedCase, config: TrainConfig) -> None:
    """Adds the brain's voxels of one case, each once."""
    with safe_open(case.path, framework="np") as file:
        channels, brain = file.get_tensor("channels").astype(np.float32), file.get_tensor("brain").astype(bool)
    left = brain.copy()
    device = next(network.parameters()).device
    present = torch.from_numpy(case.present)[None].to(device)
    for box in windows_over(brain, side=config.patch, overlap=0.0).boxes():
        window = torch.from_numpy(np.ascontiguousarray(channels[(None, slice(None), *box)])).to(device)
        with autocast(config.precision, device):
            features = network.features(window, present)
        p = network.decoder.head(features.float()).sigmoid()[0]
        here = torch.from_numpy(left[box]).to(device)
        phi = features[0].float()[:, here].T
        phi = torch.cat([phi, torch.ones(len(phi), 1, device=device)], 1)
        bends = (p * (1.0 - p))[:, here]
        curvature.add(phi.cpu().numpy(), bends.cpu().numpy())
        left[box] = False


def independent_voxels(cases: Sequence[CachedCase]) -> float:
    """How many observations the brains of these cases count as, at least 1."""
    count = 0
    for case in cases:
        with safe_open(case.path, framework="np") as file:
            count += int(np.count_nonzero(file.get_tensor("brain")))
    return max(1.0, count / TELLS_THE_SAME)
