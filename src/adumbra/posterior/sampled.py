"""A network with a chance: the part before it is computed once a window, the part from it on for every draw.

A draw is *one* network (or one noise, one view) in all windows of a volume: a fresh one in every window would tile the
volume with different networks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from adumbra.case import Case
from adumbra.errors import WeightsRejected
from adumbra.posterior.base import Chance, Loaded, Sampler
from adumbra.posterior.run import Run, Running
from adumbra.shapes import Target, Volume


@dataclass(frozen=True, eq=False)
class Sampled:
    """The posterior of one network under one approximation.

    Attributes:
        loaded: A network and its card.
        chance: What differs between draws.
        target: Which of the network's targets; None is its first.
        running: How it is computed.

    Raises:
        WeightsRejected: The network does not outline the target, or the chance is not one of these weights.
    """

    loaded: Loaded
    chance: Chance
    target: Target | None = None
    running: Running = field(default_factory=Running)

    def __post_init__(self) -> None:
        if self.target is not None and self.target not in self.targets:
            raise WeightsRejected(
                self.loaded.card.name,
                expected=f"weights that outline the {self.target}",
                found=f"weights for {', '.join(self.targets)}",
                do="give the weights of that target",
            )
        self.chance.part(self.loaded)  # so that weights it cannot use are refused here

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the network outlines."""
        return tuple(self.loaded.network.config.targets)

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed: the weights and the approximation."""
        card = self.loaded.card
        return {"weights": card.sha256, "from": self.chance.part(self.loaded), **self.chance.state}

    @property
    def methods(self) -> tuple[object, ...]:
        """What a manifest names the papers of."""
        return (type(self.chance),)

    def sampler(self, case: Case) -> Sampler:
        """The case's windows, ready for draws."""
        run = self._run(case)
        return lambda generator: run.probability(self.chance.drawn(run.network, generator, run.shape))

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``posterior.base.Posterior.draws``. What is wrong is said at the call."""
        require_some(n)
        return map(self.sampler(case), children(generator, n))

    def _run(self, case: Case) -> Run:
        channel = 0 if self.target is None else self.targets.index(self.target)
        return Run(case, self.loaded, self.chance.part(self.loaded), channel, self.running)

    def deterministic(self, case: Case) -> Volume:
        """The probability volume of the network without chance."""
        run = self._run(case)
        return run.probability(lambda network, window: network(window.features, window.present, part=run.part))


def children(generator: np.random.Generator, n: int) -> Iterator[np.random.Generator]:
    """``n`` generators of their own; later calls with the same generator go on where this one ends."""
    return (generator.spawn(1)[0] for _ in range(n))


def require_some(n: int) -> None:
    """Refuses to draw nothing."""
    if n < 1:
        raise ValueError(f"n: expected at least 1 draw, found {n}; ask for 20, or call deterministic()")
