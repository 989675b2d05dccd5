"""Reads and checks the text header of a MetaImage (.mha, .mhd).

Source: "ITK/MetaIO/Documentation" (https://itk.org/Wiki/ITK/MetaIO/Documentation). World coordinates are LPS.
"""

from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from adumbra.cases.geometry import checked_affine
from adumbra.cases.limits import Layout, checked_shape
from adumbra.core.errors import UnreadableFile

_TYPES = {"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
          "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
          "MET_DOUBLE": "f8"}  # fmt: skip
_LONGEST = 1 << 16
_SYNONYMS = {
    "binarydatabyteordermsb": "elementbyteordermsb", "orientation": "transformmatrix", "rotation": "transformmatrix",
    "origin": "offset", "position": "offset", "elementsize": "elementspacing",
}  # fmt: skip


def fields_of(where: str, stored: bytes) -> tuple[dict[str, str], bytes]:
    """The fields of the header by lower-case name, and the bytes that follow the header.

    Args:
        where: Name of the file, for errors.
        stored: The bytes of the file.

    Raises:
        UnreadableFile: A line other than ``Key = value``, a key twice, or no ``ElementDataFile``, which ends a header.
    """
    fields: dict[str, str] = {}
    start = 0
    while "elementdatafile" not in fields:
        end = stored.find(b"\n", start, _LONGEST)
        line = stored[start : end if end >= 0 else min(len(stored), _LONGEST)]
        key, equals, value = line.decode("latin-1").partition("=")
        if not equals or key.strip().lower() in fields:
            _refuse(where, f"the line {line[:60]!r} in its header", "export it again as MetaImage")
        fields[key.strip().lower()] = value.strip()
        start = end + 1 if end >= 0 else len(stored)
    return fields, stored[start:]


def layout_of(where: str, fields: Mapping[str, str]) -> Layout:
    """How the voxels lie in the data, according to the fields of the header.

    Raises:
        UnreadableFile: Fields that are missing, cannot be parsed, or describe a variant that is not supported.
        ImplausibleValues, GridMismatch: See ``geometry.checked_affine``.
    """
    fields = {_SYNONYMS.get(key, key): value for key, value in fields.items()}
    _supported(where, fields)
    shape = checked_shape(where, [int(n) for n in _numbers(where, fields, "dimsize", whole=True)])
    if len(shape) != int(_numbers(where, fields, "ndims", whole=True)[0]) or len(shape) > 4:
        _refuse(where, f"NDims = {fields['ndims']} and DimSize = {fields['dimsize']}", "export it again as one volume")
    order = ">" if is_true(fields.get("elementbyteordermsb", "False")) else "<"
    affine = _affine(where, fields, len(shape))
    notes = checked_affine(where, shape[:3], affine)
    return Layout(shape, np.dtype(order + _TYPES[fields["elementtype"].upper()]), 0, affine, notes=notes)


def is_true(word: str) -> bool:
    """Whether a field states true: ``True``, ``true``, ``T``, ``1``."""
    return word.strip().lower()[:1] in ("t", "1", "y")


def safe_name(where: str, data_file: str) -> str:
    """The name of the data file, which must lie in the folder of its header.

    Raises:
        UnreadableFile: The name is a path, a pattern or a list of files.
    """
    if data_file.upper().startswith("LIST") or any(sign in data_file for sign in "/\\%*?") or data_file in ("", ".."):
        _refuse(where, f"ElementDataFile = {data_file}", "store the volume in one .mha file")
    return data_file


def _supported(where: str, fields: Mapping[str, str]) -> None:
    plain = {"objecttype": ("image",), "binarydata": ("true", "1"), "elementnumberofchannels": ("1",),
             "headersize": ("0",), "distanceunits": ("mm",), "elementtointensityfunctionslope": ("1",),
             "elementtointensityfunctionoffset": ("0",)}  # fmt: skip
    for key, allowed in plain.items():
        if fields.get(key, allowed[0]).strip().lower() not in allowed:
            _refuse(where, f"{key} = {fields[key]}", "store it as one binary, single-channel volume in .mha")
    if fields.get("elementtype", "").upper() not in _TYPES:
        _refuse(where, f"ElementType = {fields.get('elementtype', '(none)')}", "store one real number per voxel")


def _affine(where: str, fields: Mapping[str, str], axes: int) -> np.ndarray:
    matrix = _numbers(where, fields, "transformmatrix", count=axes * axes)
    spacing = _numbers(where, fields, "elementspacing", count=axes)
    if not (np.isfinite(spacing).all() and (spacing[:3] > 0).all()):
        _refuse(where, f"ElementSpacing = {spacing.tolist()}", "voxel sizes must be above zero: export it again")
    affine = np.eye(4)
    # The rows of the matrix are the directions of the voxel axes.
    affine[:3, :3] = matrix.reshape(axes, axes)[:3, :3].T * spacing[:3]
    affine[:3, 3] = _numbers(where, fields, "offset", count=axes)[:3]
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _numbers(
    where: str, fields: Mapping[str, str], key: str, *, count: int | None = None, whole: bool = False
) -> np.ndarray:
    words = fields.get(key, "").split()
    try:
        numbers = np.array([int(word) if whole else float(word) for word in words], dtype=np.float64)
    except (ValueError, OverflowError):
        numbers = np.array([])
    if not len(numbers) or (count is not None and len(numbers) != count) or (whole and np.abs(numbers).max() > 2**31):
        _refuse(where, f"{key} = {fields.get(key, '(none)')}", "the header is damaged: export it again")
    return numbers


def _refuse(where: str, actual: str, do: str) -> NoReturn:
    raise UnreadableFile(where, expected="a valid MetaImage header (.mha, .mhd)", found=actual, do=do)
