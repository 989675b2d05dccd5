"""The classical arm of ``brain_mask.py``: brain extraction by thresholds and morphology.

It was Adumbra's brain mask before the learned one. The method follows median-otsu (Garyfallidis et al., Front.
Neuroinform. 2014, 8:8): smooth, apply Otsu's threshold (IEEE Trans. SMC 1979, 9:62), remove the bridges to scalp and
eyes by an erosion, take the largest component, dilate it back, close it and fill its holes. All this happens at 3 mm;
the mask is then resampled to the grid of the image.
"""

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from adumbra.core.geometry.components import largest_component
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Mask, Volume
from adumbra.preprocessing.brain_mask import filled

_WORK_MM = 3.0  # Spacing of the grid of all computations.
_THICK_MM = 4.5  # Slices from this thickness on are not smoothed across.
_BRIDGE_MM = 5.0  # Half the width of the thickest bridge between brain and scalp that is removed.
_CLOSE_MM = 8.0  # Half the width of the widest sulcus, or dark lesion at the border, that is closed.
_LARGEST_BRAIN_ML = 2100.0  # No brain is larger, but heads are.
_SKULL_MM = (4.0, 14.0)  # Depth of the dark skull below the surface of a head.
_DARK = 0.35  # Share of the median signal; skull and air are darker.
_SMALLEST_SHARE = 0.35  # Least share of the voxels above noise that can be brain.


def median_otsu(volume: Volume, grid: Grid) -> Mask:
    """The brain as a filled mask: ventricles and lesions, dark or bright, lie inside.

    For an image without a skull the mask is its filled non-zero part. The mask is never empty for an image with
    content: if nothing resembles a brain, the mask is everything above zero.

    Args:
        volume: (X, Y, Z), DWI trace or b0; other contrasts work less well. Finite, any scale.
        grid: Grid of the volume; slices up to 6.5 mm thick.
    """
    content = volume > max(float(volume.min()), 0.0)
    if not content.any():
        return content
    coarse = respaced(grid, tuple(max(s, _WORK_MM) for s in grid.spacing_mm))  # type: ignore[arg-type]
    small = resample(volume, grid, coarse)
    body = filled(largest_component(_resampled_mask(content, grid, coarse)))
    if _is_stripped(small, body, coarse):
        near = _resampled_mask(ndimage.binary_dilation(body), coarse, grid)
        return filled(largest_component(content & near))
    mask = _resampled_mask(_brain_in_head(_smoothed(small, coarse), coarse), coarse, grid)
    return mask if mask.any() else content


def _smoothed(volume: Volume, grid: Grid) -> Volume:
    """Median filter over neighbours, across slices only where these are thin."""
    i, j, k = (3 if s < _THICK_MM else 1 for s in grid.spacing_mm)
    return ndimage.median_filter(volume, size=(i, j, k))


def _resampled_mask(mask: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """A mask on another grid, without the protection of tiny components that ``resample`` gives a lesion mask."""
    return resample(mask.astype(np.float32), source, target) >= 0.5


def _is_stripped(small: Volume, filled: Mask, grid: Grid) -> bool:
    """Whether the skull was removed: the background is zero and no dark layer lies below the surface of ``filled``."""
    if not filled.any() or filled.mean() > 0.75 or filled.sum() * grid.voxel_ml > _LARGEST_BRAIN_ML:
        return False
    depth = ndimage.distance_transform_edt(filled, sampling=grid.spacing_mm)
    below = small[(depth > _SKULL_MM[0]) & (depth < _SKULL_MM[1])]
    return bool(below.size) and float((below > _DARK * np.median(small[filled])).mean()) > 0.75


def _brain_in_head(small: Volume, grid: Grid) -> Mask:
    """The brain in a smoothed image that also shows scalp, eyes and neck."""
    bright = small > _threshold(small)
    depth = ndimage.distance_transform_edt(bright, sampling=grid.spacing_mm)
    core = largest_component(depth > _BRIDGE_MM)
    if not core.any():
        return filled(largest_component(bright))
    back = ndimage.distance_transform_edt(~core, sampling=grid.spacing_mm) <= _BRIDGE_MM + 0.5 * _WORK_MM
    return filled(_closed(largest_component(back & bright), grid))


def _threshold(small: Volume) -> float:
    """Otsu's threshold between brain and the rest, protected against a bright infarct.

    A large infarct that is several times as bright can form a class of its own and push the threshold above normal
    brain. Too little then lies above the threshold; the values are clipped there and the threshold is computed again.
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
    """The mask with gaps narrower than twice ``_CLOSE_MM`` closed, also at the edge of the field of view."""
    pad = [int(np.ceil(2 * _CLOSE_MM / s)) for s in grid.spacing_mm]
    padded = np.pad(mask, [(p, p) for p in pad])
    near = ndimage.distance_transform_edt(~padded, sampling=grid.spacing_mm) <= _CLOSE_MM
    closed = ndimage.distance_transform_edt(near, sampling=grid.spacing_mm) > _CLOSE_MM
    return closed[tuple(slice(p, -p) for p in pad)] | mask
