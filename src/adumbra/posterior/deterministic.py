"""One network without chance: every draw is the same. Members of a deep ensemble are such."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adumbra.inference.protocols import Loaded, NetworkStage, Realisation


@dataclass(frozen=True)
class Deterministic:
    """The network itself."""

    @property
    def state(self) -> Mapping[str, object]:
        """Nothing more than the weights."""
        return {"approximation": "deterministic"}

    def part(self, loaded: Loaded) -> NetworkStage:
        """Everything but the head is computed once."""
        return "head"

    def drawn(self, network: Any, generator: np.random.Generator, shape: tuple[int, int, int]) -> Realisation:
        """The network itself."""
        return lambda network, window: network(window.features, window.present, part="head")
