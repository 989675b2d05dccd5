"""A U-Net that listens across modalities: an encoder for each, and attention from the primary one to the others.

At each level that has a window the features of the primary modality, F1, become F1 + g(U) A(F1; F2 ... FM), see
``networks.attention``; the other levels go on with F1 alone. What follows is the decoder of ``unet``, with its dropout,
so that every posterior draws from this network as well. ``primary`` may be all modalities at once instead of one: that
is the plain U-Net with attention at its skips.

A guided network is given, behind the modalities, one channel with the doubt U of a first reading and one for each
modality with its own: see ``guidance_channels``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.core.types import Modality, Target
from adumbra.networks.attention import CrossAttention, UncertaintyGate
from adumbra.networks.unet import Encoder, Features, Masks, NetworkStage, UNet, UNetConfig

PRIMARY: Mapping[Target, Modality] = {"lesion": "dwi", "thrombus": "swi"}
"""The modality that each target is outlined on."""


@dataclass(frozen=True)
class CrossModalConfig(UNetConfig):
    """What it takes to build the network again; what is not here is ``UNetConfig``'s.

    Attributes:
        primary: The modality that listens; None is all of them together, as a plain U-Net sees them.
        windows: By level, full resolution first: side of the cube in which a voxel looks, in voxels of that level; 0 is
            the whole map, None no attention.
        heads: That attend apart.
        slim: How many times fewer channels a modality has alone than all have together: most of the cost is there.
        shared: Whether the encoders of all modalities have the same convolutions; gains and shifts are each one's own.
        guided: Whether uncertainty opens the attention; otherwise it is always open.
    """

    primary: Modality | None = "dwi"
    windows: tuple[int | None, ...] = (None, 1, 4, 0, None)
    heads: int = 2
    slim: int = 2
    shared: bool = True
    guided: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
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
    def widths_apart(self) -> tuple[int, ...]:
        """Channels by level of a modality alone, as far down as it is asked for: for a primary one all the way."""
        attended = (level + 1 for level, window in enumerate(self.windows) if window is not None)
        levels = max(attended, default=0) if self.primary is None else len(self.widths)
        return tuple(width // self.slim for width in self.widths[:levels])

    @property
    def others(self) -> tuple[Modality, ...]:
        """The modalities that are listened to."""
        return tuple(modality for modality in self.modalities if modality != self.primary)

    @property
    def guidance_channels(self) -> int:
        """How many channels follow those of the modalities: the doubt of the first reading, and each modality's own."""
        return 1 + len(self.modalities) if self.guided else 0


class OneModality(nn.Module):
    """Encoders of single modalities, and what stands for one that is missing."""

    def __init__(self, config: CrossModalConfig) -> None:
        super().__init__()
        self.count, self.shared = len(config.modalities), config.shared
        alone = UNetConfig(modalities=config.modalities[:1], widths=config.widths_apart)
        encoders = 1 if config.shared else self.count
        conditions = self.count if config.shared else 1
        self.encoders = nn.ModuleList(Encoder(alone, conditions=conditions) for _ in range(encoders))
        self.tokens = nn.ParameterList(torch.zeros(self.count, width) for width in alone.widths)

    def forward(self, x: Tensor, present: Tensor, which: list[int]) -> list[Tensor]:
        """Features of each level, (B, M, C, X, Y, Z), of the modalities that are asked for."""
        batch = len(x)
        if self.shared:
            told = torch.eye(self.count, device=x.device, dtype=present.dtype)[which].repeat(batch, 1)
            found = self.encoders[0](x[:, which].reshape(-1, 1, *x.shape[2:]), told)
            levels = [f.view(batch, len(which), *f.shape[1:]) for f in found]
        else:
            apart = [self.encoders[m](x[:, m : m + 1], present[:, m : m + 1]) for m in which]
            levels = [torch.stack(level, dim=1) for level in zip(*apart, strict=True)]
        there = present[:, which].view(batch, -1, 1, 1, 1, 1)
        return [
            torch.where(there > 0, level, token[which].to(level.dtype).view(1, -1, level.shape[2], 1, 1, 1))
            for level, token in zip(levels, self.tokens, strict=True)
        ]


