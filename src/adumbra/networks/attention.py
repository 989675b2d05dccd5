"""Cross-attention from one modality to the others, and the gate that uncertainty opens. Tensors are (B, C, X, Y, Z).

    F = F1 + g(U) A(F1; F2 ... FM)

A query is a voxel of the primary modality. It attends to the voxels of the other modalities in its own window, a cube
of voxels; with windows, memory is linear in the volume. A key loses weight where its own modality is uncertain. A
missing modality has weight 0, exactly: nothing of it reaches the output.

Vaswani et al., NeurIPS 2017; windows as in Liu et al., ICCV 2021, but not shifted, since a U-Net joins them.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.core.references import cites

_INITIAL_OFFSET, _INITIAL_SLOPE = -2.0, 4.0  # An untrained gate is about 0.1 at U = 0 and 0.9 at U = 1.
_MASKED_SCORE = -1e4  # Score of a key that is not available, before the softmax.


class UncertaintyGate(nn.Module):
    """g(U) = sigmoid(offset + slope U). The slope is always positive: more uncertainty never closes the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(_INITIAL_OFFSET))
        self.steepness = nn.Parameter(torch.tensor(math.log(math.expm1(_INITIAL_SLOPE))))

    def forward(self, uncertainty: Tensor) -> Tensor:
        """The gate, in (0, 1), at uncertainties in [0, 1]."""
        return torch.sigmoid(self.offset + F.softplus(self.steepness) * uncertainty)


