"""Slices of a volume as pictures: plane, slice, crop and size, in radiological convention.

Volumes are RAS+: the first index grows towards the patient's right. Axial pictures are seen from the feet and coronal
ones from the front, so that the patient's right is on the left. In sagittal pictures the face looks to the left. All
three planes therefore flip both axes. A millimetre has the same number of pixels along both axes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from adumbra.core.entropy import LN2
from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Maps
from adumbra.core.types import Mask

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}
"""The axis across each plane."""

LETTERS = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}
"""Letters of the patient's sides at the left and at the right edge of a picture."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Tile:
    """One picture of a volume.

    Attributes:
        plane: A key of ``PLANES``.
        index: Index of the slice, along the axis across the plane.
        box: Crop of the volume; its part along the axis across the plane is not used.
        size: Width and height of the picture in pixels.
    """

    plane: str
    index: int
    box: Box
    size: tuple[int, int]

    def cut(self, volume: np.ndarray, *, smooth: bool = True) -> np.ndarray:
        """The slice of a volume as float32 (height, width).

        Args:
            volume: (X, Y, Z).
            smooth: True interpolates linearly; False takes the nearest voxel, which keeps the edges of masks sharp.
        """
        axis = PLANES[self.plane]
        across = [part for k, part in enumerate(self.box) if k != axis]
        flat = np.take(volume, self.index, axis=axis)[tuple(across)].T[::-1, ::-1]
        image = Image.fromarray(np.ascontiguousarray(flat, dtype=np.float32))
        method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        return np.asarray(image.resize(self.size, method))

    def pixel(self, index: Sequence[int]) -> tuple[float, float]:
        """The position (x, y) of a voxel's centre in the picture."""
        axis = PLANES[self.plane]
        shares = [
            1.0 - (index[k] + 0.5 - part.start) / (part.stop - part.start)
            for k, part in enumerate(self.box)
            if k != axis
        ]
        return shares[0] * self.size[0], shares[1] * self.size[1]


def tile(plane: str, index: int, box: Box, grid: Grid, *, pixels_per_mm: float) -> Tile:
    """The picture of a crop, with equal pixels per millimetre along both axes."""
    axis = PLANES[plane]
    lengths = [(part.stop - part.start) * grid.spacing_mm[k] for k, part in enumerate(box) if k != axis]
    width, height = (max(1, round(length * pixels_per_mm)) for length in lengths)
    return Tile(plane, index, box, (width, height))


def pixels_per_mm(box: Box, grid: Grid, *, height: int) -> float:
    """The scale at which an axial crop has this height in pixels; less if it were wider than 1.5 times the height."""
    across_mm, down_mm = ((box[k].stop - box[k].start) * grid.spacing_mm[k] for k in (0, 1))
    return min(height / down_mm, 1.5 * height / across_mm)


def box_around(mask: Mask, grid: Grid, *, margin_mm: float = 6.0) -> Box:
    """The smallest crop that contains a mask and a margin; the whole volume if the mask is empty."""
    if not mask.any():
        return whole_box(mask.shape)
    parts = []
    for axis, (size, spacing) in enumerate(zip(mask.shape, grid.spacing_mm, strict=True)):
        occupied = np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis)))
        margin = int(np.ceil(margin_mm / spacing))
        parts.append(slice(max(0, int(occupied[0]) - margin), min(size, int(occupied[-1]) + 1 + margin)))
    return (parts[0], parts[1], parts[2])


def box_centred_on(index: Sequence[int], grid: Grid, *, side_mm: float) -> Box:
    """A cube with a voxel at its centre, moved inwards at the border of the volume."""
    parts = []
    for at, size, spacing in zip(index, grid.shape, grid.spacing_mm, strict=True):
        length = min(size, max(1, round(side_mm / spacing)))
        start = min(max(0, at - length // 2), size - length)
        parts.append(slice(start, start + length))
    return (parts[0], parts[1], parts[2])


def key_slice(maps: Maps) -> int:
    """The axial slice with the largest area of the mask, or with the largest sum of entropy if the mask is empty."""
    area = maps.mask.sum(axis=(0, 1)) if maps.mask.any() else maps.entropy.sum(axis=(0, 1))
    return int(np.argmax(area))


def representative_slices(maps: Maps, box: Box, *, most: int = 6, apart_mm: float = 6.0) -> tuple[int, ...]:
    """Up to ``most`` axial slices that show the target and its uncertainty, from the feet upwards.

    The first choice is the slice of ``key_slice``. Then come the slices that divide mask and entropy into equal parts,
    and then those with the most of both. A slice closer than ``apart_mm`` to an earlier choice is used only if too few
    others are left. Without mask and entropy the slices are spread evenly over the crop.
    """
    levels = np.arange(box[2].start, box[2].stop)
    weight = maps.mask.sum(axis=(0, 1))[box[2]] + maps.entropy.sum(axis=(0, 1))[box[2]] / LN2
    empty = weight.sum() < 0.5
    weight = np.ones(len(levels)) if empty else weight
    shared = np.searchsorted(np.cumsum(weight) / weight.sum(), (np.arange(most) + 0.5) / most)
    order = [*levels[shared], *levels[np.argsort(-weight, kind="stable")]]
    chosen: list[int] = [] if empty else [key_slice(maps)]
    for apart in (max(1, round(apart_mm / maps.grid.spacing_mm[2])), 1):
        for level in map(int, order):
            if len(chosen) < most and all(abs(level - other) >= apart for other in chosen):
                chosen.append(level)
    return tuple(sorted(chosen))


def intensity_windows(background: Mapping[str, np.ndarray], within: Mask) -> dict[str, tuple[float, float]]:
    """For each scan the values shown as black and as white, which are quantiles inside a mask."""
    upper = {"adc": 0.96}  # below the values of cerebrospinal fluid, which would make the brain too dark
    limits = {}
    for name, volume in background.items():
        values = volume[within] if within.any() else volume.ravel()
        low, high = np.quantile(values, [0.01, upper.get(name, 0.995)])
        limits[name] = (float(low), float(high) if high > low else float(low) + 1.0)
    return limits


def whole_box(shape: Sequence[int]) -> Box:
    """The crop that contains the whole volume."""
    return (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
