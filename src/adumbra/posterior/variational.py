"""Mean-field variational inference: every weight a Gaussian of its own, q(w) = N(μ, σ²).

Blundell et al., ICML 2015. Training maximises the evidence's lower bound

    E_q log p(D | w) - KL(q ‖ p),        p(w) = N(0, s²)

with noise that differs between the examples of a batch (Flipout; Wen et al., ICLR 2018; ``networks.flipout``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from adumbra.core.references import cites
from adumbra.inference.protocols import Loaded, NetworkStage, Realisation
from adumbra.posterior.weightspace import part_of, require_fitted, standard_normal, with_weights

NAME = "variational"


@cites("Blundell2015", "Wen2018")
@dataclass(frozen=True, eq=False)
class MeanField:
    """Independent Gaussians; their means are the network's weights.

    Attributes:
        log_sigma: Logarithm of the standard deviation of each weight, by the parameter's name.
    """

    log_sigma: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, loaded: Loaded) -> "MeanField":
        """What was trained with the weights.

        Raises:
            WeightsRejected: They were not trained variationally.
        """
        require_fitted(loaded, NAME)
        return cls(dict(loaded.fitted))

    @property
    def state(self) -> Mapping[str, object]:
        """How many weights are uncertain."""
        return {"approximation": "mean field", "weights_drawn": sum(t.numel() for t in self.log_sigma.values())}

    def part(self, loaded: Loaded) -> NetworkStage:
        """The first part with an uncertain weight."""
        return part_of(self.log_sigma)

    def drawn(self, network: Any, generator: np.random.Generator, shape: tuple[int, int, int]) -> Realisation:
        """One network."""
        own = dict(network.named_parameters())
        weights = {
            name: own[name] + log_sigma.to(own[name]).exp() * standard_normal(generator, own[name])
            for name, log_sigma in self.log_sigma.items()
        }
        return with_weights(weights, part_of(self.log_sigma))
