"""What a cell of a manifest may not hold: a path out of its folder, or a formula of a spreadsheet."""

import os
import re
from pathlib import Path

from adumbra.core.errors import UnreadableFile

LONGEST_PATH = 1024


def refuse_outside(where: str, cell: str, folder: Path) -> None:
    """Refuses a path that leaves the folder of the manifest: a manifest of others must not open any file.

    Links inside the folder may lead elsewhere: who can make them there can copy the file too.

    Args:
        where: The manifest with line and column, for errors.
        cell: The path as written.
        folder: The folder of the manifest.

    Raises:
        UnreadableFile: The path leads out of the folder or to a user's home, or is too long.
    """
    if len(cell) > LONGEST_PATH:
        expected = f"a path of at most {LONGEST_PATH} characters"
        raise UnreadableFile(where, expected=expected, found=f"{len(cell)}", do="correct the cell")
    plain = cell.replace("\\", "/")
    root = folder.absolute()
    named = Path(os.path.normpath(root / plain))  # links are not followed
    elsewhere = not named.is_relative_to(os.path.normpath(root))
    if elsewhere or plain.startswith("~") or re.match(r"[A-Za-z]:", plain):
        raise UnreadableFile(
            where,
            expected="a path inside the folder of the manifest",
            found=repr(cell),
            do="put the manifest into a folder that holds its images, or link them there",
        )


def refuse_formula(where: str, cell: str) -> None:
    """Refuses a cell that a spreadsheet would run as a formula when a result that repeats it is opened.

    Args:
        where: The manifest with line and column, for errors.
        cell: The text of the cell.

    Raises:
        UnreadableFile: It starts with ``=``, ``+``, ``@``, or ``-`` without being a number.
    """
    if cell.startswith(("=", "+", "@")) or (cell.startswith("-") and not re.fullmatch(r"-[\d.,e+-]*", cell)):
        raise UnreadableFile(
            where,
            expected="a text or a number",
            found=f"{cell[:40]!r}, which a spreadsheet runs as a formula",
            do="remove the first character of the cell",
        )
