"""To whom a cross-modal network listens, and where: the shares of its attention as volumes.

They are those of the finest level with attention; a coarser level's cell gives its share to all voxels in it. Nothing
is random in them: what attends holds no dropout. A share says where the network looked, and not what it made of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from adumbra.core.case import Case
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resampled
from adumbra.core.results import AttentionMaps
from adumbra.core.types import Mask, Modality, Volume
from adumbra.fusion.two_pass import TwoPassPosterior
from adumbra.inference.device import autocast
from adumbra.inference.protocols import Loaded, Posterior
from adumbra.inference.windowed_inference import InferenceConfig, WindowedInference
from adumbra.posterior.ensemble import DeepEnsemble
from adumbra.posterior.sampled_posterior import SampledPosterior
from adumbra.posterior.selective_dropout import SelectiveMCDropout

_LEAST = 1e-3  # Of the shares' sum, below which a voxel saw nothing of the dilated brain.


def attention_of(posterior: Posterior, case: Case) -> AttentionMaps | None:
    """To whom the network of a posterior listens; of an ensemble, the mean over members that listen alike.

    Args:
        posterior: Of any network; a guided one reads the case first, unless it has.
        case: See ``base.Posterior.draws``, with the errors.

    Returns:
        On the case's grid; None where nobody listens, or members to different modalities.
    """
    if isinstance(posterior, DeepEnsemble):
        return _mean([attention_of(member, case) for member in posterior.members])
    if isinstance(posterior, TwoPassPosterior):
        return attention_of(posterior.second, posterior.doubted(case))
    return (
        attention(case, posterior.loaded, posterior.inference)
        if isinstance(posterior, SampledPosterior | SelectiveMCDropout)
        else None
    )


def attention(case: Case, loaded: Loaded, inference: InferenceConfig | None = None) -> AttentionMaps | None:
    """To whom a network listens in a case.

    Args:
        case: See ``base.Posterior.draws``, with the errors; for a guided network with its doubts, see ``guided``.
        loaded: The network.
        inference: How it is computed.

    Returns:
        On the case's grid; None of a network without attention, and where no other modality is there.
    """
    config = loaded.network.config
    there = [modality for modality in getattr(config, "others", ()) if modality in case.scans]
    if not there or all(window is None for window in config.windows):
        return None
    run = WindowedInference(case, loaded, "encoder", 0, inference or InferenceConfig())
    kept = [config.others.index(modality) for modality in there]
    pieces = (_piece(run, number, kept) for number in range(len(run.boxes)))
    whole = run.view.windows.blended_together(pieces, count=len(kept) + bool(config.guidance_channels))
    volumes = [run.view.restored(volume) for volume in whole]
    shares = dict(zip(there, volumes, strict=False))
    return AttentionMaps(config.primary, shares, volumes[-1] if config.guidance_channels else None)


@torch.inference_mode()
def _piece(run: WindowedInference, number: int, kept: Sequence[int]) -> np.ndarray:
    """A window's shares of the modalities at these places, and behind them the gate, where there is one."""
    network: Any = run.network
    with autocast(run.how.precision, run.device):
        (x,) = run.window(number).features
        shares, gates = network.attention_weights(x, run.present), network.opened(x)
    level = min(shares)
    heard = torch.cat([shares[level][:, list(kept)].float(), *([gates[level].float()] if gates else [])], dim=1)
    piece: np.ndarray = F.interpolate(heard, size=x.shape[2:], mode="nearest")[0].cpu().numpy()
    return piece


def attention_on_grid(heard: AttentionMaps, source: Grid, target: Grid, *, within: Mask) -> AttentionMaps:
    """The same on another grid: where voxels at the rim see little of the brain, in proportion to what they see.

    Args:
        heard: On ``source``.
        source: Its grid.
        target: The other grid.
        within: (X, Y, Z) of ``target``; beyond it all is 0.
    """
    shares = {modality: resampled(share, source, target) for modality, share in heard.shares.items()}
    total = np.sum(list(shares.values()), axis=0, dtype=np.float32)
    seen = within & (total > _LEAST)

    def even(volume: Volume) -> Volume:
        out = np.zeros(target.shape, dtype=np.float32)
        np.divide(volume, total, out=out, where=seen)
        return np.clip(out, 0.0, 1.0, out=out)

    opened = None if heard.opened is None else even(resampled(heard.opened, source, target))
    return AttentionMaps(heard.primary, {modality: even(share) for modality, share in shares.items()}, opened)


def _mean(each: Sequence[AttentionMaps | None]) -> AttentionMaps | None:
    members = [member for member in each if member is not None]
    if len(members) < len(each) or len({_kind(member) for member in members}) != 1:
        return None
    first = members[0]
    shares = {modality: _average([member.shares[modality] for member in members]) for modality in first.shares}
    gates = [member.opened for member in members if member.opened is not None]
    return AttentionMaps(first.primary, shares, _average(gates) if gates else None)


def _kind(heard: AttentionMaps) -> tuple[Modality | None, frozenset[Modality], bool]:
    return heard.primary, frozenset(heard.shares), heard.opened is not None


def _average(volumes: Sequence[Volume]) -> Volume:
    return np.asarray(np.mean(volumes, axis=0, dtype=np.float32))
