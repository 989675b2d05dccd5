"""A residual 3D U-Net whose encoder is deterministic and whose decoder holds the dropout.

Ronneberger et al., MICCAI 2015; Çiçek et al., MICCAI 2016; sums instead of concatenations on the way up, as in
Myronenko, BrainLes 2018. The dropout lies at the deepest level and the first level above it: there Monte-Carlo maps are
the most reproducible, and everything that the encoder computes is computed once for all draws.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
from torch import Tensor, nn

from adumbra.networks.blocks import ChannelDropout, ResidualBlock
from adumbra.references import cites
from adumbra.shapes import Modality, Target

Features = tuple[Tensor, ...]
Masks = tuple[Tensor, ...]
_PRIOR = 0.02  # Probability that an untrained network gives everywhere; a half would have to be unlearned first.


@dataclass(frozen=True)
class UNetConfig:
    """What it takes to build the network again.

    Attributes:
        modalities: Channels in order.
        targets: One logit channel for each.
        widths: Channels by level, full resolution first.
        dropout: Share of channels dropped at each of the three sites.
    """

    modalities: tuple[Modality, ...] = ("dwi", "adc", "b0", "flair")
    targets: tuple[Target, ...] = ("lesion",)
    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    dropout: float = 0.2

    @property
    def multiple(self) -> int:
        """Every side of a patch must be a multiple of this."""
        return int(2 ** (len(self.widths) - 1))

    def as_json(self) -> dict[str, object]:
        """Plain values; ``from_json`` gives the config back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, object]) -> "UNetConfig":
        """The config of plain values; unknown or missing names raise TypeError."""
        names = {f.name for f in fields(cls)}
        if set(values) != names:
            raise TypeError(f"expected the names {sorted(names)}, found {sorted(values)}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})  # type: ignore[arg-type]


class Encoder(nn.Module):
    """One residual block a level; stride-two convolutions between them. No randomness."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        channels, widths = len(config.modalities), config.widths
        steps = itertools.pairwise(widths)
        self.down = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        inputs = (channels, *widths[1:])
        blocks = (ResidualBlock(a, b, conditions=channels) for a, b in zip(inputs, widths, strict=True))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: Tensor, present: Tensor) -> Features:
        """The features of each level, full resolution first."""
        features = [self.blocks[0](x, present)]
        for down, block in zip(self.down, list(self.blocks)[1:], strict=True):
            features.append(block(down(features[-1]), present))
        return tuple(features)


class Decoder(nn.Module):
    """From the encoder's features to logits; all dropout is here."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths = config.widths
        above = widths[-2]
        self.dropouts = nn.ModuleList(ChannelDropout(w, config.dropout) for w in (widths[-1], widths[-1], above))
        self.bottom = ResidualBlock(widths[-1], widths[-1])
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        self.blocks = nn.ModuleList(ResidualBlock(b, b) for _, b in steps)
        self.head = nn.Conv3d(widths[0], len(config.targets), 1)
        nn.init.constant_(self.head.bias, math.log(_PRIOR / (1.0 - _PRIOR)))  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor], kept: Masks | None = None) -> Tensor:
        """Logits (B, targets, X, Y, Z); ``kept`` holds one draw's masks (see ``drawn_masks``)."""
        first, second, third = kept if kept is not None else (None, None, None)
        x = self.dropouts[1](self.bottom(self.dropouts[0](features[-1], first)), second)
        for level, (up, block) in enumerate(zip(self.up, self.blocks, strict=True)):
            x = block(up(x) + features[-2 - level])
            x = self.dropouts[2](x, third) if level == 0 else x
        logits: Tensor = self.head(x)
        return logits

    def drawn_masks(self, generator: np.random.Generator) -> Masks:
        """One draw of which channels are kept at each site, float32 of zeros and ones."""
        sites = [site for site in self.dropouts if isinstance(site, ChannelDropout)]
        masks = (generator.random(site.channels) >= site.p for site in sites)
        return tuple(torch.from_numpy(mask.astype(np.float32)) for mask in masks)


@cites("Ronneberger2015", "Cicek2016", "Perez2018")
class UNet(nn.Module):
    """Encoder and decoder together.

    Args:
        config: Its widths and channels.
    """

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or UNetConfig()
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Logits of a batch of patches.

        Args:
            x: (B, C, X, Y, Z) in network units, zeros where a modality is missing; sides multiples of
                ``config.multiple``.
            present: (B, C), 1 where the modality is there.

        Returns:
            (B, targets, X, Y, Z).
        """
        return self.decoder(self.encoder(x, present))  # type: ignore[no-any-return]
