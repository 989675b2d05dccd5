"""DWI-SWI mismatch: the territory of prominent veins against the core, over the draws.

Darwish et al. (2020) scored ASPECTS on SWI, by asymmetrically prominent veins, and on DWI. A lower score on SWI was the
positive mismatch, and infarcts grew only where it was positive (20 patients; the abstract was read). Here volumes take
the place of scores, because a share of a region that counts as involved is not defined for veins:

- The territory of prominent veins is that of ``clinic.cues.veins.prominent_vein_region``.
- The difference is its volume minus that of the core, and the set difference its volume outside the core. The ratio is
  its volume over that of the core, infinite without a core, and undefined (nan) without both.

The territory of the veins is one for all draws: the draws are those of the core. It is no measured perfusion.

**No mismatch is stated from it.** On the phantom the count of veins does not separate affected from free heads, and its
territory does not agree with the true hypoperfusion (``docs/results/hypoperfusion-cues.md``). Where the sign of
prominent veins has no verdict of *present* or *absent*, the volumes are given as numbers only.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from adumbra.clinic.cues.asymmetry import Cue
from adumbra.clinic.distribution import LEVEL, Distribution, percent
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.clinic.mismatch import Mismatch, mismatch
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Mask


@dataclass(frozen=True)
class SwiMismatch:
    """The mismatch of prominent veins and core.

    Attributes:
        cue: The sign of prominent veins.
        volumes: Core, territory of prominent veins (as ``hypoperfusion``) and their mismatch; None where the sign is
            not available.
    """

    cue: Cue
    volumes: Mismatch | None

    @property
    def veins_ml(self) -> Distribution | None:
        """Volume of the territory of prominent veins, the same in every draw; None where not available."""
        return None if self.volumes is None else self.volumes.hypoperfusion

    @property
    def is_stated(self) -> bool:
        """Whether the sign of prominent veins is present or absent, so that the mismatch can be read."""
        return self.volumes is not None and self.cue.verdict in ("present", "absent")

    @property
    def probability_larger(self) -> float | None:
        """Share of the draws in which the territory of the veins is larger than the core; None where not stated."""
        if self.volumes is None or not self.is_stated:
            return None
        return float((np.asarray(self.volumes.difference.draws) > 0.0).mean())

    def sentence(self) -> str:
        """The observation in one sentence."""
        if self.volumes is None:
            return f"DWI-SWI mismatch cannot be said: {self.cue.unavailable}."
        veins, core = self.volumes.hypoperfusion.median, self.volumes.core.median
        numbers = f"territory with more veins than the other side {veins:.0f} ml, core {core:.0f} ml"
        share = self.probability_larger
        if share is None:
            return f"DWI-SWI mismatch cannot be said, as the sign of prominent veins is unclear ({numbers})."
        return (
            f"DWI-SWI: {numbers}; the former is larger in {percent(share)} of the draws, and "
            f"{self.volumes.set_difference.median:.0f} ml of it lie outside the core."
        )

    def as_json(self) -> dict[str, object]:
        """Plain values; null where not available."""
        plain: dict[str, object] = {
            "verdict_of_veins": self.cue.verdict,
            "stated": self.is_stated,
            "probability_larger": self.probability_larger,
            "sentence": self.sentence(),
        }
        if self.volumes is None:
            return plain | {"veins_ml": None, "difference_ml": None, "set_difference_ml": None, "ratio": None}
        return plain | {
            "veins_ml": self.volumes.hypoperfusion.as_json(),
            "difference_ml": self.volumes.difference.as_json(),
            "set_difference_ml": self.volumes.set_difference.as_json(),
            "ratio": self.volumes.ratio.as_json(),
        }


@cites("Darwish2020")
def swi_mismatch(
    cores: Iterable[Mask], cue: Cue, region: Mask | None, grid: Grid, *, level: float = LEVEL
) -> SwiMismatch:
    """The DWI-SWI mismatch of a case.

    Args:
        cores: The core in each draw, (X, Y, Z) on the grid. Each is used once and released.
        cue: The sign of prominent veins.
        region: (X, Y, Z), the territory of prominent veins on the same grid; None where the sign is not available.
        grid: Grid of both.
        level: Level of the central intervals, between 0 and 1.

    Raises:
        MissingInput: There is no core.
        GridMismatch: A mask does not have the shape of the grid.
        InputRejected: The level is not between 0 and 1.
    """
    rows = []
    for core in cores:
        check_mask(core, grid)
        both = 0 if region is None else np.count_nonzero(core & region)
        rows.append((float(np.count_nonzero(core)) * grid.voxel_ml, float(both) * grid.voxel_ml))
    check_draws(len(rows), "DWI-SWI mismatch")
    if region is None:
        return SwiMismatch(cue, None)
    check_mask(region, grid)
    core_ml, both_ml = np.array(rows).T
    veins_ml = np.full(len(rows), np.count_nonzero(region) * grid.voxel_ml)
    return SwiMismatch(cue, mismatch(core_ml, veins_ml, both_ml, level=level))
