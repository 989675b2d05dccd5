"""The thrombus as an expert contours it: the vessel sign on SWI, or the stretch without flow on TOF.

Experts contour what they see. On SWI that is the dark, blooming vessel sign, which is wider than the lumen. A clot
without the sign is contoured where TOF shows an artery without flow, and not at all where nothing shows it.

The sign is the signal that the clot takes away: that of the gradient echo with an open artery minus that with the clot.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.components import label_components
from adumbra.core.types import Mask, Volume

_LEAST_LOSS = 0.2  # of the signal of white matter, which makes the sign visible
_SURE_OF_NOISE = 2.5  # standard deviations of the noise that make it visible
_FARTHEST_MM = 6.0  # beyond the lumen, where blooming still belongs to the sign
_LUMEN = 0.03  # fraction of a voxel from which it belongs to the lumen
_SHARE_OF_LUMEN = 0.5  # share of the local maximum from which a lumen on TOF is contoured
_NEIGHBOURHOOD_MM = 5.0


@dataclass(frozen=True)
class ClotAnnotator:
    """How an annotator contours clots.

    Attributes:
        level: Share of the local maximum of the lost signal from which a voxel is included.
        shift: (3,), error of the position in voxels.
    """

    level: float = 0.5
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)


def sample_annotator(rng: np.random.Generator) -> ClotAnnotator:
    """Samples a further annotator: another level of the rim, and a position that is off by up to half a voxel.

    Args:
        rng: Source of both.
    """
    x, y, z = rng.uniform(-0.5, 0.5, 3)
    return ClotAnnotator(float(rng.uniform(0.35, 0.65)), (float(x), float(y), float(z)))


def contour(
    annotator: ClotAnnotator,
    *,
    lost: Volume | None,
    lumen: Volume,
    without_flow: Volume,
    noise: float,
    spacing_mm: tuple[float, float, float],
) -> tuple[Mask, str]:
    """The contour of one clot, and where it is visible.

    Args:
        annotator: The annotator.
        lost: (X, Y, Z), signal of the gradient echo that the clot takes away, over that of white matter; None without
            SWI.
        lumen: (X, Y, Z), fraction of each voxel that the clot fills.
        without_flow: (X, Y, Z), the part of it in which TOF would show flow; zero without TOF.
        noise: Standard deviation of the noise of SWI over the signal of white matter.
        spacing_mm: Spacing of the voxels.

    Returns:
        The mask, and ``"SWI"``, ``"TOF"``, or ``""`` for a clot that nobody can see, whose mask is empty.
    """
    size = [2 * max(1, round(_NEIGHBOURHOOD_MM / 2 / h)) + 1 for h in spacing_mm]
    if lost is not None and lumen.max() > _LUMEN:
        near = ndimage.distance_transform_edt(lumen <= _LUMEN, sampling=spacing_mm) <= _FARTHEST_MM
        sign = np.where(near, lost, 0)
        if sign.max() >= max(_LEAST_LOSS, _SURE_OF_NOISE * noise):
            sign = _moved(sign, annotator.shift)
            mask = (sign >= annotator.level * ndimage.maximum_filter(sign, size=size)) & (sign >= _LEAST_LOSS / 2)
            return _touching(mask, lumen > _LUMEN), "SWI"
    if without_flow.max() > _LUMEN:
        visible = _moved(without_flow, annotator.shift)
        level = _SHARE_OF_LUMEN * annotator.level / ClotAnnotator.level
        return (visible >= level * ndimage.maximum_filter(visible, size=size)) & (visible >= _LUMEN), "TOF"
    return np.zeros(lumen.shape, dtype=bool), ""


def _moved(volume: Volume, shift: tuple[float, float, float]) -> Volume:
    if not any(shift):
        return volume
    return np.asarray(ndimage.shift(volume, shift, np.float32, order=1, mode="nearest"))


def _touching(mask: Mask, lumen: Mask) -> Mask:
    """The components of a mask that meet the lumen, dilated by one voxel."""
    labels, count = label_components(mask)
    near = np.zeros(count + 1, dtype=bool)
    near[np.unique(labels[ndimage.binary_dilation(lumen)])] = True
    near[0] = False
    return np.asarray(near[labels])
