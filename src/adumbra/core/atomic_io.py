"""Files that are there whole or not at all."""

import os
from pathlib import Path

from adumbra.core.errors import OutputRefused


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file that is there whole or not at all, also when the machine stops.

    Raises:
        OutputRefused: It cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise OutputRefused(
            path.name, expected="a writable folder with room", found=str(error), do="free space, or write elsewhere"
        ) from error
