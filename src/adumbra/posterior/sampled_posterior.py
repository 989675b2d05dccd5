"""The posterior of one network: the stages before the first stochastic one are computed once per window.

A draw is *one* network (or one noise, one augmentation) in all windows of a volume. A new one in every window would
tile the volume with different networks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from adumbra.core.case import Case
from adumbra.core.errors import WeightsRejected
from adumbra.core.options import ComputeConfig
from adumbra.core.results import AttentionMaps
from adumbra.core.rng import children
from adumbra.core.types import Channels, Structure, Target, Volume
from adumbra.inference.attention_maps import attention_maps
from adumbra.inference.posteriors import StochasticApproximation, require_draws
from adumbra.inference.protocols import TrainedNetwork
from adumbra.inference.structures import structure_maps
from adumbra.inference.windowed_inference import WindowedInference


@dataclass(frozen=True, eq=False)
class SampledPosterior:
    """The posterior of one network under one approximation.

    Attributes:
        trained: A network and its card.
        approximation: What differs from draw to draw.
        target: The target to segment; None is the network's first.
        compute: How the network is applied.

    Raises:
        WeightsRejected: The network does not segment the target, or the weights do not support the approximation.
    """

    trained: TrainedNetwork
    approximation: StochasticApproximation
    target: Target | None = None
    compute: ComputeConfig = field(default_factory=ComputeConfig)

    def __post_init__(self) -> None:
        if self.target is not None and self.target not in self.targets:
            raise WeightsRejected(
                self.trained.card.name,
                expected=f"weights that segment the {self.target}",
                found=f"weights for {', '.join(self.targets)}",
                do="give the weights of that target",
            )
        self.approximation.stage(self.trained)  # weights that do not support it are refused here

    @property
    def targets(self) -> tuple[Target | Structure, ...]:
        """Targets that the network segments."""
        return tuple(self.trained.network.config.targets)

    @property
    def state(self) -> Mapping[str, object]:
        """The weights and the settings of the approximation."""
        card = self.trained.card
        return {"weights": card.sha256, "from": self.approximation.stage(self.trained), **self.approximation.state}

    @property
    def methods(self) -> tuple[object, ...]:
        """The class whose papers a manifest names."""
        return (type(self.approximation),)

    def prepare(self, case: Case, guidance: Channels | None = None) -> "SampledCase":
        """The windows of a case; see ``inference.posteriors.Posterior.prepare``."""
        stage = self.approximation.stage(self.trained)
        inference = WindowedInference(
            case, self.trained, stage, target=self.target, compute=self.compute, guidance=guidance
        )
        return SampledCase(inference, self.approximation)

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``inference.posteriors.Posterior.draws``. Errors are raised at the call."""
        require_draws(n)
        return self.prepare(case).draws(n, generator)

    def deterministic(self, case: Case) -> Volume:
        """The probability volume without any randomness."""
        return self.prepare(case).deterministic()


@dataclass(frozen=True, eq=False)
class SampledCase:
    """A case prepared for draws.

    Attributes:
        inference: Its windows before the first stochastic stage.
        approximation: What differs from draw to draw.
    """

    inference: WindowedInference
    approximation: StochasticApproximation

    def draw(self, generator: np.random.Generator) -> Volume:
        """One draw."""
        network, shape = self.inference.network, self.inference.shape
        return self.inference.probability(self.approximation.sample(network, generator, shape))

    def draws(self, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time."""
        require_draws(n)
        return map(self.draw, children(generator, n))

    def deterministic(self) -> Volume:
        """The probability volume without any randomness."""
        return self.inference.deterministic()

    def attention_maps(self) -> AttentionMaps | None:
        """Cross-attention weights on the case's grid; None where there are none."""
        return attention_maps(self.inference)

    def structure_maps(self) -> Mapping[Structure, Volume]:
        """Probability of each structure on the case's grid; empty where the network learns none."""
        return structure_maps(self.inference)
