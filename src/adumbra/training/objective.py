"""The objective of each posterior, beside the segmentation loss itself.

variational       + KL(q ‖ prior) / n, with a warm-up; n is the number of independent voxels in the data
heteroscedastic   the loss of the mean of the sampled probabilities, voxel by voxel (Kendall & Gal, NeurIPS 2017)
stochastic seg.   the same for whole patches: -log mean_s exp(-Σ_v loss) (Monteiro et al., NeurIPS 2020)
mask denoiser     the same terms for its estimate of the mask, from masks with noise of all times
others            no further term

A regulariser adds the loss of the diffusion model that shares the encoder.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.diffusion.denoising import add_noise
from adumbra.diffusion.regulariser import SPREAD, RegulariserConfig, blur_images, regularising_loss
from adumbra.diffusion.schedule import Schedule, stratified_times
from adumbra.networks.capabilities import LogitNoise, MaskDenoising
from adumbra.networks.denoiser import ImageDenoiser
from adumbra.networks.flipout import variational_layers
from adumbra.networks.unet import UNet
from adumbra.training.config import LossConfig
from adumbra.training.losses import (
    OverlapLoss,
    mean_of_hardest,
    overlap_loss,
    region_balanced,
    weighted_cross_entropy,
    weighted_dice_loss,
)
from adumbra.training.options import UncertaintyLoss
from adumbra.training.patches import Patches

VOXELS_PER_OBSERVATION = 27
"""Voxels, 3 × 3 × 3, that count as one independent observation, for neighbours are correlated."""
LABEL_SMOOTHING = 0.1
"""Share by which labels of uncertainty 1 are moved towards 1/2."""
_NOISE_SAMPLES = 8  # Samples of the logit noise in a step.
_WARMUP_SHARE = 0.5  # Share of the steps over which the weight of the divergence rises from 0 to 1.


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch as tensors; the shapes are those of ``training.patches.Patches``."""

    images: Tensor
    present: Tensor
    labels: Tensor
    weights: Tensor
    brain: Tensor
    guidance: Tensor
    regions: Tensor | None = None
    mirror: Tensor | None = None
    context: Tensor | None = None

    @classmethod
    def from_patches(cls, patches: Patches, device: torch.device) -> "Batch":
        """The patches on a device."""
        arrays = (getattr(patches, name) for name in ("channels", "present", "labels", "weights", "brain", "guidance"))
        others = (patches.regions, patches.mirror, patches.context)
        rest = (None if a is None else torch.from_numpy(a).to(device) for a in others)
        return cls(*(torch.from_numpy(np.ascontiguousarray(a)).to(device) for a in arrays), *rest)

    @property
    def uncertainty(self) -> Tensor | None:
        """Uncertainty of the first pass over all modalities, (B, 1, X, Y, Z) in [0, 1]; None where there is none."""
        return self.guidance[:, :1] if self.guidance.shape[1] else None

    def network_input(self, *, guided: bool, images: Tensor | None = None) -> Tensor:
        """Input channels of the network: these images or others, then what it takes beside them.

        That are mirror images, context inputs and guidance maps, in this order.
        """
        shown = self.images if images is None else images
        if self.mirror is not None:
            shown = torch.cat([shown, self.mirror.to(shown.dtype)], dim=1)
        if self.context is not None:
            shown = torch.cat([shown, self.context.to(shown.dtype)], dim=1)
        return torch.cat([shown, self.guidance], dim=1) if guided else shown

    def with_uncertainty_loss(self, kind: UncertaintyLoss) -> "Batch":
        """The batch with weights or labels changed by the uncertainty."""
        uncertainty = self.guidance[:, :1]
        if kind == "weighted":
            return replace(self, weights=self.weights * (1.0 + uncertainty))
        if kind == "smoothed":
            share = LABEL_SMOOTHING * uncertainty
            return replace(self, labels=self.labels * (1.0 - share) + 0.5 * share)
        return self


def segmentation_loss(network: UNet, batch: Batch, loss: LossConfig) -> Tensor:
    """The segmentation loss of one batch."""
    if loss.kind == "dice-cross-entropy":
        batch, loss = replace(batch, weights=torch.ones_like(batch.weights)), replace(loss, hard_voxel_fraction=0.0)
    batch = batch.with_uncertainty_loss(loss.uncertainty_loss)
    if (denoising := network.mask_denoising) is not None:
        return _mask_denoising_loss(network, denoising, batch, loss)
    x = batch.network_input(guided=network.config.guidance_channels > 0)
    if (noise := network.logit_noise) is not None:
        return _noise_loss(noise, x, batch, loss, shared_noise=bool(network.config.noise_rank))
    return _logits_loss(network(x, batch.present), batch, loss)


def _logits_loss(logits: Tensor, batch: Batch, loss: LossConfig) -> Tensor:
    overlap, share = overlap_loss(loss, batch.regions), loss.hard_voxel_fraction
    return region_balanced(logits, batch.labels, batch.weights, hard_voxel_fraction=share, overlap=overlap)


