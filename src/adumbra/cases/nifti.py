"""Reads and checks the header of a NIfTI-1 or NIfTI-2 file.

Sources: nifti1.h (Cox et al., 2004, https://nifti.nimh.nih.gov) and nifti2.h (2011).
"""

from math import isfinite
from typing import NoReturn

import nibabel as nib
import numpy as np

from adumbra.cases.geometry import checked_affine, reconciled
from adumbra.cases.limits import Layout, checked_shape
from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, UnreadableFile

EXPECTED = "a valid NIfTI header (.nii, .nii.gz)"
LONGEST = 544
"""Bytes of the longest header, that of NIfTI-2 with its extension flag."""
_REAL = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_NOT_REAL = {1: "1-bit", 32: "complex", 128: "RGB colour", 1536: "128-bit float", 1792: "complex", 2048: "complex",
             2304: "RGBA colour"}  # fmt: skip
_MILLIMETRES, _UNITS = 2, {1: "metres", 2: "millimetres", 3: "micrometres"}


def layout_of(where: str, head: bytes) -> Layout:
    """How the voxels lie in the file, according to its first 544 bytes.

    Args:
        where: Name of the file, for errors.
        head: The first 544 bytes; fewer where the file is shorter.

    Raises:
        UnreadableFile: Not NIfTI, the header of a pair, a data type other than real numbers, or impossible fields.
        AmbiguousInput: The orientation is missing or stated twice differently, or sizes are not in millimetres.
        ImplausibleValues, GridMismatch: See ``geometry.checked_affine``.
    """
    header = _header(where, head)
    shape, dtype = _shape(where, header), _dtype(where, header)
    slope, intercept = _scaling(where, header)
    _millimetres(where, header)
    affine, notes = _affine(where, header, shape[:3])
    offset = _offset(where, header)
    notes = (*notes, *checked_affine(where, shape[:3], affine))
    return Layout(shape, dtype, offset, affine, slope, intercept, notes)


def _header(where: str, head: bytes) -> nib.Nifti1Header:
    sizes = {int.from_bytes(head[:4], "little"): "<", int.from_bytes(head[:4], "big"): ">"}
    if 348 in sizes and head[344:348] == b"n+1\0" and len(head) >= 348:
        return nib.Nifti1Header(head[:348], endianness=sizes[348], check=False)
    if 540 in sizes and head[4:12] == b"n+2\0\r\n\x1a\n" and len(head) >= 540:
        return nib.Nifti2Header(head[:540], endianness=sizes[540], check=False)
    actual, do = f"sizeof_hdr {min(sizes)} and magic {head[344:348]!r}", "export it again as NIfTI"
    if len(head) < 348:
        actual, do = f"{len(head)} bytes", "the file is cut inside its header: copy or export it again"
    elif head[344:348] in (b"ni1\0", b"\0\0\0\0") and 348 in sizes:
        actual, do = "the header of an Analyze or NIfTI pair (.hdr/.img)", "store it as one .nii.gz file"
    raise UnreadableFile(where, expected=EXPECTED, found=actual, do=do)


def _shape(where: str, header: nib.Nifti1Header) -> tuple[int, ...]:
    axes = int(header["dim"][0])
    if not 1 <= axes <= 7:
        _refuse(where, f"dim[0] = {axes} axes", "the header is damaged: export it again")
    return checked_shape(where, [int(n) for n in header["dim"][1 : axes + 1]])


def _dtype(where: str, header: nib.Nifti1Header) -> np.dtype:
    code, bits = int(header["datatype"]), int(header["bitpix"])
    if code not in _REAL:
        actual = f"datatype {code} ({_NOT_REAL.get(code, 'unknown')})"
        _refuse(where, actual, "give the magnitude image, or one real-valued channel, as its own file")
    dtype = np.dtype(_REAL[code]).newbyteorder(header.endianness)
    if bits != 8 * dtype.itemsize:
        _refuse(where, f"bitpix {bits} for datatype {code} ({dtype.name})", "the header is damaged: export it again")
    return dtype


