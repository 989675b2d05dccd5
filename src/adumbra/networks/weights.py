"""Weights on disk: safetensors with their card inside, never a pickle.

float16 halves the file. Its rounding (5e-4 relative) is far below that of the bfloat16 that networks compute in.
Training rounds before it validates, so that the validated weights are the stored ones.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import WeightsRejected
from adumbra.core.legacy import checkpoint_identity, current_tensor_name
from adumbra.networks.weights_file import FORMAT, OURS, checked_weights

FITTED = "posterior/"
"""Prefix of the tensors of a posterior that was fitted to the weights; they are not the network's."""


@dataclass(frozen=True)
class Card:
    """Facts of trained weights that one needs to use them.

    Attributes:
        name: Name such as ``"lesion"``; for a user's own file, its stem.
        sha256: Hash of the file's bytes.
        architecture: A name of ``networks.registry.ARCHITECTURES``.
        config: The architecture's config, plain values.
        spacing_mm: Spacing of the isotropic grid of the training.
        patch: Side of the training patches, in voxels.
        threshold: Probability from which a voxel belongs to the mask.
        training: Command, seed, hours, data, results: plain values, for people.
        window: Side of the windows for prediction, in voxels; 0 is the patch.
        high_threshold: Probability that each component of the mask must reach somewhere (hysteresis); 0 asks nothing.
        posterior: What was fitted to the weights: its ``name`` and plain values; empty where nothing was.
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

    @property
    def first_pass_draws(self) -> int:
        """Number of draws of the first pass that a guided network was trained with; 4 where the card lacks it."""
        guidance = checkpoint_identity(self.training).get("guidance")
        return int(guidance["draws"]) if isinstance(guidance, Mapping) and "draws" in guidance else 4

    @property
    def b_range(self) -> tuple[float, float] | None:
        """Least and largest b-value of the training in s/mm², ``training["b_values"]``; None where it lacks them."""
        stated = self.training.get("b_values")
        values = [float(b) for b in stated if isinstance(b, int | float)] if isinstance(stated, list) else []
        return (min(values), max(values)) if values else None


_REQUIRED = ("architecture", "config", "spacing_mm", "patch", "threshold", "training")


def save_weights(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, object]) -> str:
    """Writes weights in float16 with their card, atomically.

    Args:
        path: A file name that ends in ``.safetensors``.
        tensors: The state of a network; under ``posterior/``, in their own precision, what was fitted to it.
        facts: The fields of ``Card`` except ``name`` and ``sha256``; those with a default may be left out.

    Returns:
        sha256 of the file.

    Raises:
        OutputRefused: The file cannot be written.
    """
    stored = {name: _stored(name, t) for name, t in tensors.items()}
    missing = [name for name in _REQUIRED if name not in facts]
    if missing:
        raise ValueError(f"facts: expected also {', '.join(missing)}")
    card = {"format": FORMAT, **{name: facts[name] for name in _REQUIRED}}
    card |= {name: facts.get(name, 0) for name in ("window", "high_threshold")}
    card |= {"posterior": facts["posterior"]} if facts.get("posterior") else {}
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
        WeightsRejected: Not there, or refused by ``weights_file.checked_weights``; a pickle is never opened.
    """
    data = _bytes_of(path)
    facts = checked_weights(path.name, data, sha256=sha256)
    try:
        # By name, as draws of weight-space posteriors follow this order.
        tensors = {current_tensor_name(key): tensor.float() for key, tensor in sorted(load(data).items())}
    except SafetensorError as error:
        raise _rejected(path, "a safetensors file", f"a damaged file ({error})", OURS) from error
    card: dict[str, Any] = dict(facts.card)
    return tensors, Card(name=name or path.stem, sha256=facts.sha256, **card)


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
        difference = str(error).splitlines()[1].strip()
        raise _rejected(where, "the tensors of the architecture on its card", difference, "train again") from error


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _rejected(path, "a file of weights", error.strerror or str(error), "check the path") from error


def _rejected(path: Path, expected: str, actual: str, do: str) -> WeightsRejected:
    return WeightsRejected(path.name, expected=expected, found=actual, do=do)
