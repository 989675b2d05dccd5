"""What Gaussian posteriors of the weights share: which weights, and a network with sampled weights in their place."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from adumbra.core.errors import WeightsRejected
from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork

Weights = Mapping[str, Tensor]
_PREFIX: Mapping[NetworkStage, str] = {"head": "decoder.head.", "decoder": "decoder.", "encoder": ""}


def first_stage(names: Iterable[str]) -> NetworkStage:
    """The first stage of the network that holds one of these parameters."""
    names = list(names)
    if all(name.startswith(_PREFIX["head"]) for name in names):
        return "head"
    return "decoder" if all(name.startswith(_PREFIX["decoder"]) for name in names) else "encoder"


def parameters_from(network: SegmentationNetwork, stage: NetworkStage) -> dict[str, nn.Parameter]:
    """The parameters of a stage and of those after it, by name; gains and shifts of normalisations are among them."""
    return {name: p for name, p in network.named_parameters() if name.startswith(_PREFIX[stage])}


def with_weights(weights: Weights, stage: NetworkStage) -> Realisation:
    """The network with these parameters in place of its own."""
    return lambda network, window: network.with_parameters(weights, window.features, window.present, stage=stage)


def standard_normal(generator: np.random.Generator, like: Tensor) -> Tensor:
    """Standard normal numbers of the shape, precision and device of a tensor."""
    return torch.from_numpy(generator.standard_normal(tuple(like.shape), dtype=np.float32)).to(like)


def require_fitted(trained: TrainedNetwork, name: str) -> None:
    """Refuses weights to which another posterior was fitted, or none.

    Raises:
        WeightsRejected: Another posterior, or none, was fitted.
    """
    fitted = str(trained.card.posterior.get("name", ""))
    if fitted != name:
        raise WeightsRejected(
            trained.card.name,
            expected=f"weights with a fitted state of the posterior {name}",
            found=f"one of {fitted}" if fitted else "no fitted state",
            do=f"train with --posterior {name}, or choose another posterior",
        )