def _scaling(where: str, header: nib.Nifti1Header) -> tuple[float, float]:
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or (np.isnan(slope) and np.isnan(intercept)):
        return 1.0, 0.0  # "if scl_slope is zero, no scaling" (nifti1.h); nibabel marks the same by NaN
    if not (isfinite(slope) and isfinite(intercept)):
        _refuse(where, f"scl_slope {slope}, scl_inter {intercept}", "the header is damaged: export it again")
    return slope, intercept


def _millimetres(where: str, header: nib.Nifti1Header) -> None:
    unit = int(header["xyzt_units"]) & 7
    if unit not in (0, _MILLIMETRES):
        raise AmbiguousInput(
            where,
            expected="sizes in millimetres (xyzt_units 2)",
            found=_UNITS.get(unit, f"unit code {unit}"),
            do="store sizes and affine in millimetres, and set xyzt_units to 2",
        )


def _offset(where: str, header: nib.Nifti1Header) -> int:
    offset = float(header["vox_offset"])
    least = 544 if int(header["sizeof_hdr"]) == 540 else 352
    if not (isfinite(offset) and offset == int(offset) and least <= offset <= 2**24):
        _refuse(where, f"vox_offset {offset:g}", f"it must be {least} or a little more: export the file again")
    return int(offset)


def _affine(where: str, header: nib.Nifti1Header, shape: tuple[int, ...]) -> tuple[np.ndarray, tuple[Conversion, ...]]:
    spacing = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    if not (np.isfinite(spacing).all() and (spacing > 0).all()):
        _refuse(where, f"pixdim {spacing.tolist()} mm", "voxel sizes must be above zero: export the file again")
    sform = header.get_sform() if header["sform_code"] > 0 else None
    qform = _qform(where, header) if header["qform_code"] > 0 else None
    if sform is None and qform is None:
        raise AmbiguousInput(
            where,
            expected="a sform or a qform that states where the patient's left is",
            found="sform_code 0 and qform_code 0",
            do="convert again from DICOM (dcm2niix), or copy the geometry of the original image",
        )
    return reconciled(where, shape, sform, qform, spacing)


def _qform(where: str, header: nib.Nifti1Header) -> np.ndarray:
    quaternion = np.array([header["quatern_b"], header["quatern_c"], header["quatern_d"]], dtype=np.float64)
    offsets = np.array([header["qoffset_x"], header["qoffset_y"], header["qoffset_z"]], dtype=np.float64)
    if not np.isfinite([*quaternion, *offsets]).all() or (quaternion**2).sum() > 1 + 1e-4:
        _refuse(where, f"a qform of quaternion {quaternion.tolist()}, offset {offsets.tolist()}", "export it again")
    if float(header["pixdim"][0]) not in (-1.0, 0.0, 1.0):
        _refuse(where, f"a qform of qfac (pixdim[0]) {float(header['pixdim'][0]):g}", "it must be 1 or -1")
    return _rigid(quaternion, offsets, np.asarray(header["pixdim"], dtype=np.float64))


def _rigid(quaternion: np.ndarray, offsets: np.ndarray, pixdim: np.ndarray) -> np.ndarray:
    """The affine of a qform ("METHOD 2" of nifti1.h)."""
    b, c, d = quaternion / max(1.0, float(np.linalg.norm(quaternion)))
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    rotation = nib.quaternions.quat2mat([a, b, c, d])
    affine = np.eye(4)
    affine[:3, :3] = rotation * (pixdim[1:4] * [1, 1, -1 if pixdim[0] < 0 else 1])
    affine[:3, 3] = offsets
    return affine


def _refuse(where: str, actual: str, do: str) -> NoReturn:
    raise UnreadableFile(where, expected=EXPECTED, found=actual, do=do)
