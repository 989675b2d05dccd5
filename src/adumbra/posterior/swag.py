"""SWAG: a Gaussian fitted to the weights that training wanders through once it has come near the minimum.

Maddox et al., NeurIPS 2019. With the mean θ of the snapshots, their variance Σ and the last K deviations D from the
running mean, a draw is

    θ + Σ^½ z₁ / √2 + D z₂ / √(2 (K - 1)),        z₁, z₂ ~ N(0, 1)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adumbra.core.references import cites
from adumbra.inference.protocols import Loaded, NetworkStage, Realisation
from adumbra.posterior.weightspace import part_of, require_fitted, standard_normal, with_weights

NAME = "swag"


@cites("Maddox2019")
@dataclass(frozen=True, eq=False)
class Swag:
    """Diagonal and low rank; the mean is the network's weights.

    Attributes:
        variance: Of each weight, by the parameter's name.
        deviations: (K, ...) of each parameter.
        scale: Of the whole covariance; 1 is the paper's.
    """

    variance: Mapping[str, Tensor] = field(default_factory=dict)
    deviations: Mapping[str, Tensor] = field(default_factory=dict)
    scale: float = 1.0

    @classmethod
    def of(cls, loaded: Loaded) -> "Swag":
        """What was gathered at the end of the training.

        Raises:
            WeightsRejected: Nothing was.
        """
        require_fitted(loaded, NAME)
        parts: dict[str, dict[str, Tensor]] = {"variance": {}, "deviations": {}}
        for key, tensor in loaded.fitted.items():
            kind, _, name = key.partition("/")
            parts[kind][name] = tensor
        return cls(parts["variance"], parts["deviations"])

    @property
    def rank(self) -> int:
        """How many deviations there are."""
        return len(next(iter(self.deviations.values())))

    @property
    def state(self) -> Mapping[str, object]:
        """Rank and scale."""
        return {"approximation": "low rank and diagonal", "rank": self.rank, "scale": self.scale}

    def part(self, loaded: Loaded) -> NetworkStage:
        """The first part with an uncertain weight."""
        return part_of(self.variance)

    def drawn(self, network: Any, generator: np.random.Generator, shape: tuple[int, int, int]) -> Realisation:
        """One network; all weights share the low-rank part's numbers."""
        own, rank = dict(network.named_parameters()), self.rank
        shared = torch.from_numpy(generator.standard_normal(rank).astype(np.float32))
        root = sqrt(0.5 * self.scale)
        weights = {}
        for name, variance in self.variance.items():
            like = own[name]
            wide = variance.to(like).clamp(min=0.0).sqrt() * standard_normal(generator, like)
            along = torch.tensordot(shared.to(like), self.deviations[name].to(like), dims=1) / sqrt(max(1, rank - 1))
            weights[name] = like + root * (wide + along)
        return with_weights(weights, part_of(self.variance))


class SwagMoments:
    """Running moments of the weights over snapshots; the last ``rank`` deviations are kept."""

    def __init__(self, rank: int) -> None:
        self.rank, self.count = rank, 0
        self.mean: dict[str, Tensor] = {}
        self.squares: dict[str, Tensor] = {}
        self.deviations: dict[str, list[Tensor]] = {}

    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Takes in one snapshot."""
        self.count += 1
        for name, now in weights.items():
            value = now.detach().double().cpu()
            mean = self.mean.setdefault(name, torch.zeros_like(value))
            before = value - mean
            mean += before / self.count
            self.squares.setdefault(name, torch.zeros_like(value)).add_(before * (value - mean))
            kept = self.deviations.setdefault(name, [])
            kept.append((value - mean).float())
            del kept[: -self.rank]

    def tensors(self) -> dict[str, Tensor]:
        """All of it, by ``part/name``; nothing before the first snapshot."""
        if not self.count:
            return {}
        parts: dict[str, Tensor] = {"count": torch.tensor(self.count)}
        for name in self.mean:
            parts[f"mean/{name}"], parts[f"squares/{name}"] = self.mean[name], self.squares[name]
            parts[f"deviations/{name}"] = torch.stack(self.deviations[name])
        return parts

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Takes over what ``tensors`` gave."""
        self.count = int(tensors["count"]) if tensors else 0
        of = {kind: {n.partition("/")[2]: t for n, t in tensors.items() if n.startswith(f"{kind}/")}
              for kind in ("mean", "squares", "deviations")}  # fmt: skip
        self.mean = {name: t.clone() for name, t in of["mean"].items()}
        self.squares = {name: t.clone() for name, t in of["squares"].items()}
        self.deviations = {name: list(t.clone()) for name, t in of["deviations"].items()}

    def fitted(self) -> Swag:
        """The Gaussian of the snapshots so far.

        Raises:
            ValueError: There were fewer than two.
        """
        if self.count < 2:
            raise ValueError(f"snapshots: expected at least 2, found {self.count}")
        variance = {name: (s / self.count).float() for name, s in self.squares.items()}
        return Swag(variance, {name: torch.stack(kept) for name, kept in self.deviations.items()})
