"""Attention from one modality to the others, and the gate by which uncertainty opens it. Tensors are (B, C, X, Y, Z).

    F = F1 + g(U) A(F1; F2 ... FM)

A query is a voxel of the primary modality. It looks at the voxels of the other modalities in its own window, a cube of
so many voxels; with windows the memory is linear in the volume. A key weighs less the more unsure its own modality is
of that voxel. A modality that is missing has the weight 0, exactly: nothing of it reaches the output.

Vaswani et al., NeurIPS 2017; windows as in Liu et al., ICCV 2021, but not shifted: the levels of a U-Net join them.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from adumbra.core.references import cites

_SHUT, _OPENING = -2.0, 4.0  # The gate of an untrained network: about 0.1 where it is sure, 0.9 where it is not.
_LOW = -1e4  # Of a key that is not there, before the softmax.


class UncertaintyGate(nn.Module):
    """g(U) = sigmoid(offset + slope U), the slope positive whatever is learned: more doubt never closes it."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(_SHUT))
        self.steepness = nn.Parameter(torch.tensor(math.log(math.expm1(_OPENING))))

    def forward(self, doubt: Tensor) -> Tensor:
        """How far it is open, in (0, 1), of doubts in [0, 1]."""
        return torch.sigmoid(self.offset + F.softplus(self.steepness) * doubt)


