"""A residual 3D U-Net whose encoder is deterministic and whose decoder holds the dropout.

Ronneberger et al., MICCAI 2015; Çiçek et al., MICCAI 2016; sums instead of concatenations on the way up, as in
Myronenko, BrainLes 2018. The dropout usually lies at the deepest level and the first level above it: there Monte-Carlo
maps are the most reproducible, and everything that the encoder computes is computed once for all draws. It may lie at
every level instead, with a rate for each.

The network is computed in three parts, encoder, decoder and head. What comes before the first part that holds chance is
the same for all draws (``UNet.features_before``), what follows is each draw's own (``UNet.forward`` from that part on).
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from adumbra.core.references import cites
from adumbra.core.types import Modality, Target
from adumbra.networks import sparse_decoder
from adumbra.networks.blocks import ChannelDropout, ResidualBlock

C = TypeVar("C", bound="UNetConfig")
Features = tuple[Tensor, ...]
Masks = tuple[Tensor, ...]
NetworkStage = Literal["encoder", "decoder", "head"]
_PRIOR = 0.02  # Probability that an untrained network gives everywhere; a half would have to be unlearned first.
_QUIET = -4.0  # Log-variance of the noise that an untrained network predicts for its logits.


@dataclass(frozen=True)
class UNetConfig:
    """What it takes to build the network again.

    Attributes:
        modalities: Channels in order.
        targets: One logit channel for each.
        widths: Channels by level, full resolution first.
        dropout: Share of channels dropped: one number at the three sites of the deepest level and the level above, or
            a number for each level, full resolution first, in the encoder as well as in the decoder.
        noise_rank: Of a network that predicts the noise of its own logits, the rank of the noise that voxels share;
            0 lets every voxel have its own only, None predicts none.
    """

    modalities: tuple[Modality, ...] = ("dwi", "adc", "b0", "flair")
    targets: tuple[Target, ...] = ("lesion",)
    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    dropout: float | tuple[float, ...] = 0.2
    noise_rank: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.dropout, tuple) and len(self.dropout) != len(self.widths):
            raise ValueError(f"dropout: expected a rate for each of {len(self.widths)} levels, found {self.dropout}")

    @property
    def multiple(self) -> int:
        """Every side of a patch must be a multiple of this."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def guidance_channels(self) -> int:
        """How many channels of doubt follow those of the modalities: none, for nothing guides a plain U-Net."""
        return 0

    @property
    def rates(self) -> tuple[float, ...]:
        """The dropout of each level of the decoder, full resolution first."""
        if isinstance(self.dropout, tuple):
            return self.dropout
        return (*[0.0] * (len(self.widths) - 2), self.dropout, self.dropout)

    @property
    def encoder_rates(self) -> tuple[float, ...]:
        """Of each level of the encoder but the deepest, whose dropout is the decoder's."""
        return self.dropout[:-1] if isinstance(self.dropout, tuple) else (0.0,) * (len(self.widths) - 1)

    def as_json(self) -> dict[str, object]:
        """Plain values; ``from_json`` gives the config back."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls: type[C], values: Mapping[str, object]) -> C:
        """The config of plain values; a name that was not written yet when they were takes its default.

        Raises:
            TypeError: A name is unknown.
        """
        if unknown := set(values) - {f.name for f in fields(cls)}:
            raise TypeError(f"expected names of a U-Net's config, found {sorted(unknown)}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})  # type: ignore[arg-type]


class Encoder(nn.Module):
    """One residual block a level; stride-two convolutions between them. Usually without chance.

    Args:
        config: Its widths and channels.
        conditions: Length of what it is told beside the channels; by default which of them are there.
    """

    def __init__(self, config: UNetConfig, *, conditions: int | None = None) -> None:
        super().__init__()
        channels, widths = len(config.modalities), config.widths
        told = channels if conditions is None else conditions
        steps = itertools.pairwise(widths)
        self.down = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        inputs = (channels, *widths[1:])
        blocks = (ResidualBlock(a, b, conditions=told) for a, b in zip(inputs, widths, strict=True))
        self.blocks = nn.ModuleList(blocks)
        sites = zip(widths, config.encoder_rates, strict=False)
        self.dropouts = nn.ModuleList(ChannelDropout(width, rate) for width, rate in sites)

    def forward(self, x: Tensor, present: Tensor, kept: Masks | None = None) -> Features:
        """The features of each level, full resolution first; ``kept`` holds a mask for each level but the deepest."""
        features: list[Tensor] = []
        for level, block in enumerate(self.blocks):
            x = block(self.down[level - 1](x) if level else x, present)
            if level < len(self.dropouts):
                x = self.dropouts[level](x, None if kept is None else kept[level])
            features.append(x)
        return tuple(features)


class Decoder(nn.Module):
    """From the encoder's features to those that the head reads; here is the dropout."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        widths, rates = config.widths, config.rates
        sites = [(widths[-1], rates[-1]), *zip(widths[::-1], rates[::-1], strict=True)]
        self.dropouts = nn.ModuleList(ChannelDropout(width, rate) for width, rate in sites)
        self.bottom = ResidualBlock(widths[-1], widths[-1])
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        self.blocks = nn.ModuleList(ResidualBlock(b, b) for _, b in steps)
        self.head = nn.Conv3d(widths[0], len(config.targets), 1)
        nn.init.constant_(self.head.bias, math.log(_PRIOR / (1.0 - _PRIOR)))  # type: ignore[arg-type]

    def forward(self, features: Sequence[Tensor], kept: Masks | None = None) -> Tensor:
        """(B, widths[0], X, Y, Z) before the head; ``kept`` holds a mask for each site, deepest first."""
        masks = kept or (None,) * len(self.dropouts)
        x = self.dropouts[1](self.bottom(self.dropouts[0](features[-1], masks[0])), masks[1])
        for level, (up, block) in enumerate(zip(self.up, self.blocks, strict=True)):
            x = self.dropouts[2 + level](block(up(x) + features[-2 - level]), masks[2 + level])
        return x


