"""Terms of the segmentation loss, and the learning-rate schedule."""

import torch
import torch.nn.functional as F
from torch import Tensor

from adumbra.training.config import OptimiserConfig


def region_balanced(logits: Tensor, truth: Tensor, weights: Tensor, *, hard_voxel_fraction: float = 0.01) -> Tensor:
    """Weighted Dice over the batch + weighted cross-entropy + half the mean cross-entropy of the hardest voxels.

    The Dice is taken over the whole batch (Milletari et al., 3DV 2016, took it by sample): many patches hold no lesion,
    and the Dice of each of those alone is a plateau. ``weights`` keep the largest lesion from dominating it. The last
    term (Wu et al., arXiv 1605.06885) penalises the few bright voxels that resemble a lesion and are none.

    Args:
        logits: (B, T, X, Y, Z), any float dtype; the loss is computed in float32.
        truth: (B, T, X, Y, Z), 0 or 1.
        weights: (B, T, X, Y, Z), as ``training.cache.balancing_weights`` gives them.
        hard_voxel_fraction: Share of all voxels in the last term. It should be about the share of a patch that the
            target fills; with a larger one easy voxels outnumber the hard ones.

    Returns:
        A scalar, at least 0; a perfect and certain prediction gives 0.
    """
    logits = logits.float()
    losses = weighted_cross_entropy(logits, truth, weights)
    return (
        weighted_dice_loss(logits.sigmoid(), truth, weights)
        + losses.mean()
        + 0.5 * mean_of_hardest(losses, hard_voxel_fraction)
    )


def weighted_cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of each voxel times its weight, in nats."""
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weights


def mean_of_hardest(losses: Tensor, share: float) -> Tensor:
    """The mean of the highest share of the losses, of at least one voxel."""
    return losses.flatten().topk(max(1, int(share * losses.numel()))).values.mean()


def weighted_dice_loss(probability: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """1 - 2 Σ w p y / Σ w (p + y), summed over batch and voxels, averaged over targets; the +1 makes 0/0 a 0."""
    axes = (0, *range(2, probability.ndim))
    both = (weights * probability * truth).sum(axes)
    either = (weights * (probability + truth)).sum(axes)
    return (1.0 - (2.0 * both + 1.0) / (either + 1.0)).mean()


def learning_rate(step: int, optimiser: OptimiserConfig) -> float:
    """Learning rate of a step, counted from 0: a linear warm-up, then half a cosine to 0 (Loshchilov, ICLR 2017)."""
    if step < optimiser.warmup:
        return optimiser.learning_rate * (step + 1) / optimiser.warmup
    done = (step - optimiser.warmup) / max(1, optimiser.steps - optimiser.warmup)
    cosine = torch.cos(torch.tensor(done * torch.pi, dtype=torch.float64))
    return float(optimiser.learning_rate * 0.5 * (1.0 + cosine))
