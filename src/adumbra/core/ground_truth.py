"""Ground truth of a phantom: volumes with the coordinate space that each lies in.

The space ``"phantom"`` is the grid on which the head was simulated, at rest and undistorted. The space of a modality
has the movement, distortion and slices of that sequence. There, ground truth is the ideal annotation of that image.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from adumbra.core.case import Scan
from adumbra.core.types import Modality

Kind = Literal["mask", "probseg", "dseg", "map"]
Space = Literal["phantom"] | Modality


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """One volume of ground truth.

    Attributes:
        name: ``"lesion"``, ``"thrombus"``, ``"thrombusSecond"``, ``"lumen"``, ``"hypoperfusion"``, ``"arteries"``,
            ``"veins"``, ``"territories"``, ``"tmax"``, ``"chi"``, ``"field"``; ``"annotator1"`` and so on are masks of
            the lesion by simulated annotators.
        space: Coordinate space of the volume.
        kind: A mask (bool), a fraction of each voxel in [0, 1] (``"probseg"``), integer labels (``"dseg"``, int16), or
            a map with a unit.
        scan: The volume with its grid.
        unit: Unit of a map: ``"s"`` or ``"ppm"``; empty for the other kinds.
        labels: For integer labels, the name of each number.
        description: A sentence that describes the volume.
    """

    name: str
    space: Space
    kind: Kind
    scan: Scan
    unit: str = ""
    labels: Mapping[int, str] = field(default_factory=dict)
    description: str = ""