@cites("Vaswani2017", "Liu2021")
class CrossAttention(nn.Module):
    """What the other modalities say to the primary one.

    Args:
        channels: Of the features.
        modalities: How many others there are; each has an embedding of its own, by which keys are told apart.
        window: Side of the cube in which a voxel looks, in voxels; 1 is the same voxel, 0 the whole map.
        heads: That attend apart; ``channels`` is a multiple.
        heard: Channels of the others' features; as many as the primary's unless given.
        doubting: Whether keys lose weight by their own modality's doubt.
    """

    def __init__(
        self,
        channels: int,
        modalities: int,
        *,
        window: int,
        heads: int = 2,
        heard: int | None = None,
        doubting: bool = False,
    ) -> None:
        super().__init__()
        self.window, self.heads = window, heads
        self.query = nn.Linear(channels, channels, bias=False)
        others = heard or channels
        self.key = nn.Linear(others, channels, bias=False)
        self.value = nn.Linear(others, channels, bias=False)
        self.output = nn.Linear(channels, channels, bias=False)
        # Untrained, it adds nothing: a network that goes on from a U-Net's weights begins as that U-Net.
        nn.init.zeros_(self.output.weight)
        self.embedding = nn.Parameter(torch.randn(modalities, others) / math.sqrt(others))
        self.mistrust = nn.Parameter(torch.zeros(())) if doubting else None  # softplus of it is what doubt costs a key

    def forward(
        self, primary: Tensor, others: Tensor, there: Tensor, guidance: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """What is heard, and to whom each voxel listens.

        Args:
            primary: (B, C, X, Y, Z).
            others: (B, M, D, X, Y, Z), D channels as they were asked for.
            there: (B, M), 1 where a modality is there.
            guidance: (B, M, X, Y, Z) in [0, 1], of each modality of itself; without them all weigh alike.

        Returns:
            (B, C, X, Y, Z), 0 where nobody is there; and (B, M, X, Y, Z), shares that sum to 1, or to 0.
        """
        others = others.where(there.view(*there.shape, 1, 1, 1, 1) > 0, 0.0)  # 0 times NaN would be NaN
        if self.window == 1:
            return self._at_voxels(primary, others, there, guidance)
        batch, count, _, *shape = others.shape
        sides = [self.window or size for size in shape]
        queries = _in_windows(primary, sides)  # (B, N, W, C), W the voxels of a window
        keys = torch.stack([_in_windows(other, sides) for other in others.unbind(1)], dim=2)  # (B, N, M, W, C)
        inside = _in_windows(primary.new_ones(1, 1, *shape), sides)[0, :, None, :, 0]  # (N, 1, W)
        known = there.view(batch, 1, count, 1) * inside
        bias = torch.zeros_like(known)
        if guidance is not None and self.mistrust is not None:
            own = torch.stack([_in_windows(doubt[:, None], sides)[..., 0] for doubt in guidance.unbind(1)], dim=2)
            bias = -F.softplus(self.mistrust) * own
        heard, shares = self._attended(_even(queries), _even(keys), keys, known, bias)
        whole = _out_of_windows(self.output(heard), shape, sides)
        attention_weights = [_out_of_windows(share[..., None], shape, sides)[:, 0] for share in shares.unbind(3)]
        return whole, torch.stack(attention_weights, dim=1)

    def _at_voxels(
        self, primary: Tensor, others: Tensor, there: Tensor, guidance: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """``forward`` for windows of one voxel: nothing is cut, and products are taken channel by channel."""
        batch, count, heard, *shape = others.shape
        heads = (batch, count, self.heads, primary.shape[1] // self.heads, *shape)
        named = _even(others, dim=2) + self.embedding.to(others.dtype).view(1, count, heard, 1, 1, 1)
        q = _mapped(_even(primary, dim=1), self.query)[:, None]
        k, v = (_mapped(x.flatten(0, 1), m).view(heads) for x, m in ((named, self.key), (others, self.value)))
        score = (q.view(batch, 1, *heads[2:]) * k).sum(dim=3).float() / math.sqrt(heads[3])
        if guidance is not None and self.mistrust is not None:
            score = score - F.softplus(self.mistrust) * guidance[:, :, None].float()
        weight = _shares(score, there.view(batch, count, 1, 1, 1, 1).float(), dim=1)
        summed = (weight[:, :, :, None].to(v.dtype) * v).sum(dim=1).flatten(1, 2)
        return _mapped(summed, self.output), weight.mean(dim=2)

    def _attended(
        self, queries: Tensor, keys: Tensor, values: Tensor, known: Tensor, bias: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, N, W, C) and (B, N, W, M), of queries (B, N, W, C), keys (B, N, M, W, C), known and bias (B, N, M, W)."""
        batch, windows, count, size, _ = keys.shape
        channels = queries.shape[-1]
        each = channels // self.heads
        q = self.query(queries).view(batch, windows, -1, self.heads, each)
        k = self.key(keys + self.embedding[:, None].to(keys.dtype)).view(batch, windows, -1, self.heads, each)
        v = self.value(values).view(batch, windows, -1, self.heads, each)
        score = torch.einsum("bnqhc,bnkhc->bnhqk", q, k).float() / math.sqrt(each)
        mask, bias = (t.reshape(batch, windows, 1, 1, count * size).float() for t in (known, bias))
        weight = _shares(score + bias, mask, dim=-1)
        heard = torch.einsum("bnhqk,bnkhc->bnqhc", weight.to(v.dtype), v).reshape(batch, windows, -1, channels)
        shares = weight.mean(dim=2).unflatten(-1, (count, size)).sum(dim=-1)
        return heard, shares


def _shares(score: Tensor, there: Tensor, *, dim: int) -> Tensor:
    """Softmax over what is there; exactly 0 for what is not, and for all where nothing is."""
    score = torch.where(there > 0, score, _LOW)
    weight = torch.exp(score - score.amax(dim=dim, keepdim=True)) * there
    return weight / weight.sum(dim=dim, keepdim=True).clamp_min(1e-12)


def _even(features: Tensor, *, dim: int = -1) -> Tensor:
    """Each voxel's features with mean square 1: what is asked must not depend on how strong a signal is."""
    return features * torch.rsqrt(features.square().mean(dim=dim, keepdim=True) + 1e-5)


def _mapped(volume: Tensor, layer: nn.Linear) -> Tensor:
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
    """What ``_in_windows`` cut, put together again: (B, C, X, Y, Z)."""
    batch, _, _, channels = windows.shape
    x, y, z = (-(-n // w) for n, w in zip(shape, sides, strict=True))
    cut = windows.view(batch, x, y, z, *sides, channels).permute(0, 7, 1, 4, 2, 5, 3, 6)
    whole = cut.reshape(batch, channels, x * sides[0], y * sides[1], z * sides[2])
    return whole[..., : shape[0], : shape[1], : shape[2]]
