"""The architecture of a U-Net, as plain values."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TypeVar

from adumbra.core.atlas.head_context import CONTEXT_CHANNELS, ContextInput
from adumbra.core.types import Modality, Structure, Target, targets_of

C = TypeVar("C", bound="UNetConfig")


@dataclass(frozen=True)
class UNetConfig:
    """Everything needed to build the network again.

    Attributes:
        modalities: Input channels, in order.
        targets: Targets, and structures that are learned beside them, one logit channel for each.
        widths: Channels of each level, full resolution first.
        dropout: Share of channels dropped. One number applies to the three sites of the deepest level and the level
            above it; a tuple gives a rate for each level, full resolution first, of encoder and decoder.
        noise_rank: Rank of the predicted logit noise that voxels share; 0 predicts noise of single voxels only, None
            predicts none.
        mirrored: Whether each modality is followed by its image of the other side of the head, see
            ``core.geometry.reflection``.
        context: Context inputs that follow the images, see ``core.atlas.context_channels``.
    """

    modalities: tuple[Modality, ...] = ("dwi", "adc", "b0", "flair")
    targets: tuple[Target | Structure, ...] = ("lesion",)
    widths: tuple[int, ...] = (16, 32, 64, 96, 128)
    dropout: float | tuple[float, ...] = 0.2
    noise_rank: int | None = None
    mirrored: bool = False
    context: tuple[ContextInput, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.dropout, tuple) and len(self.dropout) != len(self.widths):
            raise ValueError(f"dropout: expected a rate for each of {len(self.widths)} levels, found {self.dropout}")
        count = len(targets_of(self.targets))
        if not count or targets_of(self.targets[:count]) != self.targets[:count]:
            raise ValueError(f"targets: expected a target first and structures last, found {self.targets}")
        if self.context != tuple(name for name in CONTEXT_CHANNELS if name in self.context):
            raise ValueError(f"context: expected some of {', '.join(CONTEXT_CHANNELS)}, in order, found {self.context}")

    @property
    def multiple(self) -> int:
        """Divisor of every side of a patch."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def image_channels(self) -> int:
        """Number of channels of the images, of their mirror images and of the context inputs, in this order."""
        return len(self.modalities) * (2 if self.mirrored else 1) + self.context_channels

    @property
    def context_channels(self) -> int:
        """Number of channels of the context inputs."""
        return sum(CONTEXT_CHANNELS[name] for name in self.context)

    @property
    def guidance_channels(self) -> int:
        """Number of guidance maps that follow the modalities; 0, for nothing guides a plain U-Net."""
        return 0

    @property
    def has_joint_encoder(self) -> bool:
        """Whether one encoder sees all modalities together."""
        return True

    @property
    def attention_windows(self) -> tuple[int | None, ...]:
        """Attention window of each level, see ``networks.crossmodal``; empty, for a U-Net has no attention."""
        return ()

    @property
    def trainable_posteriors(self) -> tuple[str, ...]:
        """Posteriors that a training can prepare for the network, names of ``training.options.TrainedPosterior``."""
        return (
            "dropout",
            "dropout-everywhere",
            "heteroscedastic",
            "laplace",
            "deterministic",
            "stochastic-segmentation",
            "swag",
            "variational",
        )

    @property
    def rates(self) -> tuple[float, ...]:
        """Dropout rate of each level of the decoder, full resolution first."""
        if isinstance(self.dropout, tuple):
            return self.dropout
        return (*[0.0] * (len(self.widths) - 2), self.dropout, self.dropout)

    @property
    def encoder_rates(self) -> tuple[float, ...]:
        """Dropout rate of each level of the encoder but the deepest, whose dropout is the decoder's."""
        return self.dropout[:-1] if isinstance(self.dropout, tuple) else (0.0,) * (len(self.widths) - 1)

    def as_json(self) -> dict[str, object]:
        """Plain values; ``from_json`` gives the config back."""
        values = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        # Cards of earlier versions do not name these options; without them a card has the same bytes as theirs.
        return {key: value for key, value in values.items() if value or key not in ("mirrored", "context")}

    @classmethod
    def from_json(cls: type[C], values: Mapping[str, object]) -> C:
        """The config of plain values; a field that they lack takes its default.

        Raises:
            TypeError: A name is unknown.
        """
        if unknown := set(values) - {f.name for f in fields(cls)}:
            raise TypeError(f"expected names of a U-Net's config, found {sorted(unknown)}")
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})  # type: ignore[arg-type]
