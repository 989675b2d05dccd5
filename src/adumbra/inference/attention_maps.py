"""Maps of the cross-attention weights of a network.

They are those of the finest level with attention; a coarser voxel gives its weight to all voxels within it. They are
deterministic: the attention holds no dropout. A weight says where the network attended, not what it made of it.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.results import AttentionMaps
from adumbra.core.types import Mask, Modality, Volume
from adumbra.inference.device import autocast
from adumbra.inference.protocols import CrossAttending
from adumbra.inference.windowed_inference import WindowedInference

_LEAST_TOTAL = 1e-3  # Sum of the weights below which a voxel saw nothing of the dilated brain.


def attention_maps(inference: WindowedInference) -> AttentionMaps | None:
    """Cross-attention weights of a case on its grid.

    Returns:
        None where the network has no attention, or the case no other modality to attend to.
    """
    network = inference.network.cross_attention
    if network is None:
        return None
    config = network.attention_config
    modalities = inference.network.config.modalities
    available = [m for m in config.others if inference.input.present[modalities.index(m)] > 0]
    if not available:
        return None
    indices, guided = [config.others.index(m) for m in available], bool(inference.network.config.guidance_channels)
    pieces = (_piece(inference, network, number, indices) for number in range(len(inference.boxes)))
    blended = inference.input.windows.blend_channels(pieces, count=len(available) + guided)
    volumes = [inference.input.restore(volume) for volume in blended]
    weights = dict(zip(available, volumes, strict=False))
    return AttentionMaps(config.primary, weights, volumes[-1] if guided else None)


@torch.inference_mode()
def _piece(inference: WindowedInference, network: CrossAttending, number: int, indices: Sequence[int]) -> np.ndarray:
    """A window's weights of the modalities at these indices, and behind them the gate, where there is one."""
    images = inference.images(number)
    with autocast(inference.compute.precision, inference.device):
        weights, gates = network.attention_weights(images, inference.present), network.attention_gates(images)
    finest = min(weights)
    channels = [weights[finest][:, list(indices)].float(), *([gates[finest].float()] if gates else [])]
    resized = F.interpolate(torch.cat(channels, dim=1), size=images.shape[2:], mode="nearest")
    piece: np.ndarray = resized[0].cpu().numpy()
    return piece


def attention_on_grid(maps: AttentionMaps, source: Grid, target: Grid, *, within: Mask) -> AttentionMaps:
    """Attention maps on another grid. At the rim of the brain, weights are normalised by the part that was seen.

    Args:
        maps: Attention maps on ``source``.
        source: Their grid.
        target: The other grid.
        within: (X, Y, Z) of ``target``; all maps are 0 outside.
    """
    weights = {modality: resample(weight, source, target) for modality, weight in maps.weights.items()}
    total = np.sum(list(weights.values()), axis=0, dtype=np.float32)
    valid = within & (total > _LEAST_TOTAL)

    def normalise(volume: Volume) -> Volume:
        out = np.zeros(target.shape, dtype=np.float32)
        np.divide(volume, total, out=out, where=valid)
        return np.clip(out, 0.0, 1.0, out=out)

    gate = None if maps.gate is None else normalise(resample(maps.gate, source, target))
    return AttentionMaps(maps.primary, {m: normalise(weight) for m, weight in weights.items()}, gate)


def mean_attention(members: Sequence[AttentionMaps | None]) -> AttentionMaps | None:
    """The mean over the members of an ensemble; None unless all attend from and to the same modalities."""
    maps = [member for member in members if member is not None]
    if len(maps) < len(members) or len({_kind(member) for member in maps}) != 1:
        return None
    weights: Mapping[Modality, Volume] = {m: _mean([member.weights[m] for member in maps]) for m in maps[0].weights}
    gates = [member.gate for member in maps if member.gate is not None]
    return AttentionMaps(maps[0].primary, weights, _mean(gates) if gates else None)


def _kind(maps: AttentionMaps) -> tuple[Modality | None, frozenset[Modality], bool]:
    return maps.primary, frozenset(maps.weights), maps.gate is not None


def _mean(volumes: Sequence[Volume]) -> Volume:
    return np.asarray(np.mean(volumes, axis=0, dtype=np.float32))
