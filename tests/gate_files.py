"""Small files of every kind that the gate must accept, warn of or refuse: made in code, from a table of entries."""

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (24, 24, 16)
AFFINE = np.array([[-4.0, 0, 0, 46], [0, 4, 0, -46], [0, 0, 5, -37], [0, 0, 0, 1]])
_TILT = np.deg2rad(12.0)
OBLIQUE = np.array([[1, 0, 0, 0], [0, np.cos(_TILT), -np.sin(_TILT), 0], [0, np.sin(_TILT), np.cos(_TILT), 0],
                    [0, 0, 0, 1]]) @ AFFINE  # fmt: skip
# Where the fields of a NIfTI-1 header lie (nifti1.h), and how they are packed.
FIELDS = {"sizeof_hdr": (0, "i"), "dim0": (40, "h"), "dim1": (42, "h"), "dim2": (44, "h"), "dim3": (46, "h"),
          "dim4": (48, "h"), "datatype": (70, "h"), "bitpix": (72, "h"), "qfac": (76, "f"), "pixdim1": (80, "f"),
          "pixdim2": (84, "f"), "pixdim3": (88, "f"), "vox_offset": (108, "f"), "slope": (112, "f"),
          "inter": (116, "f"), "units": (123, "b"), "qform_code": (252, "h"), "sform_code": (254, "h"),
          "quatern_b": (256, "f"), "qoffset_x": (268, "f"), "srow_x0": (280, "f"), "srow_x1": (284, "f"),
          "srow_x3": (292, "f"), "srow_y0": (296, "f"), "magic": (344, "4s")}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One input of the corpus: how it is made, what it is given as, and what the gate must say of it."""

    name: str
    kind: str
    build: Callable[[Path], list[Path]]
    verdict: str
    words: str = ""
    modality: str | None = None


def _places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance from the middle in units of the head's half axes, and masks of brain and fluid."""
    index = np.indices(SHAPE).astype(np.float64)
    middle = (np.array(SHAPE) - 1) / 2
    radius = np.sqrt(sum(((index[axis] - middle[axis]) / (0.42 * SHAPE[axis])) ** 2 for axis in range(3)))
    return radius, radius < 1.0, radius < 0.38


RADIUS, BRAIN, FLUID = _places()
_TEXTURE = 1 + 0.05 * np.random.default_rng(3).standard_normal(SHAPE)
_NOISE = np.abs(np.random.default_rng(4).standard_normal(SHAPE))


def dwi() -> np.ndarray:
    """Diffusion-weighted: bright tissue, dark fluid, a bright lesion; (24, 24, 16)."""
    image = np.where(BRAIN, 600 * _TEXTURE, 12 * _NOISE)
    image[FLUID] = 120 * _TEXTURE[FLUID]
    image[5:8, 12:15, 7:9] = 1100
    return np.round(image)


def flair() -> np.ndarray:
    """Tissue with a ring of brighter rind, dark fluid."""
    return np.round(np.where(FLUID, 90 * _TEXTURE, np.where(BRAIN, 400 * (1 + 0.2 * RADIUS) * _TEXTURE, 8 * _NOISE)))


def adc() -> np.ndarray:
    """ADC in 10⁻⁶ mm²/s: tissue 800, fluid 3000, air 0."""
    image = np.where(BRAIN, 800 * _TEXTURE, 0.0)
    image[FLUID] = 3000 * _TEXTURE[FLUID]
    return np.round(image)


def phase() -> np.ndarray:
    """Wrapped angles of a steep ramp, in radians."""
    i, j, k = np.indices(SHAPE)
    return np.angle(np.exp(1j * (0.9 * i + 0.23 * j + 0.041 * k)))


def mask() -> np.ndarray:
    """A lesion of 18 voxels."""
    lesion = np.zeros(SHAPE)
    lesion[5:8, 12:15, 7:9] = 1
    return lesion


def nifti(data: np.ndarray, *, affine: np.ndarray = AFFINE, dtype: str = "i2", order: str = "<", version: int = 1,
          scaled: tuple[float, float] | None = None, extension: bytes = b"",
          swap: bool = False, **fields: object) -> bytes:  # fmt: skip
    """The bytes of a ``.nii``: the array as stored, header fields overwritten by ``fields``."""
    kind = nib.Nifti1Header if version == 1 else nib.Nifti2Header
    header = kind(endianness=order)
    header.set_data_shape(data.shape)
    header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
    header.set_xyzt_units("mm", "sec")
    header.set_qform(affine, code=1)
    header.set_sform(affine, code=1)
    zooms = np.linalg.norm(affine[:3, :3], axis=0)
    header.set_zooms((*zooms, *[1.0] * (data.ndim - 3)))
    header["magic"] = b"n+1" if version == 1 else header["magic"]
    offset = (352 if version == 1 else 544) + len(extension)
    header["vox_offset"] = offset
    if scaled is not None:
        header["scl_slope"], header["scl_inter"] = scaled
    content = bytearray(header.binaryblock)
    for name, value in fields.items():
        position, code = FIELDS[name]
        struct.pack_into(order + code, content, position, value)
    with np.errstate(all="ignore"):
        stored = np.asarray(data).astype(np.dtype(dtype).newbyteorder(order))
    voxels = stored.byteswap() if swap else stored
    flag = bytes([1, 0, 0, 0]) if extension else bytes(4)
    return bytes(content) + flag + extension + voxels.tobytes(order="F")


def file(name: str, content: bytes | Callable[[], bytes], **beside: bytes) -> Callable[[Path], list[Path]]:
    """Writes one file, compressed where its name ends in ``.gz``, and files beside it by their extension."""

    def build(folder: Path) -> list[Path]:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        stored = content() if callable(content) else content
        path.write_bytes(stored)
        stem = name.removesuffix(".gz").removesuffix(".nii").removesuffix(".mha")
        for extension, text in beside.items():
            (folder / f"{stem}.{extension}").write_bytes(text)
        return [path]

    return build


def image(name: str, make: Callable[[], np.ndarray], *, beside: dict[str, bytes] | None = None,
          **header: object) -> Callable[[Path], list[Path]]:  # fmt: skip
    """Writes ``nifti(make(), **header)``, compressed where its name ends in ``.gz``."""

    def content() -> bytes:
        plain = nifti(make(), **header)  # type: ignore[arg-type]
        return gzip.compress(plain, 1, mtime=0) if name.endswith(".gz") else plain

    return file(name, content, **(beside or {}))


def files(*builders: Callable[[Path], list[Path]]) -> Callable[[Path], list[Path]]:
    """Writes several files, all of which are given."""
    return lambda folder: [path for build in builders for path in build(folder)]


def within(folder_name: str, *builders: Callable[[Path], list[Path]]) -> Callable[[Path], list[Path]]:
    """Writes several files into a folder, which is given."""

    def build(folder: Path) -> list[Path]:
        home = folder / folder_name
        home.mkdir(parents=True)
        for part in builders:
            part(home)
        return [home]

    return build
