"""What a header may claim: how the voxels lie in the bytes of a file, and how many there may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from adumbra.core.case import Conversion
from adumbra.core.errors import UnreadableFile

# 2²⁸ voxels are 1024 x 1024 x 256: four times the largest clinical series, 1 GiB as float32.
MOST_VOXELS = 2**28
MOST_BYTES = 8 * MOST_VOXELS + 2**24
"""Size of the largest file: ``MOST_VOXELS`` of eight bytes, and a header."""


@dataclass(frozen=True, eq=False)
class Layout:
    """How voxels lie in the bytes of a file, according to its header.

    Attributes:
        shape: Lengths of all axes, first axis fastest.
        dtype: Type of the stored values, with their byte order.
        offset: Byte at which the first voxel starts.
        affine: Voxel index to RAS+ mm, (4, 4).
        slope: Factor by which stored values are multiplied.
        intercept: Constant that is added afterwards.
        notes: What the provenance records of the header, as conversions without a stage and a subject.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    affine: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0
    notes: tuple[Conversion, ...] = ()

    @property
    def end(self) -> int:
        """Byte at which the last voxel ends."""
        return self.offset + prod(self.shape) * self.dtype.itemsize


def checked_shape(where: str, lengths: Sequence[int]) -> tuple[int, ...]:
    """The lengths of the axes, refused unless they are those of a volume of at most ``MOST_VOXELS``.

    Raises:
        UnreadableFile: Fewer than three axes, an axis without a voxel, or too many voxels.
    """
    shape = tuple(int(n) for n in lengths)
    if len(shape) < 3 or min(shape) < 1:
        raise UnreadableFile(
            where,
            expected="a volume with three axes of at least one voxel",
            found=f"shape {shape} in the header",
            do="export the whole volume again",
        )
    if prod(shape) > MOST_VOXELS:
        raise UnreadableFile(
            where,
            expected=f"at most {MOST_VOXELS:,} voxels",
            found=f"shape {shape} in the header: {prod(shape):,} voxels",
            do="crop or resample it; if the image is smaller than that, the header is damaged: export it again",
        )
    return shape
