"""Convolutions whose weights are Gaussian, trained with noise that differs between the examples of a batch.

Flipout (Wen et al., ICLR 2018): with one noise ΔW = σ ∘ ε for the batch and signs r, s of each example,

    y_b = x_b * μ + ((x_b ∘ s_b) * ΔW) ∘ r_b

so that the examples' gradients are nearly independent, at the cost of two convolutions. Unlike local
reparameterisation, all places of an example share their weights, as those of a convolution do. In evaluation the
weights are their means.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from adumbra.core.references import cites

_BEGINNING = 0.1  # Standard deviation of a weight before training, in parts of its convolution's spread.


@cites("Wen2018", "Blundell2015")
class FlipoutConv3d(nn.Conv3d):
    """A convolution with a Gaussian of its own for every weight; the bias, where there is one, is certain."""

    log_sigma: nn.Parameter

    @classmethod
    def of(cls, certain: nn.Conv3d) -> "FlipoutConv3d":
        """The same convolution, its weight (shared, not copied) the mean."""
        shape: dict[str, Any] = {name: getattr(certain, name) for name in ("kernel_size", "stride", "padding")}
        made = cls(certain.in_channels, certain.out_channels, bias=certain.bias is not None, **shape)
        made.weight, made.bias = certain.weight, certain.bias
        spread = float(certain.weight.detach().square().mean().sqrt().clamp(min=1e-3))
        made.log_sigma = nn.Parameter(torch.full_like(certain.weight, math.log(_BEGINNING * spread)))
        return made

    def forward(self, x: Tensor) -> Tensor:
        """As of any convolution; while training, with noise."""
        y = super().forward(x)
        if not self.training:
            return y
        noise = self.log_sigma.exp() * torch.randn_like(self.log_sigma)
        batch = x.shape[0]
        s, r = (_signs(batch, channels, x) for channels in (self.in_channels, self.out_channels))
        return y + r * self._conv_forward(x * s, noise, None)

    def divergence(self, prior_sigma: float | None = None) -> Tensor:
        """KL(N(μ, σ²) ‖ N(0, s²)), summed over the weights, in nats; never negative.

        Args:
            prior_sigma: s; None takes the one for which the divergence is least, √mean(μ² + σ²).
        """
        squares = self.weight**2 + (2.0 * self.log_sigma).exp()
        prior = squares.mean() if prior_sigma is None else torch.tensor(prior_sigma**2)
        return 0.5 * (squares / prior - 1.0 + prior.log() - 2.0 * self.log_sigma).sum()


def _signs(batch: int, channels: int, like: Tensor) -> Tensor:
    return torch.randint(0, 2, (batch, channels, 1, 1, 1), device=like.device).to(like.dtype) * 2.0 - 1.0


def made_uncertain(network: nn.Module, prefix: str) -> None:
    """Makes every 3D convolution under a prefix, such as ``"decoder."``, one with Gaussian weights, in place."""
    for name, module in list(network.named_modules()):
        for key, child in list(module.named_children()):
            path = f"{name}.{key}" if name else key
            if path.startswith(prefix) and type(child) is nn.Conv3d:
                setattr(module, key, FlipoutConv3d.of(child))


def uncertain(network: nn.Module) -> Iterator[tuple[str, FlipoutConv3d]]:
    """The convolutions with Gaussian weights, by name."""
    return ((name, m) for name, m in network.named_modules() if isinstance(m, FlipoutConv3d))
