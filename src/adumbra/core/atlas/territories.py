"""The atlas of arterial territories in MNI152 space, as a file of the package.

It was computed from the arterial tree of the phantom without variants, see ``phantom.vasculature.territories.atlas``. A
test compares the file with that tree.
"""

from functools import cache
from importlib import resources

import nibabel as nib
import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid, nearest_labels
from adumbra.core.types import Labels

TERRITORY_LABELS: dict[str, int] = {
    "ACA right": 1,
    "ACA left": 2,
    "MCA right": 3,
    "MCA left": 4,
    "PCA right": 5,
    "PCA left": 6,
    "AChA right": 7,
    "AChA left": 8,
    "vertebrobasilar right": 9,
    "vertebrobasilar left": 10,
}
"""Label of each territory; 0 is no territory."""
REACH_MM = 5.0
"""Distance in MNI152 mm up to which a place outside the tissue of the atlas belongs to the nearest territory."""
BORDER_ZONE_MM = 5.0
"""Distance in MNI152 mm to another large territory up to which a place belongs to the border zone."""


@cache
def territory_atlas() -> tuple[Labels, Grid]:
    """The territory label of each voxel, (X, Y, Z) int16, and the grid, MNI152 at 2 mm; read once per process."""
    return stored_labels("territories.nii.gz")


def stored_labels(name: str) -> tuple[Labels, Grid]:
    """The labels of an atlas of this package, (X, Y, Z) int16, and their grid.

    Args:
        name: Name of the file.
    """
    with resources.as_file(resources.files("adumbra.core.atlas") / name) as path:
        image = nib.Nifti1Image.from_filename(path)
        labels = np.asarray(image.dataobj).astype(np.int16)
    x, y, z = labels.shape
    return labels, Grid((x, y, z), np.asarray(image.affine))


def territories_at(mni_mm: np.ndarray) -> np.ndarray:
    """The territory label of places in MNI152 space by the nearest voxel, int16 (...); 0 outside the tissue.

    Args:
        mni_mm: (3, ...), the places in mm.
    """
    return nearest_labels(*territory_atlas(), mni_mm)


def reached_territories_at(mni_mm: np.ndarray) -> np.ndarray:
    """As ``territories_at``, but places outside the tissue have the label of the nearest tissue up to ``REACH_MM``.

    The tissue of the atlas leaves out sulci, which the lesion of another head may fill, and alignments are not exact.
    """
    return nearest_labels(_reached(), territory_atlas()[1], mni_mm)


def border_zones_at(mni_mm: np.ndarray) -> np.ndarray:
    """Whether places lie in the border zone of two large territories of any side, bool (...)."""
    return nearest_labels(_border_zones(), territory_atlas()[1], mni_mm)


@cache
def _reached() -> Labels:
    labels, grid = territory_atlas()
    distance, nearest = ndimage.distance_transform_edt(labels == 0, sampling=grid.spacing_mm, return_indices=True)
    return np.where(distance <= REACH_MM, labels[tuple(nearest)], np.int16(0))


@cache
def _border_zones() -> np.ndarray:
    labels, grid = territory_atlas()
    large = (labels + 1) // 2  # Both sides of a territory have one number.
    radius = np.floor(BORDER_ZONE_MM / np.asarray(grid.spacing_mm)).astype(int)
    offsets = np.indices(tuple((2 * radius + 1).tolist())) - radius.reshape(3, 1, 1, 1)
    ball = ((offsets * np.asarray(grid.spacing_mm).reshape(3, 1, 1, 1)) ** 2).sum(axis=0) <= BORDER_ZONE_MM**2
    count = np.zeros(labels.shape, dtype=np.int8)
    for number, box in enumerate(ndimage.find_objects(large), start=1):
        grown = tuple(slice(max(s.start - r, 0), s.stop + r) for s, r in zip(box, radius, strict=True))
        count[grown] += ndimage.binary_dilation(large[grown] == number, ball)
    return (count > 1) & (_reached() > 0)
