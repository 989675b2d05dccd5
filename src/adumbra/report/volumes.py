"""Large volumes as small files: integers with a slope where that is exact enough, and a fast gzip.

A simulated case has some thirty volumes of 7 million voxels. A map as int16 takes half the space, and its zeros and
plateaus compress well. The mantissas of noisy floats do not repeat, so that a search for repetitions gains nothing.
"""

import zlib
from dataclasses import dataclass

import nibabel as nib
import numpy as np

from adumbra.core.geometry.grid import Grid

_GZIP = 31  # zlib's code for a window of 15 bits in a gzip envelope, which then holds no name and no time.
_MOST_STEPS = 32767


@dataclass(frozen=True, eq=False)
class StoredVolume:
    """A volume as a file stores it.

    Attributes:
        values: Stored values, (X, Y, Z); the value of a voxel is ``slope`` times the stored one, plus ``intercept``.
        slope: Slope of the header.
        intercept: Intercept of the header.
    """

    values: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0


def stored_exactly(values: np.ndarray) -> StoredVolume:
    """A volume without loss: uint8 for a mask, int16 if all values are integers that it holds, else float32."""
    if values.dtype == bool:
        return StoredVolume(values.astype(np.uint8))
    if np.abs(values).max(initial=0) <= _MOST_STEPS and np.array_equal(values, np.rint(values)):
        return StoredVolume(values.astype(np.int16))
    return StoredVolume(values.astype(np.float32))


def stored_in_steps(values: np.ndarray, step: float) -> StoredVolume:
    """A volume as int16 multiples of ``step``: values beyond ±32767 steps are clipped, nan becomes 0."""
    steps = np.clip(np.rint(values.astype(np.float32) * np.float32(1 / step)), -_MOST_STEPS, _MOST_STEPS)
    return StoredVolume(np.nan_to_num(steps, copy=False).astype(np.int16), step)


def volume_bytes(stored: StoredVolume, grid: Grid) -> bytes:
    """A gzipped NIfTI-1 file with this type and scaling, sform and qform of code 1 (scanner), and no free text.

    A qform cannot hold a sheared affine. Its code is 0 in that case, so that no reader prefers it.
    """
    header = nib.Nifti1Header()
    header.set_data_dtype(stored.values.dtype)
    header.set_data_shape(stored.values.shape)
    header.set_xyzt_units("mm")
    header.set_slope_inter(stored.slope, stored.intercept)
    header.set_sform(grid.affine, code=1)
    header.set_qform(grid.affine, code=1)
    if not np.allclose(header.get_qform(), grid.affine, atol=1e-3):
        header["qform_code"] = 0
    header["vox_offset"] = 352  # The header's 348 bytes, and four that say that no extension follows.
    strategy = zlib.Z_RLE if stored.values.dtype.kind == "f" else zlib.Z_DEFAULT_STRATEGY
    file = zlib.compressobj(1, zlib.DEFLATED, _GZIP, zlib.DEF_MEM_LEVEL, strategy)
    parts = header.binaryblock + bytes(4), stored.values.tobytes(order="F")
    return b"".join([*(file.compress(part) for part in parts), file.flush()])
