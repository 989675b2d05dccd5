"""One network without randomness: every draw is the same. Members of a deep ensemble are of this kind."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork


@dataclass(frozen=True)
class Deterministic:
    """The network itself."""

    @property
    def state(self) -> Mapping[str, object]:
        """The name alone."""
        return {"approximation": "deterministic"}

    def stage(self, trained: TrainedNetwork) -> NetworkStage:
        """The head: everything before it is computed once."""
        return "head"

    def sample(
        self, network: SegmentationNetwork, generator: np.random.Generator, shape: tuple[int, int, int]
    ) -> Realisation:
        """The network itself."""
        return lambda network, window: network(window.features, window.present, stage="head")
