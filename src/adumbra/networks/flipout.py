"""Convolutions whose weights are Gaussian, trained with noise that differs between the examples of a batch.

Flipout (Wen et al., ICLR 2018): with one noise ΔW = σ ∘ ε for the batch and signs r, s of each example,

    y_b = x_b * μ + ((x_b ∘ s_b) * ΔW) ∘ r_b

so that the gradients of the examples are nearly independent, at the cost of two convolutions. Unlike with local
reparameterisation, all positions of an example share one sample of the weights, as in any convolution. In evaluation
the weights are their means.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from adumbra.core.references import cites

_INITIAL_SIGMA = 0.1  # Standard deviation of a weight before training, relative to the spread of its convolution.


@cites("Wen2018", "Blundell2015")
class FlipoutConv3d(nn.Conv3d):
    """A convolution whose every weight has an independent Gaussian; a bias is deterministic."""

    log_sigma: nn.Parameter

    @classmethod
    def of(cls, convolution: nn.Conv3d) -> "FlipoutConv3d":
        """The same convolution, its weight (shared, not copied) the mean."""
        stochastic = cls(
            convolution.in_channels,
            convolution.out_channels,
            kernel_size=convolution.kernel_size,  # type: ignore[arg-type]  # three sides, as the constructor takes them
            stride=convolution.stride,  # type: ignore[arg-type]
            padding=convolution.padding,  # type: ignore[arg-type]
            bias=convolution.bias is not None,
        )
        stochastic.weight, stochastic.bias = convolution.weight, convolution.bias
        spread = float(convolution.weight.detach().square().mean().sqrt().clamp(min=1e-3))
        stochastic.log_sigma = nn.Parameter(torch.full_like(convolution.weight, math.log(_INITIAL_SIGMA * spread)))
        return stochastic

    def forward(self, x: Tensor) -> Tensor:
        """The convolution; in training, with sampled weights."""
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
            prior_sigma: s; None takes the value that minimises the divergence, √mean(μ² + σ²).
        """
        squares = self.weight**2 + (2.0 * self.log_sigma).exp()
        prior = squares.mean() if prior_sigma is None else torch.tensor(prior_sigma**2)
        return 0.5 * (squares / prior - 1.0 + prior.log() - 2.0 * self.log_sigma).sum()


def _signs(batch: int, channels: int, like: Tensor) -> Tensor:
    return torch.randint(0, 2, (batch, channels, 1, 1, 1), device=like.device).to(like.dtype) * 2.0 - 1.0


def make_variational(network: nn.Module, prefix: str) -> None:
    """Replaces every 3D convolution under a prefix, such as ``"decoder."``, by one with Gaussian weights, in place."""
    for name, module in list(network.named_modules()):
        for key, child in list(module.named_children()):
            path = f"{name}.{key}" if name else key
            if path.startswith(prefix) and type(child) is nn.Conv3d:
                setattr(module, key, FlipoutConv3d.of(child))


def variational_layers(network: nn.Module) -> Iterator[tuple[str, FlipoutConv3d]]:
    """The convolutions with Gaussian weights, by name."""
    return ((name, m) for name, m in network.named_modules() if isinstance(m, FlipoutConv3d))
