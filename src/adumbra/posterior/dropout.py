"""Monte-Carlo dropout: every draw is one network with some channels switched off.

Gal & Ghahramani, ICML 2016; whole channels as in Tompson et al., CVPR 2015. Which sites hold dropout, and at what
rate, is the network's own: it is sampled as it was trained. Usually all lie behind the encoder, which is then computed
once.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adumbra.errors import WeightsRejected
from adumbra.posterior.base import Loaded, Part, Realisation
from adumbra.references import cites


@cites("Gal2016")
@dataclass(frozen=True)
class Dropout:
    """Channels dropped as in training."""

    @property
    def state(self) -> Mapping[str, object]:
        """Nothing is fixed but what the weights' own card tells."""
        return {"approximation": "dropout"}

    def part(self, loaded: Loaded) -> Part:
        """The part that holds the first site.

        Raises:
            WeightsRejected: The network was trained without dropout: all draws would be the same.
        """
        part: Part = loaded.network.chance
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
        kept, part = network.drawn_masks(generator), network.chance
        kept = tuple(mask.to(next(network.parameters()).device) for mask in kept)
        return lambda network, window: network(window.features, window.present, kept, part=part)
