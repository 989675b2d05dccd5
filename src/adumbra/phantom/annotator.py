"""Simulated annotation: the mask that a careful rater draws, given the ground truth and its visibility on the image.

Annotators differ by convention: from which share of the local maximum they include a voxel, whether they include a
faint rim, how smooth their contours are and on which side of the border they run, and what they consider too small
or too faint.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.components import label_components
from adumbra.core.types import Mask, Volume

_NEIGHBOURHOOD = (5, 5, 3)  # voxels in which the local maximum is searched
_BORDER_MM, _RIM_MM = 4.0, 9.0  # distance of the local maximum; a rim is fainter than a core that lies farther away
_FAINT_RIM = 0.4  # share of the level that is the least infarcted fraction of a segmented voxel
_LEAST_EXCESS = 0.2  # of the DWI signal, relative to normal tissue, that makes a component visible
_SURE_OF_NOISE = 2.5  # standard deviations of the noise that make a component visible
_PEAK = 0.85  # share of the local maximum that a contour drawn too tight still contains
_MARGIN = 3  # voxels around the infarct in which annotators work


@dataclass(frozen=True)
class AnnotatorConvention:
    """How an annotator segments an infarct.

    Attributes:
        name: Name of the convention; sampled ones are named after the nearest.
        level: Share of the local maximum from which a voxel is included, 0.2 to 0.6.
        smoothing_mm: Standard deviation of the in-plane smoothing of the contour.
        includes_faint_rim: Whether a rim counts by its own maximum, or by that of the core beside it.
        least_voxels: Voxels of the smallest component that is segmented.
        bias_mm: Distance of the contour from the border, positive outside; at most one voxel is applied.
        missed_dots: Probability that a dot of at most ``dot_voxels`` in a slice is missed.
        dot_voxels: Area of the largest dot that may be missed, in voxels.
    """

    name: str
    level: float
    smoothing_mm: float = 0.0
    includes_faint_rim: bool = True
    least_voxels: int = 1
    bias_mm: float = 0.0
    missed_dots: float = 0.0
    dot_voxels: int = 3


CONVENTIONS: Mapping[str, AnnotatorConvention] = MappingProxyType({
    "generous": AnnotatorConvention("generous", 0.25, 0.6, True, 1, 0.4),
    "average": AnnotatorConvention("average", 0.40, 0.4, True, 1, 0.0, 0.05),
    "strict": AnnotatorConvention("strict", 0.50, 0.3, False, 2, -0.3, 0.10),
    "smooth": AnnotatorConvention("smooth", 0.40, 1.6, True, 3, 0.2, 0.25),
    "hasty": AnnotatorConvention("hasty", 0.45, 0.8, False, 4, 0.0, 0.40, 5),
})  # fmt: skip
"""Named conventions. ``average`` gives the mask of the lesion in randomised examinations."""


def sample_convention(rng: np.random.Generator) -> AnnotatorConvention:
    """Samples the convention of an annotator: a named one with variation.

    Args:
        rng: Source of every random choice.
    """
    names = list(CONVENTIONS)
    mean = CONVENTIONS[names[rng.choice(len(names), p=[0.25, 0.30, 0.20, 0.15, 0.10])]]
    return AnnotatorConvention(
        name=mean.name,
        level=float(np.clip(mean.level + rng.normal(0, 0.06), 0.2, 0.6)),
        smoothing_mm=float(mean.smoothing_mm * np.exp(rng.normal(0, 0.3))),
        includes_faint_rim=mean.includes_faint_rim,
        least_voxels=mean.least_voxels,
        bias_mm=float(np.clip(mean.bias_mm + rng.normal(0, 0.4), -1.5, 1.5)),
        missed_dots=mean.missed_dots,
        dot_voxels=mean.dot_voxels,
    )


def annotate_by(
    convention: AnnotatorConvention,
    rng: np.random.Generator,
    fraction: Volume,
    *,
    spacing_mm: tuple[float, float, float],
    contrast: float,
    noise: float,
) -> Mask:
    """The mask of an infarct by one annotator's convention.

    With equal settings otherwise, a lower level gives a mask that contains that of a higher one, unless dots are
    missed.

    Args:
        convention: The annotator's convention.
        rng: Source of the missed dots.
        fraction: (X, Y, Z), the infarcted fraction of each voxel at the scanner's resolution.
        spacing_mm: Spacing of the voxels.
        contrast: Signal of infarcted over normal tissue on DWI.
        noise: Standard deviation of the noise over the signal of normal white matter.
    """
    mask = np.zeros(fraction.shape, bool)
    places = np.argwhere(fraction > 0.02)
    if not len(places):
        return mask
    low = np.maximum(places.min(axis=0) - _MARGIN, 0)
    block = tuple(slice(int(a), int(b) + _MARGIN + 1) for a, b in zip(low, places.max(axis=0), strict=True))
    inside = fraction[block]
    segmented = _within_contour(convention, inside, spacing_mm)
    least = max(_LEAST_EXCESS, _SURE_OF_NOISE * noise) / max(contrast - 1, 1e-3)
    segmented = _visible_components(segmented, inside, least_fraction=least, least_voxels=convention.least_voxels)
    mask[block] = _without_missed_dots(convention, rng, segmented)
    return mask


def _within_contour(convention: AnnotatorConvention, fraction: Volume, spacing_mm: tuple[float, float, float]) -> Mask:
    """The voxels inside the contour: those that reach the level, moved by the bias."""
    sigma = [convention.smoothing_mm / h for h in spacing_mm[:2]]
    smooth = ndimage.gaussian_filter(fraction, (*sigma, 0.0)) if convention.smoothing_mm > 0 else fraction
    greatest = _greatest_within(smooth, _BORDER_MM, spacing_mm)
    core = greatest if convention.includes_faint_rim else _greatest_within(smooth, _RIM_MM, spacing_mm)
    mask = (smooth >= convention.level * core) & (smooth >= _FAINT_RIM * convention.level)
    return _moved(mask, convention.bias_mm, spacing_mm) | (mask & (smooth >= _PEAK * greatest))


def _greatest_within(volume: Volume, reach_mm: float, spacing_mm: tuple[float, float, float]) -> Volume:
    """The maximum within a distance along each axis, and at least in the neighbouring slices."""
    size = [2 * max(1, round(reach_mm / h)) + 1 for h in spacing_mm]
    return np.asarray(ndimage.maximum_filter(volume, size=size))


def _moved(mask: Mask, bias_mm: float, spacing_mm: tuple[float, float, float]) -> Mask:
    """The mask with its in-plane border moved outwards by a distance, at most by one voxel."""
    voxel_mm = min(spacing_mm[:2])
    bias = float(np.clip(bias_mm, -voxel_mm, voxel_mm))
    if abs(bias) < voxel_mm / 2 or not mask.any():
        return mask  # the border would not pass the centre of a voxel
    structure = ndimage.generate_binary_structure(2, 1)[:, :, None]
    return ndimage.binary_dilation(mask, structure) if bias > 0 else ndimage.binary_erosion(mask, structure)


def _visible_components(mask: Mask, fraction: Volume, *, least_fraction: float, least_voxels: int) -> Mask:
    """The components that are bright and large enough."""
    labels, count = label_components(mask)
    index = np.arange(count + 1)
    visible = np.asarray(ndimage.maximum(fraction, labels, index=index)) >= least_fraction
    visible &= np.bincount(labels.reshape(-1), minlength=count + 1) >= least_voxels
    visible[0] = False
    return np.asarray(visible[labels])


def _without_missed_dots(convention: AnnotatorConvention, rng: np.random.Generator, mask: Mask) -> Mask:
    """The mask without the dots that the annotator misses, slice by slice."""
    if convention.missed_dots == 0:
        return mask
    in_plane = ndimage.generate_binary_structure(3, 3)
    in_plane[:, :, [0, 2]] = False
    labels, count = ndimage.label(mask, in_plane)
    area = np.bincount(labels.reshape(-1), minlength=count + 1)
    missed = (area <= convention.dot_voxels) & (rng.random(count + 1) < convention.missed_dots)
    missed[0] = False
    return mask & ~missed[labels]


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
    return fraction >= share * ndimage.maximum_filter(fraction, size=_NEIGHBOURHOOD)
