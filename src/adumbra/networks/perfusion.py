"""A small network that estimates Tmax from evidence on the coarse atlas grid, with its joint uncertainty.

The head fits into one pass at 4 mm. Its latent variable is the logarithm of Tmax over 6 s,

    z = μ + F ε,        ε ~ N(0, 1), one for each of R factors and the same in all voxels,

and Tmax exceeds t seconds with probability σ((z − ln(t / 6)) / s) in each voxel. The factors make draws coherent, as in
the stochastic segmentation network of Monteiro et al., NeurIPS 2020: how good the collaterals are concerns a whole
territory. The map describes a closed artery. Whether one is closed at all is another output, since no continuous
variable lies between both.

There is no normalisation over voxels: it would erase how large a lesion is.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.core.errors import WeightsRejected
from adumbra.core.perfusion_evidence import CHANNELS, MAPS
from adumbra.core.references import cites
from adumbra.core.types import Volume
from adumbra.networks.weights import Card, load_into, read_weights

ARCHITECTURE = "perfusion"
RELEASED_NAME = "hypoperfusion"
"""Name of the weights that are part of the package."""
THRESHOLDS_S = (4.0, 6.0, 8.0, 10.0, 14.0, 20.0)
"""The delays whose exceedance is trained, in s."""
_LIMIT_S = 6.0
_SLOPE = 0.01


@dataclass(frozen=True)
class PerfusionConfig:
    """The architecture.

    Attributes:
        widths: Channels at 4, 8, 16 and 32 mm.
        rank: Number of factors.
        channels: Channels of the evidence.
    """

    widths: tuple[int, ...] = (16, 48, 80, 96)
    rank: int = 6
    channels: int = CHANNELS

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PerfusionConfig":
        """From plain values."""
        return cls(tuple(values["widths"]), int(values["rank"]), int(values["channels"]))


class _Block(nn.Module):
    """Two convolutions around a shortcut whose branch starts near zero, in place of a normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.scale = nn.Parameter(torch.tensor(0.2))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(F.leaky_relu(self.conv1(F.leaky_relu(x, _SLOPE)), _SLOPE))
        out: Tensor = x + self.scale * y
        return out


@dataclass(frozen=True, eq=False)
class PerfusionOutput:
    """What the network says of a batch.

    Attributes:
        mean: (B, X, Y, Z), μ.
        factors: (B, R, X, Y, Z), F.
        closed: (B,), logit that an artery is closed.
        width: s, a scalar.
    """

    mean: Tensor
    factors: Tensor
    closed: Tensor
    width: Tensor

    def latent(self, noise: Tensor) -> Tensor:
        """Samples of z, (B, M, X, Y, Z), for noise (B, M, R)."""
        return self.mean[:, None] + torch.einsum("bmr,brxyz->bmxyz", noise, self.factors)

    def exceedance_logits(self, latent: Tensor, seconds: float) -> Tensor:
        """The logit that Tmax exceeds some seconds, of the shape of ``latent``."""
        return (latent - float(torch.log(torch.tensor(seconds / _LIMIT_S)))) / self.width


@dataclass(frozen=True, eq=False)
class PerfusionSample:
    """One sample of the latent variable of a case.

    Attributes:
        latent: float32 (X, Y, Z), ln(Tmax / 6 s) if an artery is closed.
        closed: Probability that an artery is closed.
        width: Width of the sigmoid of an exceedance, in units of ``latent``.
    """

    latent: Volume
    closed: float
    width: float


@dataclass(frozen=True, eq=False)
class LoadedPerfusion:
    """A trained network with its card."""

    network: "PerfusionNetwork"
    card: Card

    @torch.inference_mode()
    def sample(self, channels: np.ndarray, rng: np.random.Generator) -> PerfusionSample:
        """One sample for the evidence of a case.

        Args:
            channels: float32 (C, X, Y, Z), see ``core.perfusion_evidence``.
            rng: Source of the sample.
        """
        output: PerfusionOutput = self.network(torch.from_numpy(channels)[None])
        noise = torch.from_numpy(rng.standard_normal((1, 1, self.network.config.rank), dtype=np.float32))
        latent = output.latent(noise)[0, 0].numpy()
        return PerfusionSample(latent, float(output.closed.sigmoid()[0]), float(output.width))


