"""Probability of the structures that a network learns beside its target: arteries, veins, flow.

They are those of the network without randomness. A draw is a sample of the target; the structures are context.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from adumbra.core.types import STRUCTURES, Structure, Volume
from adumbra.inference.device import autocast
from adumbra.inference.windowed_inference import WindowedInference


def structure_names(inference: WindowedInference) -> tuple[Structure, ...]:
    """The structures among the outputs of a network, in their order."""
    targets = inference.network.config.targets
    return tuple(name for name in STRUCTURES if name in targets)


def structure_maps(inference: WindowedInference) -> Mapping[Structure, Volume]:
    """Probability of each structure on the case's grid; empty where the network learns none."""
    names = structure_names(inference)
    return {} if not names else dict(zip(names, _volumes(inference, _channels(inference, names)), strict=True))


def target_and_structures(inference: WindowedInference) -> tuple[Volume, Mapping[Structure, Volume]]:
    """The probability of the target and those of the structures, from one application of the network."""
    names = structure_names(inference)
    if not names:
        return inference.deterministic(), {}
    target, *others = _volumes(inference, [inference.channel, *_channels(inference, names)])
    return target, dict(zip(names, others, strict=True))


def mean_structures(members: Sequence[Mapping[Structure, Volume]]) -> Mapping[Structure, Volume]:
    """Mean probability of each structure over the members that predict it."""
    names = dict.fromkeys(name for member in members for name in member)
    return {name: _mean([member[name] for member in members if name in member]) for name in names}


def _channels(inference: WindowedInference, names: Sequence[Structure]) -> list[int]:
    return [inference.network.config.targets.index(name) for name in names]


def _volumes(inference: WindowedInference, channels: Sequence[int]) -> list[Volume]:
    pieces = (_piece(inference, number, channels) for number in range(len(inference.boxes)))
    blended = inference.input.windows.blend_channels(pieces, count=len(channels))
    return [inference.input.restore(volume) for volume in blended]


@torch.inference_mode()
def _piece(inference: WindowedInference, number: int, channels: Sequence[int]) -> np.ndarray:
    with autocast(inference.compute.precision, inference.device):
        window = inference.window(number)
        logits = inference.network(window.features, window.present, stage=inference.stage)
    piece: np.ndarray = logits[0, list(channels)].float().sigmoid().cpu().numpy()
    return piece


def _mean(volumes: Sequence[Volume]) -> Volume:
    return np.asarray(np.mean(volumes, axis=0, dtype=np.float32))
