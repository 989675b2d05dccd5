"""Files that appear whole or not at all, also when the program or the machine stops on the way.

Content is written under a temporary name in the same folder, flushed to the disk, and only then given its own name.
"""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from adumbra.core.errors import OutputRefused

# What file systems answer that cannot flush a folder: some network and FUSE mounts. The file itself is whole by then.
_CANNOT_FLUSH_FOLDERS = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP)


def write_atomically(path: str | Path, data: bytes) -> None:
    """Writes a file that is there whole or not at all; an earlier file of that name is replaced.

    Args:
        path: The file; its folder must exist.
        data: The whole content.

    Raises:
        OutputRefused: It cannot be written; an earlier file is untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.partial")
    try:
        _write_flushed(temporary, data)
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        raise _unwritable(path.name, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_all_atomically(
    files: Mapping[str, bytes] | Mapping[Path, bytes], folder: str | Path, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Writes several files below a folder: all under temporary names first, then each under its own, in order.

    A program that dies on the way leaves whole files and, at worst, a hidden folder. A truncated file never has a name
    that somebody reads.

    Args:
        files: Content by path relative to ``folder``; the last one listed appears last.
        folder: Where the files go; it is created if it does not exist.
        overwrite: Replace files that exist.

    Returns:
        The paths, in order.

    Raises:
        OutputRefused: A file exists and must not be replaced, or the folder cannot be written.
    """
    folder = Path(folder)
    targets = [folder / name for name in files]
    if not overwrite:
        _require_free(targets)
    staging: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".adumbra-", dir=folder))
        for number, content in enumerate(files.values()):
            _write_flushed(staging / str(number), content)
        for number, target in enumerate(targets):
            target.parent.mkdir(parents=True, exist_ok=True)
            (staging / str(number)).replace(target)
        for parent in {target.parent for target in targets}:
            _flush_folder(parent)
    except OSError as error:
        raise _unwritable(error.filename or folder, error) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return tuple(targets)


def _require_free(targets: list[Path]) -> None:
    for target in targets:
        if target.exists():
            raise OutputRefused(
                target,
                expected="a name that is free",
                found="a file of an earlier run",
                do="choose another output folder, or ask to overwrite",
            )


def _write_flushed(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Makes the renames in a folder durable; does nothing where the platform or the file system cannot."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH_FOLDERS:
            raise
    finally:
        os.close(handle)


def _unwritable(where: object, error: OSError) -> OutputRefused:
    return OutputRefused(
        where,
        expected="a folder that can be written, with room for the results",
        found=error.strerror or str(error),
        do="free some space, check the permissions, or choose another output folder",
    )
