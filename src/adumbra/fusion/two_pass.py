"""Two readings: what the first is unsure of opens the attention of the second.

The first reading's doubt is the entropy of the mean of its draws; each modality's own is that of its reading alone,
without draws. The second network is drawn from as any other: ``GuidedCase`` carries the maps to its windows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from adumbra.core.case import Case
from adumbra.core.references import cites
from adumbra.core.rng import children
from adumbra.core.types import Modality, Target, Volume
from adumbra.fusion.guidance import binary_entropy_bits, near_uncertainty
from adumbra.inference.protocols import Loaded, Posterior, Sampler, require_some

_SEED = 0  # of the first reading's draws: the doubt is the case's, and not the draw's


@dataclass(frozen=True, eq=False)
class GuidedCase(Case):
    """A case with what guides a network through it.

    Attributes:
        guidance: (1 + C, X, Y, Z), in [0, 1]: of all modalities together, then of each of the network's alone.
        by: The posterior that read it.
    """

    guidance: np.ndarray | None = None
    by: object = None


@cites("Vaswani2017")
@dataclass(frozen=True, eq=False)
class TwoPassPosterior:
    """The posterior of a guided network.

    Attributes:
        first: Of the first network.
        alone: The same, for modalities by themselves.
        second: Of the guided network.
        loaded: The guided network.
        first_pass_draws: How many draws the first reading is the mean of: as many as in the training.
    """

    first: Posterior
    alone: Posterior
    second: Posterior
    loaded: Loaded
    first_pass_draws: int

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the guided network outlines."""
        return self.second.targets

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed: that of the guided network, and that of the first reading."""
        first = {**self.first.state, "draws": self.first_pass_draws, "seed": _SEED}
        return {**self.second.state, "guided by": first}

    @property
    def methods(self) -> tuple[object, ...]:
        """What a manifest names the papers of."""
        return (TwoPassPosterior, *self.first.methods, *self.second.methods)

    def sampler(self, case: Case) -> Sampler:
        """The case read once, ready for draws."""
        return self.second.sampler(self.doubted(case))

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``inference.protocols.Posterior.draws``."""
        require_some(n)
        return map(self.sampler(case), children(generator, n))

    def deterministic(self, case: Case) -> Volume:
        """The probability volume of the guided network without chance; the first reading has its draws."""
        return self.second.deterministic(self.doubted(case))

    def doubted(self, case: Case) -> GuidedCase:
        """The case with the doubts of its first reading; one that this posterior read already is taken as it is."""
        if isinstance(case, GuidedCase) and case.by is self:
            return case
        generator = np.random.default_rng(_SEED)
        volumes = self.first.draws(case, self.first_pass_draws, generator)  # what does not fit is refused here
        within, total = case.masks["brain"].data, np.zeros(case.grid.shape, dtype=np.float64)
        for volume in volumes:
            total += volume / self.first_pass_draws
        maps = [binary_entropy_bits(total.astype(np.float32))]
        near = near_uncertainty(maps[0]) & within
        for modality in self.loaded.network.config.modalities:
            maps.append(np.where(near, self._own(case, modality, near), maps[0]))
        guidance = np.stack(maps) * within
        kept = {f.name: getattr(case, f.name) for f in fields(Case)}
        return GuidedCase(**kept, guidance=guidance.astype(np.float32), by=self)

    def _own(self, case: Case, modality: Modality, near: np.ndarray) -> Volume:
        """The doubt of a modality alone, where it is asked for; 1 of one that is missing."""
        if modality not in case.scans or not near.any():
            return np.ones(case.grid.shape, dtype=np.float32)
        masks = {**case.masks, "brain": replace(case.masks["brain"], data=near)}  # windows lie over this
        only = case.updated(scans={modality: case.scans[modality]}, masks=masks)
        return binary_entropy_bits(self.alone.deterministic(only))
