"""The template as the registration reads it: smooth tissue maps and the distance to the surface, with gradients."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from adumbra.core.atlas.template import interpolate_all, template
from adumbra.core.types import Affine

TISSUES = ("grey", "white", "fluid")
"""The tissue maps, in their order."""
_STEP = 3  # Voxels of 1 mm along the side of a block.


@dataclass(frozen=True, eq=False)
class TemplateMaps:
    """Maps at 3 mm, ready for interpolation.

    Attributes:
        volumes: For each of ``TISSUES`` and then the depth: the map and its derivatives along x, y and z, per mm.
        affine: (4, 4), voxel index to MNI152 millimetres.
    """

    volumes: tuple[np.ndarray, ...]
    affine: Affine

    def sample(self, points_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (4, N) and gradients (4, 3, N) of the maps at MNI152 points (3, N); the border value outside."""
        totals = np.stack(interpolate_all(self.volumes, self.affine, points_mm.astype(np.float32)))
        both = totals.reshape(len(TISSUES) + 1, 4, -1)
        return both[:, 0], both[:, 1:]

    def tissues(self, points_mm: np.ndarray) -> list[np.ndarray]:
        """Values (N,) of each of ``TISSUES`` at MNI152 points (3, N)."""
        return interpolate_all(self.volumes[: 4 * len(TISSUES) : 4], self.affine, points_mm.astype(np.float32))

    def depth(self, points_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Signed distance to the surface of the brain (N,) and its gradient (3, N), negative inside, in mm."""
        value, *gradient = interpolate_all(self.volumes[-4:], self.affine, points_mm.astype(np.float32))
        return value, np.stack(gradient)


@cache
def template_maps(smoothing_mm: float) -> TemplateMaps:
    """The maps smoothed by a Gaussian of this standard deviation in mm; the depth is smoothed by 2 mm."""
    maps = template()
    grey, white = (tissue.astype(np.float32) / 255.0 for tissue in (maps.grey, maps.white))
    fluid = np.clip((maps.depth_mm < 0) - grey - white, 0.0, 1.0)
    volumes = []
    for volume, sigma in ((grey, smoothing_mm), (white, smoothing_mm), (fluid, smoothing_mm), (maps.depth_mm, 2.0)):
        smooth = ndimage.gaussian_filter(_block_means(volume), sigma / _STEP, truncate=3.0)
        volumes += [smooth, *np.gradient(smooth, float(_STEP))]
    affine = np.asarray(maps.affine) @ np.diag([_STEP, _STEP, _STEP, 1.0])
    affine[:3, 3] += np.asarray(maps.affine)[:3, :3] @ np.full(3, (_STEP - 1) / 2)
    return TemplateMaps(tuple(np.ascontiguousarray(v, np.float32) for v in volumes), affine)


def _block_means(volume: np.ndarray) -> np.ndarray:
    """Means of blocks of ``_STEP`` voxels along each axis; an incomplete last block is left out."""
    x, y, z = (n // _STEP for n in volume.shape)
    whole = volume[: x * _STEP, : y * _STEP, : z * _STEP].astype(np.float32)
    return whole.reshape(x, _STEP, y, _STEP, z, _STEP).mean(axis=(1, 3, 5))
