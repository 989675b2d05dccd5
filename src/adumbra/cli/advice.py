"""The advice of an error, in the options of the command that raised it.

An error is raised where a file is read, which is the same place for all commands, and it names the options of
``adumbra predict``. Other commands take a data set or a manifest instead.
"""

import re
from collections.abc import Collection

from adumbra.core.errors import AdumbraError

MANIFEST = "list the files, the b-value and the unit in a manifest (CSV) and give that"
"""The advice for commands that take a data set: a manifest has a column for what ``predict`` takes as options."""
_OPTION = re.compile(r"--[a-z][a-z0-9-]*")
_CLAUSES = re.compile(r"(; |, or |, and )")
_SCANS = ("--dwi", "--adc", "--b0", "--flair", "--swi", "--phase", "--tof")
_IN_MANIFEST = frozenset((*_SCANS, "--brain-mask", "--truth", "--b-value", "--adc-unit", "--column"))
_DATA_SETS = ("predict", "train", "calibrate", "evaluate-uncertainty", "information")


def adapted_error(error: AdumbraError, command: str, accepted: Collection[str]) -> AdumbraError:
    """The error with the advice that its command can follow.

    Args:
        error: The error as it was raised.
        command: Name of the command.
        accepted: The options of the command.
    """
    advice = adapted_advice(error.do, command, accepted)
    if advice == error.do:
        return error
    return type(error)(error.where, expected=error.expected, found=error.found, do=advice)


def adapted_advice(advice: str, command: str, accepted: Collection[str]) -> str:
    """An advice without the clauses that name options which the command does not have.

    Args:
        advice: Clauses separated by semicolons, ", or" and ", and".
        command: Name of the command.
        accepted: The options of the command.

    Returns:
        The remaining clauses; in place of the others the advice to write a manifest, where that does the same.
    """
    parts = _CLAUSES.split(advice)
    clauses, separators = parts[::2], ["", *parts[1::2]]
    unknown = {option for option in _OPTION.findall(advice) if option not in accepted}
    if not unknown:
        return advice
    remaining = [(s, c) for s, c in zip(separators, clauses, strict=True) if not unknown & set(_OPTION.findall(c))]
    text = "".join(c if k == 0 else s + c for k, (s, c) in enumerate(remaining))
    if unknown & _IN_MANIFEST and command in _DATA_SETS:
        return f"{text}, or {MANIFEST}" if text else MANIFEST
    return text or f"see adumbra {command} --help".replace("  ", " ")