class CrossEncoder(nn.Module):
    """The primary features of each level, with what is heard from the other modalities."""

    def __init__(self, config: CrossModalConfig) -> None:
        super().__init__()
        self.config = config
        self.apart = OneModality(config) if config.widths_apart else None
        self.together = Encoder(config) if config.primary is None else None
        self.dropouts = nn.ModuleList()  # it holds no chance
        alone = zip(config.widths_apart, config.widths, strict=False) if config.primary is not None else ()
        self.widened = nn.ModuleList(nn.Conv3d(a, b, 1, bias=False) for a, b in alone)
        self.attention = nn.ModuleDict(
            {
                str(level): CrossAttention(
                    width,
                    len(config.others),
                    window=window,
                    heads=config.heads,
                    heard=config.widths_apart[level],
                    doubting=config.guided,
                )
                for level, (width, window) in enumerate(zip(config.widths, config.windows, strict=True))
                if window is not None
            }
        )
        self.gates = nn.ModuleDict({level: UncertaintyGate() for level in self.attention}) if config.guided else None

    def forward(self, x: Tensor, present: Tensor, kept: Masks | None = None) -> Features:  # noqa: ARG002
        """The features of each level, full resolution first; it has no dropout to hold."""
        features, _ = self.heard(x, present)
        return features

    def heard(self, x: Tensor, present: Tensor) -> tuple[Features, dict[int, Tensor]]:
        """The features, and at each level with attention the share of each other modality, (B, M, X, Y, Z)."""
        config = self.config
        images, guidance = x[:, : len(config.modalities)], x[:, len(config.modalities) :]
        others = [config.modalities.index(m) for m in config.others]
        levels = self.apart(images, present, others) if self.apart is not None else []
        primary = self._primary(images, present)
        features, shares = [], {}
        for level, own in enumerate(primary):
            mixed = own
            if str(level) in self.attention:
                unsure = guidance[:, [1 + m for m in others]] if config.guided else None
                said, shares[level] = self.attention[str(level)](own, levels[level], present[:, others], unsure)
                mixed = own + (said if self.gates is None else self.gates[str(level)](guidance[:, :1]) * said)
            features.append(mixed.to(own.dtype))
            if guidance.shape[1] and level + 1 < len(primary):
                guidance = F.max_pool3d(guidance, 2)  # a doubtful voxel makes a doubtful cell
        return tuple(features), shares

    def opened(self, x: Tensor) -> dict[int, Tensor]:
        """How far the gate of each level with attention is open, (B, 1, X, Y, Z); empty where nothing guides it."""
        first = len(self.config.modalities)
        guidance = x[:, first : first + 1]
        gates = {} if self.gates is None else {int(level): gate for level, gate in self.gates.items()}
        return {level: gate(F.max_pool3d(guidance, 2**level)) for level, gate in gates.items()}

    def _primary(self, images: Tensor, present: Tensor) -> list[Tensor]:
        if self.together is not None:
            return list(self.together(images, present))
        chosen = self.config.modalities.index(self.config.primary)  # type: ignore[arg-type]  # it is not None
        alone = self.apart(images, present, [chosen])  # type: ignore[misc]  # nor is this: a primary one is seen alone
        return [widen(level[:, 0]) for widen, level in zip(self.widened, alone, strict=True)]


class CrossModal(UNet):
    """Cross-modal encoder, decoder and head together; in all else a ``UNet``.

    Args:
        config: Its widths, channels and windows.
    """

    config: CrossModalConfig

    def __init__(self, config: CrossModalConfig | None = None) -> None:
        super().__init__(config or CrossModalConfig())

    def _encoder(self) -> nn.Module:
        return CrossEncoder(self.config)

    def attention_weights(self, x: Tensor, present: Tensor) -> dict[int, Tensor]:
        """Which modalities are listened to, where: by level the share of each of ``config.others``, (B, M, X, Y, Z)."""
        shares: dict[int, Tensor] = self.encoder.heard(x, present)[1]
        return shares

    def opened(self, x: Tensor) -> dict[int, Tensor]:
        """How far doubt lets it listen: by level the gate, (B, 1, X, Y, Z), in (0, 1); empty if it is not guided."""
        gates: dict[int, Tensor] = self.encoder.opened(x)
        return gates


@dataclass(frozen=True)
class LateAverageConfig(UNetConfig):
    """What it takes to build the network again: all is ``UNetConfig``'s."""


class LateAverage(UNet):
    """One U-Net that sees each modality alone; the probabilities of those that are there are averaged.

    The parts of a U-Net cannot be shared by modalities before they are averaged, so draws begin with the encoder.
    """

    @property
    def first_stochastic_stage(self) -> NetworkStage:
        """The encoder, for what follows is computed for each modality; the head where nothing is drawn."""
        return "encoder" if super().first_stochastic_stage != "head" else "head"

    @property
    def supports_sparse_decoding(self) -> bool:
        """Never: see ``first_stochastic_stage``."""
        return False

    def features_before(self, part: NetworkStage, x: Tensor, present: Tensor) -> Features:  # noqa: ARG002
        """The images themselves, whatever the part."""
        return super().features_before("encoder", x, present)

    def forward(
        self,
        x: Tensor | Features,
        present: Tensor,
        kept: Masks | None = None,
        *,
        part: NetworkStage = "encoder",  # noqa: ARG002
    ) -> Tensor:
        """The logit of the mean probability, (B, targets, X, Y, Z); the arguments are those of ``UNet.forward``."""
        images = x if isinstance(x, Tensor) else x[0]
        batch, count = present.shape
        alone = torch.eye(count, device=images.device, dtype=images.dtype)
        seen = (images[:, None] * alone.view(1, count, count, 1, 1, 1)).flatten(0, 1)
        told = (present[:, None] * alone.to(present)).flatten(0, 1)
        logits = super().forward(seen, told, _each(kept, batch, count)).unflatten(0, (batch, count)).float()
        share = (present / present.sum(dim=1, keepdim=True)).view(batch, count, 1, 1, 1, 1)
        yes = torch.logsumexp(F.logsigmoid(logits) + share.log(), dim=1)
        no = torch.logsumexp(F.logsigmoid(-logits) + share.log(), dim=1)
        return yes - no


def _each(kept: Masks | None, batch: int, count: int) -> Masks | None:
    """Masks of a batch, for every modality of it."""
    if kept is None:
        return None
    return tuple(m.repeat_interleave(count, dim=0) if m.ndim == 2 and len(m) == batch else m for m in kept)
