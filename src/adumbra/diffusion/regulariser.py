"""The diffusion regulariser: the encoder of a segmenter also learns to denoise images that are blurred by uncertainty.

Uncertain regions shall not be learned in detail. So the clean images of the diffusion model are blurred where the first
pass was uncertain (focused blur). The controls are no blur, a uniform blur of equal mean, the same blur at random
voxels, and the inverse. The diffusion model is trained before the segmentation, or together with it with a weight.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from adumbra.blur.focused_blur import focused_blur
from adumbra.blur.sigma_maps import shuffled_sigma, uniform_sigma
from adumbra.core.errors import InputRejected
from adumbra.core.options import BlurKind, DiffusionTarget
from adumbra.diffusion.denoising import convert, denoising_loss
from adumbra.diffusion.schedule import Schedule, stratified_times

SPREAD = 2.0
"""Divisor of images in network units that gives them a variance of about 1, which is that of the noise."""

VelocityModel = Callable[[Tensor, Tensor], Tensor]
"""From noisy images (B, C, X, Y, Z) in network units and times (B,) to their velocity, divided by ``SPREAD``."""


@dataclass(frozen=True)
class BlurConfig:
    """How images are blurred.

    Attributes:
        kind: Where images are blurred: the focused blur, or a control.
        max_mm: Largest standard deviation of the blur, in mm: at uncertainty 1, or at 0 for the inverse.
    """

    kind: BlurKind = "focused"
    max_mm: float = 4.0

    @property
    def uses_uncertainty(self) -> bool:
        """Whether an uncertainty map is needed."""
        return self.kind != "none"


@dataclass(frozen=True)
class RegulariserConfig:
    """How the diffusion model takes part in a training.

    Attributes:
        weight: Weight of its loss beside that of the segmentation; 0 omits it.
        pretrain_share: Share of the steps in which the diffusion model is trained alone, before the segmentation.
        blur: How its clean images are blurred.
        schedule: The noise schedule.
        diffusion_target: The quantity whose error is the loss.
    """

    weight: float = 0.1
    pretrain_share: float = 0.0
    blur: BlurConfig = field(default_factory=BlurConfig)
    schedule: Schedule = field(default_factory=Schedule)
    diffusion_target: DiffusionTarget = "noise"

    def __post_init__(self) -> None:
        if self.weight < 0 or not 0.0 <= self.pretrain_share < 1.0 or not (self.weight or self.pretrain_share):
            raise InputRejected(
                "regulariser",
                expected="a weight from 0, a share of the steps in [0, 1), and one of them above 0",
                found=f"weight {self.weight}, share {self.pretrain_share}",
                do="give a weight such as 0.1, or a share such as 0.3",
            )


def blur_images(
    images: Tensor,
    uncertainty: Tensor | None,
    brain: Tensor,
    config: BlurConfig,
    *,
    spacing_mm: float,
    generator: np.random.Generator,
) -> Tensor:
    """The images, blurred by the uncertainty or by a control.

    Args:
        images: (B, C, X, Y, Z), in network units.
        uncertainty: (B, 1, X, Y, Z), uncertainty of a first pass in [0, 1]; None where the kind of blur needs none.
        brain: (B, 1, X, Y, Z), 0 or 1: voxels that are blurred, and over which controls average or permute sigma.
        config: Kind and width of the blur.
        spacing_mm: Spacing of the isotropic grid, in mm.
        generator: Source of the permutation.

    Raises:
        InputRejected: The kind of blur needs an uncertainty map, and there is none.
    """
    if config.kind == "none":
        return images
    if uncertainty is None:
        raise InputRejected("uncertainty", expected="a map", found="none", do="train with a guide, or without blur")
    # Uncertainty is not divided by its maximum in the patch, so that a patch without uncertainty stays sharp.
    sigma = config.max_mm * (1.0 - uncertainty if config.kind == "inverse" else uncertainty) * brain
    if config.kind == "uniform":
        sigma = uniform_sigma(sigma, within=brain > 0)
    if config.kind == "shuffled":
        sigma = shuffled_sigma(sigma, generator=generator, within=brain > 0)
    return focused_blur(images, sigma, spacing_mm=(spacing_mm,) * 3)


def regularising_loss(
    velocity_model: VelocityModel,
    images: Tensor,
    present: Tensor,
    brain: Tensor,
    config: RegulariserConfig,
    *,
    uniform_number: float,
) -> Tensor:
    """Mean squared error of the predicted noise or velocity, over the brain and the available modalities.

    Args:
        velocity_model: The network with the shared encoder.
        images: (B, C, X, Y, Z), clean images in network units, already blurred.
        present: (B, C), 1 where a modality is available.
        brain: (B, 1, X, Y, Z), 0 or 1.
        config: The schedule, and the quantity whose error is the loss.
        uniform_number: Number in [0, 1) from which the times of the batch follow; the noise comes from torch's global
            generator.
    """
    times = stratified_times(uniform_number, len(images)).to(images.device)
    weights = (brain * present[:, :, None, None, None]).expand_as(images)
    clean = images / SPREAD
    noise = torch.randn_like(clean)

    def denoise(x: Tensor, t: Tensor) -> Tensor:
        velocity = velocity_model(x * SPREAD, t).to(x)
        return convert(velocity, x, t, config.schedule, given="velocity", wanted=config.diffusion_target)

    return denoising_loss(
        denoise, clean, times, noise, config.schedule, predicts=config.diffusion_target, weights=weights
    )
