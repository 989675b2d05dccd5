"""The log of a training: lines of JSON, and TensorBoard events where TensorBoard is installed."""

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any


class Log:
    """Writes scalars by step.

    Args:
        folder: Receives ``log.jsonl`` and ``events/``.
        step: Number of steps done. Later lines of an interrupted run are dropped, for those steps are repeated.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / "log.jsonl"
        lines = _lines_until(path, step)
        path.write_text("".join(lines), "utf-8")
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._board = _board(folder / "events", step)

    def write(self, step: int, scalars: Mapping[str, object]) -> None:
        """Writes one line, and one point of each curve."""
        # JSON has no NaN: a number that is not finite is written as null.
        finite = {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in scalars.items()}
        self._file.write(json.dumps({"step": step, **finite}) + "\n")
        if self._board is not None:
            for name, value in scalars.items():
                if isinstance(value, float):
                    self._board.add_scalar(name, value, step)

    def __enter__(self) -> "Log":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()


def _lines_until(path: Path, step: int) -> list[str]:
    """The complete lines of steps up to ``step``; a line that was cut short by a kill is dropped."""
    lines = []
    for line in path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []:
        try:
            line_step = json.loads(line)["step"]
        except (ValueError, KeyError):
            continue
        if line_step <= step and line.endswith("\n"):
            lines.append(line)
    return lines


def _board(folder: Path, step: int) -> Any:  # TensorBoard is optional, so its type may be missing.
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
