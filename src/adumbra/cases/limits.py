"""What a file may claim: how the voxels lie in its bytes, and how large they may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from adumbra.core.case import Conversion
from adumbra.core.errors import UnreadableFile

# 2²⁸ voxels are 1024 x 1024 x 256: four times the largest clinical series, 1 GiB as float32.
MOST_VOXELS = 2**28
MOST_BYTES = 8 * MOST_VOXELS + 2**24


@dataclass(frozen=True, eq=False)
class Layout:
    """How voxels lie in the bytes of a file, as its header says.

    Attributes:
        shape: Lengths of all axes, first axis fastest.
        dtype: Of the stored values, with their byte order.
        offset: Where the first voxel starts.
        affine: Voxel index to RAS+ mm, (4, 4).
        slope: Stored values are multiplied by it.
        intercept: Then this is added.
        notes: What a reader of the report should know of the header, as conversions without a subject.
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
        """Where the last voxel ends."""
        return self.offset + prod(self.shape) * self.dtype.itemsize


def checked_shape(where: str, lengths: Sequence[int]) -> tuple[int, ...]:
    """The lengths of the axes, once they are those of a volume of bearable size.

    Raises:
        UnreadableFile: Fewer than three axes, an axis without a voxel, or more voxels than ``MOST_VOXELS``.
    """
    shape = tuple(int(n) for n in lengths)
    if len(shape) < 3 or min(shape) < 1:
        raise UnreadableFile(
            where, expected="a volume with three axes of at least one voxel", found=f"shape {shape}", do="export again"
        )
    if prod(shape) > MOST_VOXELS:
        raise UnreadableFile(
            where,
            expected=f"at most {MOST_VOXELS:,} voxels",
            found=f"shape {shape} in the header: {prod(shape):,} voxels",
            do="crop or resample it; if it is no such image, the header is damaged: export it again",
        )
    return shape
