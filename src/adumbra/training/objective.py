"""What each posterior asks of the loss, beside the outlines themselves.

variational       + KL(q ‖ prior) / n, warmed up; n is how many independent voxels the data hold
heteroscedastic   the loss of the mean of the drawn probabilities, voxel by voxel (Kendall & Gal, NeurIPS 2017)
stochastic seg.   the same, but whole patches are drawn: -log mean_s exp(-Σ_v loss) (Monteiro et al., NeurIPS 2020)
mask denoiser     the same terms for its estimate of the mask, from masks with noise of all times
others            nothing more

And a regulariser: the loss of the diffusion model that shares the encoder.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.diffusion.denoising import noised
from adumbra.diffusion.regulariser import SPREAD, blurred, regularising_loss
from adumbra.diffusion.schedule import Schedule, stratified_times
from adumbra.networks.denoiser import ImageDenoiser, MaskDenoiser
from adumbra.networks.flipout import uncertain
from adumbra.networks.unet import UNet
from adumbra.training.config import TrainConfig
from adumbra.training.losses import of_hardest, region_balanced, weighted_cross_entropy, weighted_dice_loss
from adumbra.training.options import UncertaintyLoss
from adumbra.training.patches import Patches

TELLS_THE_SAME = 27  # Voxels, 3 × 3 × 3, that count as one independent observation: neighbours agree.
SMOOTHED = 0.1  # What a doubt of 1 takes of a label.
_NOISES = 8  # Draws of the logits' noise in a step.
_WARM = 0.5  # Share of the training over which the divergence's weight grows from 0 to 1.


@dataclass(frozen=True, eq=False)
class Batch:
    """What a step is given, as tensors; see ``training.patches.Patches``."""

    images: Tensor
    present: Tensor
    labels: Tensor
    weights: Tensor
    brain: Tensor
    guidance: Tensor

    @classmethod
    def of(cls, patches: Patches, device: torch.device) -> "Batch":
        """On a device."""
        arrays = (getattr(patches, name) for name in ("channels", "present", "labels", "weights", "brain", "guidance"))
        return cls(*(torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in arrays))

    def seen(self, config: TrainConfig, images: Tensor | None = None) -> Tensor:
        """What the network is given: the images, these or others, with the doubts behind them where it is guided."""
        shown = self.images if images is None else images
        return torch.cat([shown, self.guidance], dim=1) if config.network.guidance_channels else shown

    def with_uncertainty_loss(self, how: UncertaintyLoss) -> "Batch":
        """With labels or weights that doubt has changed."""
        doubt = self.guidance[:, :1]
        if how == "weighted":
            return replace(self, weights=self.weights * (1.0 + doubt))
        if how == "smoothed":
            share = SMOOTHED * doubt
            return replace(self, labels=self.labels * (1.0 - share) + 0.5 * share)
        return self


def segmentation_loss(network: UNet, batch: Batch, config: TrainConfig) -> Tensor:
    """Of the outlines of one batch."""
    with_uncertainty_loss = batch.with_uncertainty_loss(config.uncertainty_loss)
    if isinstance(network, MaskDenoiser):
        return _mask_loss(network, with_uncertainty_loss, config)
    return mean_loss(
        network,
        with_uncertainty_loss.seen(config),
        with_uncertainty_loss.present,
        with_uncertainty_loss.labels,
        with_uncertainty_loss.weights,
        config,
    )


def _mask_loss(network: MaskDenoiser, batch: Batch, config: TrainConfig) -> Tensor:
    times = stratified_times(float(torch.rand(())), len(batch.labels)).to(batch.labels.device)
    masks = 2.0 * batch.labels - 1.0
    noisy = noised(masks, times, torch.randn_like(masks), Schedule())
    features = network.features_before("decoder", batch.seen(config), batch.present)
    logits = network.denoised(features, noisy.to(masks.dtype), times)
    return region_balanced(logits, batch.labels, batch.weights, hard_voxel_fraction=config.hard_voxel_fraction)


def regulariser_loss(
    network: UNet, denoiser: ImageDenoiser, batch: Batch, config: TrainConfig, generator: np.random.Generator
) -> Tensor:
    """Of the diffusion model that shares the encoder, on images blurred as the config says."""
    how = config.regulariser
    assert how is not None  # or there were no denoiser
    doubt = batch.guidance[:, :1] if batch.guidance.shape[1] else None
    images = blurred(batch.images, doubt, batch.brain, how.blur, spacing_mm=config.spacing_mm, generator=generator)

    def predicted(noisy: Tensor, t: Tensor) -> Tensor:
        features = network.features_before("decoder", batch.seen(config, noisy.to(images.dtype)), batch.present)
        velocity: Tensor = denoiser(features, noisy / SPREAD, t)
        return velocity

    return regularising_loss(
        predicted, images, batch.present, batch.brain, how, uniform_number=float(generator.random())
    )


def mean_loss(
    network: UNet, x: Tensor, present: Tensor, labels: Tensor, weights: Tensor, config: TrainConfig
) -> Tensor:
    """Of the outlines of one batch, under the network's own noise where it predicts one."""
    if config.network.noise_rank is None:
        return region_balanced(network(x, present), labels, weights, hard_voxel_fraction=config.hard_voxel_fraction)
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
    return dice + likelihood + 0.5 * of_hardest(losses, config.hard_voxel_fraction)


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
