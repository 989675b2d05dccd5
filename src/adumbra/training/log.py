"""The curve of a training: lines of JSON, and TensorBoard's events where it is installed."""

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Any


class Log:
    """Writes scalars by step.

    Args:
        folder: Gets ``log.jsonl`` and ``events/``.
        step: Steps done before; what an interrupted run logged beyond is dropped, for it will be done again.
    """

    def __init__(self, folder: Path, step: int) -> None:
        path = folder / "log.jsonl"
        kept = _lines_until(path, step)
        path.write_text("".join(kept), "utf-8")
        self._file = path.open("a", encoding="utf-8", buffering=1)
        self._board = _board(folder / "events", step)

    def write(self, step: int, scalars: Mapping[str, object]) -> None:
        """One line, and one point on each curve."""
        # JSON knows no nan: a number that is none is null.
        told = {k: None if isinstance(v, float) and not isfinite(v) else v for k, v in scalars.items()}
        self._file.write(json.dumps({"step": step, **told}) + "\n")
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
    """The whole lines of steps up to ``step``; a line that a kill cut short is left out."""
    kept = []
    for line in path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []:
        try:
            told = json.loads(line)["step"]
        except (ValueError, KeyError):
            continue
        if told <= step and line.endswith("\n"):
            kept.append(line)
    return kept


def _board(folder: Path, step: int) -> Any:  # TensorBoard is optional, so its type may not be there.
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)
