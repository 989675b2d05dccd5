"""The images of an aligned case that cues are computed on, and the place of each voxel in the atlas."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.territories import TERRITORY_LABELS, reached_territories_at
from adumbra.core.case import Case, Scan
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.midline import Plane
from adumbra.core.geometry.reflection import plane_reflection
from adumbra.core.types import Affine, Labels, Mask, Modality

TERRITORIES = ("ACA", "MCA", "PCA")
"""The territories that are compared with those of the other side: the large ones, which have two sides."""
TITLES: Mapping[Modality, str] = {"swi": "SWI", "tof": "TOF angiography", "flair": "FLAIR", "dwi": "DWI"}
"""Names of the sequences for a reader."""


@dataclass(frozen=True, eq=False)
class CueImages:
    """An aligned case in the atlas.

    Attributes:
        grid: Grid of all arrays.
        brain: (X, Y, Z), the brain.
        mni_mm: (3, X, Y, Z), MNI152 mm of each voxel.
        scans: Scans on the grid; any may be missing.
        reflection: (4, 4), RAS+ mm of a point to those of the same place on the other side.

    Raises:
        GridMismatch: A mask, scan or map does not have the shape of the grid.
    """

    grid: Grid
    brain: Mask
    mni_mm: np.ndarray
    scans: Mapping[Modality, Scan]
    reflection: Affine

    def __post_init__(self) -> None:
        shapes = {"brain mask": self.brain.shape, "map of places": self.mni_mm.shape[1:]}
        shapes |= {name: scan.data.shape for name, scan in self.scans.items()}
        for name, shape in shapes.items():
            if shape != self.grid.shape:
                raise GridMismatch(
                    name,
                    expected=f"shape {self.grid.shape}, that of the grid",
                    found=f"shape {shape}",
                    do="resample all images to one grid",
                )

    @classmethod
    def of(cls, case: Case, deformation: Deformation) -> "CueImages":
        """The images of an aligned case.

        The cues of vessels need the resolution of SWI and angiography. Where a case has either, give it on the grid of
        the thrombus, which is that of SWI.

        Args:
            case: The case on one grid, with a brain mask. Its reflection is used where it was estimated, else that in
                the midline of the atlas.
            deformation: Subject mm to MNI152 mm.

        Raises:
            MissingInput: The case has no brain mask.
            GridMismatch: The scans lie on different grids.
        """
        if "brain" not in case.masks:
            raise MissingInput(
                case.name, expected="a brain mask", found="none", do="call adumbra.preprocessing.alignment.align first"
            )
        grid = case.grid
        own = case.reflection
        reflection = plane_reflection(midline(deformation)) if own is None else own
        mni_mm = deformation.of_voxels(grid.affine, grid.shape)
        return cls(grid, case.masks["brain"].data, mni_mm, case.scans, reflection)

    @cached_property
    def territories(self) -> Labels:
        """The territory of each voxel, (X, Y, Z) labels of ``TERRITORY_LABELS``; 0 is outside all."""
        return reached_territories_at(self.mni_mm)

    def measured(self, modality: Modality) -> Mask:
        """Voxels of the brain that a scan measured, (X, Y, Z)."""
        scan = self.scans[modality]
        inside = self.brain & np.isfinite(scan.data)
        return inside if scan.valid_mask is None else inside & scan.valid_mask


def midline(deformation: Deformation) -> Plane:
    """The midsagittal plane of a head, the plane x = 0 of MNI152 space under the affine part of its deformation."""
    row = deformation.affine[0]
    length = float(np.linalg.norm(row[:3]))
    x, y, z = (float(value) for value in row[:3] / length)
    return Plane((x, y, z), float(-row[3] / length))


def label_of(territory: str, side: str) -> int:
    """The label of a territory of one side."""
    return TERRITORY_LABELS[f"{territory} {side}"]
