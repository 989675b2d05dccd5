"""To whom a cross-modal network listens, and where: the shares of its attention as volumes.

They are those of the finest level with attention; a coarser level's cell gives its share to all voxels in it. Nothing
is random in them: what attends holds no dropout. A share says where the network looked, and not what it made of it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from adumbra.case import Case
from adumbra.posterior.base import Loaded, Posterior
from adumbra.posterior.doubtful import Doubtful
from adumbra.posterior.ensemble import Ensemble
from adumbra.posterior.guided import Guided
from adumbra.posterior.machine import autocast
from adumbra.posterior.run import Run, Running
from adumbra.posterior.sampled import Sampled
from adumbra.results import Listening
from adumbra.shapes import Mask, Modality, Volume
from adumbra.space.grid import Grid
from adumbra.space.resampling import resampled

_LEAST = 1e-3  # Of the shares' sum, below which a voxel saw nothing of the dilated brain.


def listening_of(posterior: Posterior, case: Case) -> Listening | None:
    """To whom the network of a posterior listens; of an ensemble, the mean over members that listen alike.

    Args:
        posterior: Of any network; a guided one reads the case first, unless it has.
        case: See ``base.Posterior.draws``, with the errors.

    Returns:
        On the case's grid; None where nobody listens, or members to different modalities.
    """
    if isinstance(posterior, Ensemble):
        return _mean([listening_of(member, case) for member in posterior.members])
    if isinstance(posterior, Guided):
        return listening_of(posterior.second, posterior.doubted(case))
    return listening(case, posterior.loaded, posterior.running) if isinstance(posterior, Sampled | Doubtful) else None


def listening(case: Case, loaded: Loaded, running: Running | None = None) -> Listening | None:
    """To whom a network listens in a case.

    Args:
        case: See ``base.Posterior.draws``, with the errors; for a guided network with its doubts, see ``guided``.
        loaded: The network.
        running: How it is computed.

    Returns:
        On the case's grid; None of a network without attention, and where no other modality is there.
    """
    config = loaded.network.config
    there = [modality for modality in getattr(config, "others", ()) if modality in case.scans]
    if not there or all(window is None for window in config.windows):
        return None
    run = Run(case, loaded, "encoder", 0, running or Running())
    kept = [config.others.index(modality) for modality in there]
    pieces = (_piece(run, number, kept) for number in range(len(run.boxes)))
    whole = run.view.windows.blended_together(pieces, count=len(kept) + bool(config.doubt_channels))
    volumes = [run.view.restored(volume) for volume in whole]
    shares = dict(zip(there, volumes, strict=False))
    return Listening(config.primary, shares, volumes[-1] if config.doubt_channels else None)


@torch.inference_mode()
def _piece(run: Run, number: int, kept: Sequence[int]) -> np.ndarray:
    """A window's shares of the modalities at these places, and behind them the gate, where there is one."""
    network: Any = run.network
    with autocast(run.how.precision, run.device):
        (x,) = run.window(number).features
        shares, gates = network.listened(x, run.present), network.opened(x)
    level = min(shares)
    heard = torch.cat([shares[level][:, list(kept)].float(), *([gates[level].float()] if gates else [])], dim=1)
    piece: np.ndarray = F.interpolate(heard, size=x.shape[2:], mode="nearest")[0].cpu().numpy()
    return piece


def listening_on(heard: Listening, source: Grid, target: Grid, *, within: Mask) -> Listening:
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
    return Listening(heard.primary, {modality: even(share) for modality, share in shares.items()}, opened)


def _mean(each: Sequence[Listening | None]) -> Listening | None:
    members = [member for member in each if member is not None]
    if len(members) < len(each) or len({_kind(member) for member in members}) != 1:
        return None
    first = members[0]
    shares = {modality: _average([member.shares[modality] for member in members]) for modality in first.shares}
    gates = [member.opened for member in members if member.opened is not None]
    return Listening(first.primary, shares, _average(gates) if gates else None)


def _kind(heard: Listening) -> tuple[Modality | None, frozenset[Modality], bool]:
    return heard.primary, frozenset(heard.shares), heard.opened is not None


def _average(volumes: Sequence[Volume]) -> Volume:
    return np.asarray(np.mean(volumes, axis=0, dtype=np.float32))
