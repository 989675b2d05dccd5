"""What training makes small."""

import torch
import torch.nn.functional as F
from torch import Tensor


def region_balanced(logits: Tensor, truth: Tensor, weights: Tensor, *, hard_voxel_fraction: float = 0.01) -> Tensor:
    """Weighted Dice over the batch + weighted cross-entropy + half the mean cross-entropy of the hardest voxels.

    Dice is taken over the whole batch (Milletari et al., 3DV 2016, took it by sample): many patches hold no lesion,
    and the Dice of each of those alone is a plateau. ``weights`` keep the largest lesion from deciding it. The last
    term (Wu et al., arXiv 1605.06885) goes after the few bright voxels that look like lesions and are none.

    Args:
        logits: (B, T, X, Y, Z), any float dtype; the loss is computed in float32.
        truth: (B, T, X, Y, Z), 0 or 1.
        weights: (B, T, X, Y, Z), as ``training.cache.balancing_weights`` gives them.
        hard_voxel_fraction: Share of all voxels: about what the target has of a patch, or its own are lost among easy ones.

    Returns:
        A scalar, at least 0; a perfect and certain prediction gives 0.
    """
    logits = logits.float()
    losses = weighted_cross_entropy(logits, truth, weights)
    return (
        weighted_dice_loss(logits.sigmoid(), truth, weights)
        + losses.mean()
        + 0.5 * of_hardest(losses, hard_voxel_fraction)
    )


def weighted_cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Of each voxel, in nats."""
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weights


def of_hardest(losses: Tensor, share: float) -> Tensor:
    """The mean of the highest share of losses, of one voxel at least."""
    return losses.flatten().topk(max(1, int(share * losses.numel()))).values.mean()


def weighted_dice_loss(probability: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """1 - 2 Σ w p y / Σ w (p + y), summed over batch and voxels, averaged over targets; the +1 makes 0/0 a 0."""
    axes = (0, *range(2, probability.ndim))
    both = (weights * probability * truth).sum(axes)
    either = (weights * (probability + truth)).sum(axes)
    return (1.0 - (2.0 * both + 1.0) / (either + 1.0)).mean()


def learning_rate(step: int, *, steps: int, warmup: int, highest: float) -> float:
    """Of a step from 0: linear up over ``warmup`` steps, then half a cosine down to 0 (Loshchilov, ICLR 2017)."""
    if step < warmup:
        return highest * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return float(highest * 0.5 * (1.0 + torch.cos(torch.tensor(done * torch.pi, dtype=torch.float64))))
