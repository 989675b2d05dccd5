"""A residual 3D U-Net whose encoder is deterministic and whose decoder holds the dropout.

Ronneberger et al., MICCAI 2015; Çiçek et al., MICCAI 2016; sums instead of concatenations on the way up, as in
Myronenko, BrainLes 2018. Dropout usually lies at the deepest level and the first level above it: there Monte-Carlo maps
are most reproducible, and the encoder is computed once for all draws. Dropout may lie at every level instead, with a
rate for each.

The network is computed in three stages: encoder, decoder and head. What precedes the first stochastic stage is the same
for all draws (``UNet.features_before``); the rest is computed for each draw (``UNet.forward`` from that stage on).
"""

import itertools
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from adumbra.core.references import cites
from adumbra.networks import sparse_decoder
from adumbra.networks.blocks import ChannelDropout, ResidualBlock
from adumbra.networks.capabilities import (
    CandidateClassification,
    CrossAttending,
    LogitNoise,
    MaskDenoising,
    SparseDecoding,
)
from adumbra.networks.decoder import Decoder, DecoderModule, DropoutMasks, EncoderModule, Features, NetworkStage
from adumbra.networks.unet_config import UNetConfig

_INITIAL_LOG_VARIANCE = -4.0  # Log-variance of the noise that an untrained network predicts for its logits.


class Encoder(nn.Module):
    """One residual block per level, joined by stride-two convolutions. Usually deterministic.

    Args:
        config: Widths and channels.
        conditions: Length of the condition vector of the normalisations; by default the presence of each modality.
    """

    def __init__(self, config: UNetConfig, *, conditions: int | None = None) -> None:
        super().__init__()
        channels, widths = config.image_channels, config.widths
        condition_length = len(config.modalities) if conditions is None else conditions
        steps = itertools.pairwise(widths)
        self.down = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2, bias=False) for a, b in steps)
        inputs = (channels, *widths[1:])
        blocks = (ResidualBlock(a, b, conditions=condition_length) for a, b in zip(inputs, widths, strict=True))
        self.blocks = nn.ModuleList(blocks)
        sites = zip(widths, config.encoder_rates, strict=False)
        self.dropouts = nn.ModuleList(ChannelDropout(width, rate) for width, rate in sites)

    def forward(self, x: Tensor, present: Tensor, masks: DropoutMasks | None = None) -> Features:
        """Features of each level, full resolution first; ``masks`` holds one for each level but the deepest."""
        features: list[Tensor] = []
        for level, block in enumerate(self.blocks):
            x = block(self.down[level - 1](x) if level else x, present)
            if level < len(self.dropouts):
                x = self.dropouts[level](x, None if masks is None else masks[level])
            features.append(x)
        return tuple(features)


