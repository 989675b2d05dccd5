"""Draws on the grid of a case's reference modality, whatever grid the network works on.

The members of an ensemble may work at different spacings. Each sees the case at its own, and their draws meet on one
grid. Draws that are the same volume, such as those of a deterministic member, are resampled once.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.results import AttentionMaps
from adumbra.core.types import Mask, Structure, Volume
from adumbra.inference.attention_maps import attention_on_grid
from adumbra.inference.posteriors import PreparedCase


@dataclass(frozen=True, eq=False)
class OnNativeGrid:
    """A prepared case whose draws lie on another grid.

    Attributes:
        prepared: The case on its way through a posterior.
        source: Grid of the network's volumes.
        grid: Grid of the draws.
        within: (X, Y, Z) of ``grid``; attention maps are 0 outside.
    """

    prepared: PreparedCase
    source: Grid
    grid: Grid
    within: Mask
    _last: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def draw(self, generator: np.random.Generator) -> Volume:
        """One draw on ``grid``, in [0, 1]."""
        return self._on_grid(self.prepared.draw(generator))

    def draws(self, n: int, generator: np.random.Generator) -> Iterator[Volume]:
        """``n`` draws on ``grid``, one at a time."""
        return map(self._on_grid, self.prepared.draws(n, generator))

    def deterministic(self) -> Volume:
        """The probability volume without any randomness, on ``grid``."""
        return self._on_grid(self.prepared.deterministic())

    def attention_maps(self) -> AttentionMaps | None:
        """Cross-attention weights on ``grid``; None where there are none."""
        maps = self.prepared.attention_maps()
        return None if maps is None else attention_on_grid(maps, self.source, self.grid, within=self.within)

    def structure_maps(self) -> Mapping[Structure, Volume]:
        """Probability of each structure on ``grid``."""
        maps = self.prepared.structure_maps()
        return {name: np.clip(resample(volume, self.source, self.grid), 0.0, 1.0) for name, volume in maps.items()}

    def _on_grid(self, volume: np.ndarray) -> np.ndarray:
        """The volume on ``grid``; the last one is remembered, for draws that are the same object."""
        if self._last.get("source") is not volume:
            resampled = np.clip(resample(volume, self.source, self.grid), 0.0, 1.0)
            self._last.update(source=volume, resampled=resampled)
        return self._last["resampled"]
