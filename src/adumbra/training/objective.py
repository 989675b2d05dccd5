"""What each posterior asks of the loss, beside the outlines themselves.

variational       + KL(q ‖ prior) / n, warmed up; n is how many independent voxels the data hold
heteroscedastic   the loss of the mean of the drawn probabilities, voxel by voxel (Kendall & Gal, NeurIPS 2017)
stochastic seg.   the same, but whole patches are drawn: -log mean_s exp(-Σ_v loss) (Monteiro et al., NeurIPS 2020)
others            nothing more
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.networks.flipout import uncertain
from adumbra.networks.unet import UNet
from adumbra.training.config import TrainConfig
from adumbra.training.losses import of_hardest, region_balanced, weighted_cross_entropy, weighted_dice_loss

TELLS_THE_SAME = 27  # Voxels, 3 × 3 × 3, that count as one independent observation: neighbours agree.
_NOISES = 8  # Draws of the logits' noise in a step.
_WARM = 0.5  # Share of the training over which the divergence's weight grows from 0 to 1.


def mean_loss(
    network: UNet, x: Tensor, present: Tensor, labels: Tensor, weights: Tensor, config: TrainConfig
) -> Tensor:
    """Of the outlines of one batch, under the network's own noise where it predicts one."""
    if config.network.noise_rank is None:
        return region_balanced(network(x, present), labels, weights, hardest=config.hardest)
    mean, spread, factors = network.noisy(x, present)
    return loss_under_noise(noisy_logits(mean, spread, factors), labels, weights, config)


def noisy_logits(mean: Tensor, spread: Tensor, factors: tuple[Tensor, ...], count: int = _NOISES) -> Tensor:
    """``count`` draws, (count, B, T, X, Y, Z); examples draw apart, as ``posterior.heteroscedastic`` does."""
    shape = (count, *mean.shape)
    noise = spread * torch.randn(shape, device=mean.device)
    for factor in factors:
        noise = noise + factor * torch.randn((count, len(mean), 1, 1, 1, 1), device=mean.device)
    return mean + noise


def loss_under_noise(draws: Tensor, truth: Tensor, weights: Tensor, config: TrainConfig) -> Tensor:
    """The terms of ``losses.region_balanced`` for draws (S, B, T, X, Y, Z) of the logits.

    Dice and the hardest voxels are those of the mean probability. So is the cross-entropy where each voxel has noise
    of its own only; where voxels share noise it is that of the patch as a whole.
    """
    marginal = torch.logsumexp(F.logsigmoid(draws), 0) - torch.logsumexp(F.logsigmoid(-draws), 0)
    losses = weighted_cross_entropy(marginal, truth, weights)
    likelihood = losses.mean() if not config.network.noise_rank else _joint(draws, truth, weights)
    dice = weighted_dice_loss(marginal.sigmoid(), truth, weights)
    return dice + likelihood + 0.5 * of_hardest(losses, config.hardest)


def _joint(draws: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    count = len(draws)
    sums = weighted_cross_entropy(draws, truth.expand_as(draws), weights).flatten(2).sum(2)
    patches = math.log(count) - torch.logsumexp(-sums, 0)
    return patches.mean() / truth[0].numel()


def divergence(network: nn.Module, number: int, config: TrainConfig, observations: float) -> Tensor:
    """Of a network with uncertain weights from their prior, in nats per observation, warmed up; 0 of any other."""
    warmth = min(1.0, (number + 1) / max(1.0, _WARM * config.steps))
    parts = [layer.divergence() for _, layer in uncertain(network)]
    return warmth / observations * torch.stack(parts).sum() if parts else torch.zeros(())
