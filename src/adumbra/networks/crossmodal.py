"""A U-Net with an encoder for each modality, and cross-attention from the primary modality to the others.

At each level that has a window, the features of the primary modality F1 become F1 + g(U) A(F1; F2 ... FM), see
``networks.attention``; the other levels use F1 alone. The decoder is that of ``networks.unet``, with its dropout, so
that every posterior applies to this network as well. ``primary`` may be all modalities together instead of one: that is
the plain U-Net with attention at its skip connections.

A guided network takes guidance maps behind the modalities: one channel with the uncertainty U of a first pass over all
modalities, and one for each modality with the uncertainty of a first pass over that modality alone.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.core.types import Modality
from adumbra.networks.attention import CrossAttention, UncertaintyGate
from adumbra.networks.capabilities import CrossAttending
from adumbra.networks.decoder import DropoutMasks, Features, NetworkStage
from adumbra.networks.unet import Encoder, UNet
from adumbra.networks.unet_config import UNetConfig


@dataclass(frozen=True)
class CrossModalConfig(UNetConfig):
    """Everything needed to build the network again; the other fields are those of ``UNetConfig``.

    Attributes:
        primary: The modality whose features attend; None is all modalities together, as a plain U-Net sees them.
        windows: For each level, full resolution first, the side of the cube in which a voxel attends, in voxels of that
            level; 0 is the whole map, None is no attention.
        heads: Number of attention heads.
        slim: Factor by which a single modality has fewer channels than all together; it bounds the cost.
        shared: Whether the encoders of all modalities share their convolutions; gains and shifts are always their own.
        guided: Whether guidance maps open the attention gate; otherwise it is always open.
    """

    primary: Modality | None = "dwi"
    windows: tuple[int | None, ...] = (None, 1, 4, 0, None)
    heads: int = 2
    slim: int = 2
    shared: bool = True
    guided: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mirrored:
            raise ValueError("mirrored: expected False, for this network reads each modality alone, found True")
        if self.context:
            raise ValueError(f"context: expected (), for this network reads each modality alone, found {self.context}")
        if isinstance(self.dropout, tuple):
            raise ValueError(f"dropout: expected one rate, for the encoders hold none, found {self.dropout}")
        if len(self.windows) != len(self.widths):
            raise ValueError(f"windows: expected one for each of {len(self.widths)} levels, found {self.windows}")
        if self.primary is not None and self.primary not in self.modalities:
            raise ValueError(f"primary: expected one of {', '.join(self.modalities)}, found {self.primary}")
        if any(width % self.slim for width in self.widths):
            raise ValueError(f"slim: expected a divisor of {self.widths}, found {self.slim}")
        if any(width % self.heads for width in self.widths):
            raise ValueError(f"heads: expected a divisor of {self.widths}, found {self.heads}")

    @property
    def has_joint_encoder(self) -> bool:
        """Whether one encoder sees all modalities together; not where a single modality is the primary one."""
        return self.primary is None

    @property
    def attention_windows(self) -> tuple[int | None, ...]:
        """Attention window of each level."""
        return self.windows

    @property
    def trainable_posteriors(self) -> tuple[str, ...]:
        """Posteriors that a training can prepare for the network."""
        return ("dropout", "laplace", "deterministic", "swag")

    @property
    def single_modality_widths(self) -> tuple[int, ...]:
        """Channels of a single modality at each level, as far down as they are needed; all levels for a primary one."""
        attended = (level + 1 for level, window in enumerate(self.windows) if window is not None)
        levels = max(attended, default=0) if self.primary is None else len(self.widths)
        return tuple(width // self.slim for width in self.widths[:levels])

    @property
    def others(self) -> tuple[Modality, ...]:
        """The modalities that are attended to."""
        return tuple(modality for modality in self.modalities if modality != self.primary)

    @property
    def guidance_channels(self) -> int:
        """Number of guidance maps that follow the modalities: one for all together, and one for each."""
        return 1 + len(self.modalities) if self.guided else 0


class SingleModalityEncoders(nn.Module):
    """Encoders of single modalities, and learned features that stand for a missing one."""

    def __init__(self, config: CrossModalConfig) -> None:
        super().__init__()
        self.count, self.shared = len(config.modalities), config.shared
        single = UNetConfig(modalities=config.modalities[:1], widths=config.single_modality_widths)
        encoders = 1 if config.shared else self.count
        conditions = self.count if config.shared else 1
        self.encoders = nn.ModuleList(Encoder(single, conditions=conditions) for _ in range(encoders))
        self.tokens = nn.ParameterList(torch.zeros(self.count, width) for width in single.widths)

    def forward(self, x: Tensor, present: Tensor, which: list[int]) -> list[Tensor]:
        """Features of each level, (B, M, C, X, Y, Z), of the modalities at the indices ``which``."""
        batch = len(x)
        if self.shared:
            one_hot = torch.eye(self.count, device=x.device, dtype=present.dtype)[which].repeat(batch, 1)
            features = self.encoders[0](x[:, which].reshape(-1, 1, *x.shape[2:]), one_hot)
            levels = [f.view(batch, len(which), *f.shape[1:]) for f in features]
        else:
            single = [self.encoders[m](x[:, m : m + 1], present[:, m : m + 1]) for m in which]
            levels = [torch.stack(level, dim=1) for level in zip(*single, strict=True)]
        available = present[:, which].view(batch, -1, 1, 1, 1, 1)
        return [
            torch.where(available > 0, level, token[which].to(level.dtype).view(1, -1, level.shape[2], 1, 1, 1))
            for level, token in zip(levels, self.tokens, strict=True)
        ]


class CrossEncoder(nn.Module):
    """Primary features of each level, with what attention adds from the other modalities."""

    def __init__(self, config: CrossModalConfig) -> None:
        super().__init__()
        self.config = config
        self.single = SingleModalityEncoders(config) if config.single_modality_widths else None
        self.joint = Encoder(config) if config.primary is None else None
        self.dropouts = nn.ModuleList()  # The encoder is deterministic.
        widths = zip(config.single_modality_widths, config.widths, strict=False) if config.primary is not None else ()
        self.widen = nn.ModuleList(nn.Conv3d(a, b, 1, bias=False) for a, b in widths)
        self.attention = nn.ModuleDict(
            {
                str(level): CrossAttention(
                    width,
                    len(config.others),
                    window=window,
                    heads=config.heads,
                    other_channels=config.single_modality_widths[level],
                    guided=config.guided,
                )
                for level, (width, window) in enumerate(zip(config.widths, config.windows, strict=True))
                if window is not None
            }
        )
        self.gates = nn.ModuleDict({level: UncertaintyGate() for level in self.attention}) if config.guided else None

    def forward(self, x: Tensor, present: Tensor, masks: DropoutMasks | None = None) -> Features:  # noqa: ARG002
        """Features of each level, full resolution first; ``masks`` is unused, for there is no dropout."""
        features, _ = self.attend(x, present)
        return features

    def attend(self, x: Tensor, present: Tensor) -> tuple[Features, dict[int, Tensor]]:
        """The features, and for each level with attention the weight of each other modality, (B, M, X, Y, Z)."""
        config = self.config
        images, guidance = x[:, : len(config.modalities)], x[:, len(config.modalities) :]
        others = [config.modalities.index(m) for m in config.others]
        levels = self.single(images, present, others) if self.single is not None else []
        primary = self._primary(images, present)
        features, weights = [], {}
        for level, own in enumerate(primary):
            fused = own
            if str(level) in self.attention:
                uncertainty = guidance[:, [1 + m for m in others]] if config.guided else None
                attended, weights[level] = self.attention[str(level)](
                    own, levels[level], present[:, others], uncertainty
                )
                fused = own + (attended if self.gates is None else self.gates[str(level)](guidance[:, :1]) * attended)
            features.append(fused.to(own.dtype))
            if guidance.shape[1] and level + 1 < len(primary):
                guidance = F.max_pool3d(guidance, 2)  # One uncertain voxel makes the coarser voxel uncertain.
        return tuple(features), weights

    def attention_gates(self, x: Tensor) -> dict[int, Tensor]:
        """Gate of each level with attention, (B, 1, X, Y, Z); empty where nothing guides the network."""
        first = len(self.config.modalities)
        guidance = x[:, first : first + 1]
        gates = {} if self.gates is None else {int(level): gate for level, gate in self.gates.items()}
        return {level: gate(F.max_pool3d(guidance, 2**level)) for level, gate in gates.items()}

    def _primary(self, images: Tensor, present: Tensor) -> list[Tensor]:
        if self.joint is not None:
            return list(self.joint(images, present))
        index = self.config.modalities.index(self.config.primary)  # type: ignore[arg-type]  # it is not None
        levels = self.single(images, present, [index])  # type: ignore[misc]  # a primary modality is encoded alone
        return [widen(level[:, 0]) for widen, level in zip(self.widen, levels, strict=True)]


class CrossModal(UNet):
    """Cross-modal encoder, decoder and head; in all else a ``UNet``.

    Args:
        config: Widths, channels and attention windows.
    """

    config: CrossModalConfig
    encoder: CrossEncoder

    def __init__(self, config: CrossModalConfig | None = None) -> None:
        super().__init__(config or CrossModalConfig())

    def _encoder(self) -> CrossEncoder:
        return CrossEncoder(self.config)

    @property
    def cross_attention(self) -> CrossAttending | None:
        """The network, where a level has attention; None elsewhere."""
        return self if any(window is not None for window in self.config.windows) else None

    @property
    def attention_config(self) -> CrossModalConfig:
        """Which modalities attend to which."""
        return self.config

    def attention_weights(self, x: Tensor, present: Tensor) -> dict[int, Tensor]:
        """Attention weight of each of ``config.others`` by level, (B, M, X, Y, Z)."""
        return self.encoder.attend(x, present)[1]

    def attention_gates(self, x: Tensor) -> dict[int, Tensor]:
        """Attention gate by level, (B, 1, X, Y, Z), in (0, 1); empty where nothing guides the network."""
        return self.encoder.attention_gates(x)


@dataclass(frozen=True)
class LateAverageConfig(UNetConfig):
    """Everything needed to build the network again; all fields are those of ``UNetConfig``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mirrored:
            raise ValueError("mirrored: expected False, for this network reads each modality alone, found True")
        if self.context:
            raise ValueError(f"context: expected (), for this network reads each modality alone, found {self.context}")

    @property
    def trainable_posteriors(self) -> tuple[str, ...]:
        """Posteriors that a training can prepare for the network."""
        return ("dropout", "laplace", "deterministic", "swag")


