"""The brain network: a small U-Net that gives the brain in one image of any sequence, at 4 mm.

It differs from the networks of the targets: one image instead of several modalities, and batch normalisation with the
statistics of the training, so that the result at a voxel does not depend on how much air surrounds the head.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import resources
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.core.references import cites
from adumbra.core.types import Channels, Volume
from adumbra.networks.weights import Card, load_into, read_weights

WIDTHS = (16, 32, 64, 64)
"""Channels of each level, full resolution first."""
CHANNELS = 2
"""Input channels: normalised values and the measured share of each voxel (``preprocessing.brain_input``)."""


class ConvBlock(nn.Sequential):
    """Convolutions 3×3×3, each with batch normalisation and ReLU.

    Args:
        widths: Channels of the input, and of the output of each convolution.
    """

    def __init__(self, *widths: int) -> None:
        steps: list[nn.Module] = []
        for before, after in pairwise(widths):
            steps += [nn.Conv3d(before, after, 3, padding=1, bias=False), nn.BatchNorm3d(after), nn.ReLU(inplace=True)]
        super().__init__(*steps)


@cites("Ronneberger2015", "Cicek2016")
class BrainNetwork(nn.Module):
    """Encoder and decoder with sums as skip connections.

    Args:
        widths: Channels of each level, full resolution first.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.multiple: int = 2 ** (len(widths) - 1)
        pairs = list(pairwise(widths))
        self.stem = ConvBlock(CHANNELS, widths[0])
        self.encoder = nn.ModuleList(ConvBlock(a, b, b) for a, b in pairs)
        self.lateral = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in reversed(pairs))
        self.decoder = nn.ModuleList(ConvBlock(a, a) for a, _ in reversed(pairs))
        self.head = nn.Conv3d(widths[0], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the brain, (B, 1, X, Y, Z).

        Args:
            x: (B, 2, X, Y, Z); sides are multiples of ``multiple``.
        """
        features = [self.stem(x)]
        for block in self.encoder:
            features.append(block(F.max_pool3d(features[-1], 2)))
        y = features.pop()
        for lateral, block in zip(self.lateral, self.decoder, strict=True):
            y = block(F.interpolate(lateral(y), scale_factor=2.0, mode="nearest") + features.pop())
        logits: Tensor = self.head(y)
        return logits


@lru_cache(maxsize=1)
def released_brain_network() -> tuple[BrainNetwork, Card]:
    """The trained brain network of the package, in evaluation mode, with its card.

    Raises:
        WeightsRejected: The file of the package is damaged.
    """
    folder = resources.files("adumbra.networks") / "weights"
    sha256 = json.loads((folder / "brain.json").read_text("utf-8"))["sha256"]
    with resources.as_file(folder / "brain.safetensors") as path:
        tensors, card = read_weights(path, name="brain", sha256=sha256)
        network = BrainNetwork()
        load_into(network, with_counters(network, tensors), path)
    return network.eval().requires_grad_(False), card


def with_counters(network: BrainNetwork, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file with the counters of batch normalisation, which only a training needs."""
    counters = {name: t for name, t in network.state_dict().items() if name.endswith("num_batches_tracked")}
    return counters | dict(tensors)


def brain_share(channels: Channels, network: BrainNetwork | None = None) -> Volume:
    """The share of brain in each voxel at 4 mm, (X, Y, Z) in [0, 1]. It computes in float32 on the CPU.

    Args:
        channels: (2, X, Y, Z), see ``preprocessing.brain_input``.
        network: In evaluation mode; None is that of the package.
    """
    used = network or released_brain_network()[0]
    sides = channels.shape[1:]
    # At the far ends, as during the training: what lies outside was not measured.
    padding = [(0, 0), *((0, -side % used.multiple) for side in sides)]
    with torch.inference_mode():
        logits = used(torch.from_numpy(np.pad(channels, padding))[None])
    x, y, z = sides
    return logits.sigmoid()[0, 0, :x, :y, :z].numpy()
