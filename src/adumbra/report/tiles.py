"""Where a picture is cut from a volume: plane, slice, crop and size, in the convention of radiology.

Volumes lie RAS+: the first index grows towards the patient's right. A picture is seen from the patient's feet (axial)
or face (coronal), so the patient's right is on its left side; in sagittal pictures the face looks to the left. All
three therefore flip both axes, and the millimetres of a voxel decide how many pixels it gets.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Maps
from adumbra.core.types import Mask

PLANES = {"axial": 2, "coronal": 1, "sagittal": 0}
"""The axis across each plane."""

LETTERS = {"axial": ("R", "L"), "coronal": ("R", "L"), "sagittal": ("A", "P")}
"""What is at the left and at the right edge of a picture."""

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Tile:
    """One picture to be cut.

    Attributes:
        plane: One of ``PLANES``.
        index: The slice, along the axis across the plane.
        box: The crop; what it says of the axis across the plane is not used.
        size: Width and height of the picture in pixels.
    """

    plane: str
    index: int
    box: Box
    size: tuple[int, int]

    def cut(self, volume: np.ndarray, *, smooth: bool = True) -> np.ndarray:
        """The slice of a volume as (height, width): float32 interpolated linearly, or voxel edges kept sharp."""
        axis = PLANES[self.plane]
        across = [part for k, part in enumerate(self.box) if k != axis]
        flat = np.take(volume, self.index, axis=axis)[tuple(across)].T[::-1, ::-1]
        image = Image.fromarray(np.ascontiguousarray(flat, dtype=np.float32))
        method = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
        return np.asarray(image.resize(self.size, method))

    def pixel(self, index: Sequence[int]) -> tuple[float, float]:
        """Where (x, y) in the picture the centre of a voxel lies."""
        axis = PLANES[self.plane]
        shares = [
            1.0 - (index[k] + 0.5 - part.start) / (part.stop - part.start)
            for k, part in enumerate(self.box)
            if k != axis
        ]
        return shares[0] * self.size[0], shares[1] * self.size[1]


def tile(plane: str, index: int, box: Box, grid: Grid, *, pixels_per_mm: float) -> Tile:
    """The picture of a crop in true proportions: a millimetre is as long along both edges."""
    axis = PLANES[plane]
    lengths = [(part.stop - part.start) * grid.spacing_mm[k] for k, part in enumerate(box) if k != axis]
    width, height = (max(1, round(length * pixels_per_mm)) for length in lengths)
    return Tile(plane, index, box, (width, height))


def pixels_per_mm(box: Box, grid: Grid, *, height: int) -> float:
    """The scale at which an axial crop has a given height, or less where it would be more than half wider than high."""
    across_mm, down_mm = ((box[k].stop - box[k].start) * grid.spacing_mm[k] for k in (0, 1))
    return min(height / down_mm, 1.5 * height / across_mm)


def box_around(mask: Mask, grid: Grid, *, margin_mm: float = 6.0) -> Box:
    """The smallest crop that holds a mask and a margin; the whole volume where the mask is empty."""
    if not mask.any():
        return whole(mask.shape)
    parts = []
    for axis, (size, spacing) in enumerate(zip(mask.shape, grid.spacing_mm, strict=True)):
        seen = np.flatnonzero(mask.any(axis=tuple(k for k in range(3) if k != axis)))
        margin = int(np.ceil(margin_mm / spacing))
        parts.append(slice(max(0, int(seen[0]) - margin), min(size, int(seen[-1]) + 1 + margin)))
    return (parts[0], parts[1], parts[2])


def box_about(index: Sequence[int], grid: Grid, *, side_mm: float) -> Box:
    """A cube of a given side around a voxel, moved inwards at the volume's border."""
    parts = []
    for at, size, spacing in zip(index, grid.shape, grid.spacing_mm, strict=True):
        length = min(size, max(1, round(side_mm / spacing)))
        start = min(max(0, at - length // 2), size - length)
        parts.append(slice(start, start + length))
    return (parts[0], parts[1], parts[2])


def key_slice(maps: Maps) -> int:
    """The axial slice with most of the mask; where the mask is empty, with most entropy."""
    area = maps.mask.sum(axis=(0, 1)) if maps.mask.any() else maps.entropy.sum(axis=(0, 1))
    return int(np.argmax(area))


def telling_slices(maps: Maps, box: Box, *, most: int = 6, apart_mm: float = 6.0) -> tuple[int, ...]:
    """Up to ``most`` axial slices that show where the target and the doubt are, from the feet upwards.

    The slice with most of the mask comes first; then those that share mask and entropy in equal parts; then the fullest
    ones: each if it is far enough from those before it, and the nearer ones only where places are left. Where there is
    neither mask nor entropy, the slices are spread over the crop.
    """
    levels = np.arange(box[2].start, box[2].stop)
    weight = maps.mask.sum(axis=(0, 1))[box[2]] + maps.entropy.sum(axis=(0, 1))[box[2]] / np.log(2.0)
    bare = weight.sum() < 0.5
    weight = np.ones(len(levels)) if bare else weight
    shared = np.searchsorted(np.cumsum(weight) / weight.sum(), (np.arange(most) + 0.5) / most)
    order = [*levels[shared], *levels[np.argsort(-weight, kind="stable")]]
    chosen: list[int] = [] if bare else [key_slice(maps)]
    for apart in (max(1, round(apart_mm / maps.grid.spacing_mm[2])), 1):
        for level in map(int, order):
            if len(chosen) < most and all(abs(level - other) >= apart for other in chosen):
                chosen.append(level)
    return tuple(sorted(chosen))


def windows(background: Mapping[str, np.ndarray], within: Mask) -> dict[str, tuple[float, float]]:
    """For each scan the values that are drawn black and white: quantiles in the brain."""
    upper = {"adc": 0.96}  # cerebrospinal fluid would leave the brain in the dark
    found = {}
    for name, volume in background.items():
        values = volume[within] if within.any() else volume.ravel()
        low, high = np.quantile(values, [0.01, upper.get(name, 0.995)])
        found[name] = (float(low), float(high) if high > low else float(low) + 1.0)
    return found


def whole(shape: Sequence[int]) -> Box:
    """The crop that takes nothing away."""
    return (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
