"""Checks an image file before it is decoded.

Common readers turn broken files into plausible images: a truncated gzip becomes slices of zeros, a flipped bit passes,
and a header that claims 65535³ voxels exhausts the memory. Here the file is read once, to its end, with its checksums.
What was checked (``ImageFile.content``) is what is decoded.
"""

import errno
import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np

from adumbra.cases import mha, nifti
from adumbra.cases.limits import MOST_BYTES, Layout
from adumbra.core.errors import MissingInput, UnreadableFile

EXTENSIONS = (".nii", ".nii.gz", ".mha", ".mhd")
_PIECE = 1 << 20


@dataclass(frozen=True, eq=False)
class ImageFile:
    """An image file that passed the checks.

    Attributes:
        path: Path of the file.
        kind: Format of the file, which is also the module that read its header.
        layout: Shape, type and position of the voxels in ``content``.
        content: The bytes of the image, decompressed; for a ``.mhd``, those of its data file.
        sha256: Hash of the bytes on disk, still compressed; for a ``.mhd``, of the header followed by the data.
    """

    path: Path
    kind: Literal["nifti", "mha"]
    layout: Layout
    content: bytes
    sha256: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of all axes, the fourth and later ones included."""
        return self.layout.shape

    @property
    def affine(self) -> np.ndarray:
        """Voxel index to RAS+ mm, (4, 4)."""
        return self.layout.affine


def is_image_name(path: Path) -> bool:
    """Whether the name of a file is that of an image in a format that is read here."""
    return path.name.lower().endswith(EXTENSIONS) and not path.name.startswith(".")


def image_stem(path: Path) -> str:
    """The name of a file without its image extension: ``"a.b"`` for ``a.b.nii.gz``."""
    name = path.name
    for extension in sorted(EXTENSIONS, key=len, reverse=True):
        if name.lower().endswith(extension):
            return name[: -len(extension)]
    return path.stem


@np.errstate(all="ignore")  # The checks report absurd numbers in a header; NumPy need not warn of them.
def read_image_file(path: Path) -> ImageFile:
    """Reads an image file whole and checks it.

    Raises:
        MissingInput: The file does not exist.
        UnreadableFile: The file is not an image, is truncated, has a wrong checksum, has a header that does not fit
            its bytes, or is too large.
        AmbiguousInput: The header makes two statements about the patient's left.
        ImplausibleValues: The geometry is one that no scanner produces.
        GridMismatch: The axes are sheared.
    """
    try:
        stored = _bytes_of(path)
    except OSError as problem:
        raise UnreadableFile(
            path.name, expected="a readable file", found=_reason(problem), do="check the path and its permissions"
        ) from problem
    lower = path.name.lower()
    if lower.endswith((".nii", ".nii.gz")):
        content, layout = _nifti(path, stored)
        return ImageFile(path, "nifti", layout, content, hashlib.sha256(stored).hexdigest())
    content, layout, sha256 = _metaimage(path, stored)
    return ImageFile(path, "mha", layout, content, sha256)


def _bytes_of(path: Path) -> bytes:
    if path.is_dir():
        _refuse(path, actual="a folder", do="name the file inside it, or open the folder as a case")
    if not path.exists():
        raise MissingInput(path.name, expected="an image file", found=absence_of(path), do="check the path")
    if not is_image_name(path):
        _refuse(path, actual=f"the name {path.name!r}", do=_converting(path))
    if not path.is_file():
        _refuse(path, actual="a device, pipe or socket", do="give a regular file")
    return _read(path)


def absence_of(path: Path) -> str:
    """Why a path does not exist: there is nothing, or a symbolic link that leads to nothing or to itself."""
    if not path.is_symlink():
        return "no such file"
    try:
        path.resolve(strict=True)
    except (OSError, RuntimeError) as problem:  # Python 3.11 and 3.12 raise RuntimeError for a loop.
        if isinstance(problem, RuntimeError) or problem.errno == errno.ELOOP:
            return "a symbolic link that leads to itself"
    return "a symbolic link to a file that does not exist"


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MOST_BYTES:
        _refuse(path, actual=f"{size / 2**30:.1f} GiB", do="crop it or store it with a smaller data type")
    stored = path.read_bytes()
    if not stored:
        _refuse(path, actual="an empty file (0 bytes)", do="copy or export the file again")
    return stored


def _nifti(path: Path, stored: bytes) -> tuple[bytes, Layout]:
    zipped, named_zipped = stored[:2] == b"\x1f\x8b", path.name.lower().endswith(".gz")
    if zipped and not named_zipped:
        _refuse(path, actual=f"{len(stored)} gzip-compressed bytes under the name .nii", do="rename it to .nii.gz")
    if named_zipped and not zipped:
        actual = f"{len(stored)} bytes that are no gzip: {_kind_of(stored)}"
        _refuse(path, actual=actual, do="copy it again, or rename it to .nii")
    stream = gzip.GzipFile(fileobj=io.BytesIO(stored)) if zipped else io.BytesIO(stored)
    head = _piecewise(path, stream, nifti.LONGEST)
    if _kind_of(head) != "bytes of an unknown kind":
        _refuse(path, actual=f"{len(stored)} bytes of {_kind_of(head)}", do=_converting(path))
    layout = nifti.layout_of(path.name, head)
    content = head + _piecewise(path, stream, layout.end + _PIECE - len(head))
    return _whole(path, content, layout), layout


def _metaimage(path: Path, stored: bytes) -> tuple[bytes, Layout, str]:
    fields, body = mha.fields_of(path.name, stored)
    layout = mha.layout_of(path.name, fields)
    data_file = fields["elementdatafile"]
    digest = hashlib.sha256(stored)
    if data_file.upper() != "LOCAL":
        data_path = path.parent / mha.safe_name(path.name, data_file)
        if not data_path.is_file():
            raise MissingInput(
                path.name,
                expected=f"its voxels in {data_path.name}, in the same folder",
                found="no such file",
                do="copy both files into one folder",
            )
        body = _read(data_path)
        digest.update(body)
    if mha.is_true(fields.get("compresseddata", "False")):
        body = _inflated(path, body, layout.end)
    return _whole(path, body, layout), layout, digest.hexdigest()


def _piecewise(path: Path, stream: io.BufferedIOBase, most: int) -> bytes:
    """At most ``most`` bytes, read in pieces so that no more memory is used than the file needs."""
    content = bytearray()
    try:
        while len(content) < most and (piece := stream.read(min(_PIECE, most - len(content)))):
            content += piece
    except (EOFError, OSError, zlib.error, MemoryError) as problem:
        raise UnreadableFile(
            path.name,
            expected="a gzip stream that reads to its end with a correct checksum",
            found=f"{_reason(problem)} (after {len(content)} bytes)",
            do="the file is truncated or damaged: copy or export it again",
        ) from problem
    return bytes(content)


def _inflated(path: Path, body: bytes, most: int) -> bytes:
    unzip = zlib.decompressobj(47)  # 32 + 15: zlib or gzip, recognised by the first bytes
    try:
        content = unzip.decompress(body, most + _PIECE)
    except (zlib.error, MemoryError) as problem:
        raise UnreadableFile(
            path.name, expected="a zlib stream with a correct checksum", found=_reason(problem), do="export it again"
        ) from problem
    if not unzip.eof:
        actual = f"compressed data that is cut or continues after {len(content)} bytes"
        _refuse(path, actual=actual, do="copy or export the file again")
    return content + unzip.unused_data


def _whole(path: Path, content: bytes, layout: Layout) -> bytes:
    if len(content) < layout.end:
        _refuse(
            path,
            actual=f"{len(content)} bytes where shape {layout.shape} of {layout.dtype.name} needs {layout.end}",
            do="the file is truncated: copy or export it again",
        )
    surplus = content[layout.end :]
    if len(surplus) > 512 or any(surplus):  # Tape and disk tools pad to 512 with zeros; nothing else is legitimate.
        _refuse(
            path,
            actual=f"{len(surplus)} bytes or more after the voxels of shape {layout.shape}, {layout.dtype.name}",
            do="header and voxels do not belong together, or the file is damaged: export it again",
        )
    return content


def _kind_of(content: bytes) -> str:
    """What bytes that should be an image are instead, where their beginning shows it."""
    known = {
        b"version https://git-lfs": "a Git LFS pointer (run: git lfs pull)",
        b"/annex/objects/": "a git-annex pointer (run: git annex get)",
        b"PK\x03\x04": "a zip archive",
        b"\x1f\x8b": "gzip within gzip",
        b"<!doctype": "a web page",
        b"<html": "a web page",
        b"<?xml": "an XML text",
        b"%pdf-": "a PDF document",
        b"\x89png": "a PNG picture",
        b"\xff\xd8\xff": "a JPEG picture",
        b"\x89hdf": "an HDF5 file (MINC 2 or other)",
        b"nrrd": "an NRRD image",
        b"{": "a JSON text",
    }
    beginning = content[:40].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for start, name in known.items():
        if beginning.startswith(start.lower()):
            return name
    return "a DICOM file" if content[128:132] == b"DICM" else "bytes of an unknown kind"


def _converting(path: Path) -> str:
    if path.name.lower().endswith((".hdr", ".img", ".hdr.gz", ".img.gz")):
        return "convert the Analyze or NIfTI pair to one .nii.gz whose left and right you have checked"
    return "give .nii, .nii.gz, .mha or .mhd; convert DICOM with dcm2niix"


def _reason(problem: BaseException) -> str:
    return str(getattr(problem, "strerror", None) or str(problem) or type(problem).__name__)


def _refuse(path: Path, *, actual: str, do: str) -> NoReturn:
    raise UnreadableFile(path.name, expected="a whole NIfTI or MetaImage file", found=actual, do=do)
