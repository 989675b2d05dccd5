"""The blocks of all networks. Tensors are (B, C, X, Y, Z).

Instance normalisation erases a constant channel, so that a missing modality filled with zeros leaves no trace. The
encoder's blocks are therefore conditioned on presence: ``ConditionedNorm`` scales and shifts by a linear function of
``present`` (feature-wise linear modulation; Perez et al., AAAI 2018).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.01
"""Negative slope of the leaky ReLU."""


class ConditionedNorm(nn.Module):
    """Instance normalisation whose gain and shift follow a condition vector.

    Args:
        channels: C of the input.
        conditions: Length of the condition vector; 0 learns one gain and shift for all.
    """

    def __init__(self, channels: int, conditions: int = 0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))
        # Zeros make the untrained network blind to the condition: training starts from plain normalisation.
        self.modulation = nn.Parameter(torch.zeros(conditions, 2 * channels)) if conditions else None

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """The normalised input, same shape; ``condition`` is (B, conditions)."""
        batch, channels = x.shape[:2]
        gain, shift = self.gain.expand(batch, -1), self.shift.expand(batch, -1)
        if self.modulation is not None and condition is not None:
            with torch.autocast(x.device.type, enabled=False):
                scale, offset = (condition.float() @ self.modulation).chunk(2, dim=1)
            gain, shift = gain * (1.0 + scale), shift + offset
        if _is_channels_last(x):
            instances = zip(x.split(1), gain, shift, strict=True)
            return torch.cat([F.batch_norm(i, None, None, g, s, training=True) for i, g, s in instances])
        # Instances laid side by side as channels: one fused call normalises, scales and shifts each of them.
        flat = x.reshape(1, batch * channels, *x.shape[2:])
        normed = F.batch_norm(flat, None, None, gain.reshape(-1), shift.reshape(-1), training=True)
        return normed.view(x.shape)


def _is_channels_last(x: Tensor) -> bool:
    return x.is_contiguous(memory_format=torch.channels_last_3d) and not x.is_contiguous()


class ResidualBlock(nn.Module):
    """Two 3×3×3 convolutions, each normalised, around a shortcut (He et al., CVPR 2016)."""

    def __init__(self, channels_in: int, channels: int, *, conditions: int = 0) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels, 3, padding=1, bias=False)
        self.norm1 = ConditionedNorm(channels, conditions)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = ConditionedNorm(channels, conditions)
        self.shortcut = nn.Identity() if channels_in == channels else nn.Conv3d(channels_in, channels, 1, bias=False)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """(B, channels_in, X, Y, Z) to (B, channels, X, Y, Z)."""
        y = F.leaky_relu(self.norm1(self.conv1(x), condition), SLOPE, inplace=True)
        y = self.norm2(self.conv2(y), condition)
        return F.leaky_relu(y + self.shortcut(x), SLOPE, inplace=True)


class ChannelDropout(nn.Module):
    """Drops whole channels and scales the rest by 1 / (1 - p), at random or by a given mask.

    One mask for all windows of a volume makes a draw *one* network, whose probability volume is a sample of the
    posterior. A new mask per window would tile the volume with different networks.
    """

    def __init__(self, channels: int, p: float) -> None:
        super().__init__()
        self.channels, self.p = channels, p

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The input with channels dropped: those that are 0 in ``mask``, or, without one, at random in training.

        ``mask`` is (C,), or (B, C) with one for each example.
        """
        if self.p == 0.0:
            return x
        if mask is None:
            return F.dropout3d(x, self.p, training=self.training)
        return x * (mask.to(x) / (1.0 - self.p)).view(-1, self.channels, 1, 1, 1)