def _mask_denoising_loss(network: UNet, denoising: MaskDenoising, batch: Batch, loss: LossConfig) -> Tensor:
    times = stratified_times(float(torch.rand(())), len(batch.labels)).to(batch.labels.device)
    masks = 2.0 * batch.labels - 1.0
    noisy = add_noise(masks, times, torch.randn_like(masks), Schedule())
    x = batch.network_input(guided=network.config.guidance_channels > 0)
    features = network.features_before("decoder", x, batch.present)
    logits = denoising.denoise(features, noisy.to(masks.dtype), times)
    return _logits_loss(logits, batch, loss)


def _noise_loss(noise: LogitNoise, x: Tensor, batch: Batch, loss: LossConfig, *, shared_noise: bool) -> Tensor:
    mean, spread, factors = noise.logit_distribution(x, batch.present)
    samples = sample_logits(mean, spread, factors)
    overlap = overlap_loss(loss, batch.regions)
    return loss_under_noise(samples, batch.labels, batch.weights, loss, shared_noise=shared_noise, overlap=overlap)


def regulariser_loss(
    network: UNet,
    denoiser: ImageDenoiser,
    batch: Batch,
    regulariser: RegulariserConfig,
    *,
    spacing_mm: float,
    generator: np.random.Generator,
) -> Tensor:
    """The loss of the diffusion model that shares the encoder.

    Args:
        network: The network whose encoder is shared.
        denoiser: The decoder of the diffusion model.
        batch: Images, and the uncertainty that sets the width of the blur.
        regulariser: Blur, schedule and predicted quantity.
        spacing_mm: Spacing of the isotropic grid, in millimetres.
        generator: Source of the shuffled blur and of the times.
    """
    images = blur_images(
        batch.images, batch.uncertainty, batch.brain, regulariser.blur, spacing_mm=spacing_mm, generator=generator
    )
    guided = network.config.guidance_channels > 0

    def velocity_model(noisy: Tensor, t: Tensor) -> Tensor:
        x = batch.network_input(guided=guided, images=noisy.to(images.dtype))
        velocity: Tensor = denoiser(network.features_before("decoder", x, batch.present), noisy / SPREAD, t)
        return velocity

    return regularising_loss(
        velocity_model, images, batch.present, batch.brain, regulariser, uniform_number=float(generator.random())
    )


def sample_logits(mean: Tensor, spread: Tensor, factors: tuple[Tensor, ...], count: int = _NOISE_SAMPLES) -> Tensor:
    """Samples of noisy logits, (count, B, T, X, Y, Z).

    The examples of a batch have independent noise, as in ``posterior.heteroscedastic``.

    Args:
        mean: (B, T, X, Y, Z), mean logits.
        spread: (B, T, X, Y, Z), standard deviation of each voxel's own noise.
        factors: Factors of the noise that voxels share, each (B, T, X, Y, Z).
        count: Number of samples.
    """
    shape = (count, *mean.shape)
    noise = spread * torch.randn(shape, device=mean.device)
    for factor in factors:
        noise = noise + factor * torch.randn((count, len(mean), 1, 1, 1, 1), device=mean.device)
    return mean + noise


def loss_under_noise(
    samples: Tensor,
    truth: Tensor,
    weights: Tensor,
    loss: LossConfig,
    *,
    shared_noise: bool,
    overlap: OverlapLoss = weighted_dice_loss,
) -> Tensor:
    """The terms of ``losses.region_balanced`` for samples of the logits.

    Dice and the hardest voxels are those of the mean probability. So is the cross-entropy where each voxel has only
    noise of its own. Where voxels share noise, the cross-entropy is that of whole patches.

    Args:
        samples: (S, B, T, X, Y, Z), logits.
        truth: (B, T, X, Y, Z), 0 or 1.
        weights: (B, T, X, Y, Z).
        loss: Share of the hardest voxels.
        shared_noise: Whether voxels share noise.
        overlap: The overlap term of the mean probability.
    """
    marginal = torch.logsumexp(F.logsigmoid(samples), 0) - torch.logsumexp(F.logsigmoid(-samples), 0)
    losses = weighted_cross_entropy(marginal, truth, weights)
    likelihood = _patch_cross_entropy(samples, truth, weights) if shared_noise else losses.mean()
    dice = overlap(marginal.sigmoid(), truth, weights)
    return dice + likelihood + 0.5 * mean_of_hardest(losses, loss.hard_voxel_fraction)


def _patch_cross_entropy(samples: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """-log mean_s exp(-Σ_v loss) of each patch, per voxel, averaged over the batch."""
    count = len(samples)
    sums = weighted_cross_entropy(samples, truth.expand_as(samples), weights).flatten(2).sum(2)
    patches = math.log(count) - torch.logsumexp(-sums, 0)
    return patches.mean() / truth[0].numel()


def divergence(network: nn.Module, *, step: int, steps: int, observations: float) -> Tensor:
    """KL divergence of variational weights from their prior, in nats per observation; 0 where no weight is variational.

    Args:
        network: The network.
        step: Number of the step, counted from 0; the divergence has a linear warm-up.
        steps: Number of steps of the training.
        observations: Number of independent voxels in the data.
    """
    warmup = min(1.0, (step + 1) / max(1.0, _WARMUP_SHARE * steps))
    parts = [layer.divergence() for _, layer in variational_layers(network)]
    return warmup / observations * torch.stack(parts).sum() if parts else torch.zeros(())
