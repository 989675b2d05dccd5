"""Noise of the logits that the network itself predicts: one pass through the network, then as many draws as wanted.

With mean μ, log-variance s and factors F that the network gives for every voxel, a draw's logits are

    η = μ + F z + exp(s / 2) ε,        z ~ N(0, 1) for each rank, the same in all voxels;  ε ~ N(0, 1) in each voxel

Without factors this is Kendall & Gal, NeurIPS 2017; with them the stochastic segmentation network of Monteiro et al.,
NeurIPS 2020, whose draws are whole outlines instead of salt and pepper. The noise is the images', not the weights'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from adumbra.core.errors import WeightsRejected
from adumbra.core.references import cites
from adumbra.inference.protocols import Loaded, NetworkStage, Realisation, Window


@cites("Kendall2017", "Monteiro2020")
@dataclass(frozen=True)
class Heteroscedastic:
    """Draws of the predicted noise."""

    @property
    def state(self) -> Mapping[str, object]:
        """Nothing is fixed but what the weights' own card tells."""
        return {"approximation": "logit noise"}

    def part(self, loaded: Loaded) -> NetworkStage:
        """The head.

        Raises:
            WeightsRejected: The network predicts no noise.
        """
        if loaded.network.config.noise_rank is None:
            raise WeightsRejected(
                loaded.card.name,
                expected="a network that predicts the noise of its logits",
                found="one that does not",
                do="train with --posterior heteroscedastic or stochastic-segmentation",
            )
        return "head"

    def drawn(self, network: Any, generator: np.random.Generator, shape: tuple[int, int, int]) -> Realisation:
        """One draw of the noise; that of single voxels is drawn for the whole volume, so that windows share it."""
        config = network.config
        targets, rank = len(config.targets), config.noise_rank
        shared = torch.from_numpy(generator.standard_normal(rank).astype(np.float32))
        own = torch.from_numpy(generator.standard_normal((targets, *shape), dtype=np.float32))

        def noisy(network: Any, window: Window) -> torch.Tensor:
            mean, spread, factors = network.noisy(window.features, window.present, part="head")
            here = own[(slice(None), *window.box)][None].to(mean)
            noise: torch.Tensor = mean + spread * here
            for z, factor in zip(shared, factors, strict=True):
                noise = noise + z.to(mean) * factor
            return noise

        return noisy
