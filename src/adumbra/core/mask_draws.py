"""Masks of posterior draws with one bit per voxel: what the clinic evaluates draw by draw, and what a run stores."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from adumbra.core.errors import GridMismatch
from adumbra.core.types import Mask


@dataclass(frozen=True, eq=False)
class MaskDraws:
    """The masks of the first posterior draws, in their order.

    Attributes:
        shape: Shape of a mask.
        bits: (N, B) uint8, one row for each draw with the bits of its voxels in C order.

    Raises:
        GridMismatch: The bits are not those of masks of this shape.
    """

    shape: tuple[int, int, int]
    bits: np.ndarray

    def __post_init__(self) -> None:
        row = -(-prod(self.shape) // 8)
        if self.bits.ndim != 2 or self.bits.shape[1] != row or self.bits.dtype != np.uint8:
            raise GridMismatch(
                "masks of the draws",
                expected=f"rows of {row} bytes for masks of shape {self.shape}",
                found=f"{self.bits.dtype} of shape {self.bits.shape}",
                do="predict the case again",
            )

    @classmethod
    def of(cls, masks: Iterable[Mask]) -> "MaskDraws":
        """The draws of some masks, (X, Y, Z) each and at least one."""
        rows, shape = [], (0, 0, 0)
        for mask in masks:  # one at a time: unpacked masks take eight times the memory
            x, y, z = mask.shape
            shape = (x, y, z)
            rows.append(np.packbits(mask))
        return cls(shape, np.stack(rows))

    def __len__(self) -> int:
        return len(self.bits)

    def __iter__(self) -> Iterator[Mask]:
        """The mask of each draw, (X, Y, Z)."""
        size = prod(self.shape)
        return (np.unpackbits(row, count=size).astype(bool).reshape(self.shape) for row in self.bits)
