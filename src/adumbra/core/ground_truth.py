"""What a phantom knows and no patient tells: its truths, each with the space that it lies in.

A truth lies in the space ``"phantom"``, the grid on which the head was drawn, at rest and undistorted; or in that of a
sequence, moved, distorted and sliced as this sequence was: there it is what a perfect rater would see on that image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from adumbra.core.case import Scan
from adumbra.core.types import Modality, Target

REFERENCE_MODALITIES: Mapping[Target, tuple[Modality, ...]] = {
    "lesion": ("dwi", "adc", "b0"),
    "thrombus": ("swi", "tof"),
    "hypoperfusion": ("dwi", "adc", "b0"),
}
"""On whose voxels a target is outlined and written: the first of these that the case has."""
Kind = Literal["mask", "probseg", "dseg", "map"]
Space = Literal["phantom"] | Modality


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """One volume of truth.

    Attributes:
        name: ``"lesion"``, ``"thrombus"``, ``"hypoperfusion"``, ``"arteries"``, ``"veins"``, ``"territories"``,
            ``"tmax"``, ``"chi"``, ``"field"``.
        space: Where it lies.
        kind: A mask (bool), a share of each voxel in [0, 1], labels (int16), or a map with a unit.
        scan: The volume.
        unit: Of a map: ``"s"``, ``"ppm"``.
        labels: Of a dseg: name by number.
        about: A sentence that says what it is.
    """

    name: str
    space: Space
    kind: Kind
    scan: Scan
    unit: str = ""
    labels: Mapping[int, str] = field(default_factory=dict)
    about: str = ""
