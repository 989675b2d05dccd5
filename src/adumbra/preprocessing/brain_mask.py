"""Brain extraction from one image of any sequence, with the skull or without it.

A small network (``networks.brain_network``) gives the share of brain in each voxel at 4 mm. It was trained on phantoms
alone, with any contrast, noise and field of view. The largest component is filled, and its share of brain is
interpolated and thresholded at one half on the grid of the image, so that the border is finer than 4 mm.
"""

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.components import largest_component
from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.geometry.resampling import resample
from adumbra.core.references import cites
from adumbra.core.types import Mask, Volume
from adumbra.preprocessing.brain_input import BrainInput, brain_input, content_of

_SAME, _NEARLY = 0.95, 0.9  # Dice of content and brain of a skull-stripped image; the lower where a part is missed.
_MISSED_MM = 10.0  # Distance from the network's mask from which content is a missed part, and not a wide border.
_ONE_BODY = 0.99  # Least share of the largest component of a skull-stripped image; masked air leaves isolated voxels.


@cites("Ronneberger2015", "Cicek2016", "Billot2023")
def extract_brain(volume: Volume, grid: Grid) -> Mask:
    """The brain as a filled mask: ventricles, sulci and lesions, dark or bright, lie inside.

    For an image without a skull the mask is its filled content. The mask is never empty for an image with content: if
    nothing resembles a brain, the mask is the content. Content is what differs from the exact value of the background,
    so that zero margins of any width, and NaN, change nothing.

    Args:
        volume: (X, Y, Z), DWI trace, b0, ADC, FLAIR, SWI magnitude or TOF, in any unit.
        grid: Grid of the volume; slices up to 6.5 mm thick.
    """
    finite = np.nan_to_num(volume, nan=0.0, posinf=0.0, neginf=0.0)
    content = content_of(finite)
    if not content.any():
        return content
    values, upright = reorient(finite, grid)
    measured, _ = reorient(content, grid)
    mask = _upright_brain(values, measured, upright)
    return reorient(mask, upright, grid.axcodes)[0] if mask.any() else content


def _upright_brain(values: Volume, content: Mask, grid: Grid) -> Mask:
    """The brain of a volume whose axes point towards RAS+; empty if nothing resembles a brain."""
    network_input = brain_input(values, content, grid)
    coarse, share = _coarse_brain(network_input)
    if _is_stripped(network_input, coarse):
        return filled(largest_component(content))
    return resample(share, network_input.grid, grid) >= 0.5


def _coarse_brain(network_input: BrainInput) -> tuple[Mask, Volume]:
    """The largest component of the brain, filled, and the share of brain in and around it, on the network's grid."""
    from adumbra.networks.brain_network import brain_share  # torch is imported where a brain is extracted, not before

    share = brain_share(network_input.channels)
    brain = largest_component(share >= 0.5)
    coarse = filled(brain)
    rim = ndimage.binary_dilation(coarse)
    return coarse, np.where(coarse & ~brain, np.float32(1), np.where(rim, share, np.float32(0)))


def _is_stripped(network_input: BrainInput, brain: Mask) -> bool:
    """Whether the skull was removed: what was measured is one body, and nearly the same as the brain.

    The network may miss a part of such an image, as a very bright infarct; that part lies deeper than a wide border.
    """
    measured = network_input.channels[1] >= 0.5
    body = largest_component(measured)
    if not brain.any() or measured.all() or body.sum() < _ONE_BODY * measured.sum():
        return False
    content = filled(body)
    same = 2.0 * float((content & brain).sum()) / float(content.sum() + brain.sum())
    beyond_mm = ndimage.distance_transform_edt(~brain, sampling=network_input.grid.spacing_mm)
    return same >= _SAME or (same >= _NEARLY and float(beyond_mm[content].max()) > _MISSED_MM)


def filled(mask: Mask) -> Mask:
    """The mask without holes; a hole is enclosed in an axial slice, as all that is enclosed in 3D is.

    Args:
        mask: (X, Y, Z), the last axis across axial slices.
    """
    in_plane = np.zeros((3, 3, 3), dtype=bool)
    in_plane[:, 1, 1] = in_plane[1, :, 1] = True
    labels, count = ndimage.label(~mask, in_plane)
    outside = np.zeros(count + 1, dtype=bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        outside[np.unique(edge)] = True
    return mask | ~outside[labels]
