"""The brain in a diffusion-weighted or b0 image, without learned weights.

The way of median-otsu (Garyfallidis et al., Front. Neuroinform. 2014, 8:8): smooth, cut at Otsu's threshold (IEEE
Trans. SMC 1979, 9:62), cut the bridges to scalp and eyes by an erosion, keep the largest piece, grow it back, close it
and fill its holes. Done at 3 mm, which decides the border well enough, and brought back to the image's grid.
"""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from adumbra.core.geometry.components import largest_component
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resampled
from adumbra.core.references import cites
from adumbra.core.types import Mask, Volume

_WORK_MM = 3.0
_THICK_MM = 4.5
_BRIDGE_MM = 5.0  # Half the width of the thickest bridge between brain and scalp that is cut.
_CLOSE_MM = 8.0  # Half the width of the widest sulcus, or dark lesion at the border, that is closed.
_LARGEST_BRAIN_ML = 2100.0  # No brain is larger; heads are.
_SKULL_MM = (4.0, 14.0)  # How deep below the surface of a head its dark skull lies.
_DARK = 0.35  # Of the median signal; skull is darker, and so is air.
_SMALLEST_SHARE = 0.35  # Of what rises above noise, the least that can be brain.


@cites("Garyfallidis2014", "Otsu1979")
def brain_mask(volume: Volume, grid: Grid) -> Mask:
    """The brain, filled: ventricles, dark lesions and bright ones lie inside.

    An image whose skull was removed before comes back as its filled non-zero part. Never empty for an image with
    content: where nothing like a brain is found, everything above zero is returned.

    Args:
        volume: (X, Y, Z), DWI trace or b0; other contrasts work less well. Finite, any scale.
        grid: Where it lies; slices up to 6.5 mm thick.
    """
    content = volume > max(float(volume.min()), 0.0)
    if not content.any():
        return content
    coarse = respaced(grid, tuple(max(s, _WORK_MM) for s in grid.spacing_mm))  # type: ignore[arg-type]
    small = resampled(volume, grid, coarse)
    filled = _filled(largest_component(_moved(content, grid, coarse)))
    if _is_stripped(small, filled, coarse):
        near = _moved(ndimage.binary_dilation(filled), coarse, grid)
        return _filled(largest_component(content & near))
    mask = _moved(_brain_in_head(_smoothed(small, coarse), coarse), coarse, grid)
    return mask if mask.any() else content


def _smoothed(volume: Volume, grid: Grid) -> Volume:
    """The median of neighbours, those in the next slice only where it is near."""
    i, j, k = (3 if s < _THICK_MM else 1 for s in grid.spacing_mm)
    return ndimage.median_filter(volume, size=(i, j, k))


def _moved(mask: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """A mask on another grid, without the care for tiny components that lesions need and a brain does not."""
    return resampled(mask.astype(np.float32), source, target) >= 0.5


def _is_stripped(small: Volume, filled: Mask, grid: Grid) -> bool:
    """Whether the background is zero and no skull lies below the surface of what is not (``filled``)."""
    if not filled.any() or filled.mean() > 0.75 or filled.sum() * grid.voxel_ml > _LARGEST_BRAIN_ML:
        return False
    depth = ndimage.distance_transform_edt(filled, sampling=grid.spacing_mm)
    below = small[(depth > _SKULL_MM[0]) & (depth < _SKULL_MM[1])]
    return bool(below.size) and float((below > _DARK * np.median(small[filled])).mean()) > 0.75


def _brain_in_head(small: Volume, grid: Grid) -> Mask:
    """The brain in a smoothed image that shows scalp, eyes and neck as well."""
    bright = small > _threshold(small)
    depth = ndimage.distance_transform_edt(bright, sampling=grid.spacing_mm)
    core = largest_component(depth > _BRIDGE_MM)
    if not core.any():
        return _filled(largest_component(bright))
    back = ndimage.distance_transform_edt(~core, sampling=grid.spacing_mm) <= _BRIDGE_MM + 0.5 * _WORK_MM
    return _filled(_closed(largest_component(back & bright), grid))


def _threshold(small: Volume) -> float:
    """Otsu's threshold between brain and the rest, where a bright infarct is not taken for the brain.

    A large infarct, several times as bright, can make a class of its own and push the threshold above normal brain.
    Then too little lies above it; the values are clipped there and the threshold is sought again below.
    """
    values = np.sort(small[small > 0], axis=None)
    if not values.size:
        return 0.0
    values = values[: max(1, int(0.995 * values.size))]
    above_noise = (values > np.exp(threshold_otsu(np.log(values)))).sum() if values[0] < values[-1] else 0
    while values[0] < values[-1]:
        threshold = float(threshold_otsu(values))
        if (values > threshold).sum() >= _SMALLEST_SHARE * above_noise or threshold >= values[-1]:
            return threshold
        values = np.minimum(values, threshold)
    return float(values[0]) * 0.5


def _closed(mask: Mask, grid: Grid) -> Mask:
    """The mask with gaps narrower than twice ``_CLOSE_MM`` closed, unhindered by the edge of the field of view."""
    pad = [int(np.ceil(2 * _CLOSE_MM / s)) for s in grid.spacing_mm]
    padded = np.pad(mask, [(p, p) for p in pad])
    near = ndimage.distance_transform_edt(~padded, sampling=grid.spacing_mm) <= _CLOSE_MM
    closed = ndimage.distance_transform_edt(near, sampling=grid.spacing_mm) > _CLOSE_MM
    return closed[tuple(slice(p, -p) for p in pad)] | mask


def _filled(mask: Mask) -> Mask:
    """The mask without holes, where a hole is what an axial slice encloses (and so all that is enclosed in 3D)."""
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[:, 1, 1] = in_plane[1, :, 1] = True
    labels, count = ndimage.label(~mask, in_plane)
    outside = np.zeros(count + 1, dtype=bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[np.unique(edge)] = True
    return mask | ~outside[labels]
