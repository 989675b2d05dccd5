"""The state of a training on disk: everything that the next step depends on, in one file that is whole or absent."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import OutputRefused, UnreadableFile
from adumbra.core.legacy import current_names

_NAME = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after ``step`` steps.

    Attributes:
        step: Steps done.
        identity: What the training is; another identity must not go on from here.
        seconds: Computing time so far.
        tensors: Weights, their moving average and the optimiser's moments, by ``part/name``.
    """

    step: int
    identity: Mapping[str, object]
    seconds: float
    tensors: Mapping[str, torch.Tensor]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replaces the folder's checkpoint.

    Raises:
        OutputRefused: It cannot be written; the former one is still there.
    """
    state = {"step": checkpoint.step, "identity": dict(checkpoint.identity), "seconds": checkpoint.seconds}
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.tensors.items()}
    write_atomically(folder / _NAME, save(tensors, {"state": json.dumps(state)}))


def read_checkpoint(folder: Path, identity: Mapping[str, object]) -> Checkpoint | None:
    """The folder's checkpoint, or None where there is none.

    Raises:
        OutputRefused: It belongs to another training; the error names what differs.
        UnreadableFile: It is damaged.
    """
    path = folder / _NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state: dict[str, Any] = json.loads((file.metadata() or {})["state"])
            state["identity"] = current_names("checkpoint", state["identity"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, KeyError, ValueError) as error:
        raise UnreadableFile(
            path.name, expected="a checkpoint", found=str(error), do="delete it to train from the start"
        ) from error
    _require_same(folder, state["identity"], identity)
    return Checkpoint(state["step"], state["identity"], state["seconds"], tensors)


def _require_same(folder: Path, stored: Mapping[str, object], asked: Mapping[str, object]) -> None:
    asked = json.loads(json.dumps(dict(asked)))  # Tuples become lists, as in the file.
    # What an older version did not record cannot be compared.
    names = [name for name in stored if stored[name] != asked.get(name)]
    if names:
        raise OutputRefused(
            folder.name,
            expected=f"the training that was begun here, with {_told(stored, names)}",
            found=_told(asked, names),
            do="give the same options and data to go on with it, or another --out to begin anew",
        )


def _told(identity: Mapping[str, object], names: list[str]) -> str:
    return ", ".join(f"{name} = {identity.get(name)}" for name in names)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder for this process alone; the system lets go when the process ends, however it ends.

    Raises:
        OutputRefused: Another living process trains here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise OutputRefused(
                folder.name,
                expected="a folder that no other training uses",
                found=f"process {file.read().strip()} at work in it",
                do="wait for it, stop it, or give another --out",
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
