"""Files that appear whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from adumbra.core.errors import OutputRefused


def published(files: Mapping[str, bytes], out: Path, *, overwrite: bool = False) -> tuple[Path, ...]:
    """Writes files below ``out``, each first under another name, and only then gives them theirs, in order.

    A program that dies on the way leaves whole files and, at worst, a hidden folder; never a truncated file under a
    name that somebody reads.

    Args:
        files: Content by path relative to ``out``; the last one listed appears last.
        out: The folder; made where it is not there.
        overwrite: Replace what exists.

    Returns:
        The paths, in order.

    Raises:
        OutputRefused: One of them exists already and must not be replaced, or the folder cannot be written.
    """
    targets = [out / name for name in files]
    if not overwrite:
        _checked_free(targets)
    staging: Path | None = None
    try:
        out.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".adumbra-", dir=out))
        staged = [_staged(staging / str(i), content) for i, content in enumerate(files.values())]
        for source, target in zip(staged, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
        for folder in {target.parent for target in targets}:
            _synced(folder)
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return tuple(targets)


def _checked_free(targets: list[Path]) -> None:
    for target in targets:
        if target.exists():
            raise OutputRefused(
                target,
                expected="a name that is free",
                found="a file of an earlier run",
                do="choose another output folder, or ask to overwrite",
            )


def _staged(path: Path, content: bytes) -> Path:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return path


def _synced(folder: Path) -> None:
    """The renames in a folder made durable; where the system has no such thing, nothing."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unwritable(out: Path, error: OSError) -> OutputRefused:
    return OutputRefused(
        error.filename or out,
        expected="a folder that can be written, with room for the results",
        found=error.strerror or str(error),
        do="free some space, or choose another output folder",
    )
