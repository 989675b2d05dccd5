"""All cues of a case together, in the order of a report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from adumbra.clinic.cues.asymmetry import Cue
from adumbra.clinic.cues.downstream import Downstream, downstream
from adumbra.clinic.cues.flow import distal_flow
from adumbra.clinic.cues.hyperintensities import vascular_hyperintensities
from adumbra.clinic.cues.images import CueImages
from adumbra.clinic.cues.veins import prominent_vein_region, prominent_veins
from adumbra.clinic.distribution import LEVEL
from adumbra.core.types import Mask

ESTIMATED = "Cues are signs on images without contrast. They are not measured perfusion."
"""The sentence that stands beside the cues."""


@dataclass(frozen=True, eq=False)
class Cues:
    """The cues of a case.

    Attributes:
        veins: Prominent veins on SWI.
        flow: Distal flow on TOF.
        hyperintensities: Vascular hyperintensities on FLAIR.
        downstream: The territory downstream of the clot; None where no clot was sought.
        vein_region: (X, Y, Z), the territory with more veins than the other side, on the grid of the images; None where
            the sign is not available.
    """

    veins: Cue
    flow: Cue
    hyperintensities: Cue
    downstream: Downstream | None = None
    vein_region: Mask | None = None

    @property
    def signs(self) -> tuple[Cue, ...]:
        """The cues of vessels, in the order of a report."""
        return self.veins, self.flow, self.hyperintensities

    def present(self) -> Mapping[str, tuple[str, str]]:
        """Territory and side of the signs that are present, by name."""
        return {cue.sign.name: (cue.territory, cue.side) for cue in self.signs if cue.verdict == "present"}

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each cue."""
        last = (
            "Territory downstream of the clot: not available, no clot was sought."
            if self.downstream is None
            else self.downstream.sentence()
        )
        return (*(cue.sentence() for cue in self.signs), last)

    def as_json(self) -> dict[str, object]:
        """Plain values, without maps."""
        return {
            **{cue.sign.name: cue.as_json() for cue in self.signs},
            "downstream": None if self.downstream is None else self.downstream.as_json(),
            "sentences": list(self.sentences()),
            "note": ESTIMATED,
        }


def hypoperfusion_cues(
    images: CueImages, *, clots: Iterable[Mask] | None = None, lesion: Mask | None = None, level: float = LEVEL
) -> Cues:
    """The cues of a case, each computed on its own.

    Args:
        images: The case; on the grid of SWI where it has SWI or TOF.
        clots: The clot in each draw, (X, Y, Z) on the grid of the images; None where no clot was sought. Each is used
            once and released.
        lesion: (X, Y, Z), the lesion on the same grid, which is left out where vessels are sought on FLAIR; None
            without.
        level: Level of the central intervals, between 0 and 1.

    Raises:
        MissingInput: ``clots`` is given without a mask.
        GridMismatch: A mask does not have the shape of the grid.
        InputRejected: The level is not between 0 and 1.
    """
    veins = prominent_veins(images)
    return Cues(
        veins.cue,
        distal_flow(images),
        vascular_hyperintensities(images, lesion=lesion),
        None if clots is None else downstream(clots, images, level=level),
        prominent_vein_region(images, veins),
    )
