"""How well the network does on whole held-out volumes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from safetensors import safe_open

from adumbra.inference.device import autocast
from adumbra.inference.sliding_window import windows_over
from adumbra.networks.unet import Masks, UNet
from adumbra.training.config import TrainConfig
from adumbra.training.patches import CachedCase, guidance_maps

_SMALL_ML = 2.0


@dataclass(frozen=True)
class ValidationScores:
    """Means over the held-out cases; None where there are none of the kind.

    Attributes:
        dice: Of all cases.
        dice_small: Of those whose target holds less than 2 ml.
        dice_large: Of the others.
        cases: Their Dice by name.
    """

    dice: float
    dice_small: float | None
    dice_large: float | None
    cases: dict[str, float]


def validate(network: UNet, cases: Sequence[CachedCase], config: TrainConfig) -> ValidationScores:
    """Dice of each held-out case at the config's threshold, dropout off, averaged over targets."""
    found, small = {}, {}
    voxel_ml = config.spacing_mm**3 / 1000.0
    for case in cases:
        with safe_open(case.path, framework="np") as file:
            truth, brain = file.get_tensor("labels").astype(bool), file.get_tensor("brain").astype(bool)
            channels = file.get_tensor("channels").astype(np.float32)
        if config.network.guidance_channels:
            channels = np.concatenate([channels, guidance_maps(case)])
        inside = brain | truth.any(axis=0)
        predicted = predicted_volumes(network, channels, case.present, inside, config) >= config.threshold
        found[case.name] = float(np.mean([_dice(p & inside, t) for p, t in zip(predicted, truth, strict=True)]))
        small[case.name] = truth.sum() * voxel_ml < _SMALL_ML
    parts = ([d for n, d in found.items() if small[n] == kind] for kind in (True, False))
    dice_small, dice_large = (float(np.mean(part)) if part else None for part in parts)
    return ValidationScores(float(np.mean(list(found.values()))), dice_small, dice_large, found)


def predicted_volumes(
    network: UNet,
    channels: np.ndarray,
    present: np.ndarray,
    inside: np.ndarray,
    config: TrainConfig,
    kept: Masks | None = None,
    *,
    overlap: float = 0.25,
) -> np.ndarray:
    """Probabilities (T, X, Y, Z) from the windows that touch ``inside``: one draw's, or with dropout off."""
    windows = windows_over(inside, side=config.patch, overlap=overlap)
    device = next(network.parameters()).device
    told = torch.from_numpy(present)[None].to(device)
    pieces = []
    with torch.inference_mode(), autocast(config.precision, device):
        for x, y, z in windows.boxes():
            window = torch.from_numpy(np.ascontiguousarray(channels[None, :, x, y, z])).to(device)
            pieces.append(network(window, told, kept)[0].float().sigmoid().cpu().numpy())
    return np.stack([windows.blended(piece[t] for piece in pieces) for t in range(len(config.network.targets))])


def _dice(predicted: np.ndarray, truth: np.ndarray) -> float:
    total = int(predicted.sum()) + int(truth.sum())
    return 1.0 if total == 0 else 2.0 * int((predicted & truth).sum()) / total
