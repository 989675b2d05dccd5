"""Two readings: what the first is unsure of opens the attention of the second.

The first reading's doubt is the entropy of the mean of its draws; each modality's own is that of its reading alone,
without draws. The second network is drawn from as any other: ``DoubtedCase`` carries the maps to its windows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from adumbra.case import Case
from adumbra.fusion.guidance import doubt_of
from adumbra.posterior.base import Loaded, Posterior, Sampler
from adumbra.posterior.sampled import children, require_some
from adumbra.references import cites
from adumbra.shapes import Target, Volume

_DRAWS = 4  # of the first reading: as many as ``training.config.CrossFit`` has by default
_SEED = 0  # of them: the doubt is the case's, and not the draw's


@dataclass(frozen=True, eq=False)
class DoubtedCase(Case):
    """A case with what guides a network through it.

    Attributes:
        doubts: (1 + C, X, Y, Z), in [0, 1]: of all modalities together, then of each of the network's alone.
        by: The posterior that read it.
    """

    doubts: np.ndarray | None = None
    by: object = None


@cites("Vaswani2017")
@dataclass(frozen=True, eq=False)
class Guided:
    """The posterior of a guided network.

    Attributes:
        first: Of the first network.
        second: Of the guided network.
        loaded: The guided network.
    """

    first: Posterior
    second: Posterior
    loaded: Loaded

    @property
    def targets(self) -> tuple[Target, ...]:
        """What the guided network outlines."""
        return self.second.targets

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed: that of the guided network, and that of the first reading."""
        first = {**self.first.state, "draws": _DRAWS, "seed": _SEED}
        return {**self.second.state, "guided by": first}

    @property
    def methods(self) -> tuple[object, ...]:
        """What a manifest names the papers of."""
        return (Guided, *self.first.methods, *self.second.methods)

    def sampler(self, case: Case) -> Sampler:
        """The case read once, ready for draws."""
        return self.second.sampler(self.doubted(case))

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``posterior.base.Posterior.draws``."""
        require_some(n)
        return map(self.sampler(case), children(generator, n))

    def deterministic(self, case: Case) -> Volume:
        """The probability volume of the guided network without chance; the first reading has its draws."""
        return self.second.deterministic(self.doubted(case))

    def doubted(self, case: Case) -> DoubtedCase:
        """The case with the doubts of its first reading; one that this posterior read already is taken as it is."""
        if isinstance(case, DoubtedCase) and case.by is self:
            return case
        within = case.masks["brain"].data
        total = np.zeros(case.grid.shape, dtype=np.float64)
        for volume in self.first.draws(case, _DRAWS, np.random.default_rng(_SEED)):
            total += volume / _DRAWS
        maps = [doubt_of(total.astype(np.float32))]
        for modality in self.loaded.network.config.modalities:
            alone = case.having(scans={modality: case.scans[modality]}) if modality in case.scans else None
            maps.append(doubt_of(self.first.deterministic(alone)) if alone else np.ones_like(maps[0]))
        doubts = np.stack(maps) * within
        own = {f.name: getattr(case, f.name) for f in fields(Case)}
        return DoubtedCase(**own, doubts=doubts.astype(np.float32), by=self)