@cites("Vaswani2017", "Liu2021")
class CrossAttention(nn.Module):
    """Attention from the primary modality to the others.

    Args:
        channels: Channels of the primary features.
        modalities: Number of other modalities; each has a learned embedding, by which its keys are told apart.
        window: Side of the cube in which a voxel attends, in voxels; 1 is the same voxel, 0 the whole map.
        heads: Number of attention heads; ``channels`` is a multiple of it.
        other_channels: Channels of the others' features; ``channels`` unless given.
        guided: Whether a key loses weight by the uncertainty of its own modality.
    """

    def __init__(
        self,
        channels: int,
        modalities: int,
        *,
        window: int,
        heads: int = 2,
        other_channels: int | None = None,
        guided: bool = False,
    ) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.query = nn.Linear(channels, channels, bias=False)
        others = other_channels or channels
        self.key = nn.Linear(others, channels, bias=False)
        self.value = nn.Linear(others, channels, bias=False)
        self.output = nn.Linear(channels, channels, bias=False)
        # Untrained, it adds nothing: a network that is fine-tuned from a U-Net begins as that U-Net.
        nn.init.zeros_(self.output.weight)
        self.embedding = nn.Parameter(torch.randn(modalities, others) / math.sqrt(others))
        # A key loses softplus(uncertainty_penalty) times its uncertainty from its score.
        self.uncertainty_penalty = nn.Parameter(torch.zeros(())) if guided else None

    def forward(
        self, primary: Tensor, others: Tensor, present: Tensor, uncertainty: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What attention adds to the primary features, and the attention weights.

        Args:
            primary: (B, C, X, Y, Z).
            others: (B, M, D, X, Y, Z) with D = ``other_channels``.
            present: (B, M), 1 where a modality is available.
            uncertainty: (B, M, X, Y, Z) in [0, 1], of each modality alone; without it all keys count alike.

        Returns:
            (B, C, X, Y, Z), 0 where no modality is available; and weights (B, M, X, Y, Z), which sum to 1, or to 0.
        """
        others = others.where(present.view(*present.shape, 1, 1, 1, 1) > 0, 0.0)  # 0 times NaN would be NaN
        if self.window == 1:
            return self._at_voxels(primary, others, present, uncertainty)
        batch, count, _, *shape = others.shape
        sides = [self.window or size for size in shape]
        queries = _in_windows(primary, sides)  # (B, N, W, C), W the voxels of a window
        keys = torch.stack([_in_windows(other, sides) for other in others.unbind(1)], dim=2)  # (B, N, M, W, C)
        inside = _in_windows(primary.new_ones(1, 1, *shape), sides)[0, :, None, :, 0]  # (N, 1, W)
        available = present.view(batch, 1, count, 1) * inside
        bias = torch.zeros_like(available)
        if uncertainty is not None and self.uncertainty_penalty is not None:
            own = torch.stack([_in_windows(u[:, None], sides)[..., 0] for u in uncertainty.unbind(1)], dim=2)
            bias = -F.softplus(self.uncertainty_penalty) * own
        attended, weights = self._attend(_rms_normalise(queries), _rms_normalise(keys), keys, available, bias)
        output = _out_of_windows(self.output(attended), shape, sides)
        maps = [_out_of_windows(weight[..., None], shape, sides)[:, 0] for weight in weights.unbind(3)]
        return output, torch.stack(maps, dim=1)

    def _at_voxels(
        self, primary: Tensor, others: Tensor, present: Tensor, uncertainty: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """``forward`` for windows of one voxel: nothing is cut, and products are taken channel by channel."""
        batch, count, channels, *shape = others.shape
        heads = (batch, count, self.heads, primary.shape[1] // self.heads, *shape)
        embedding = self.embedding.to(others.dtype).view(1, count, channels, 1, 1, 1)
        keys = _rms_normalise(others, dim=2) + embedding
        q = _linear(_rms_normalise(primary, dim=1), self.query)[:, None]
        k, v = (_linear(x.flatten(0, 1), m).view(heads) for x, m in ((keys, self.key), (others, self.value)))
        score = (q.view(batch, 1, *heads[2:]) * k).sum(dim=3).float() / math.sqrt(heads[3])
        if uncertainty is not None and self.uncertainty_penalty is not None:
            score = score - F.softplus(self.uncertainty_penalty) * uncertainty[:, :, None].float()
        weight = _masked_softmax(score, present.view(batch, count, 1, 1, 1, 1).float(), dim=1)
        summed = (weight[:, :, :, None].to(v.dtype) * v).sum(dim=1).flatten(1, 2)
        return _linear(summed, self.output), weight.mean(dim=2)

    def _attend(
        self, queries: Tensor, keys: Tensor, values: Tensor, available: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, N, W, C) and (B, N, W, M), of queries (B, N, W, C), keys (B, N, M, W, C), mask and bias (B, N, M, W)."""
        batch, windows, count, size, _ = keys.shape
        channels = queries.shape[-1]
        each = channels // self.heads
        q = self.query(queries).view(batch, windows, -1, self.heads, each)
        k = self.key(keys + self.embedding[:, None].to(keys.dtype)).view(batch, windows, -1, self.heads, each)
        v = self.value(values).view(batch, windows, -1, self.heads, each)
        score = torch.einsum("bnqhc,bnkhc->bnhqk", q, k).float() / math.sqrt(each)
        mask, bias = (t.reshape(batch, windows, 1, 1, count * size).float() for t in (available, bias))
        weight = _masked_softmax(score + bias, mask, dim=-1)
        attended = torch.einsum("bnhqk,bnkhc->bnqhc", weight.to(v.dtype), v).reshape(batch, windows, -1, channels)
        per_modality = weight.mean(dim=2).unflatten(-1, (count, size)).sum(dim=-1)
        return attended, per_modality


def _masked_softmax(score: Tensor, available: Tensor, *, dim: int) -> Tensor:
    """Softmax over the available keys; exactly 0 for the others, and for all where none is available."""
    score = torch.where(available > 0, score, _MASKED_SCORE)
    weight = torch.exp(score - score.amax(dim=dim, keepdim=True)) * available
    return weight / weight.sum(dim=dim, keepdim=True).clamp_min(1e-12)


def _rms_normalise(features: Tensor, *, dim: int = -1) -> Tensor:
    """Each voxel's features with mean square 1, so that scores do not depend on signal intensity."""
    return features * torch.rsqrt(features.square().mean(dim=dim, keepdim=True) + 1e-5)


def _linear(volume: Tensor, layer: nn.Linear) -> Tensor:
    """A linear layer over the channels of (B, C, X, Y, Z)."""
    return F.conv3d(volume, layer.weight[:, :, None, None, None])


def _in_windows(volume: Tensor, sides: list[int]) -> Tensor:
    """(B, C, X, Y, Z) to (B, N, W, C), zeros beyond the ends."""
    padded = F.pad(volume, [p for n, w in zip(volume.shape[:1:-1], sides[::-1], strict=True) for p in (0, -n % w)])
    batch, channels, *shape = padded.shape
    x, y, z = (n // w for n, w in zip(shape, sides, strict=True))
    cut = padded.view(batch, channels, x, sides[0], y, sides[1], z, sides[2])
    return cut.permute(0, 2, 4, 6, 3, 5, 7, 1).reshape(batch, x * y * z, math.prod(sides), channels)


def _out_of_windows(windows: Tensor, shape: list[int], sides: list[int]) -> Tensor:
    """The inverse of ``_in_windows``: (B, C, X, Y, Z)."""
    batch, _, _, channels = windows.shape
    x, y, z = (-(-n // w) for n, w in zip(shape, sides, strict=True))
    cut = windows.view(batch, x, y, z, *sides, channels).permute(0, 7, 1, 4, 2, 5, 3, 6)
    whole = cut.reshape(batch, channels, x * sides[0], y * sides[1], z * sides[2])
    return whole[..., : shape[0], : shape[1], : shape[2]]