class LateAverage(UNet):
    """One U-Net applied to each modality alone; the probabilities of the available modalities are averaged.

    Modalities share no stage before they are averaged, so that draws begin with the encoder.
    """

    @property
    def first_stochastic_stage(self) -> NetworkStage:
        """The encoder, for all stages are computed for each modality; the head where nothing is stochastic."""
        return "encoder" if super().first_stochastic_stage != "head" else "head"

    @property
    def sparse_decoding(self) -> None:
        """None: see ``first_stochastic_stage``."""
        return

    def features_before(self, stage: NetworkStage, x: Tensor, present: Tensor) -> Features:  # noqa: ARG002
        """The images themselves, whatever the stage."""
        return super().features_before("encoder", x, present)

    def forward(
        self,
        x: Tensor | Features,
        present: Tensor,
        masks: DropoutMasks | None = None,
        *,
        stage: NetworkStage = "encoder",  # noqa: ARG002
    ) -> Tensor:
        """The logit of the mean probability, (B, targets, X, Y, Z); the arguments are those of ``UNet.forward``."""
        images = x if isinstance(x, Tensor) else x[0]
        batch, count = present.shape
        one_hot = torch.eye(count, device=images.device, dtype=images.dtype)
        single_images = (images[:, None] * one_hot.view(1, count, count, 1, 1, 1)).flatten(0, 1)
        single_present = (present[:, None] * one_hot.to(present)).flatten(0, 1)
        logits = super().forward(single_images, single_present, _for_each_modality(masks, batch, count))
        logits = logits.unflatten(0, (batch, count)).float()
        share = (present / present.sum(dim=1, keepdim=True)).view(batch, count, 1, 1, 1, 1)
        positive = torch.logsumexp(F.logsigmoid(logits) + share.log(), dim=1)
        negative = torch.logsumexp(F.logsigmoid(-logits) + share.log(), dim=1)
        return positive - negative


def _for_each_modality(masks: DropoutMasks | None, batch: int, count: int) -> DropoutMasks | None:
    """Dropout masks of a batch, repeated for each of its modalities."""
    if masks is None:
        return None
    return tuple(m.repeat_interleave(count, dim=0) if m.ndim == 2 and len(m) == batch else m for m in masks)
