"""The loss of the estimate of hypoperfusion."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from adumbra.core.references import cites
from adumbra.networks.perfusion import THRESHOLDS_S, PerfusionOutput


@cites("Monteiro2020")
def perfusion_loss(
    output: PerfusionOutput,
    tissue: Tensor,
    tmax_s: Tensor,
    closed: Tensor,
    *,
    noise: Tensor,
    correlated_voxels: float,
    weight: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The terms of the loss: of the map, and of the state of the arteries. Both are negative log-likelihoods.

    The likelihood of a map is the mean over samples of the latent variable, whose voxels are independent given the
    sample. It is raised to the power 1 / ``correlated_voxels``, as a composite likelihood, because neighbouring voxels
    do not tell anything new. Only strokes with a closed artery enter it.

    Args:
        output: What the network says.
        tissue: (B, X, Y, Z) bool, the voxels that count.
        tmax_s: (B, X, Y, Z), Tmax in s.
        closed: (B,), 0 or 1.
        noise: (B, M, R), standard normal.
        correlated_voxels: Number of voxels that count as one.
        weight: (B,), weight of each stroke in the second term; None weighs all alike.

    Returns:
        Two scalars; the first is per voxel and threshold, and 0 where no artery is closed.
    """
    state = F.binary_cross_entropy_with_logits(output.closed, closed, weight=weight)
    rows = [n for n, value in enumerate(closed.tolist()) if value > 0.5]
    if not rows:
        return output.mean.sum() * 0.0, state
    terms = [_map_loss(output, n, tissue[n], tmax_s[n], noise[n], correlated_voxels) for n in rows]
    return torch.stack(terms).mean(), state


def _map_loss(
    output: PerfusionOutput, row: int, tissue: Tensor, tmax_s: Tensor, noise: Tensor, correlated_voxels: float
) -> Tensor:
    """The negative log-likelihood of one map, per voxel and threshold."""
    latent = output.mean[row][tissue] + noise @ output.factors[row][:, tissue]  # (M, N): tissue alone, a third
    total = torch.zeros(len(latent), dtype=latent.dtype, device=latent.device)
    for seconds in THRESHOLDS_S:
        truth = (tmax_s[tissue] > seconds).to(latent).expand_as(latent)
        logits = output.exceedance_logits(latent, seconds)
        total = total + F.binary_cross_entropy_with_logits(logits, truth, reduction="none").sum(1)
    likelihood = torch.logsumexp(-total / correlated_voxels, dim=0) - math.log(len(latent))
    return -likelihood * correlated_voxels / (max(1, latent.shape[1]) * len(THRESHOLDS_S))
