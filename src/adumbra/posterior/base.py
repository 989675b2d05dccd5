"""What every posterior can do, and what it needs of a network."""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from adumbra.case import Case
from adumbra.shapes import Volume


@runtime_checkable
class Network(Protocol):
    """A network whose encoder is deterministic and whose decoder can be given one draw's dropout masks."""

    @property
    def config(self) -> Any:
        """Has ``modalities`` and ``targets``, in order, and ``multiple``, which divides the side of a window."""
        ...

    @property
    def encoder(self) -> Any:
        """``encoder(x, present)``: the features of each level."""
        ...

    @property
    def decoder(self) -> Any:
        """``decoder(features, kept)``: logits; ``decoder.drawn_masks(generator)``: one draw of ``kept``."""
        ...

    def __call__(self, x: Tensor, present: Tensor) -> Tensor:
        """Logits (B, targets, X, Y, Z)."""
        ...


@runtime_checkable
class Card(Protocol):
    """What must be known of the weights."""

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


@runtime_checkable
class Loaded(Protocol):
    """A network with its card, as ``networks.catalogue.load`` gives it."""

    @property
    def network(self) -> Network:
        """In evaluation mode."""
        ...

    @property
    def card(self) -> Card:
        """What its weights are."""
        ...


@runtime_checkable
class Posterior(Protocol):
    """A distribution over probability volumes, given a case."""

    def sample(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time: each a full probability volume, float32, on ``case.grid``.

        Args:
            case: Normalised, on a grid of the network's spacing, with ``masks["brain"]``.
            n: How many; at least 1.
            generator: The only source of chance: equal generators give equal bytes.

        Raises:
            ValueError: ``n`` is less than 1.
            GridMismatch: The grid's spacing is not the network's.
            MissingInput: No brain mask, or none of the network's modalities.
        """
        ...

    def deterministic(self, case: Case) -> Volume:
        """The probability volume of the network itself, without chance."""
        ...
