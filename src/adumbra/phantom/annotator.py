"""Simulated annotation: the mask that a careful rater draws, given the ground truth and its visibility on the image."""

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.components import label_components
from adumbra.core.types import Mask, Volume


def annotate(fraction: Volume, *, contrast: float, noise: float, level: float = 0.5) -> Mask:
    """The mask of an infarct: each visible component, thresholded at a share of its local maximum.

    Half of the maximum gives an infarct larger than the point spread its exact border, and a smaller one its extent on
    the image. Raters include the pale rim to different degrees, which ``level`` models. A component is visible where it
    makes DWI brighter by a fifth and by 2.5 standard deviations of the noise.

    Args:
        fraction: (X, Y, Z), the infarcted fraction of each voxel at the scanner's resolution.
        contrast: Signal of infarcted over normal white matter on DWI.
        noise: Standard deviation of the noise over the signal of normal white matter.
        level: Share of the local maximum from which the rater includes a voxel, in (0, 1].
    """
    mask = _above_local_share(fraction, level) & (fraction >= 0.4 * level)
    labels, count = label_components(mask)
    brightest = ndimage.maximum(fraction, labels, index=np.arange(count + 1)) * (contrast - 1)
    visible = np.asarray(brightest) >= max(0.2, 2.5 * noise)
    visible[0] = False
    return visible[labels]


def lumen_mask(fraction: Volume) -> Mask:
    """The mask of a clot: the voxels with at least half of the largest clot fraction in their neighbourhood.

    A lumen narrower than a voxel therefore keeps its length and a thickness of one or two voxels. Blooming, which is
    wider than the lumen, is not included.

    Args:
        fraction: (X, Y, Z), the fraction of each voxel that clots fill.
    """
    return _above_local_share(fraction, 0.5) & (fraction >= 0.03)


def _above_local_share(fraction: Volume, share: float) -> Mask:
    """The voxels that reach a share of the maximum of their neighbourhood of 5 × 5 × 3 voxels."""
    return fraction >= share * ndimage.maximum_filter(fraction, size=(5, 5, 3))
