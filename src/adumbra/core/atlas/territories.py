"""The atlas of arterial territories in MNI152 space, as a file of the package.

It was computed from the arterial tree of the phantom without variants, see ``phantom.vasculature.territories.atlas``. A
test compares the file with that tree.
"""

from functools import cache
from importlib import resources

import nibabel as nib
import numpy as np

from adumbra.core.geometry.grid import Grid
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


@cache
def territory_atlas() -> tuple[Labels, Grid]:
    """The territory label of each voxel, (X, Y, Z) int16, and the grid, MNI152 at 2 mm; read once per process."""
    with resources.as_file(resources.files("adumbra.core.atlas") / "territories.nii.gz") as path:
        image = nib.Nifti1Image.from_filename(path)
        labels = np.asarray(image.dataobj).astype(np.int16)
    x, y, z = labels.shape
    return labels, Grid((x, y, z), np.asarray(image.affine))
