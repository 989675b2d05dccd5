"""Networks that take noise away: from images, to teach an encoder what they look like, and from masks, to draw them.

``ImageDenoiser`` predicts the noise in multimodal patches from the features of a segmenter's own encoder (Ho et al.,
NeurIPS 2020): what it learns, the encoder learns. ``MaskDenoiser`` is a segmenter of its own: given the images and a
noisy mask it estimates the mask, and what it makes of pure noise step by step is a draw from its posterior.

Both are told the time of the noise, t in [0, 1], by sines and cosines of it. Nothing but the noise is random in them.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adumbra.core.references import cites
from adumbra.core.types import Modality
from adumbra.networks.blocks import ResidualBlock
from adumbra.networks.crossmodal import CrossModal, CrossModalConfig
from adumbra.networks.unet import Features, Masks, NetworkStage, UNetConfig

_TOLD = 32  # Length of what blocks are told of the time.
_PRIOR = 0.02  # Of a mask that nothing is known of.


class TimeEmbedding(nn.Module):
    """The time of the noise as blocks are told it."""

    def __init__(self) -> None:
        super().__init__()
        self.told = nn.Sequential(nn.Linear(16, _TOLD), nn.SiLU(), nn.Linear(_TOLD, _TOLD))

    def forward(self, t: Tensor) -> Tensor:
        """(B, 32), of times (B,)."""
        angles = t.float()[:, None] * math.pi * 2.0 ** torch.arange(8, device=t.device)
        told: Tensor = self.told(torch.cat([angles.sin(), angles.cos()], dim=1))
        return told


class TimedDecoder(nn.Module):
    """From features at each level to those at full resolution, told the time."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.clock = TimeEmbedding()
        self.bottom = ResidualBlock(widths[-1], widths[-1], conditions=_TOLD)
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        self.blocks = nn.ModuleList(ResidualBlock(b, b, conditions=_TOLD) for _, b in steps)

    def forward(self, features: Sequence[Tensor], t: Tensor) -> Tensor:
        """(B, widths[0], X, Y, Z)."""
        told = self.clock(t)
        x = self.bottom(features[-1], told)
        for level, (up, block) in enumerate(zip(self.up, self.blocks, strict=True)):
            x = block(up(x) + features[-2 - level], told)
        return x


@cites("Ho2020")
class ImageDenoiser(nn.Module):
    """The noise in images, from the features that an encoder finds in them.

    What it gives is the velocity, of which the noise is a part (``diffusion.denoising.converted``): where there is hardly
    anything but noise the answer is nearly the image itself, and a network that had to copy it would never be exact
    enough to grow an image from it.

    Args:
        config: Of the segmenter whose encoder it is.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        channels = len(config.modalities)
        self.decoder = TimedDecoder(config.widths)
        # Normalisation takes the size of a value out of the features: the images themselves have it.
        self.head = nn.Conv3d(config.widths[0] + channels, channels, 1)

    def forward(self, features: Features, images: Tensor, t: Tensor) -> Tensor:
        """The velocity (B, C, X, Y, Z), float32, of noisy images (B, C, X, Y, Z) at times (B,)."""
        seen = self.decoder(features, t)
        velocity: Tensor = self.head(torch.cat([seen, images.to(seen.dtype)], dim=1))
        return velocity.float()


@dataclass(frozen=True)
class MaskDenoiserConfig(CrossModalConfig):
    """What it takes to build the network again: all is ``CrossModalConfig``'s, by default without attention."""

    primary: Modality | None = None
    windows: tuple[int | None, ...] = (None, None, None, None, None)


class MaskDecoder(nn.Module):
    """From the features of the images and a noisy mask to what the mask was."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths, targets = config.widths, len(config.targets)
        self.dropouts = nn.ModuleList()  # its chance is the noise
        self.enter = nn.Conv3d(targets, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2) for a, b in itertools.pairwise(widths))
        self.decoder = TimedDecoder(widths)
        self.head = nn.Conv3d(widths[0], targets, 1)
        nn.init.constant_(self.head.bias, math.log(_PRIOR / (1.0 - _PRIOR)))  # type: ignore[arg-type]

    def forward(self, features: Features, noisy: Tensor, t: Tensor) -> Tensor:
        """Logits (B, targets, X, Y, Z) of the clean mask, of a noisy one in about [-1, 1] at times (B,)."""
        x, joined = self.enter(noisy.to(features[0].dtype)), []
        for level, feature in enumerate(features):
            x = self.down[level - 1](torch.nn.functional.leaky_relu(x, 0.01)) if level else x
            joined.append(feature + x)
        logits: Tensor = self.head(self.decoder(joined, t))
        return logits


@cites("Ho2020", "Wolleb2022")
class MaskDenoiser(CrossModal):
    """Image encoder and mask denoiser together. The images are encoded once for all steps and all draws.

    Args:
        config: Its widths and channels.
    """

    def __init__(self, config: MaskDenoiserConfig | None = None) -> None:
        super().__init__(config or MaskDenoiserConfig())
        self.decoder = MaskDecoder(self.config)  # type: ignore[assignment]  # in place of the U-Net's

    @property
    def first_stochastic_stage(self) -> NetworkStage:
        """The decoder: what the encoder finds is the same for all draws."""
        return "decoder"

    @property
    def supports_sparse_decoding(self) -> bool:
        """Never: a draw is made in whole windows."""
        return False

    def denoised(self, features: Features, noisy: Tensor, t: Tensor) -> Tensor:
        """Logits of the clean mask, float32; its mean in [-1, 1] is tanh(logit / 2)."""
        logits: Tensor = self.decoder(features, noisy, t)
        return logits.float()

    def forward(
        self,
        x: Tensor | Features,
        present: Tensor,
        kept: Masks | None = None,  # noqa: ARG002
        *,
        part: NetworkStage = "encoder",
    ) -> Tensor:
        """Logits of the mean mask, (B, targets, X, Y, Z): the estimate at time 1, where the noise tells nothing."""
        given = (x,) if isinstance(x, Tensor) else x
        features = given if part == "decoder" else self.features_before("decoder", given[0], present)
        blank = features[0].new_zeros(len(features[0]), len(self.config.targets), *features[0].shape[2:])
        return self.denoised(features, blank, blank.new_ones(len(blank), dtype=torch.float32))
