"""One network without randomness: every draw is the same. Members of a deep ensemble are of this kind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from adumbra.core.case import Case
from adumbra.core.results import AttentionMaps
from adumbra.core.rng import children
from adumbra.core.types import Channels, Structure, Volume
from adumbra.inference.attention_maps import attention_maps
from adumbra.inference.posteriors import Realisation, require_draws
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork
from adumbra.inference.structures import target_and_structures
from adumbra.inference.windowed_inference import WindowedInference
from adumbra.posterior.sampled_posterior import SampledPosterior


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


class DeterministicPosterior(SampledPosterior):
    """The posterior of one network without randomness; the network is computed once for all draws of a case."""

    def prepare(self, case: Case, guidance: Channels | None = None) -> "ConstantCase":  # type: ignore[override]
        """The windows of a case; see ``inference.posteriors.Posterior.prepare``."""
        inference = WindowedInference(
            case, self.trained, "encoder", target=self.target, compute=self.compute, guidance=guidance
        )
        return ConstantCase(inference)


@dataclass(frozen=True, eq=False)
class ConstantCase:
    """A case whose draws are one volume.

    Attributes:
        inference: Its windows.
    """

    inference: WindowedInference
    _volume: list[Volume] = field(default_factory=list, init=False, repr=False)
    _structures: dict[Structure, Volume] = field(default_factory=dict, init=False, repr=False)

    def draw(self, generator: np.random.Generator) -> Volume:
        """The volume; no draw differs."""
        return self.deterministic()

    def draws(self, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """The volume ``n`` times: the same object, so that what is derived from it can be computed once."""
        require_draws(n)
        return map(self.draw, children(generator, n))

    def deterministic(self) -> Volume:
        """The probability volume, computed at the first call."""
        if not self._volume:
            volume, structures = target_and_structures(self.inference)
            self._volume.append(volume)
            self._structures.update(structures)
        return self._volume[0]

    def attention_maps(self) -> AttentionMaps | None:
        """Cross-attention weights on the case's grid; None where there are none."""
        return attention_maps(self.inference)

    def structure_maps(self) -> Mapping[Structure, Volume]:
        """Probability of each structure on the case's grid, computed together with the target."""
        self.deterministic()
        return self._structures
