"""What the Gaussian posteriors of weights have in common: which weights, and a network with others in their place."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from adumbra.core.errors import WeightsRejected
from adumbra.inference.protocols import Loaded, NetworkStage, Realisation

Weights = Mapping[str, Tensor]


def part_of(names: Iterable[str]) -> NetworkStage:
    """The first part of the network that holds one of these parameters."""
    names = list(names)
    if all(name.startswith("decoder.head.") for name in names):
        return "head"
    return "decoder" if all(name.startswith("decoder.") for name in names) else "encoder"


def selected(network: Any, part: NetworkStage) -> dict[str, Tensor]:
    """The parameters of a part and of those that follow it, by name; gains and shifts of norms among them."""
    prefix = {"head": "decoder.head.", "decoder": "decoder.", "encoder": ""}[part]
    return {name: p for name, p in network.named_parameters() if name.startswith(prefix)}


def with_weights(weights: Weights, part: NetworkStage) -> Realisation:
    """The network with these parameters in place of its own."""
    return lambda network, window: functional_call(
        network, dict(weights), (window.features, window.present), {"part": part}
    )


def standard_normal(generator: np.random.Generator, like: Tensor) -> Tensor:
    """Of the shape, precision and device of a tensor."""
    return torch.from_numpy(generator.standard_normal(tuple(like.shape), dtype=np.float32)).to(like)


def require_fitted(loaded: Loaded, name: str) -> None:
    """Refuses weights to which another posterior was fitted, or none.

    Raises:
        WeightsRejected: So it is; the error says what was.
    """
    found = str(loaded.card.posterior.get("name", ""))
    if found != name:
        raise WeightsRejected(
            loaded.card.name,
            expected=f"weights with a fitted state of the posterior {name}",
            found=f"one of {found}" if found else "no fitted state",
            do=f"train with --posterior {name}, or choose another posterior",
        )
