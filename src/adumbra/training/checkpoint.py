"""Checkpoints: the state of a training on disk, in one file that is complete or absent."""

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
from adumbra.core.legacy import checkpoint_identity, current_tensor_name, with_later_defaults

_NAME = "checkpoint.safetensors"
_PARTS = ("data", "optimiser", "loss", "guidance")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A training after some steps.

    Attributes:
        step: Number of steps done.
        identity: Options and data of the training, see ``TrainConfig.identity``; another training must not resume here.
        seconds: Computing time so far, in seconds.
        tensors: Weights, their moving average and the optimiser's moments, by ``part/name``.
    """

    step: int
    identity: Mapping[str, object]
    seconds: float
    tensors: Mapping[str, torch.Tensor]


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Replaces the folder's checkpoint.

    Raises:
        OutputRefused: It cannot be written; the previous one remains.
    """
    state = {"step": checkpoint.step, "identity": dict(checkpoint.identity), "seconds": checkpoint.seconds}
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.tensors.items()}
    write_atomically(folder / _NAME, save(tensors, {"state": json.dumps(state)}))


def read_checkpoint(folder: Path, identity: Mapping[str, object]) -> Checkpoint | None:
    """The folder's checkpoint, or None where there is none.

    Args:
        folder: Folder of the training.
        identity: Identity of the training that is to be resumed.

    Raises:
        OutputRefused: The checkpoint belongs to another training; the error names the differences.
        UnreadableFile: The checkpoint is damaged.
    """
    path = folder / _NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            state: dict[str, Any] = json.loads((file.metadata() or {})["state"])
            stored = checkpoint_identity(state["identity"])
            tensors = {current_tensor_name(key): file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, KeyError, ValueError) as error:
        raise UnreadableFile(
            path.name, expected="a checkpoint", found=str(error), do="delete it to train from the start"
        ) from error
    _require_same(folder, stored, identity)
    return Checkpoint(state["step"], stored, state["seconds"], tensors)


def _require_same(folder: Path, stored: Mapping[str, object], requested: Mapping[str, object]) -> None:
    before = _options_by_name(with_later_defaults(stored))
    # Tuples become lists, as in the file.
    now = _options_by_name(with_later_defaults(json.loads(json.dumps(dict(requested)))))
    # An option that an older version did not store cannot be compared.
    names = [name for name in before if before[name] != now.get(name)]
    if names:
        raise OutputRefused(
            folder.name,
            expected=f"the training that was begun here, with {_described(before, names)}",
            found=_described(now, names),
            do="give the same options and data to resume it, or another --out to train from scratch",
        )


def _options_by_name(identity: Mapping[str, object]) -> dict[str, object]:
    """The options of an identity by dotted name; parts of the config are taken apart, other values stay whole."""
    options: dict[str, object] = {}
    for name, value in identity.items():
        if name in _PARTS and isinstance(value, Mapping):
            options |= {f"{name}.{key}": own for key, own in value.items()}
        else:
            options[name] = value
    return options


def _described(options: Mapping[str, object], names: list[str]) -> str:
    return ", ".join(f"{name} = {options.get(name)}" for name in names)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder for this process alone. The system releases it when the process ends, however it ends.

    Raises:
        OutputRefused: Another running process trains here.
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
