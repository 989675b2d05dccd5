"""Monte-Carlo dropout: every draw is one network with some channels dropped.

Gal & Ghahramani, ICML 2016; whole channels as in Tompson et al., CVPR 2015. Sites and rates of the dropout are those of
the training. Usually all sites lie behind the encoder, which is then computed once.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.core.errors import WeightsRejected
from adumbra.core.references import cites
from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork, device_of


@cites("Gal2016")
@dataclass(frozen=True)
class MCDropout:
    """Channels dropped as in training."""

    @property
    def state(self) -> Mapping[str, object]:
        """The name alone; the rates stand on the weights' card."""
        return {"approximation": "dropout"}

    def stage(self, trained: TrainedNetwork) -> NetworkStage:
        """The stage that holds the first dropout site.

        Raises:
            WeightsRejected: The network was trained without dropout, so that all draws would be the same.
        """
        stage = trained.network.first_stochastic_stage
        if stage == "head":
            raise WeightsRejected(
                trained.card.name,
                expected="a network that was trained with dropout",
                found=f"dropout {trained.network.config.dropout}",
                do="choose another posterior, or train with dropout",
            )
        return stage

    def sample(
        self, network: SegmentationNetwork, generator: np.random.Generator, shape: tuple[int, int, int]
    ) -> Realisation:
        """One network: its dropout masks are the same in all windows."""
        stage, device = network.first_stochastic_stage, device_of(network)
        masks = tuple(mask.to(device) for mask in network.sample_dropout_masks(generator))
        return lambda network, window: network(window.features, window.present, masks, stage=stage)
