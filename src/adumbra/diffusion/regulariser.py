"""The diffusion regulariser: an encoder that segments also learns to take noise off images, blurred where in doubt.

What is unsure shall not be learned in detail: the images that are to be found again under the noise are blurred where
the first reading doubted ("focused blur"). The controls are no blur, the same blur everywhere (equal mean), the same
blurs at random places, and the inverse. In two ways: before the segmentation, or beside it, with a weight.
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
from adumbra.diffusion.denoising import converted, denoising_loss
from adumbra.diffusion.schedule import Schedule, stratified_times

SPREAD = 2.0  # Of network units: images over it have a variance of about 1, as the noise has.

Predicted = Callable[[Tensor, Tensor], Tensor]
"""The velocity of images (B, C, X, Y, Z) in network units at times (B,), as a network with that encoder predicts it."""


@dataclass(frozen=True)
class BlurConfig:
    """How images are blurred.

    Attributes:
        kind: Where, as the module says.
        max_mm: Standard deviation where the doubt is largest.
    """

    kind: BlurKind = "focused"
    max_mm: float = 4.0

    @property
    def uses_uncertainty(self) -> bool:
        """Whether a map of doubt is needed."""
        return self.kind != "none"


@dataclass(frozen=True)
class RegulariserConfig:
    """How the diffusion model takes part in a training.

    Attributes:
        weight: Of its loss beside that of the segmentation; 0 leaves it out.
        pretrain_share: Share of the steps in which it is trained alone, before the segmentation.
        blur: Of the images that it learns.
        schedule: Of the noise.
        diffusion_target: Whose error its loss is.
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
                found=f"weight {self.weight}, before {self.pretrain_share}",
                do="give a weight such as 0.1, or a share such as 0.3",
            )


def blurred(
    images: Tensor,
    doubt: Tensor | None,
    brain: Tensor,
    how: BlurConfig,
    *,
    spacing_mm: float,
    generator: np.random.Generator,
) -> Tensor:
    """The images (B, C, X, Y, Z), blurred.

    Args:
        images: In network units.
        doubt: (B, 1, X, Y, Z), of a first reading, in [0, 1]; None where the kind needs none.
        brain: (B, 1, X, Y, Z), 0 or 1: where sigmas are averaged and shuffled.
        how: They are blurred.
        spacing_mm: Of the isotropic grid.
        generator: Shuffles.

    Raises:
        InputRejected: The kind needs a doubt, and there is none.
    """
    if how.kind == "none":
        return images
    if doubt is None:
        raise InputRejected("doubt", expected="a map", found="none", do="train with a guide, or without blur")
    # Of doubt itself and not of its largest in a patch: a patch without doubt stays sharp.
    sigma = how.max_mm * (1.0 - doubt if how.kind == "inverse" else doubt) * brain
    if how.kind == "uniform":
        sigma = uniform_sigma(sigma, within=brain > 0)
    if how.kind == "shuffled":
        sigma = shuffled_sigma(sigma, generator=generator, within=brain > 0)
    return focused_blur(images, sigma, spacing_mm=(spacing_mm,) * 3)


def regularising_loss(
    predicted: Predicted,
    images: Tensor,
    present: Tensor,
    brain: Tensor,
    how: RegulariserConfig,
    *,
    uniform_number: float,
) -> Tensor:
    """Mean squared error of the predicted noise or velocity, over the brain and the modalities that are there.

    Args:
        predicted: See ``Predicted``; velocity and images are given over ``SPREAD``.
        images: (B, C, X, Y, Z), blurred as they shall be learned.
        present: (B, C).
        brain: (B, 1, X, Y, Z).
        how: The schedule, and whose error.
        uniform_number: In [0, 1), from which the times of the batch are drawn; the noise is torch's.
    """
    times = stratified_times(uniform_number, len(images)).to(images.device)
    weights = (brain * present[:, :, None, None, None]).expand_as(images)
    clean = images / SPREAD
    noise = torch.randn_like(clean)

    def told(x: Tensor, t: Tensor) -> Tensor:
        velocity = predicted(x * SPREAD, t).to(x)
        return converted(velocity, x, t, how.schedule, given="velocity", wanted=how.diffusion_target)

    return denoising_loss(told, clean, times, noise, how.schedule, predicts=how.diffusion_target, weights=weights)