@cites("Ronneberger2015", "Cicek2016", "Perez2018")
class UNet(nn.Module):
    """Encoder, decoder and head together.

    Args:
        config: Its widths and channels.
    """

    encoder: Any  # an ``Encoder``, or what another network puts in its place

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config: UNetConfig = config or UNetConfig()
        self.encoder = self._encoder()
        self.decoder = Decoder(self.config)
        self.noise = noise_head(self.config)

    def _encoder(self) -> nn.Module:
        return Encoder(self.config)

    @property
    def first_stochastic_stage(self) -> NetworkStage:
        """The first part that holds dropout of a rate above 0; the head where none does."""
        if any(self.config.encoder_rates):
            return "encoder"
        return "decoder" if any(self.config.rates) else "head"

    @property
    def supports_sparse_decoding(self) -> bool:
        """Whether dropout lies at the two deepest levels alone: then some voxels can be drawn without the others."""
        return (
            self.first_stochastic_stage == "decoder" and len(self.config.widths) > 2 and not any(self.config.rates[:-2])
        )

    def deterministic_window(self, features: Features) -> sparse_decoder.CachedWindow:
        """A window from the encoder's features on, with what is needed to draw at some of its voxels."""
        return sparse_decoder.ready(self.decoder, features)

    def deep(self, window: sparse_decoder.CachedWindow, kept: Masks) -> Tensor:
        """The deepest levels of several draws at once: each mask is (draws, C)."""
        return sparse_decoder.deep(self.decoder, window.features, kept[len(self.encoder.dropouts) :])

    def sites(self, window: sparse_decoder.CachedWindow, wanted: np.ndarray) -> sparse_decoder.SparseSites:
        """What must be computed for the wanted voxels of a window, (X, Y, Z)."""
        return sparse_decoder.sites(self.decoder, window, wanted)

    def at(self, window: sparse_decoder.CachedWindow, deep: Tensor, where: sparse_decoder.SparseSites) -> Tensor:
        """Logits of the wanted voxels, (draws, targets, N), from what ``deep`` gave."""
        return sparse_decoder.at(self.decoder, window, deep, where)

    def features_before(self, part: NetworkStage, x: Tensor, present: Tensor) -> Features:
        """What a part is given, the same for all draws: computed by the parts before it, their dropout off."""
        if part == "encoder":
            return (x,)
        features: Features = self.encoder(x, present)
        return features if part == "decoder" else (self.decoder(features),)

    def forward(
        self, x: Tensor | Features, present: Tensor, kept: Masks | None = None, *, part: NetworkStage = "encoder"
    ) -> Tensor:
        """Logits of a batch of patches.

        Args:
            x: (B, C, X, Y, Z) in network units, zeros where a modality is missing; sides multiples of
                ``config.multiple``. From a later part on: what ``features_before`` gave.
            present: (B, C), 1 where the modality is there.
            kept: One draw's masks, see ``sample_dropout_masks``; else channels are dropped at random while training.
            part: Where to begin.

        Returns:
            (B, targets, X, Y, Z).
        """
        logits: Tensor = self.decoder.head(self.features(x, present, kept, part=part))
        return logits

    def features(
        self, x: Tensor | Features, present: Tensor, kept: Masks | None = None, *, part: NetworkStage = "encoder"
    ) -> Tensor:
        """What the head reads, (B, widths[0], X, Y, Z); the arguments are those of ``forward``."""
        sites = len(self.encoder.dropouts)
        first, second = (None, None) if kept is None else (kept[:sites], kept[sites:])
        given = (x,) if isinstance(x, Tensor) else x
        if part == "encoder":
            given = self.encoder(given[0], present, first)
        return given[0] if part == "head" else self.decoder(given, second)

    def noisy(
        self, x: Tensor | Features, present: Tensor, kept: Masks | None = None, *, part: NetworkStage = "encoder"
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Logits, the standard deviation of each voxel's own noise, and the factors of the noise that voxels share.

        Each is (B, targets, X, Y, Z), float32; there are ``noise_rank`` factors.

        Raises:
            ValueError: The network predicts no noise.
        """
        if self.noise is None:
            raise ValueError("noise_rank: expected a rank, found None: this network predicts no noise")
        features = self.features(x, present, kept, part=part)
        logits, (log_variance, *factors) = (
            self.decoder.head(features),
            self.noise(features).float().split(len(self.config.targets), dim=1),
        )
        return logits.float(), torch.exp(0.5 * log_variance.clamp(-12.0, 6.0)), tuple(factors)

    def sample_dropout_masks(self, generator: np.random.Generator) -> Masks:
        """One draw of which channels are kept at each site, float32 of zeros and ones."""
        parts = (self.encoder, self.decoder)
        sites = [site for part in parts for site in part.dropouts if isinstance(site, ChannelDropout)]
        masks = (generator.random(site.channels) >= site.p for site in sites)
        return tuple(torch.from_numpy(mask.astype(np.float32)) for mask in masks)


def noise_head(config: UNetConfig) -> nn.Conv3d | None:
    """From the head's features to the logits' noise: log-variances (T), then the factors of each rank (T)."""
    if config.noise_rank is None:
        return None
    targets = len(config.targets)
    head = nn.Conv3d(config.widths[0], targets * (1 + config.noise_rank), 1)
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        own, shared = torch.full((targets,), _QUIET), torch.zeros(targets * config.noise_rank)
        head.bias.copy_(torch.cat([own, shared]))  # type: ignore[union-attr]  # there is one by default
    return head
