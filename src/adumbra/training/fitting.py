"""Posteriors that a training fits to its weights: tensors beside the weights, and facts for the model card.

variational       the standard deviation of each weight, which was trained with the weight
swag              moments of the weights over the last part of the training, at a constant learning rate
laplace           the curvature of the loss in the head's weights, over whole training cases
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from adumbra.inference.device import Precision, autocast
from adumbra.inference.sliding_window import windows_over
from adumbra.networks.unet import UNet
from adumbra.networks.weights import FITTED
from adumbra.posterior.laplace import Curvature, fit_laplace
from adumbra.posterior.swag import SwagMoments
from adumbra.posterior.weightspace import parameters_from
from adumbra.training.config import OptimiserConfig
from adumbra.training.inputs import input_channels
from adumbra.training.objective import VOXELS_PER_OBSERVATION
from adumbra.training.options import TrainedPosterior
from adumbra.training.patches import CachedCase

SWAG_SHARE = 0.25
"""Share of the steps at the end of a training for SWAG in which snapshots of the weights are taken."""
SWAG_LEARNING_RATE = 0.25
"""Constant learning rate of these steps, as a fraction of the highest one."""
DENOISER_PREFIX = "denoiser."
"""Prefix of the parameters of a regulariser, which are trained beside those of the network."""
_SNAPSHOT_EVERY = 10  # Steps between snapshots.
_SWAG_RANK = 10
_SIGMA = ".log_sigma"
_LAPLACE_CASES = 32  # Number of cases that the curvature is summed over; the sum is scaled to all cases.


@dataclass(frozen=True, eq=False)
class FittedPosterior:
    """The weights of a training, and the posterior that was fitted to them.

    Attributes:
        weights: Weights of the network, by name.
        tensors: Tensors of the posterior, by name.
        card: Name and plain values of the posterior, for the model card; empty where none was fitted.
    """

    weights: Mapping[str, Tensor]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    card: Mapping[str, object] = field(default_factory=dict)

    @property
    def stored(self) -> dict[str, Tensor]:
        """All tensors, as ``networks.weights.save_weights`` takes them."""
        return dict(self.weights) | {f"{FITTED}{name}": tensor for name, tensor in self.tensors.items()}


def network_weights(ema_weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the network, without the standard deviations and the denoiser that were trained with them."""
    return {n: t for n, t in ema_weights.items() if not n.endswith(_SIGMA) and not n.startswith(DENOISER_PREFIX)}


def variational_posterior(ema_weights: Mapping[str, Tensor]) -> FittedPosterior:
    """The means and log standard deviations of the weights."""
    log_sigma = {n.removesuffix(_SIGMA) + ".weight": t.float() for n, t in ema_weights.items() if n.endswith(_SIGMA)}
    return FittedPosterior(network_weights(ema_weights), log_sigma, {"name": "variational"})


def first_snapshot(steps: int) -> int:
    """The step, counted from 0, from which a training for SWAG has a constant learning rate and takes snapshots."""
    return round(steps * (1.0 - SWAG_SHARE))


def snapshot_due(step: int, steps: int) -> bool:
    """Whether the weights after a step, counted from 0, are a snapshot for SWAG."""
    begin = first_snapshot(steps)
    return step >= begin and (step - begin) % _SNAPSHOT_EVERY == 0


def least_steps(posterior: TrainedPosterior, optimiser: OptimiserConfig) -> int:
    """The smallest number of steps: SWAG needs two snapshots; only Laplace can be fitted without a step."""
    if posterior == "swag":
        return round((_SNAPSHOT_EVERY + 1) / SWAG_SHARE)
    return 0 if posterior == "laplace" and optimiser.initial else 1


def empty_swag_moments() -> SwagMoments:
    """Moments of no snapshot, with the rank that is stored."""
    return SwagMoments(_SWAG_RANK)


def swag_posterior(snapshots: SwagMoments, network: UNet) -> FittedPosterior:
    """The mean of the snapshots as weights, and the Gaussian of the decoder's weights."""
    gaussian = snapshots.fit()
    decoder = parameters_from(network, "decoder")
    tensors = {f"variance/{name}": gaussian.variance[name] for name in decoder}
    tensors |= {f"deviations/{name}": gaussian.deviations[name].half() for name in decoder}
    weights = {name: mean.float() for name, mean in snapshots.mean.items()}
    return FittedPosterior(weights, tensors, {"name": "swag", "snapshots": snapshots.count, "rank": gaussian.rank})


def laplace_posterior(
    network: UNet, ema_weights: Mapping[str, Tensor], cases: Sequence[CachedCase], *, side: int, precision: Precision
) -> FittedPosterior:
    """The Gaussian around the weights of the head.

    Args:
        network: A network with the averaged weights.
        ema_weights: The averaged weights.
        cases: The training cases; the curvature is summed over at most 32 of them.
        side: Side of a window, in voxels.
        precision: Precision of the network.
    """
    sample = cases[:: max(1, len(cases) // _LAPLACE_CASES)][:_LAPLACE_CASES]
    head = network.decoder.head
    curvature = Curvature.empty(len(network.config.targets), network.config.widths[0] + 1)
    for case in sample:
        add_curvature(curvature, network, case, side=side, precision=precision)
    mean = torch.cat([head.weight.flatten(1), head.bias[:, None]], 1)  # type: ignore[index]  # it has a bias
    weight = len(cases) / len(sample) / VOXELS_PER_OBSERVATION
    gaussian = fit_laplace(curvature, mean.detach().double().cpu().numpy(), weight=weight)
    card = {
        "name": "laplace",
        "form": gaussian.form,
        "prior_precision": list(gaussian.prior_precision),
        "weight": weight,
        "cases": len(sample),
    }
    return FittedPosterior(network_weights(ema_weights), {"root": gaussian.root}, card)


@torch.inference_mode()
def add_curvature(curvature: Curvature, network: UNet, case: CachedCase, *, side: int, precision: Precision) -> None:
    """Adds the brain voxels of one case to the curvature, each voxel once."""
    with safe_open(case.path, framework="np") as file:
        brain = file.get_tensor("brain").astype(bool)
    channels = input_channels(case, network.config)
    remaining = brain.copy()
    device = next(network.parameters()).device
    present = torch.from_numpy(case.present)[None].to(device)
    for box in windows_over(brain, side=side, overlap=0.0).boxes():
        window = torch.from_numpy(np.ascontiguousarray(channels[(None, slice(None), *box)])).to(device)
        with autocast(precision, device):
            features = network.features(window, present)
        p = network.decoder.head(features.float()).sigmoid()[0]
        inside = torch.from_numpy(remaining[box]).to(device)
        phi = features[0].float()[:, inside].T
        phi = torch.cat([phi, torch.ones(len(phi), 1, device=device)], 1)
        second_derivative = (p * (1.0 - p))[:, inside]
        curvature.add(phi.cpu().numpy(), second_derivative.cpu().numpy())
        remaining[box] = False


def independent_voxels(cases: Sequence[CachedCase]) -> float:
    """Number of independent observations in the brains of the cases, at least 1."""
    count = 0
    for case in cases:
        with safe_open(case.path, framework="np") as file:
            count += int(np.count_nonzero(file.get_tensor("brain")))
    return max(1.0, count / VOXELS_PER_OBSERVATION)