@cites("Ronneberger2015", "Cicek2016", "Monteiro2020")
class PerfusionNetwork(nn.Module):
    """An encoder and a decoder with skips, from the evidence to the latent map and the state of the arteries."""

    def __init__(self, config: PerfusionConfig | None = None) -> None:
        super().__init__()
        self.config = config or PerfusionConfig()
        widths = self.config.widths
        self.fine = nn.Conv3d(self.config.channels, widths[0], 3, padding=1)
        self.down = nn.ModuleList(
            nn.Conv3d(below, above, 2 if n else 3, stride=2, padding=0 if n else 1)
            for n, (below, above) in enumerate(zip((self.config.channels, *widths[1:-1]), widths[1:], strict=True))
        )
        self.encoder = nn.ModuleList(_Block(width) for width in widths[1:])
        self.up = nn.ModuleList(
            nn.Conv3d(above, below, 1) for above, below in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.decoder = nn.ModuleList(_Block(width) for width in widths[-2:0:-1])
        self.head = nn.Conv3d(widths[0], 1 + self.config.rank, 3, padding=1)
        self.closed = nn.Sequential(
            nn.Linear(2 * widths[-1] + 2 * self.config.channels + len(MAPS), 64), nn.LeakyReLU(_SLOPE), nn.Linear(64, 1)
        )
        self.log_width = nn.Parameter(torch.tensor(-1.5))
        with torch.no_grad():
            self.head.weight.mul_(0.3)
            assert self.head.bias is not None
            self.head.bias[0] = -1.5

    def forward(self, evidence: Tensor) -> PerfusionOutput:
        """The output for evidence (B, C, X, Y, Z)."""
        x, skips = evidence, []
        for down, block in zip(self.down, self.encoder, strict=True):
            x = block(down(x))
            skips.append(x)
        pooled = torch.cat([x.mean((2, 3, 4)), x.amax((2, 3, 4)), _of_the_case(evidence)], dim=1)
        closed = self.closed(pooled)[:, 0]
        for up, block, skip in zip(self.up[:-1], self.decoder, skips[-2::-1], strict=True):
            x = block(F.interpolate(up(x), size=skip.shape[2:], mode="trilinear", align_corners=False) + skip)
        x = F.interpolate(self.up[-1](x), size=evidence.shape[2:], mode="trilinear", align_corners=False)
        out = self.head(F.leaky_relu(x + self.fine(evidence), _SLOPE)).float()
        return PerfusionOutput(out[:, 0], out[:, 1:], closed.float(), self.log_width.float().exp())


def _of_the_case(evidence: Tensor) -> Tensor:
    """What the evidence says as a whole, (B, 2 C + maps): its maxima, its means over the lesion, and its volumes.

    The means over the lesion tell whether flow is missing where the lesion lies.
    """
    lesion = evidence[:, 1:2]
    over_lesion = (evidence * lesion).sum((2, 3, 4)) / (lesion.sum((2, 3, 4)) + 1.0)
    volumes = torch.log1p(evidence[:, : len(MAPS)].sum((2, 3, 4)))
    return torch.cat([evidence.amax((2, 3, 4)), over_lesion, volumes], dim=1)


def perfusion_facts(config: PerfusionConfig) -> dict[str, object]:
    """The part of a card that names the architecture."""
    return {"architecture": ARCHITECTURE, "config": json.loads(json.dumps(asdict(config)))}


def load_perfusion(path: Path, *, name: str = "", sha256: str = "") -> LoadedPerfusion:
    """A trained network.

    Args:
        path: File of the weights.
        name: Name for the card.
        sha256: What the file's hash must be; empty trusts the file.

    Raises:
        WeightsRejected: The file holds no such network, or has been altered.
    """
    tensors, card = read_weights(path, name=name, sha256=sha256)
    if card.architecture != ARCHITECTURE:
        raise WeightsRejected(
            path.name,
            expected="weights of the estimate of hypoperfusion",
            found=f"weights of a network {card.architecture!r}",
            do="give the file that trainings/hypoperfusion/train.py wrote",
        )
    network = PerfusionNetwork(PerfusionConfig.from_json(card.config))
    load_into(network, tensors, path)
    return LoadedPerfusion(network.eval(), card)


def released_perfusion() -> tuple[LoadedPerfusion, ...]:
    """The network that is part of the package.

    Raises:
        WeightsRejected: The installation lacks it.
    """
    folder = resources.files("adumbra.networks") / "weights"
    with resources.as_file(folder / f"{RELEASED_NAME}.safetensors") as path:
        card = folder / f"{RELEASED_NAME}.json"
        if not path.is_file() or not card.is_file():
            raise WeightsRejected(
                RELEASED_NAME,
                expected="weights that are part of the package",
                found="no such file",
                do="install adumbra again",
            )
        return (load_perfusion(path, name=RELEASED_NAME, sha256=json.loads(card.read_text("utf-8"))["sha256"]),)