@cites("Ronneberger2015", "Cicek2016", "Perez2018")
class UNet(nn.Module):
    """Encoder, decoder and head.

    Args:
        config: Widths and channels.
    """

    encoder: EncoderModule
    decoder: DecoderModule

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__()
        self.config: UNetConfig = config or UNetConfig()
        self.encoder = self._encoder()
        self.decoder = self._decoder()
        self.noise = noise_head(self.config)

    def _encoder(self) -> EncoderModule:
        return Encoder(self.config)

    def _decoder(self) -> DecoderModule:
        return Decoder(self.config.widths, self.config.rates, len(self.config.targets))

    @property
    def first_stochastic_stage(self) -> NetworkStage:
        """The first stage that holds dropout of a rate above 0; the head where none does."""
        if any(self.config.encoder_rates):
            return "encoder"
        return "decoder" if any(self.config.rates) else "head"

    @property
    def sparse_decoding(self) -> SparseDecoding | None:
        """The network, where dropout lies at the two deepest levels alone; None elsewhere."""
        deep_only = len(self.config.widths) > 2 and not any(self.config.rates[:-2])
        return self if self.first_stochastic_stage == "decoder" and deep_only else None

    @property
    def cross_attention(self) -> CrossAttending | None:
        """None: a U-Net concatenates its modalities."""
        return None

    @property
    def logit_noise(self) -> LogitNoise | None:
        """The network, where it predicts the noise of its logits; None elsewhere."""
        return self if self.config.noise_rank is not None else None

    @property
    def mask_denoising(self) -> MaskDenoising | None:
        """None: a U-Net gives logits at once."""
        return None

    @property
    def candidate_classification(self) -> CandidateClassification | None:
        """None: a U-Net segments, and does not classify candidates."""
        return None

    @property
    def _plain_decoder(self) -> Decoder:
        assert isinstance(self.decoder, Decoder)  # networks with another decoder offer no sparse decoding
        return self.decoder

    def cached_window(self, features: Features) -> sparse_decoder.CachedWindow:
        """A window without dropout, prepared for draws at some of its voxels."""
        return sparse_decoder.cached_window(self._plain_decoder, features)

    def deep_features(self, window: sparse_decoder.CachedWindow, masks: DropoutMasks) -> Tensor:
        """Output of the deepest levels for several draws at once; each mask is (R, C)."""
        return sparse_decoder.deep_features(self._plain_decoder, window.features, masks[len(self.encoder.dropouts) :])

    def sparse_sites(self, window: sparse_decoder.CachedWindow, selected: np.ndarray) -> sparse_decoder.SparseSites:
        """What must be computed for the selected voxels of a window, a mask (X, Y, Z)."""
        return sparse_decoder.sparse_sites(self._plain_decoder, window, selected)

    def sparse_logits(
        self, window: sparse_decoder.CachedWindow, deep: Tensor, sites: sparse_decoder.SparseSites
    ) -> Tensor:
        """Logits of the selected voxels, (R, targets, K), from ``deep_features``."""
        return sparse_decoder.sparse_logits(self._plain_decoder, window, deep, sites)

    def features_before(self, stage: NetworkStage, x: Tensor, present: Tensor) -> Features:
        """Input of a stage, which is the same for all draws; dropout of the stages before it is off."""
        if stage == "encoder":
            return (x,)
        features: Features = self.encoder(x, present)
        return features if stage == "decoder" else (self.decoder(features),)

    def forward(
        self,
        x: Tensor | Features,
        present: Tensor,
        masks: DropoutMasks | None = None,
        *,
        stage: NetworkStage = "encoder",
    ) -> Tensor:
        """Logits of a batch of patches.

        Args:
            x: (B, C, X, Y, Z) in network units, zeros where a modality is missing; sides are multiples of
                ``config.multiple``. For a later stage: the output of ``features_before``.
            present: (B, C), 1 where the modality is there.
            masks: Dropout masks of one draw, see ``sample_dropout_masks``; without them channels are dropped at random
                in training.
            stage: The stage to begin with.

        Returns:
            (B, targets, X, Y, Z).
        """
        logits: Tensor = self.decoder.head(self.features(x, present, masks, stage=stage))
        return logits

    def features(
        self,
        x: Tensor | Features,
        present: Tensor,
        masks: DropoutMasks | None = None,
        *,
        stage: NetworkStage = "encoder",
    ) -> Tensor:
        """Features that the head reads, (B, widths[0], X, Y, Z); the arguments are those of ``forward``."""
        sites = len(self.encoder.dropouts)
        encoder_masks, decoder_masks = (None, None) if masks is None else (masks[:sites], masks[sites:])
        inputs = (x,) if isinstance(x, Tensor) else x
        if stage == "encoder":
            inputs = self.encoder(inputs[0], present, encoder_masks)
        return inputs[0] if stage == "head" else self.decoder(inputs, decoder_masks)

    def logit_distribution(
        self,
        x: Tensor | Features,
        present: Tensor,
        masks: DropoutMasks | None = None,
        *,
        stage: NetworkStage = "encoder",
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Mean logits, the standard deviation of each voxel's own noise, and the factors of the shared noise.

        Each is (B, targets, X, Y, Z), float32; there are ``noise_rank`` factors.

        Raises:
            ValueError: The network predicts no noise.
        """
        if self.noise is None:
            raise ValueError("noise_rank: expected a rank, found None: this network predicts no noise")
        features = self.features(x, present, masks, stage=stage)
        logits, (log_variance, *factors) = (
            self.decoder.head(features),
            self.noise(features).float().split(len(self.config.targets), dim=1),
        )
        return logits.float(), torch.exp(0.5 * log_variance.clamp(-12.0, 6.0)), tuple(factors)

    def with_parameters(
        self, parameters: Mapping[str, Tensor], x: Features, present: Tensor, *, stage: NetworkStage
    ) -> Tensor:
        """Logits from a stage on, with these parameters in place of the network's own."""
        logits: Tensor = functional_call(self, dict(parameters), (x, present), {"stage": stage})
        return logits

    def sample_dropout_masks(self, generator: np.random.Generator) -> DropoutMasks:
        """One sample of the channels that are not dropped at each site, float32 zeros and ones."""
        parts = (self.encoder, self.decoder)
        sites = [site for part in parts for site in part.dropouts if isinstance(site, ChannelDropout)]
        masks = (generator.random(site.channels) >= site.p for site in sites)
        return tuple(torch.from_numpy(mask.astype(np.float32)) for mask in masks)


def noise_head(config: UNetConfig) -> nn.Conv3d | None:
    """From the head's features to the noise of the logits: log-variances (T), then the factors of each rank (T)."""
    if config.noise_rank is None:
        return None
    targets = len(config.targets)
    head = nn.Conv3d(config.widths[0], targets * (1 + config.noise_rank), 1)
    nn.init.zeros_(head.weight)
    with torch.no_grad():
        own, shared = torch.full((targets,), _INITIAL_LOG_VARIANCE), torch.zeros(targets * config.noise_rank)
        head.bias.copy_(torch.cat([own, shared]))  # type: ignore[union-attr]  # there is one by default
    return head
