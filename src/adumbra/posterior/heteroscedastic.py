"""Logit noise that the network predicts: one pass through the network gives as many draws as wanted.

With mean μ, log-variance s and factors F that the network predicts at every voxel, the logits of a draw are

    η = μ + F z + exp(s / 2) ε,        z ~ N(0, 1) for each rank, the same in all voxels;  ε ~ N(0, 1) at each voxel

Without factors this is the heteroscedastic network of Kendall & Gal, NeurIPS 2017; with them the stochastic
segmentation network of Monteiro et al., NeurIPS 2020, whose draws are coherent contours instead of voxel noise. The
noise models the images, not the weights: it is aleatoric.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from adumbra.core.errors import WeightsRejected
from adumbra.core.references import cites
from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import LogitNoise, NetworkStage, SegmentationNetwork, TrainedNetwork, Window


@cites("Kendall2017", "Monteiro2020")
@dataclass(frozen=True)
class Heteroscedastic:
    """Draws of the predicted logit noise."""

    @property
    def state(self) -> Mapping[str, object]:
        """The name alone; the rank stands on the weights' card."""
        return {"approximation": "logit noise"}

    def stage(self, trained: TrainedNetwork) -> NetworkStage:
        """The head.

        Raises:
            WeightsRejected: The network predicts no noise.
        """
        if trained.network.logit_noise is None:
            raise WeightsRejected(
                trained.card.name,
                expected="a network that predicts the noise of its logits",
                found="one that does not",
                do="train with --posterior heteroscedastic or stochastic-segmentation",
            )
        return "head"

    def sample(
        self, network: SegmentationNetwork, generator: np.random.Generator, shape: tuple[int, int, int]
    ) -> Realisation:
        """One sample of the noise; that of single voxels is sampled for the whole volume, so that windows share it."""
        noise_network: LogitNoise | None = network.logit_noise
        assert noise_network is not None  # ``stage`` refuses others
        targets, rank = len(network.config.targets), network.config.noise_rank
        shared = torch.from_numpy(generator.standard_normal(rank).astype(np.float32))
        own = torch.from_numpy(generator.standard_normal((targets, *shape), dtype=np.float32))

        def logits(_: SegmentationNetwork, window: Window) -> torch.Tensor:
            mean, deviation, factors = noise_network.logit_distribution(window.features, window.present, stage="head")
            in_window = own[(slice(None), *window.box)][None].to(mean)
            sampled: torch.Tensor = mean + deviation * in_window
            for z, factor in zip(shared, factors, strict=True):
                sampled = sampled + z.to(mean) * factor
            return sampled

        return logits
