"""The decoder of the U-Net: residual blocks on the way up, with channel dropout at chosen levels."""

import math
from collections.abc import Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from torch import Tensor, nn

from adumbra.networks.blocks import ChannelDropout, ResidualBlock

Features = tuple[Tensor, ...]
"""The encoder's features of each level, full resolution first."""
DropoutMasks = tuple[Tensor, ...]
"""One mask for each dropout site: zeros and ones, (C,) or (B, C)."""
NetworkStage = Literal["encoder", "decoder", "head"]
"""The stages of a network, in the order in which they are computed."""

PRIOR_PROBABILITY = 0.02
"""Probability that an untrained network gives everywhere; one half would have to be unlearned first."""


@runtime_checkable
class EncoderModule(Protocol):
    """What a U-Net needs of its encoder."""

    @property
    def dropouts(self) -> nn.ModuleList:
        """Dropout of each level but the deepest; empty where the encoder is deterministic."""
        ...

    @property
    def __call__(self) -> Any:  # torch types the call of a module so: (x, present, masks) to ``Features``
        """Features of a batch."""
        ...

    def parameters(self) -> Any:
        """The trained parameters."""
        ...


class DecoderModule(nn.Module):
    """What a U-Net needs of its decoder: a module that is called with features and masks.

    Attributes:
        dropouts: Dropout sites, deepest first.
        head: From the features at full resolution to logits.
    """

    dropouts: nn.ModuleList
    head: nn.Conv3d


class Decoder(DecoderModule):
    """From the encoder's features to those that the head reads.

    Args:
        widths: Channels of each level, full resolution first.
        rates: Dropout rate of each level, full resolution first.
        targets: Number of logit channels of the head.
    """

    def __init__(self, widths: Sequence[int], rates: Sequence[float], targets: int) -> None:
        super().__init__()
        sites = [(widths[-1], rates[-1]), *zip(widths[::-1], rates[::-1], strict=True)]
        self.dropouts = nn.ModuleList(ChannelDropout(width, rate) for width, rate in sites)
        self.bottom = ResidualBlock(widths[-1], widths[-1])
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        self.blocks = nn.ModuleList(ResidualBlock(b, b) for _, b in steps)
        self.head = nn.Conv3d(widths[0], targets, 1)
        nn.init.constant_(self.head.bias, log_odds(PRIOR_PROBABILITY))  # type: ignore[arg-type]

    def block(self, step: int) -> ResidualBlock:
        """The residual block of a step up from the bottom."""
        block = self.blocks[step]
        assert isinstance(block, ResidualBlock)  # a ModuleList forgets the type
        return block

    def upsampling(self, step: int) -> nn.ConvTranspose3d:
        """The transposed convolution of a step up from the bottom."""
        up = self.up[step]
        assert isinstance(up, nn.ConvTranspose3d)  # a ModuleList forgets the type
        return up

    def forward(self, features: Sequence[Tensor], masks: DropoutMasks | None = None) -> Tensor:
        """Features before the head, (B, widths[0], X, Y, Z).

        Args:
            features: The encoder's, full resolution first.
            masks: One for each dropout site, deepest first; without them channels are dropped at random in training.
        """
        site_masks: Sequence[Tensor | None] = masks or (None,) * len(self.dropouts)
        x = self.dropouts[1](self.bottom(self.dropouts[0](features[-1], site_masks[0])), site_masks[1])
        for level, (up, block) in enumerate(zip(self.up, self.blocks, strict=True)):
            x = self.dropouts[2 + level](block(up(x) + features[-2 - level]), site_masks[2 + level])
        return x


def log_odds(probability: float) -> float:
    """ln(p / (1 - p))."""
    return math.log(probability / (1.0 - probability))
