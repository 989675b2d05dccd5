"""Recognises voxels whose bytes are stored in the other order than the header says.

**Whole numbers.** An image is smooth: neighbours differ by a fraction of the spread of its values. With the bytes of
each voxel exchanged it is noise. Noise and masks are as rough in both orders, and are not refused.

**Floating-point numbers.** With exchanged bytes most are denormal, huge, or NaN.
"""

import numpy as np

from adumbra.core.errors import UnreadableFile

MOST_VOXELS = 2**17
"""Number of voxels in the middle of an image that are looked at."""
LARGEST_ROUGHNESS = 0.5
"""Roughness below which an image is smooth; that of independent values is 1.1."""
LEAST_RATIO = 2.0
"""Factor by which the stored order must be rougher than the other one."""


def refuse_swapped_bytes(where: str, stored: np.ndarray) -> None:
    """Refuses voxels that are noise as stored and an image with their bytes exchanged.

    Args:
        where: Name of the file, for errors.
        stored: (X, Y, Z), the values as stored, before any scaling.

    Raises:
        UnreadableFile: The bytes are in the other order.
    """
    if stored.dtype.itemsize == 1 or min(stored.shape) < 2:
        return
    middle = _middle(stored)
    swapped = _floats_swapped(middle) if stored.dtype.kind == "f" else _integers_swapped(middle)
    if swapped is not None:
        raise UnreadableFile(
            where,
            expected="voxels in the byte order that the header states",
            found=f"{stored.dtype.name} values that are noise as stored and an image with their bytes exchanged:"
            f" {swapped}",
            do="correct the byte order of the header, or export the file again",
        )


def _integers_swapped(values: np.ndarray) -> str | None:
    own, other = roughness(values), roughness(values.byteswap())
    if other >= LARGEST_ROUGHNESS or own <= LEAST_RATIO * other:
        return None
    return f"neighbours differ by {own:.2f} and {other:.2f} of the spread"


def _floats_swapped(values: np.ndarray) -> str | None:
    own, other = ordinary_share(values), ordinary_share(values.byteswap())
    if own > 0.2 or other < 0.95:
        return None
    return f"{own:.0%} and {other:.0%} of the values are of ordinary size"


def roughness(values: np.ndarray) -> float:
    """Mean difference of neighbours over the standard deviation; 0 for a constant image.

    Args:
        values: (X, Y, Z), at least two voxels along the first axis.
    """
    numbers = values.astype(np.float64)
    spread = float(numbers.std())
    return float(np.abs(np.diff(numbers, axis=0)).mean()) / spread if spread > 0 else 0.0


def ordinary_share(values: np.ndarray) -> float:
    """The share of the values other than 0 whose size is between 10⁻²⁰ and 10²⁰.

    Args:
        values: (X, Y, Z), of any floating-point type. Without a value other than 0 the share is 1.
    """
    with np.errstate(all="ignore"):
        sizes = np.abs(values[values != 0].astype(np.float64))
        ordinary = (sizes > 1e-20) & (sizes < 1e20)
    return float(ordinary.mean()) if sizes.size else 1.0


def _middle(values: np.ndarray) -> np.ndarray:
    """A block of at most ``MOST_VOXELS`` voxels in the middle."""
    side = max(2, int(MOST_VOXELS ** (1 / 3)))
    starts = [max(0, (n - side) // 2) for n in values.shape]
    return np.array(values[tuple(slice(start, start + side) for start in starts)])
