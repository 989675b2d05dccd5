"""The atlas of the ASPECTS and PC-ASPECTS regions in MNI152 space, as a file of the package.

ASPECTS divides the territory of the middle cerebral artery into ten regions (Barber et al. 2000), and PC-ASPECTS the
posterior circulation into eight (Puetz et al. 2008). The borders are the project's own, drawn by rules that
``phantom.anatomy.aspects_regions`` states; no expert has checked them. The map of regions is symmetric and has no
sides: the side of a place is that of its x.
"""

from collections.abc import Mapping
from functools import cache

import numpy as np

from adumbra.core.atlas.territories import stored_labels
from adumbra.core.atlas.vessels import SIDES
from adumbra.core.geometry.grid import Grid, nearest_labels
from adumbra.core.references import cites
from adumbra.core.types import Labels

ASPECTS_REGIONS: tuple[str, ...] = ("C", "L", "IC", "I", "M1", "M2", "M3", "M4", "M5", "M6")
"""The regions of one side, each of which counts one point."""
PC_ASPECTS_POINTS: Mapping[str, int] = {"thalamus": 1, "cerebellum": 1, "PCA": 1, "pons": 2, "midbrain": 2}
"""Points of each region of the posterior circulation; the first three exist on both sides."""
UNPAIRED: tuple[str, ...] = ("pons", "midbrain")
"""The regions that have no side."""
REGIONS: tuple[str, ...] = ("", *ASPECTS_REGIONS, *PC_ASPECTS_POINTS)
"""What the labels of the file mean; label 0 is no region."""
REGION_TITLES: Mapping[str, str] = {
    "C": "caudate nucleus",
    "L": "lentiform nucleus",
    "IC": "internal capsule",
    "I": "insular ribbon",
    "M1": "anterior MCA cortex",
    "M2": "MCA cortex lateral to the insula",
    "M3": "posterior MCA cortex",
    "M4": "anterior MCA territory above M1",
    "M5": "lateral MCA territory above M2",
    "M6": "posterior MCA territory above M3",
    "thalamus": "thalamus",
    "cerebellum": "cerebellar hemisphere",
    "PCA": "PCA territory",
    "pons": "pons",
    "midbrain": "midbrain",
}
"""What each region is, as a reader sees it."""
SIDED_REGIONS: tuple[str, ...] = (
    "",
    *(f"{region} {side}" for region in REGIONS[1:] if region not in UNPAIRED for side in SIDES),
    *UNPAIRED,
)
"""What the labels of ``regions_at`` mean; label 0 is no region."""


@cites("Barber2000", "Puetz2008")
@cache
def aspects_atlas() -> tuple[Labels, Grid]:
    """The region of each voxel, (X, Y, Z) int16, an index of ``REGIONS``, and the grid, MNI152 at 2 mm."""
    return stored_labels("aspects.nii.gz")


def region_volumes_ml() -> dict[str, float]:
    """Volume of each of ``SIDED_REGIONS`` in MNI152 space, in ml; a paired region has half of both sides."""
    labels, grid = aspects_atlas()
    whole = dict(zip(REGIONS, np.bincount(labels.ravel(), minlength=len(REGIONS)) * grid.voxel_ml, strict=True))
    return {
        name: float(whole[name] if name in UNPAIRED else whole[name.split(" ")[0]] / 2) for name in SIDED_REGIONS[1:]
    }


def regions_at(mni_mm: np.ndarray) -> np.ndarray:
    """The region of places in MNI152 space, by the nearest voxel of the atlas.

    Args:
        mni_mm: (3, ...), the places in mm.

    Returns:
        int16 (...), an index of ``SIDED_REGIONS``; 0 outside all regions. Places with x = 0 are those of the right.
    """
    labels, grid = aspects_atlas()
    sided = _sided_labels()
    return sided[(mni_mm[0] < 0).astype(np.intp), nearest_labels(labels, grid, mni_mm)]


@cache
def _sided_labels() -> np.ndarray:
    """The index of ``SIDED_REGIONS`` of each label, (2, labels), for the right and the left side."""
    names = [[r if r in UNPAIRED or not r else f"{r} {side}" for r in REGIONS] for side in SIDES]
    return np.array([[SIDED_REGIONS.index(name) for name in row] for row in names], dtype=np.int16)
