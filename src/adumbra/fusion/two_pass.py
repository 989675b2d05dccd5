"""Two-pass inference: the uncertainty of a first pass opens the attention gate of the second.

The guidance map of all modalities is the predictive entropy of the first pass, of the mean of its draws. That of each
modality is the entropy of a first pass over this modality alone, without draws. The second network is sampled like any
other; the guidance maps are a further input of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adumbra.core.case import Case
from adumbra.core.references import cites
from adumbra.core.types import Channels, Mask, Modality, Structure, Target, Volume
from adumbra.fusion.guidance import binary_entropy_bits, near_uncertainty
from adumbra.inference.posteriors import Posterior, PreparedCase, require_draws

_SEED = 0  # Seed of the first pass: its uncertainty belongs to the case, not to a draw of the second pass.


@cites("Vaswani2017")
@dataclass(frozen=True, eq=False)
class TwoPassPosterior:
    """The posterior of a guided network.

    Attributes:
        first: Posterior of the first pass.
        single_modality: The same network, for a pass over a single modality.
        second: Posterior of the guided network.
        modalities: Modalities of the guided network, in order.
        first_pass_draws: Number of draws of the first pass, as in training.
    """

    first: Posterior
    single_modality: Posterior
    second: Posterior
    modalities: Sequence[Modality]
    first_pass_draws: int

    @property
    def targets(self) -> tuple[Target | Structure, ...]:
        """Targets that the guided network segments."""
        return self.second.targets

    @property
    def state(self) -> Mapping[str, object]:
        """State of the guided network, and of its first pass."""
        first = {**self.first.state, "draws": self.first_pass_draws, "seed": _SEED}
        return {**self.second.state, "guided by": first}

    @property
    def methods(self) -> tuple[object, ...]:
        """The classes whose papers a manifest names."""
        return (TwoPassPosterior, *self.first.methods, *self.second.methods)

    def prepare(self, case: Case, guidance: Channels | None = None) -> PreparedCase:
        """The case prepared by the second pass, with the guidance maps given or those of a first pass."""
        return self.second.prepare(case, self.guidance_maps(case) if guidance is None else guidance)

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws, one at a time; see ``inference.posteriors.Posterior.draws``."""
        require_draws(n)
        return self.prepare(case).draws(n, generator)

    def deterministic(self, case: Case) -> Volume:
        """The probability volume of the guided network without randomness; the first pass has its draws."""
        return self.prepare(case).deterministic()

    def guidance_maps(self, case: Case) -> Channels:
        """Guidance maps of a first pass, float32 (1 + C, X, Y, Z), in [0, 1]; 0 outside the brain.

        The first is that of all modalities together, then follows one for each modality.
        """
        volumes = self.first.draws(case, self.first_pass_draws, np.random.default_rng(_SEED))
        brain, mean = case.masks["brain"].data, np.zeros(case.grid.shape, dtype=np.float64)
        for volume in volumes:
            mean += volume / self.first_pass_draws
        joint = binary_entropy_bits(mean.astype(np.float32))
        region = near_uncertainty(joint) & brain
        single = (np.where(region, self._single(case, m, region), joint) for m in self.modalities)
        maps: Channels = (np.stack([joint, *single]) * brain).astype(np.float32)
        return maps

    def _single(self, case: Case, modality: Modality, region: Mask) -> Volume:
        """Entropy of a pass over one modality, within a region; 1 where the modality is missing."""
        if modality not in case.scans or not region.any():
            return np.ones(case.grid.shape, dtype=np.float32)
        masks = {**case.masks, "brain": replace(case.masks["brain"], data=region)}  # windows lie over this mask
        alone = case.updated(scans={modality: case.scans[modality]}, masks=masks)
        return binary_entropy_bits(self.single_modality.deterministic(alone))
