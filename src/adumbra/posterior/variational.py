"""Mean-field variational inference: every weight has an independent Gaussian, q(w) = N(μ, σ²).

Blundell et al., ICML 2015. Training maximises the evidence lower bound

    E_q log p(D | w) - KL(q ‖ p),        p(w) = N(0, s²)

with noise that differs between the examples of a batch (Flipout; Wen et al., ICLR 2018; ``networks.flipout``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from adumbra.core.references import cites
from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork
from adumbra.posterior.weightspace import first_stage, require_fitted, standard_normal, with_weights

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
    def of(cls, trained: TrainedNetwork) -> "MeanField":
        """The Gaussians that were trained with the weights.

        Raises:
            WeightsRejected: The weights were not trained variationally.
        """
        require_fitted(trained, NAME)
        return cls(dict(trained.fitted))

    @property
    def state(self) -> Mapping[str, object]:
        """Number of stochastic weights."""
        return {"approximation": "mean field", "stochastic_weights": sum(t.numel() for t in self.log_sigma.values())}

    def stage(self, trained: TrainedNetwork) -> NetworkStage:
        """The first stage with a stochastic weight."""
        return first_stage(self.log_sigma)

    def sample(
        self, network: SegmentationNetwork, generator: np.random.Generator, shape: tuple[int, int, int]
    ) -> Realisation:
        """One network."""
        own = dict(network.named_parameters())
        weights = {
            name: own[name] + log_sigma.to(own[name]).exp() * standard_normal(generator, own[name])
            for name, log_sigma in self.log_sigma.items()
        }
        return with_weights(weights, first_stage(self.log_sigma))
