"""A U-Net that computes little at full resolution, for a high throughput of voxels.

The stem is a strided convolution, so that residual blocks begin at half resolution, where more channels fill the matrix
units of a processor. At full resolution a single convolution of the images (the skip) meets the upsampled features
before the head. The decoder has one convolution per level. A training step takes less than half of the CPU time of that
of the plain U-Net of the same widths (``benchmarks/training_throughput.py``).

All tensors are kept in the memory format channels-last, in which the convolutions are fastest on a CPU.
"""

import itertools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.core.references import cites
from adumbra.networks.blocks import SLOPE, ChannelDropout, ConditionedNorm, ResidualBlock
from adumbra.networks.capabilities import SparseDecoding
from adumbra.networks.decoder import PRIOR_PROBABILITY, DecoderModule, DropoutMasks, EncoderModule, Features, log_odds
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig

_STEM = 4  # Side of the stem's kernel: each voxel at half resolution sees its eight voxels and their neighbours.


@dataclass(frozen=True)
class StridedUNetConfig(UNetConfig):
    """The architecture of a strided U-Net; the first width is that of the skip at full resolution.

    Attributes:
        widths: Channels of each level, full resolution first.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96, 96)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.widths) < 2:
            raise ValueError(f"widths: expected at least two levels, found {self.widths}")


class StridedEncoder(nn.Module):
    """A convolution at full resolution, and residual blocks from half resolution on.

    Args:
        config: Widths and channels.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        channels, conditions, widths = config.image_channels, len(config.modalities), config.widths
        self.skip = nn.Conv3d(channels, widths[0], 3, padding=1)
        self.stem = nn.Conv3d(channels, widths[1], _STEM, stride=2, padding=(_STEM - 2) // 2, bias=False)
        self.stem_norm = ConditionedNorm(widths[1], conditions)
        steps = itertools.pairwise(widths[1:])
        self.down = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        self.blocks = nn.ModuleList(ResidualBlock(width, width, conditions=conditions) for width in widths[1:])
        sites = zip(widths, config.encoder_rates, strict=False)
        self.dropouts = nn.ModuleList(ChannelDropout(width, rate) for width, rate in sites)

    def forward(self, x: Tensor, present: Tensor, masks: DropoutMasks | None = None) -> Features:
        """Features of each level, full resolution first; ``masks`` holds one for each level but the deepest."""
        x = x.contiguous(memory_format=torch.channels_last_3d)
        features = [self._dropped(0, self.skip(x), masks)]
        x = F.leaky_relu(self.stem_norm(self.stem(x), present), SLOPE, inplace=True)
        for level, block in enumerate(self.blocks, start=1):
            x = block(self.down[level - 2](x) if level > 1 else x, present)
            x = self._dropped(level, x, masks)
            features.append(x)
        return tuple(features)

    def _dropped(self, level: int, x: Tensor, masks: DropoutMasks | None) -> Tensor:
        if level >= len(self.dropouts):
            return x
        dropped: Tensor = self.dropouts[level](x, None if masks is None else masks[level])
        return dropped


class ConvolutionBlock(nn.Module):
    """One normalised 3×3×3 convolution around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norm = ConditionedNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, X, Y, Z), as the input."""
        return F.leaky_relu(self.norm(self.conv(x)) + x, SLOPE, inplace=True)


class StridedDecoder(DecoderModule):
    """From the encoder's features to those that the head reads, without a block at full resolution.

    Args:
        config: Widths, dropout rates and targets.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths, rates = config.widths, config.rates
        sites = [(widths[-1], rates[-1]), *zip(widths[-2::-1], rates[-2::-1], strict=True)]
        self.dropouts = nn.ModuleList(ChannelDropout(width, rate) for width, rate in sites)
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        self.blocks = nn.ModuleList(ConvolutionBlock(b) for _, b in steps[:-1])
        self.head = nn.Conv3d(widths[0], len(config.targets), 1)
        nn.init.constant_(self.head.bias, log_odds(PRIOR_PROBABILITY))  # type: ignore[arg-type]

    def forward(self, features: Features, masks: DropoutMasks | None = None) -> Tensor:
        """Features before the head, (B, widths[0], X, Y, Z).

        Args:
            features: The encoder's, full resolution first.
            masks: One for each dropout site, deepest first; without them channels are dropped at random in training.
        """
        site_masks = masks or (None,) * len(self.dropouts)
        x = self.dropouts[0](features[-1], site_masks[0])
        for step, up in enumerate(self.up):
            x = up(x) + features[-2 - step]
            x = self.blocks[step](x) if step < len(self.blocks) else F.leaky_relu(x, SLOPE, inplace=True)
            x = self.dropouts[1 + step](x, site_masks[1 + step])
        return x


@cites("Ronneberger2015", "Cicek2016", "Perez2018")
class StridedUNet(UNet):
    """Encoder, decoder and head of a strided U-Net."""

    def _encoder(self) -> EncoderModule:
        return StridedEncoder(self.config)

    def _decoder(self) -> DecoderModule:
        return StridedDecoder(self.config)

    @property
    def sparse_decoding(self) -> SparseDecoding | None:
        """None: a whole decoder costs little more than the selected voxels of one."""
        return None
