"""What a segmentation network is, and what some can do besides.

A ``SegmentationNetwork`` gives logits in three stages, so that what precedes the first stochastic stage is computed
once for all draws. Its further capabilities (``networks.capabilities``) are properties, None where it lacks them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from adumbra.core.atlas.head_context import ContextInput
from adumbra.core.types import Modality, Structure, Target
from adumbra.networks.capabilities import CrossAttending, LogitNoise, MaskDenoising, SparseDecoding
from adumbra.networks.decoder import DropoutMasks, Features, NetworkStage

__all__ = [
    "Card",
    "CrossAttending",
    "DropoutMasks",
    "Features",
    "LogitNoise",
    "MaskDenoising",
    "NetworkConfig",
    "NetworkStage",
    "SegmentationNetwork",
    "SparseDecoding",
    "TrainedNetwork",
    "Window",
    "device_of",
]


@runtime_checkable
class NetworkConfig(Protocol):
    """What inference needs to know of a network's architecture."""

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """Input channels, in order."""
        ...

    @property
    def targets(self) -> tuple[Target | Structure, ...]:
        """Targets, one logit channel for each."""
        ...

    @property
    def mirrored(self) -> bool:
        """Whether the modalities are followed by their images of the other side of the head."""
        ...

    @property
    def image_channels(self) -> int:
        """Number of channels of the modalities, of their mirror images and of the context inputs."""
        ...

    @property
    def context(self) -> tuple[ContextInput, ...]:
        """Context inputs that follow the images."""
        ...

    @property
    def context_channels(self) -> int:
        """Number of channels of the context inputs."""
        ...

    @property
    def guidance_channels(self) -> int:
        """Number of guidance maps that follow the images; 0 where nothing guides the network."""
        ...

    @property
    def noise_rank(self) -> int | None:
        """Rank of the predicted logit noise; None where none is predicted."""
        ...

    @property
    def dropout(self) -> float | tuple[float, ...]:
        """Dropout rate, or the rate of each level."""
        ...


@runtime_checkable
class SegmentationNetwork(Protocol):
    """A network in three stages: encoder, decoder, head. It is a torch module in evaluation mode."""

    @property
    def config(self) -> NetworkConfig:
        """Its architecture."""
        ...

    @property
    def first_stochastic_stage(self) -> NetworkStage:
        """The first stage that holds dropout; the head where none does."""
        ...

    @property
    def sparse_decoding(self) -> SparseDecoding | None:
        """The network, where it can draw at selected voxels only."""
        ...

    @property
    def cross_attention(self) -> CrossAttending | None:
        """The network, where it attends across modalities."""
        ...

    @property
    def logit_noise(self) -> LogitNoise | None:
        """The network, where it predicts the noise of its logits."""
        ...

    @property
    def mask_denoising(self) -> MaskDenoising | None:
        """The network, where it denoises masks."""
        ...

    @property
    def decoder(self) -> nn.Module:
        """Its decoder; parameters of posteriors are named from it."""
        ...

    def features_before(self, stage: NetworkStage, x: Tensor, present: Tensor) -> Features:
        """Input of a stage, computed by the stages before it without dropout."""
        ...

    def sample_dropout_masks(self, generator: np.random.Generator) -> DropoutMasks:
        """One sample of the dropout masks, float32 zeros and ones."""
        ...

    def named_parameters(self) -> Iterable[tuple[str, nn.Parameter]]:
        """Parameters by name."""
        ...

    def with_parameters(
        self, parameters: Mapping[str, Tensor], x: Features, present: Tensor, *, stage: NetworkStage
    ) -> Tensor:
        """Logits from a stage on, with these parameters in place of the network's own."""
        ...

    def __call__(
        self,
        x: Tensor | Features,
        present: Tensor,
        masks: DropoutMasks | None = None,
        *,
        stage: NetworkStage = "encoder",
    ) -> Tensor:
        """Logits (B, targets, X, Y, Z), from a stage on."""
        ...


@runtime_checkable
class Card(Protocol):
    """Facts of trained weights that inference needs."""

    @property
    def name(self) -> str:
        """Name of the weights."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of their file."""
        ...

    @property
    def spacing_mm(self) -> float:
        """Spacing of the isotropic grid that the network was trained on."""
        ...

    @property
    def patch(self) -> int:
        """Side of the training patches, in voxels."""
        ...

    @property
    def window(self) -> int:
        """Side of the windows for prediction, in voxels; 0 is the patch."""
        ...

    @property
    def posterior(self) -> Mapping[str, object]:
        """What was fitted to the weights: its ``name`` and plain values; empty where nothing was."""
        ...

    @property
    def first_pass_draws(self) -> int:
        """Number of draws of the first pass that a guided network was trained with."""
        ...


@runtime_checkable
class TrainedNetwork(Protocol):
    """A network with its card, as ``networks.registry.load`` gives it."""

    @property
    def network(self) -> SegmentationNetwork:
        """In evaluation mode."""
        ...

    @property
    def card(self) -> Card:
        """Facts of its weights."""
        ...

    @property
    def fitted(self) -> Mapping[str, Tensor]:
        """Tensors of the posterior that was fitted to the weights, by name."""
        ...

    @property
    def first_pass(self) -> "TrainedNetwork | None":
        """Network of the first pass, where this one is guided."""
        ...


@dataclass(frozen=True, eq=False)
class Window:
    """One window of a case, computed up to the first stochastic stage.

    Attributes:
        features: Input of that stage, see ``SegmentationNetwork.features_before``.
        present: (1, C), 1 where a modality is available.
        box: Slices of the window in the volume.
    """

    features: Features
    present: Tensor
    box: tuple[slice, slice, slice]


def device_of(network: SegmentationNetwork) -> torch.device:
    """The device of a network's parameters."""
    _, parameter = next(iter(network.named_parameters()))
    return parameter.device
