"""SWAG: a Gaussian fitted to the weights that stochastic gradient descent visits near the end of the training.

Maddox et al., NeurIPS 2019. With the mean θ of the snapshots, their variance Σ and the last K deviations D from the
running mean, a draw is

    θ + Σ^½ z₁ / √2 + D z₂ / √(2 (K - 1)),        z₁, z₂ ~ N(0, 1)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from adumbra.core.references import cites
from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork
from adumbra.posterior.weightspace import first_stage, require_fitted, standard_normal, with_weights

NAME = "swag"


@cites("Maddox2019")
@dataclass(frozen=True, eq=False)
class Swag:
    """A Gaussian with a diagonal and a low-rank covariance; its mean is the network's weights.

    Attributes:
        variance: Variance of each weight, by the parameter's name.
        deviations: Last K deviations of each parameter, (K, ...).
        scale: Factor of the whole covariance; 1 is the paper's.
    """

    variance: Mapping[str, Tensor] = field(default_factory=dict)
    deviations: Mapping[str, Tensor] = field(default_factory=dict)
    scale: float = 1.0

    @classmethod
    def of(cls, trained: TrainedNetwork) -> "Swag":
        """The Gaussian that was fitted at the end of the training.

        Raises:
            WeightsRejected: None was.
        """
        require_fitted(trained, NAME)
        parts: dict[str, dict[str, Tensor]] = {"variance": {}, "deviations": {}}
        for key, tensor in trained.fitted.items():
            kind, _, name = key.partition("/")
            parts[kind][name] = tensor
        return cls(parts["variance"], parts["deviations"])

    @property
    def rank(self) -> int:
        """Number of deviations."""
        return len(next(iter(self.deviations.values())))

    @property
    def state(self) -> Mapping[str, object]:
        """Rank and scale."""
        return {"approximation": "low rank and diagonal", "rank": self.rank, "scale": self.scale}

    def stage(self, trained: TrainedNetwork) -> NetworkStage:
        """The first stage with a stochastic weight."""
        return first_stage(self.variance)

    def sample(
        self, network: SegmentationNetwork, generator: np.random.Generator, shape: tuple[int, int, int]
    ) -> Realisation:
        """One network; all weights share the random numbers of the low-rank part."""
        own, rank = dict(network.named_parameters()), self.rank
        shared = torch.from_numpy(generator.standard_normal(rank).astype(np.float32))
        root = sqrt(0.5 * self.scale)
        weights = {}
        for name, variance in self.variance.items():
            like = own[name]
            diagonal = variance.to(like).clamp(min=0.0).sqrt() * standard_normal(generator, like)
            low_rank = torch.tensordot(shared.to(like), self.deviations[name].to(like), dims=1) / sqrt(max(1, rank - 1))
            weights[name] = like + root * (diagonal + low_rank)
        return with_weights(weights, first_stage(self.variance))


class SwagMoments:
    """Running moments of the weights over snapshots, and the last ``rank`` deviations."""

    def __init__(self, rank: int) -> None:
        self.rank, self.count = rank, 0
        self.mean: dict[str, Tensor] = {}
        self.squares: dict[str, Tensor] = {}
        self.deviations: dict[str, list[Tensor]] = {}

    def add(self, weights: Mapping[str, Tensor]) -> None:
        """Adds one snapshot."""
        self.count += 1
        for name, weight in weights.items():
            value = weight.detach().double().cpu()
            mean = self.mean.setdefault(name, torch.zeros_like(value))
            difference = value - mean
            mean += difference / self.count
            self.squares.setdefault(name, torch.zeros_like(value)).add_(difference * (value - mean))
            deviations = self.deviations.setdefault(name, [])
            deviations.append((value - mean).float())
            del deviations[: -self.rank]

    def tensors(self) -> dict[str, Tensor]:
        """The moments by ``kind/parameter``; empty before the first snapshot."""
        if not self.count:
            return {}
        parts: dict[str, Tensor] = {"count": torch.tensor(self.count)}
        for name in self.mean:
            parts[f"mean/{name}"], parts[f"squares/{name}"] = self.mean[name], self.squares[name]
            parts[f"deviations/{name}"] = torch.stack(self.deviations[name])
        return parts

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restores the moments that ``tensors`` gave."""
        self.count = int(tensors["count"]) if tensors else 0
        of = {kind: {n.partition("/")[2]: t for n, t in tensors.items() if n.startswith(f"{kind}/")}
              for kind in ("mean", "squares", "deviations")}  # fmt: skip
        self.mean = {name: t.clone() for name, t in of["mean"].items()}
        self.squares = {name: t.clone() for name, t in of["squares"].items()}
        self.deviations = {name: list(t.clone()) for name, t in of["deviations"].items()}

    def fit(self) -> Swag:
        """The Gaussian of the snapshots so far.

        Raises:
            ValueError: There are fewer than two.
        """
        if self.count < 2:
            raise ValueError(f"snapshots: expected at least 2, found {self.count}")
        variance = {name: (s / self.count).float() for name, s in self.squares.items()}
        return Swag(variance, {name: torch.stack(last) for name, last in self.deviations.items()})
