"""Checks an archive (zip or tar) before anything of it is extracted: paths, links, sizes, checksums.

An archive can name files outside its folder, link to them, or unpack to thousands of times its size (Fifield, "A better
zip bomb", WOOT 2019: entries that share their bytes). Everything is read once, in pieces, and counted; nothing is
written.
"""

import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn

from adumbra.cases.image_file import absence_of
from adumbra.core.errors import MissingInput, UnreadableFile

MOST_ENTRIES = 50_000
MOST_UNPACKED = 8 * 2**30
"""Bytes of all files together; an examination with every series has 1 to 2 GiB."""
MOST_RATIO, RATIO_FROM = 200, 64 * 2**20
"""Largest ratio of unpacked to stored bytes, for archives that unpack to more than ``RATIO_FROM`` bytes."""
_PIECE = 1 << 20
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_EXPECTED = "a zip or tar archive of regular files"


@dataclass(frozen=True)
class ArchiveFacts:
    """What an archive holds that passed the checks.

    Attributes:
        kind: ``"zip"`` or ``"tar"``.
        names: Names of the files, in the order of the archive; all are relative and stay inside its folder.
        unpacked_bytes: Size of all files together.
    """

    kind: str
    names: tuple[str, ...]
    unpacked_bytes: int


def checked_archive(path: Path) -> ArchiveFacts:
    """The facts of an archive that can be extracted safely.

    Raises:
        MissingInput: There is no such file.
        UnreadableFile: Not a zip or tar archive, damaged, encrypted, without a file, with a name that leads outside, a
            link, a device or the same name twice, or larger than ``MOST_UNPACKED``.
    """
    if not path.is_file():
        if path.is_dir():
            _refuse(path, "a folder", "give the archive file, or validate the folder as a case")
        raise MissingInput(path.name, expected="an archive", found=absence_of(path), do="check the path")
    try:
        with path.open("rb") as file:
            head = file.read(512)
            if not head:
                _refuse(path, "an empty file (0 bytes)", "copy the archive again")
            read = _zip if head[:4] in _ZIP else _tar if _is_tar(head) else None
            if read is None:
                _refuse(path, f"{path_size(path)} that start with {head[:8]!r}", "pack the files as .zip or .tar.gz")
            return read(path, file)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, ValueError,
            NotImplementedError, RuntimeError) as problem:  # fmt: skip
        reason = str(getattr(problem, "strerror", None) or str(problem) or type(problem).__name__)
        _refuse(path, f"{path_size(path)}, damaged or not readable ({reason})", "copy or pack the archive again")


def _is_tar(head: bytes) -> bool:
    """Whether bytes are the beginning of a tar, plain or compressed by gzip, bzip2 or xz."""
    return head[257:262] == b"ustar" or head.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"))


def path_size(path: Path) -> str:
    """The size of a file in words; empty where it cannot be read."""
    try:
        return f"{path.stat().st_size:,} bytes"
    except OSError:
        return "a file"


def _zip(path: Path, file: IO[bytes]) -> ArchiveFacts:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        _require_count(path, len(entries))
        declared = sum(entry.file_size for entry in entries)
        _require_size(path, declared, path.stat().st_size)
        _require_apart(path, entries)
        names = []
        for entry in entries:
            mode = entry.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "a symbolic link" if stat.S_ISLNK(mode) else f"a special file (mode {mode:o})"
                _refuse_entry(path, entry.orig_filename, kind, len(entries))
            if entry.flag_bits & 0x1:
                _refuse_entry(path, entry.orig_filename, "encrypted", len(entries))
            _require_inside(path, entry.orig_filename, len(entries))
            if not entry.is_dir():
                with archive.open(entry) as content:
                    _count(path, entry.filename, _pieces(content.read), entry.file_size)
                names.append(entry.filename)
    return _facts(path, "zip", names, declared)


def _tar(path: Path, file: IO[bytes]) -> ArchiveFacts:
    names, unpacked, count, stored = [], 0, 0, path.stat().st_size
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for entry in archive:
            count += 1
            _require_count(path, count)
            _require_inside(path, entry.name, count)
            if entry.issym() or entry.islnk():
                _refuse_entry(path, entry.name, f"a link to {entry.linkname!r}", count)
            if not (entry.isfile() or entry.isdir()):
                _refuse_entry(path, entry.name, "a device or another special file", count)
            unpacked += entry.size
            _require_size(path, unpacked, stored)
            if entry.isfile():
                content = archive.extractfile(entry)
                assert content is not None
                _count(path, entry.name, _pieces(content.read), entry.size)
                names.append(entry.name)
    return _facts(path, "tar", names, unpacked)


def _pieces(read: Callable[[int], bytes]) -> Iterator[bytes]:
    while piece := read(_PIECE):
        yield piece


def _count(path: Path, name: str, pieces: Iterable[bytes], declared: int) -> None:
    """Reads a file of the archive to its end, which checks its checksum, and refuses another size than the declared."""
    actual = 0
    for piece in pieces:
        actual += len(piece)
        if actual > declared:
            break
    if actual != declared:
        _refuse(path, f"{name!r}: {actual:,} bytes or more, {declared:,} declared", "pack the archive again")


def _facts(path: Path, kind: str, names: list[str], unpacked: int) -> ArchiveFacts:
    if not names:
        _refuse(path, f"0 files in {path_size(path)}", "pack the images of one examination")
    folded = [str(PurePosixPath(name)).casefold() for name in names]
    if len(set(folded)) < len(folded):
        twice = next(name for name, same in zip(names, folded, strict=True) if folded.count(same) > 1)
        _refuse_entry(path, twice, f"there {folded.count(str(PurePosixPath(twice)).casefold())} times", len(names))
    return ArchiveFacts(kind, tuple(names), unpacked)


def _require_inside(path: Path, name: str, count: int) -> None:
    """Refuses a name that could lead outside the folder of the archive on any system."""
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in parts:
        _refuse_entry(path, name, "outside the folder of the archive", count)
    if not name.strip() or any(ord(letter) < 32 for letter in name) or max(map(len, parts)) > 255:
        _refuse_entry(path, name, "no usable file name", count)


def _require_apart(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuses entries that share bytes of the archive."""
    spans = sorted((entry.header_offset, entry.header_offset + 30 + entry.compress_size, entry.filename)
                   for entry in entries)  # fmt: skip
    for (_, end, first), (start, _, second) in pairwise(spans):
        if start < end:
            _refuse(path, f"{first!r} and {second!r} share {end - start:,} bytes, as in a zip bomb", "do not open it")


def _require_count(path: Path, count: int) -> None:
    if count > MOST_ENTRIES:
        _refuse(path, f"{count:,} entries, where {MOST_ENTRIES:,} are accepted", "pack one examination only")


def _require_size(path: Path, unpacked: int, stored: int) -> None:
    ratio = unpacked / max(1, stored)
    if unpacked > MOST_UNPACKED or (unpacked > RATIO_FROM and ratio > MOST_RATIO):
        _refuse(
            path,
            f"{unpacked:,} bytes unpacked from {stored:,} ({ratio:.0f} times), where {MOST_UNPACKED:,} bytes and"
            f" {MOST_RATIO} times are accepted",
            "do not unpack it; pack one examination only",
        )


def _refuse_entry(path: Path, name: str, what: str, count: int) -> NoReturn:
    _refuse(path, f"entry {name[:120]!r} (of {count}) is {what}", "pack regular files under relative names")


def _refuse(path: Path, actual: str, do: str) -> NoReturn:
    raise UnreadableFile(path.name, expected=_EXPECTED, found=actual, do=do)
