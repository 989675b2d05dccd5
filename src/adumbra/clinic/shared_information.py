"""What two modalities tell about a segmentation around a region, together and apart: values, and their sentences.

``clinical_summary.modality_information`` computes them and defines them in full.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from adumbra.clinic.modality_evidence import title
from adumbra.core.types import Modality

ATOMS = ("redundancy", "unique_first", "unique_second", "synergy")
"""The atoms of the decomposition of two modalities."""
LEAST_BITS = 0.01
"""Bits above the null level from which a sentence states an atom; a convention."""
TOO_FEW_VOXELS = "cannot be said: too few voxels"
"""The answer for a region that is too small, or that has too few places of comparison in its head."""


@dataclass(frozen=True)
class Atom:
    """One part of the information of two modalities, in bits per voxel.

    Attributes:
        bits: The estimate, which few voxels bias upwards.
        null_mean: Mean estimate of the same pattern laid on unrelated places of the same head.
        null_high: 95 % quantile of those estimates.
    """

    bits: float
    null_mean: float
    null_high: float

    @property
    def exceeds_null(self) -> bool:
        """Whether the estimate is above the 95 % quantile of unrelated places."""
        return self.bits > self.null_high

    def as_json(self) -> dict[str, float | bool]:
        """Plain values."""
        return {
            "bits": self.bits,
            "null_mean": self.null_mean,
            "null_high": self.null_high,
            "exceeds_null": self.exceeds_null,
        }


@dataclass(frozen=True)
class SharedInformation:
    """The decomposition of the information of two modalities about the segmentation around a region.

    Attributes:
        first: The reference modality of the target.
        second: Another modality.
        atoms: Each of ``ATOMS``; empty where it cannot be said.
        target_bits: Entropy of the segmentation among the voxels, the most that any modality can tell.
        voxels: Number of voxels of the region with its surroundings.
        independent_voxels: The same volume in voxels of the resolution of diffusion images.
        places: Number of unrelated places.
    """

    first: Modality
    second: Modality
    atoms: Mapping[str, Atom]
    target_bits: float
    voxels: int
    independent_voxels: float
    places: int

    @property
    def sentence(self) -> str:
        """The parts above the null level in words."""
        one, other = title(self.first), title(self.second)
        if not self.atoms:
            return f"{one} and {other}: {TOO_FEW_VOXELS}."
        words = {
            "redundancy": "both tell the same",
            "unique_first": f"{one} alone tells",
            "unique_second": f"{other} alone tells",
            "synergy": "only both together tell",
        }
        excess = {name: a.bits - a.null_mean for name, a in self.atoms.items() if a.exceeds_null}
        above = [f"{words[name]} {bits:.2f} bits" for name, bits in excess.items() if bits >= LEAST_BITS]
        return (
            f"{one} and {other}: {', '.join(above) or 'nothing above the null level'}, of {self.target_bits:.2f} bits."
        )

    def as_json(self) -> dict[str, object]:
        """Plain values, with the sentence."""
        return {
            "first": self.first,
            "second": self.second,
            "atoms": {name: atom.as_json() for name, atom in self.atoms.items()},
            "target_bits": self.target_bits,
            "voxels": self.voxels,
            "independent_voxels": self.independent_voxels,
            "places": self.places,
            "sentence": self.sentence,
        }
