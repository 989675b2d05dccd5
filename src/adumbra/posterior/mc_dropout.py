"""Monte-Carlo dropout: every draw is one network with some channels switched off.

Gal & Ghahramani, ICML 2016; whole channels as in Tompson et al., CVPR 2015. Which sites hold dropout, and at what
rate, is the network's own: it is sampled as it was trained. Usually all lie behind the encoder, which is then computed
once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adumbra.core.errors import WeightsRejected
from adumbra.core.references import cites
from adumbra.inference.protocols import Loaded, NetworkStage, Realisation


@cites("Gal2016")
@dataclass(frozen=True)
class MCDropout:
    """Channels dropped as in training."""

    @property
    def state(self) -> Mapping[str, object]:
        """Nothing is fixed but what the weights' own card tells."""
        return {"approximation": "dropout"}

    def part(self, loaded: Loaded) -> NetworkStage:
        """The part that holds the first site.

        Raises:
            WeightsRejected: The network was trained without dropout: all draws would be the same.
        """
        part: NetworkStage = loaded.network.first_stochastic_stage
        if part == "head":
            raise WeightsRejected(
                loaded.card.name,
                expected="a network that was trained with dropout",
                found=f"dropout {loaded.network.config.dropout}",
                do="choose another posterior, or train with dropout",
            )
        return part

    def drawn(self, network: Any, generator: np.random.Generator, shape: tuple[int, int, int]) -> Realisation:
        """One network: its masks are the same in all windows."""
        kept, part = network.sample_dropout_masks(generator), network.first_stochastic_stage
        kept = tuple(mask.to(next(network.parameters()).device) for mask in kept)
        return lambda network, window: network(window.features, window.present, kept, part=part)
