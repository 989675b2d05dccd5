"""The part of the clinical summary that is about signs: cues of hypoperfusion, DWI–FLAIR and DWI–SWI mismatch."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from adumbra.clinic.cues.images import CueImages
from adumbra.clinic.cues.panel import Cues, hypoperfusion_cues
from adumbra.clinic.flair_mismatch import FlairMismatch, flair_mismatch
from adumbra.clinic.swi_mismatch import SwiMismatch, swi_mismatch
from adumbra.clinical_summary.place import PlacedCase
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.results import Prediction


@dataclass(frozen=True, eq=False)
class Signs:
    """The signs of a case.

    Attributes:
        cues: Cues of hypoperfusion; None where the head could not be placed.
        flair: DWI–FLAIR mismatch; None without a lesion, or where the head could not be placed.
        swi: DWI–SWI mismatch; None without a lesion or without SWI.
        rule_draws: Draws under the names that the rules use.
    """

    cues: Cues | None = None
    flair: FlairMismatch | None = None
    swi: SwiMismatch | None = None
    rule_draws: dict[str, np.ndarray] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Plain values; null for what is not available."""
        mismatches = {"dwi_flair": self.flair, "dwi_swi": self.swi}
        return {
            "cues": None if self.cues is None else self.cues.as_json(),
            "image_mismatch": {name: None if row is None else row.as_json() for name, row in mismatches.items()},
        }


def signs(
    lesion: tuple[Prediction, PlacedCase] | None,
    thrombus: tuple[Prediction, PlacedCase] | None,
    clot: MaskDraws | None,
) -> Signs:
    """The signs of a case. Cues of vessels are computed on the grid of the thrombus where there is one.

    Args:
        lesion: The prediction of the lesion and the place of its case; None where it was not predicted.
        thrombus: The same of the thrombus.
        clot: The largest clot in each draw, on the grid of the thrombus; None where no clot was sought.
    """
    chosen = thrombus or lesion
    if chosen is None or chosen[1].deformation is None:
        return Signs()
    images = CueImages.of(chosen[1].case, chosen[1].deformation)
    core = None if lesion is None else _on(lesion[0].maps.mask, lesion[0].maps.grid, images.grid)
    cues = hypoperfusion_cues(images, clots=clot, lesion=core)
    if lesion is None or lesion[1].deformation is None or lesion[0].mask_draws is None:
        return Signs(cues)
    own = images if thrombus is None else CueImages.of(lesion[1].case, lesion[1].deformation)
    flair = flair_mismatch(lesion[0].mask_draws, own)
    swi = None
    if "swi" in images.scans:
        region = None if cues.vein_region is None else _on(cues.vein_region, images.grid, own.grid)
        swi = swi_mismatch(lesion[0].mask_draws, cues.veins, region, own.grid)
    return Signs(cues, flair, swi, flair.rule_draws())


def _on(mask: np.ndarray, grid: Grid, other: Grid) -> np.ndarray:
    """A mask on another grid."""
    return mask if grid.shape == other.shape and grid.coincides(other) else resample(mask, grid, other)
