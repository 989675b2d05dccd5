"""A small network that looks at one candidate again: whether it is a clot, and what its contour is.

It sees a cube around the centre of the candidate at a finer spacing than the first pass: the images, their mirror
images, and the maps of the first pass. The body is that of ``networks.strided``. The class is read from the deepest
level, where the middle of the cube, the strongest response and the mean are put side by side.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.core.candidates import CandidateRule
from adumbra.core.references import cites
from adumbra.core.types import Modality, Structure, Target
from adumbra.networks.blocks import SLOPE
from adumbra.networks.capabilities import CandidateClassification
from adumbra.networks.strided import StridedUNet, StridedUNetConfig
from adumbra.networks.unet_config import UNetConfig

MAPS = ("thrombus", "arteries", "veins", "flow", "missing flow")
"""The maps of the first pass that follow the images, in order; the last is arteries minus flow, at least 0."""
SPACING_MM = 0.6
"""Usual spacing of the cube: SWI is acquired at 0.5 to 0.7 mm in its slices."""
SIDE = 48
"""Usual side of the cube, in voxels: 28.8 mm."""
_HIDDEN = 64  # Units between the pooled features and the class.


@dataclass(frozen=True)
class SecondLookConfig(StridedUNetConfig):
    """The architecture of a second look, and the candidates that it was trained on.

    Attributes:
        low: See ``core.candidates.CandidateRule``.
        peak: The same.
        most: The same.
    """

    modalities: tuple[Modality, ...] = ("swi", "phase", "tof", "dwi")
    targets: tuple[Target | Structure, ...] = ("thrombus",)
    widths: tuple[int, ...] = (16, 32, 48, 80)
    dropout: float | tuple[float, ...] = 0.0
    mirrored: bool = True
    low: float = CandidateRule.low
    peak: float = CandidateRule.peak
    most: int = CandidateRule.most

    @property
    def image_channels(self) -> int:
        """Number of channels: the images, their mirror images where they are used, and ``MAPS``."""
        return super().image_channels + len(MAPS)

    def as_json(self) -> dict[str, object]:
        """Plain values; mirror images are named in both cases, for they are used by default."""
        return super().as_json() | {"mirrored": self.mirrored}

    @property
    def rule(self) -> CandidateRule:
        """The candidates that it was trained on."""
        return CandidateRule(self.low, self.peak, self.most)


class CandidateClassifier(nn.Module):
    """From the deepest features to one logit.

    Args:
        channels: Channels of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(3 * channels, _HIDDEN)
        self.logit = nn.Linear(_HIDDEN, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of features (B, channels, X, Y, Z)."""
        i, j, k = (slice(n // 3, n - n // 3) for n in x.shape[2:])
        middle = x[:, :, i, j, k]
        pooled = torch.cat([middle.mean((2, 3, 4)), x.amax((2, 3, 4)), x.mean((2, 3, 4))], dim=1)
        logits: Tensor = self.logit(F.leaky_relu(self.hidden(pooled), SLOPE))
        return logits[:, 0]


@cites("Ronneberger2015", "Cicek2016", "Perez2018")
class SecondLookNetwork(StridedUNet):
    """Encoder, decoder and head of a strided U-Net, and a classifier of the whole cube."""

    def __init__(self, config: UNetConfig | None = None) -> None:
        super().__init__(config or SecondLookConfig())
        self.classifier = CandidateClassifier(self.config.widths[-1])

    @property
    def candidate_classification(self) -> CandidateClassification | None:
        """The network."""
        return self

    @property
    def candidate_rule(self) -> CandidateRule:
        """The candidates that it was trained on."""
        assert isinstance(self.config, SecondLookConfig)  # ``networks.registry`` builds it from no other
        return self.config.rule

    def look(self, x: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """The logit of each cube, (B,), and the logits of its contour, (B, 1, X, Y, Z).

        Args:
            x: (B, C, X, Y, Z), the channels of the config; sides are multiples of ``config.multiple``.
            present: (B, modalities), 1 where a modality is available.
        """
        features = self.encoder(x, present)
        return self.classifier(features[-1]), self.decoder.head(self.decoder(features))
