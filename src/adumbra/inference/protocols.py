"""What every posterior can do, and what it needs of a network.

Two values make a posterior: *which weights* hold the chance (a part of the network: what comes before it is computed
once for all draws) and *which approximation* of their distribution is drawn from. ``StochasticApproximation`` is both;
``sampled.SampledPosterior`` makes volumes of any of them, and ``ensemble.DeepEnsemble`` makes one posterior of several.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from adumbra.core.case import Case
from adumbra.core.types import Target, Volume

NetworkStage = Literal["encoder", "decoder", "head"]
Features = tuple[Tensor, ...]


@runtime_checkable
class Network(Protocol):
    """A network in parts; what comes before a part can be computed once."""

    @property
    def config(self) -> Any:
        """Has ``modalities`` and ``targets``, in order, and ``multiple``, which divides the side of a window."""
        ...

    @property
    def first_stochastic_stage(self) -> NetworkStage:
        """The first part that holds dropout; the head where none does."""
        ...

    def features_before(self, part: NetworkStage, x: Tensor, present: Tensor) -> Features:
        """What a part is given."""
        ...

    def __call__(self, x: Any, present: Tensor, kept: Any = None, *, part: NetworkStage = "encoder") -> Tensor:
        """Logits (B, targets, X, Y, Z), from a part on."""
        ...


@runtime_checkable
class Card(Protocol):
    """What must be known of the weights."""

    @property
    def name(self) -> str:
        """Of the weights."""
        ...

    @property
    def sha256(self) -> str:
        """Of their file."""
        ...

    @property
    def training(self) -> Mapping[str, object]:
        """How they were made."""
        ...

    @property
    def spacing_mm(self) -> float:
        """Of the isotropic grid that the network was trained on."""
        ...

    @property
    def patch(self) -> int:
        """Side of the patches that it was trained on, in voxels."""
        ...

    @property
    def window(self) -> int:
        """Side of the windows to predict with; 0 is the patch."""
        ...

    @property
    def posterior(self) -> Mapping[str, object]:
        """What was fitted to the weights: its ``name`` and plain values; empty where nothing was."""
        ...


@runtime_checkable
class Loaded(Protocol):
    """A network with its card, as ``networks.registry.load`` gives it."""

    @property
    def network(self) -> Network:
        """In evaluation mode."""
        ...

    @property
    def card(self) -> Card:
        """What its weights are."""
        ...

    @property
    def fitted(self) -> Mapping[str, Tensor]:
        """Tensors of what was fitted to the weights, by name."""
        ...

    @property
    def first(self) -> "Loaded | None":
        """Of a guided network: whose reading guides it."""
        ...


@dataclass(frozen=True, eq=False)
class Window:
    """One window of a volume on its way through the network.

    Attributes:
        features: What the part with the chance is given, see ``Network.features_before``.
        present: (1, C), 1 where a modality is there.
        box: Where the window lies, as slices of the volume.
    """

    features: Features
    present: Tensor
    box: tuple[slice, slice, slice]


Realisation = Callable[[Any, Window], Tensor]
"""One draw: from a network and a window to logits (1, targets, X, Y, Z); the same function for all windows."""


Sampler = Callable[[np.random.Generator], Volume]
"""From a generator of its own to one draw: a full probability volume, float32, on the case's grid."""


@runtime_checkable
class StochasticApproximation(Protocol):
    """What differs from draw to draw: an approximation of the distribution of a network's weights, or of its logits."""

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed of it: plain values, for the manifest."""
        ...

    def part(self, loaded: Loaded) -> NetworkStage:
        """The first part of the network that it touches.

        Raises:
            WeightsRejected: The weights are not made for it.
        """
        ...

    def drawn(self, network: Any, generator: np.random.Generator, shape: tuple[int, int, int]) -> Realisation:
        """One draw, for a volume of a shape."""
        ...


@runtime_checkable
class Posterior(Protocol):
    """A distribution over probability volumes, given a case."""

    @property
    def targets(self) -> tuple[Target, ...]:
        """What its networks outline."""
        ...

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed: approximation, weights, rates, plain values for the manifest."""
        ...

    @property
    def methods(self) -> tuple[object, ...]:
        """The classes whose papers a manifest names, see ``adumbra.core.references.citations``."""
        ...

    def sampler(self, case: Case) -> "Sampler":
        """The case made ready to be drawn from, without what follows being computed; errors as of ``draws``."""
        ...

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time: each a full probability volume, float32, on ``case.grid``.

        Args:
            case: Normalised, on a grid of the network's spacing, with ``masks["brain"]``.
            n: How many; at least 1.
            generator: The only source of chance: equal generators give equal bytes. Every draw has a child of it
                (``Generator.spawn``), so that ``n`` draws and then ``m`` with the same generator are those of ``n +
                    m``.

        Raises:
            ValueError: ``n`` is less than 1.
            GridMismatch: The grid's spacing is not the network's.
            MissingInput: No brain mask, or none of the network's modalities.
        """
        ...

    def deterministic(self, case: Case) -> Volume:
        """The probability volume of the network itself, without chance."""
        ...


def require_some(n: int) -> None:
    """Refuses to draw nothing."""
    if n < 1:
        raise ValueError(f"n: expected at least 1 draw, found {n}; ask for 20, or call deterministic()")
