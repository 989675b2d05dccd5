"""Denoising networks: of images, to teach an encoder their structure, and of masks, to sample them.

``ImageDenoiser`` predicts the noise in multimodal patches from the features of a segmenter's own encoder (Ho et al.,
NeurIPS 2020), so that the encoder learns with it. ``MaskDenoiser`` is a segmenter of its own: given the images and a
noisy mask it estimates the clean mask, and what it makes of pure noise step by step is a posterior draw.

Both are conditioned on the noise time t in [0, 1] by sines and cosines. They are deterministic given the noise.
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
from adumbra.networks.capabilities import MaskDenoising
from adumbra.networks.crossmodal import CrossModal, CrossModalConfig
from adumbra.networks.decoder import PRIOR_PROBABILITY, DropoutMasks, Features, NetworkStage, log_odds
from adumbra.networks.unet_config import UNetConfig

_EMBEDDING = 32  # Length of the time embedding.


class TimeEmbedding(nn.Module):
    """Sines and cosines of the noise time, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, _EMBEDDING), nn.SiLU(), nn.Linear(_EMBEDDING, _EMBEDDING))

    def forward(self, t: Tensor) -> Tensor:
        """Embedding (B, 32) of times (B,)."""
        angles = t.float()[:, None] * math.pi * 2.0 ** torch.arange(8, device=t.device)
        embedding: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))
        return embedding


class TimedDecoder(nn.Module):
    """From the features of each level to those at full resolution, conditioned on the noise time."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.time_embedding = TimeEmbedding()
        self.bottom = ResidualBlock(widths[-1], widths[-1], conditions=_EMBEDDING)
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        self.blocks = nn.ModuleList(ResidualBlock(b, b, conditions=_EMBEDDING) for _, b in steps)

    def forward(self, features: Sequence[Tensor], t: Tensor) -> Tensor:
        """Features (B, widths[0], X, Y, Z) at times (B,)."""
        embedding = self.time_embedding(t)
        x = self.bottom(features[-1], embedding)
        for level, (up, block) in enumerate(zip(self.up, self.blocks, strict=True)):
            x = block(up(x) + features[-2 - level], embedding)
        return x


@cites("Ho2020")
class ImageDenoiser(nn.Module):
    """The velocity of noisy images, from the features of a segmenter's encoder.

    The noise follows from the velocity (``diffusion.denoising.convert``). Near pure noise the noise itself is nearly
    the input: a network that had to copy it would never be exact enough to sample an image.

    Args:
        config: The segmenter whose encoder it shares.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        channels = len(config.modalities)
        self.decoder = TimedDecoder(config.widths)
        # Normalised features have lost the scale of the values, so the head reads the images as well.
        self.head = nn.Conv3d(config.widths[0] + channels, channels, 1)

    def forward(self, features: Features, images: Tensor, t: Tensor) -> Tensor:
        """The velocity (B, C, X, Y, Z), float32, of noisy images (B, C, X, Y, Z) at times (B,)."""
        decoded = self.decoder(features, t)
        velocity: Tensor = self.head(torch.cat([decoded, images.to(decoded.dtype)], dim=1))
        return velocity.float()


@dataclass(frozen=True)
class MaskDenoiserConfig(CrossModalConfig):
    """Everything needed to build the network again: the fields of ``CrossModalConfig``, by default no attention."""

    primary: Modality | None = None
    windows: tuple[int | None, ...] = (None, None, None, None, None)

    @property
    def trainable_posteriors(self) -> tuple[str, ...]:
        """Posteriors that a training can prepare for the network."""
        return ("dropout",)


class MaskDecoder(nn.Module):
    """From the features of the images and a noisy mask to the clean mask."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths, targets = config.widths, len(config.targets)
        self.dropouts = nn.ModuleList()  # The noise is the only source of randomness.
        self.enter = nn.Conv3d(targets, widths[0], 3, padding=1)
        self.down = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2) for a, b in itertools.pairwise(widths))
        self.decoder = TimedDecoder(widths)
        self.head = nn.Conv3d(widths[0], targets, 1)
        nn.init.constant_(self.head.bias, log_odds(PRIOR_PROBABILITY))  # type: ignore[arg-type]

    def forward(self, features: Features, noisy: Tensor, t: Tensor) -> Tensor:
        """Logits (B, targets, X, Y, Z) of the clean mask, from a noisy one in about [-1, 1] at times (B,)."""
        x, fused = self.enter(noisy.to(features[0].dtype)), []
        for level, feature in enumerate(features):
            x = self.down[level - 1](torch.nn.functional.leaky_relu(x, 0.01)) if level else x
            fused.append(feature + x)
        logits: Tensor = self.head(self.decoder(fused, t))
        return logits


@cites("Ho2020", "Wolleb2022")
class MaskDenoiser(CrossModal):
    """Image encoder and mask denoiser. The images are encoded once for all steps and all draws.

    Args:
        config: Widths and channels.
    """

    def __init__(self, config: MaskDenoiserConfig | None = None) -> None:
        super().__init__(config or MaskDenoiserConfig())
        self.decoder = MaskDecoder(self.config)  # type: ignore[assignment]  # in place of the U-Net's

    @property
    def first_stochastic_stage(self) -> NetworkStage:
        """The decoder: the encoder's features are the same for all draws."""
        return "decoder"

    @property
    def sparse_decoding(self) -> None:
        """None: a draw is made in whole windows."""
        return

    @property
    def mask_denoising(self) -> MaskDenoising | None:
        """The network itself."""
        return self

    def denoise(self, features: Features, noisy: Tensor, t: Tensor) -> Tensor:
        """Logits of the clean mask, float32; the mean of the mask in [-1, 1] is tanh(logit / 2)."""
        logits: Tensor = self.decoder(features, noisy, t)
        return logits.float()

    def forward(
        self,
        x: Tensor | Features,
        present: Tensor,
        masks: DropoutMasks | None = None,  # noqa: ARG002
        *,
        stage: NetworkStage = "encoder",
    ) -> Tensor:
        """Logits of the mean mask, (B, targets, X, Y, Z): the estimate at time 1, where the mask is pure noise."""
        inputs = (x,) if isinstance(x, Tensor) else x
        features = inputs if stage == "decoder" else self.features_before("decoder", inputs[0], present)
        blank = features[0].new_zeros(len(features[0]), len(self.config.targets), *features[0].shape[2:])
        return self.denoise(features, blank, blank.new_ones(len(blank), dtype=torch.float32))
