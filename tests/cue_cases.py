"""A head in MNI152 space with the sequences that cues are computed on."""

import numpy as np

from adumbra.clinic.cues.images import CueImages
from adumbra.core.atlas.territories import reached_territories_at
from adumbra.core.case import Scan
from adumbra.core.geometry.grid import Grid
from atlas_cases import GRID, IDENTITY

MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
"""The reflection in the midline of the template."""


def images_of(grid: Grid = GRID, **scans: np.ndarray) -> CueImages:
    """A head whose brain is the territories of the atlas, with scans by modality; NaN voxels are not measured."""
    mni_mm = IDENTITY.of_voxels(grid.affine, grid.shape)
    own = {}
    for modality, data in scans.items():
        valid = np.isfinite(data)
        own[modality] = Scan(np.where(valid, data, 0).astype(np.float32), grid, grid, valid_mask=valid)
    return CueImages(grid, reached_territories_at(mni_mm) > 0, mni_mm, own, MIRROR)


IMAGES = images_of()
