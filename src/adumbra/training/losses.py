"""Terms of the segmentation loss, and the learning-rate schedule."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from adumbra.training.component_losses import component_dice_loss, component_tversky_loss
from adumbra.training.config import LossConfig, OptimiserConfig
from adumbra.training.options import COMPONENT_LOSSES

OverlapLoss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""The overlap term of a loss: a function of probability, truth and weights, each (B, T, X, Y, Z), to a scalar."""


def overlap_loss(loss: LossConfig, regions: Tensor | None) -> OverlapLoss:
    """The overlap term of a loss for the components of a batch.

    It is ``weighted_dice_loss``, of which a component term replaces a share where ``loss.kind`` names one. The rest of
    the Dice penalises false positives also in a batch without a component, which the component term does not.

    Args:
        loss: Kind and share of the component term.
        regions: (B, T, X, Y, Z), integers, see ``training.component_regions``; None where the kind needs none.

    Raises:
        ValueError: The kind needs regions and there are none.
    """
    if loss.kind not in COMPONENT_LOSSES:
        return weighted_dice_loss
    if regions is None:
        raise ValueError(f"regions: expected those of the batch for {loss.kind}, found none")
    if loss.kind == "component-dice":
        return _shared_with(partial(component_dice_loss, regions=regions), loss.component_share)
    tversky = partial(component_tversky_loss, regions=regions, alpha=loss.tversky_alpha)
    return _shared_with(tversky, loss.component_share)


def _shared_with(component_term: Callable[[Tensor, Tensor], Tensor], share: float) -> OverlapLoss:
    def mixture(probability: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
        dice = weighted_dice_loss(probability, truth, weights)
        return (1.0 - share) * dice + share * component_term(probability, truth)

    return mixture


def weighted_dice_loss(probability: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """1 - 2 Σ w p y / Σ w (p + y), summed over batch and voxels, averaged over targets; the +1 makes 0/0 a 0."""
    axes = (0, *range(2, probability.ndim))
    both = (weights * probability * truth).sum(axes)
    either = (weights * (probability + truth)).sum(axes)
    return (1.0 - (2.0 * both + 1.0) / (either + 1.0)).mean()


def region_balanced(
    logits: Tensor,
    truth: Tensor,
    weights: Tensor,
    *,
    hard_voxel_fraction: float = 0.01,
    overlap: OverlapLoss = weighted_dice_loss,
) -> Tensor:
    """Weighted Dice over the batch + weighted cross-entropy + half the mean cross-entropy of the hardest voxels.

    The Dice is taken over the whole batch (Milletari et al., 3DV 2016, took it by sample): many patches hold no lesion,
    and the Dice of each of those alone is a plateau. ``weights`` keep the largest lesion from dominating it. The last
    term (Wu et al., arXiv 1605.06885) penalises the few bright voxels that resemble a lesion and are none.

    Args:
        logits: (B, T, X, Y, Z), any float dtype; the loss is computed in float32.
        truth: (B, T, X, Y, Z), 0 or 1.
        weights: (B, T, X, Y, Z), as ``training.cache.balancing_weights`` gives them.
        hard_voxel_fraction: Share of all voxels in the last term; 0 leaves the term out. It should be about the share
            of a patch that the target fills; with a larger one easy voxels outnumber the hard ones.
        overlap: The overlap term in place of the weighted Dice.

    Returns:
        A scalar, at least 0; a perfect and certain prediction gives 0.
    """
    logits = logits.float()
    losses = weighted_cross_entropy(logits, truth, weights)
    return (
        overlap(logits.sigmoid(), truth, weights) + losses.mean() + 0.5 * mean_of_hardest(losses, hard_voxel_fraction)
    )


def weighted_cross_entropy(logits: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of each voxel times its weight, in nats."""
    return F.binary_cross_entropy_with_logits(logits, truth, reduction="none") * weights


def mean_of_hardest(losses: Tensor, share: float) -> Tensor:
    """The mean of the highest share of the losses, of at least one voxel; 0 for a share of 0."""
    if not share:
        return losses.new_zeros(())
    return losses.flatten().topk(max(1, int(share * losses.numel()))).values.mean()


def learning_rate(step: int, optimiser: OptimiserConfig) -> float:
    """Learning rate of a step, counted from 0: a linear warm-up, then half a cosine to 0 (Loshchilov, ICLR 2017)."""
    if step < optimiser.warmup:
        return optimiser.learning_rate * (step + 1) / optimiser.warmup
    done = (step - optimiser.warmup) / max(1, optimiser.steps - optimiser.warmup)
    cosine = torch.cos(torch.tensor(done * torch.pi, dtype=torch.float64))
    return float(optimiser.learning_rate * 0.5 * (1.0 + cosine))
