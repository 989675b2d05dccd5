"""What some segmentation networks can do besides giving logits.

A network offers each capability as a property that is the network itself, or None where it lacks it: callers ask
``network.sparse_decoding`` instead of testing for a class. ``inference.protocols`` says what every network can do.
"""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor

from adumbra.core.candidates import CandidateRule
from adumbra.core.types import Modality
from adumbra.networks.decoder import DropoutMasks, Features, NetworkStage
from adumbra.networks.sparse_decoder import CachedWindow, SparseSites


@runtime_checkable
class SparseDecoding(Protocol):
    """Draws at selected voxels only: the dropout lies at the deepest levels alone."""

    def cached_window(self, features: Features) -> CachedWindow:
        """A window without dropout, prepared for draws at some of its voxels."""
        ...

    def deep_features(self, window: CachedWindow, masks: DropoutMasks) -> Tensor:
        """Output of the deepest levels for several draws; each mask is (R, C)."""
        ...

    def sparse_sites(self, window: CachedWindow, selected: np.ndarray) -> SparseSites:
        """What must be computed for the selected voxels of a window, a mask (X, Y, Z)."""
        ...

    def sparse_logits(self, window: CachedWindow, deep: Tensor, sites: SparseSites) -> Tensor:
        """Logits of the selected voxels, (R, targets, K), from ``deep_features``."""
        ...

    def sample_dropout_masks(self, generator: np.random.Generator) -> DropoutMasks:
        """One sample of the dropout masks, float32 zeros and ones."""
        ...


@runtime_checkable
class AttentionConfig(Protocol):
    """Which modalities attend to which."""

    @property
    def primary(self) -> Modality | None:
        """The modality whose features attend; None is all together."""
        ...

    @property
    def others(self) -> tuple[Modality, ...]:
        """The modalities that are attended to, in the order of the attention weights."""
        ...


@runtime_checkable
class CrossAttending(Protocol):
    """Attention across modalities, whose weights can be mapped."""

    @property
    def attention_config(self) -> AttentionConfig:
        """Which modalities attend to which."""
        ...

    def attention_weights(self, x: Tensor, present: Tensor) -> Mapping[int, Tensor]:
        """Cross-attention weight of each other modality by level, (B, M, X, Y, Z)."""
        ...

    def attention_gates(self, x: Tensor) -> Mapping[int, Tensor]:
        """Attention gate by level, (B, 1, X, Y, Z), in (0, 1); empty where nothing guides the attention."""
        ...


@runtime_checkable
class LogitNoise(Protocol):
    """A predicted distribution of the logits."""

    def logit_distribution(
        self,
        x: Tensor | Features,
        present: Tensor,
        masks: DropoutMasks | None = None,
        *,
        stage: NetworkStage = "encoder",
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        """Mean logits, standard deviation of each voxel's own noise, and the factors of the noise that voxels share."""
        ...


@runtime_checkable
class CandidateClassification(Protocol):
    """A second look at a candidate."""

    @property
    def candidate_rule(self) -> CandidateRule:
        """The candidates that the network was trained on."""
        ...

    def look(self, x: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """The logit of each cube, (B,), and the logits of its contour, (B, 1, X, Y, Z)."""
        ...


@runtime_checkable
class MaskDenoising(Protocol):
    """A denoiser of masks, given images."""

    def denoise(self, features: Features, noisy: Tensor, t: Tensor) -> Tensor:
        """Logits of the clean mask, float32, from a noisy mask in about [-1, 1] at times (B,)."""
        ...
