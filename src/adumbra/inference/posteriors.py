"""What a posterior is.

A ``Posterior`` prepares a case once: ``prepare`` gives a ``PreparedCase``, from which draws and attention maps are
made. A ``StochasticApproximation`` says what differs from draw to draw; ``posterior.sampled_posterior`` makes a
posterior of it.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from adumbra.core.case import Case
from adumbra.core.results import AttentionMaps
from adumbra.core.types import Channels, Structure, Target, Volume
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork, Window

Realisation = Callable[[SegmentationNetwork, Window], Tensor]
"""One draw as a function, the same in all windows: from a network and a window to logits (1, targets, X, Y, Z).

``window.features`` is the input of the approximation's stage, so the network is called with that stage, such as
``network(window.features, window.present, stage="head")``.
"""


@runtime_checkable
class StochasticApproximation(Protocol):
    """What differs from draw to draw: an approximate posterior of the weights, or a distribution of the logits."""

    @property
    def state(self) -> Mapping[str, object]:
        """Fixed settings, plain values for the manifest."""
        ...

    def stage(self, trained: TrainedNetwork) -> NetworkStage:
        """The first stage of the network that it changes.

        Raises:
            WeightsRejected: The weights do not support it.
        """
        ...

    def sample(
        self, network: SegmentationNetwork, generator: np.random.Generator, shape: tuple[int, int, int]
    ) -> Realisation:
        """One draw, for a volume of a shape."""
        ...


@runtime_checkable
class PreparedCase(Protocol):
    """A case on its way through a posterior: what all draws share is computed once."""

    def draw(self, generator: np.random.Generator) -> Volume:
        """One draw: a probability volume, float32, on the case's grid; ``generator`` is its only randomness."""
        ...

    def draws(self, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``Posterior.draws``."""
        ...

    def deterministic(self) -> Volume:
        """The probability volume without any randomness."""
        ...

    def attention_maps(self) -> AttentionMaps | None:
        """Cross-attention weights on the case's grid; None where the network attends to no available modality."""
        ...

    def structure_maps(self) -> Mapping[Structure, Volume]:
        """Probability of the structures that the networks learn beside the target, on the case's grid.

        It is the mean over the members of an ensemble, without any randomness; empty where no structure is learned.
        """
        ...


@runtime_checkable
class Posterior(Protocol):
    """A distribution over probability volumes, given a case."""

    @property
    def targets(self) -> tuple[Target | Structure, ...]:
        """Targets that its networks segment."""
        ...

    @property
    def state(self) -> Mapping[str, object]:
        """Approximation, weights, rates: plain values for the manifest."""
        ...

    @property
    def methods(self) -> tuple[object, ...]:
        """Classes whose papers a manifest names, see ``core.references.citations``."""
        ...

    def prepare(self, case: Case, guidance: Channels | None = None) -> PreparedCase:
        """Everything that draws of a case share.

        Args:
            case: Normalised, on a grid of the network's spacing, with ``masks["brain"]``.
            guidance: Guidance maps (1 + C, X, Y, Z) in [0, 1], for a guided network.

        Raises:
            GridMismatch: The grid's spacing is not the network's.
            MissingInput: No brain mask, none of the network's modalities, or no guidance for a guided network.
        """
        ...

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time: each is a full probability volume, float32, on ``case.grid``.

        Args:
            case: See ``prepare``, with its errors.
            n: Number of draws, at least 1.
            generator: The only source of randomness: equal generators give equal bytes. Every draw has a child of it
                (``Generator.spawn``), so that ``n`` and then ``m`` draws with one generator are those of ``n + m``.

        Raises:
            ValueError: ``n`` is less than 1.
        """
        ...

    def deterministic(self, case: Case) -> Volume:
        """The probability volume without any randomness; see ``prepare``."""
        ...


def require_draws(n: int) -> None:
    """Refuses a number of draws below 1.

    Raises:
        ValueError: ``n`` is less than 1.
    """
    if n < 1:
        raise ValueError(f"n: expected at least 1 draw, found {n}; ask for 20, or call deterministic()")
