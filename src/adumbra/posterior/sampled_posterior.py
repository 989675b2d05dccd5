"""A network with a chance: the part before it is computed once a window, the part from it on for every draw.

A draw is *one* network (or one noise, one view) in all windows of a volume: a fresh one in every window would tile the
volume with different networks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from adumbra.core.case import Case
from adumbra.core.errors import WeightsRejected
from adumbra.core.rng import children
from adumbra.core.types import Target, Volume
from adumbra.inference.protocols import Loaded, Sampler, StochasticApproximation, require_some
from adumbra.inference.windowed_inference import InferenceConfig, WindowedInference


@dataclass(frozen=True, eq=False)
class SampledPosterior:
    """The posterior of one network under one approximation.

    Attributes:
        loaded: A network and its card.
        approximation: What differs between draws.
        target: Which of the network's targets; None is its first.
        inference: How it is computed.

    Raises:
        WeightsRejected: The network does not outline the target, or the chance is not one of these weights.
    """

    loaded: Loaded
    approximation: StochasticApproximation
    target: Target | None = None
    inference: InferenceConfig = field(default_factory=InferenceConfig)

    def __post_init__(self) -> None:
        if self.target is not None and self.target not in self.targets:
            raise WeightsRejected(
                self.loaded.card.name,
                expected=f"weights that outline the {self.target}",
                found=f"weights for {', '.join(self.targets)}",
                do="give the weights of that target",
            )
        self.approximation.part(self.loaded)  # so that weights it cannot use are refused here

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the network outlines."""
        return tuple(self.loaded.network.config.targets)

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed: the weights and the approximation."""
        card = self.loaded.card
        return {"weights": card.sha256, "from": self.approximation.part(self.loaded), **self.approximation.state}

    @property
    def methods(self) -> tuple[object, ...]:
        """What a manifest names the papers of."""
        return (type(self.approximation),)

    def sampler(self, case: Case) -> Sampler:
        """The case's windows, ready for draws."""
        run = self._run(case)
        return lambda generator: run.probability(self.approximation.drawn(run.network, generator, run.shape))

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``inference.protocols.Posterior.draws``. What is wrong is said at the call."""
        require_some(n)
        return map(self.sampler(case), children(generator, n))

    def _run(self, case: Case) -> WindowedInference:
        channel = 0 if self.target is None else self.targets.index(self.target)
        return WindowedInference(case, self.loaded, self.approximation.part(self.loaded), channel, self.inference)

    def deterministic(self, case: Case) -> Volume:
        """The probability volume of the network without chance."""
        run = self._run(case)
        return run.probability(lambda network, window: network(window.features, window.present, part=run.part))
