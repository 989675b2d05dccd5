"""Weights on disk: safetensors with their card inside, never a pickle.

float16 halves the file; its rounding (5e-4 relative) is far below that of the bfloat16 a network computes in, and
training rounds before it measures, so that what was measured is what is stored.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import WeightsRejected
from adumbra.core.legacy import current_names

FORMAT = "adumbra-weights-1"
FITTED = "posterior/"
"""Prefix of the tensors of a posterior that was fitted to the weights; they are not the network's."""
_OURS = "give weights.safetensors of a training"


@dataclass(frozen=True)
class Card:
    """What one must know of weights to use them.

    Attributes:
        name: Such as ``"lesion"``; of a user's own file, its stem.
        sha256: Of the file's bytes.
        architecture: A name of ``networks.registry``.
        config: The architecture's config, plain values.
        spacing_mm: Of the isotropic grid that the network was trained on.
        patch: Side of the training patches, in voxels.
        threshold: The probability from which a voxel is called part of the target.
        training: Command, seed, hours, data, results: plain values, for people.
        window: Side of the windows to predict with, in voxels; 0 is the patch.
        high_threshold: The probability that each part of the target must reach somewhere; 0 asks nothing.
        posterior: What was fitted to the weights beside them: its ``name`` and plain values; empty where nothing was.
    """

    name: str
    sha256: str
    architecture: str
    config: Mapping[str, object]
    spacing_mm: float
    patch: int
    threshold: float
    training: Mapping[str, object] = field(default_factory=dict)
    window: int = 0
    high_threshold: float = 0.0
    posterior: Mapping[str, object] = field(default_factory=dict)


_ABOUT = ("architecture", "config", "spacing_mm", "patch", "threshold", "training")


def save_weights(path: Path, tensors: Mapping[str, torch.Tensor], about: Mapping[str, object]) -> str:
    """Writes weights in float16 with what their card says, whole or not at all.

    Args:
        path: Ends in ``.safetensors``.
        tensors: A network's state; and under ``posterior/``, kept in their own precision, what was fitted to it.
        about: The fields of ``Card`` but ``name`` and ``sha256``; those with a default may be left out.

    Returns:
        sha256 of the file.

    Raises:
        OutputRefused: The file cannot be written.
    """
    stored = {name: _stored(name, t) for name, t in tensors.items()}
    missing = [name for name in _ABOUT if name not in about]
    if missing:
        raise ValueError(f"about must tell {', '.join(missing)}")
    card = {"format": FORMAT, **{name: about[name] for name in _ABOUT}}
    card |= {name: about.get(name, 0) for name in ("window", "high_threshold")}
    card |= {"posterior": about["posterior"]} if about.get("posterior") else {}
    # One key only: safetensors writes several in an order that changes from run to run.
    data = save(stored, {"adumbra": json.dumps(card, sort_keys=True)})
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()


def read_weights(path: Path, *, name: str = "", sha256: str = "") -> tuple[dict[str, torch.Tensor], Card]:
    """The float32 tensors of a file and its card.

    Args:
        path: The file.
        name: For the card; its stem where empty.
        sha256: What the file's hash must be; empty trusts the file.

    Raises:
        WeightsRejected: Not there, not safetensors (a pickle is never opened), not ours, or altered.
    """
    data = _bytes_of(path)
    found = hashlib.sha256(data).hexdigest()
    if sha256 and found != sha256:
        raise _rejected(path, f"sha256 {sha256[:16]}…, as its card says", f"{found[:16]}…", "install the package again")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise _rejected(path, "a safetensors file", _kind(data, error), _OURS) from error
    about: dict[str, Any] = current_names("card", json.loads(metadata.get("adumbra", "{}")))  # type: ignore[assignment]
    if about.pop("format", None) != FORMAT:
        raise _rejected(path, f"weights written by adumbra ({FORMAT})", "no such mark in the file", _OURS)
    return tensors, Card(name=name or path.stem, sha256=found, **about)


def _stored(name: str, tensor: torch.Tensor) -> torch.Tensor:
    dtype = tensor.dtype if name.startswith(FITTED) else torch.float16
    return tensor.detach().to("cpu", dtype).contiguous()


def load_into(network: nn.Module, tensors: Mapping[str, torch.Tensor], where: Path) -> None:
    """Puts weights into a network that must have exactly these.

    Raises:
        WeightsRejected: Names or shapes differ.
    """
    try:
        network.load_state_dict(dict(tensors), strict=True)
    except RuntimeError as error:
        found = str(error).splitlines()[1].strip()
        raise _rejected(where, "the tensors of the architecture on its card", found, "train again") from error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _rejected(path, "a file of weights", error.strerror or str(error), "check the path") from error


def _kind(data: bytes, error: Exception) -> str:
    if data[:2] == b"PK" or data[:1] == b"\x80":
        return "a pickle or torch.save archive, which can run code when opened and is refused"
    return f"something else or a damaged file ({error})"


def _rejected(path: Path, expected: str, found: str, do: str) -> WeightsRejected:
    return WeightsRejected(path.name, expected=expected, found=found, do=do)
