"""Validation of a network on whole held-out volumes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import safe_open

from adumbra.core.types import targets_of
from adumbra.inference.device import Precision, autocast
from adumbra.inference.sliding_window import windows_over
from adumbra.networks.decoder import DropoutMasks
from adumbra.networks.unet import UNet
from adumbra.training.config import TrainConfig
from adumbra.training.inputs import input_channels
from adumbra.training.patches import CachedCase, guidance_maps

_SMALL_ML = 2.0


@dataclass(frozen=True)
class ValidationScores:
    """Mean scores over the held-out cases; None where no case is of the kind.

    Attributes:
        dice: Mean Dice of all cases.
        dice_small: Mean Dice of the cases whose target has less than 2 ml.
        dice_large: Mean Dice of the other cases.
        cases: Dice of each case, by name.
    """

    dice: float
    dice_small: float | None
    dice_large: float | None
    cases: dict[str, float]


def validate(network: UNet, cases: Sequence[CachedCase], config: TrainConfig) -> ValidationScores:
    """Dice of each held-out case at the config's threshold, without dropout, averaged over targets.

    Structures that are learned beside the targets do not count.
    """
    dice, small = {}, {}
    count = len(targets_of(config.network.targets))
    voxel_ml = config.data.spacing_mm**3 / 1000.0
    for case in cases:
        with safe_open(case.path, framework="np") as file:
            truth, brain = file.get_tensor("labels")[:count].astype(bool), file.get_tensor("brain").astype(bool)
        channels = input_channels(case, network.config)
        if network.config.guidance_channels:
            channels = np.concatenate([channels, guidance_maps(case)])
        inside = brain | truth.any(axis=0)
        probability = predicted_volumes(
            network, channels, case.present, inside, side=config.data.patch, precision=config.runtime.precision
        )
        predicted = probability[:count] >= config.threshold
        dice[case.name] = float(np.mean([_dice(p & inside, t) for p, t in zip(predicted, truth, strict=True)]))
        small[case.name] = truth.sum() * voxel_ml < _SMALL_ML
    parts = ([d for name, d in dice.items() if small[name] == kind] for kind in (True, False))
    dice_small, dice_large = (float(np.mean(part)) if part else None for part in parts)
    return ValidationScores(float(np.mean(list(dice.values()))), dice_small, dice_large, dice)


def predicted_volumes(
    network: UNet,
    channels: np.ndarray,
    present: np.ndarray,
    inside: np.ndarray,
    *,
    side: int,
    precision: Precision,
    masks: DropoutMasks | None = None,
    overlap: float = 0.25,
) -> np.ndarray:
    """Probabilities (T, X, Y, Z), blended from the windows that touch a mask.

    Args:
        network: In evaluation mode.
        channels: float32 (C, X, Y, Z) in network units, followed by mirror images, context inputs and guidance maps
            where the network takes them.
        present: float32 (C,), 1 where a modality is present.
        inside: (X, Y, Z), the mask.
        side: Side of a window, in voxels.
        precision: Precision of the network.
        masks: Dropout masks of one draw; without them dropout is off.
        overlap: Overlap of neighbouring windows, as a share of their side.
    """
    windows = windows_over(inside, side=side, overlap=overlap)
    device = next(network.parameters()).device
    presence = torch.from_numpy(present)[None].to(device)
    pieces = []
    with torch.inference_mode(), autocast(precision, device):
        for x, y, z in windows.boxes():
            window = torch.from_numpy(np.ascontiguousarray(channels[None, :, x, y, z])).to(device)
            pieces.append(network(window, presence, masks)[0].float().sigmoid().cpu().numpy())
    return np.stack([windows.blend(piece[t] for piece in pieces) for t in range(len(network.config.targets))])


def _dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    total = int(predicted.sum()) + int(truth.sum())
    return 1.0 if total == 0 else 2.0 * int((predicted & truth).sum()) / total
