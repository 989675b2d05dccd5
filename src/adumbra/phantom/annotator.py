"""The mask that a careful rater draws, from what is truly there and what can be seen of it."""

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.components import labelled
from adumbra.core.types import Mask, Volume


def annotate(fraction: Volume, *, contrast: float, noise: float, level: float = 0.5) -> Mask:
    """The mask of an infarct: each visible spot, from a share of its local maximum on.

    Half of the maximum gives an infarct larger than the point spread its exact border, and one smaller than it the
    extent that is seen on the image; raters draw the pale rim along, each a little further out than the other. A spot
    is visible where it makes DWI brighter by a fifth and by 2.5 times the noise.

    Args:
        fraction: Infarcted share of each voxel, at the scanner's resolution.
        contrast: Signal of infarcted over normal white matter on DWI.
        noise: Standard deviation of the noise over the signal of normal white matter.
        level: Share of the local maximum from which the rater draws, in (0, 1].
    """
    mask = _rim(fraction, level) & (fraction >= 0.4 * level)
    labels, count = labelled(mask)
    brightest = ndimage.maximum(fraction, labels, index=np.arange(count + 1)) * (contrast - 1)
    visible = np.asarray(brightest) >= max(0.2, 2.5 * noise)
    visible[0] = False
    return visible[labels]


def lumen_mask(fraction: Volume) -> Mask:
    """The mask of a clot: the voxels that hold at least half of what its fullest voxels nearby hold.

    A lumen narrower than a voxel then keeps a thickness of one or two voxels, and its length. Blooming, which is wider
    than the lumen, is not in it.
    """
    return _rim(fraction, 0.5) & (fraction >= 0.03)


def _rim(fraction: Volume, level: float) -> Mask:
    return fraction >= level * ndimage.maximum_filter(fraction, size=(5, 5, 3))
