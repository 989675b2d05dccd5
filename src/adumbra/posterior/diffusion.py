"""Draws of a diffusion model of masks: noise for the whole volume, taken away window by window in few steps.

Wolleb et al., MIDL 2022. One noise volume is a draw: windows that overlap begin with the same noise where they do, so
that they differ by what they see and not by chance. The solver is of second order; with so few steps simpler ones draw
masks that are too much alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adumbra.core.errors import WeightsRejected
from adumbra.core.references import cites
from adumbra.diffusion.sampling import sampled
from adumbra.diffusion.schedule import Schedule
from adumbra.inference.protocols import Loaded, NetworkStage, Realisation, Window

_SURE = 1.0 - 1e-6  # Of a mask in [-1, 1], whose logit is finite.


@cites("Ho2020", "Lu2022", "Wolleb2022")
@dataclass(frozen=True)
class MaskDiffusion:
    """Masks grown from noise.

    Attributes:
        steps: In which the network takes the noise away.
        schedule: Of the noise, as in training.
    """

    steps: int = 10
    schedule: Schedule = field(default_factory=Schedule)

    @property
    def state(self) -> Mapping[str, object]:
        """What is fixed."""
        return {"approximation": "mask diffusion", "steps": self.steps}

    def part(self, loaded: Loaded) -> NetworkStage:
        """The decoder: images are encoded once.

        Raises:
            WeightsRejected: The network does not denoise masks.
        """
        if not hasattr(loaded.network, "denoised"):
            raise WeightsRejected(
                loaded.card.name,
                expected="weights of a mask denoiser",
                found="another architecture",
                do="train with adumbra train --backbone diffusion, or choose another posterior",
            )
        return "decoder"

    def drawn(self, network: Any, generator: np.random.Generator, shape: tuple[int, int, int]) -> Realisation:
        """One draw, for a volume of a shape."""
        targets = len(network.config.targets)
        noise = torch.from_numpy(generator.standard_normal((1, targets, *shape), dtype=np.float32))
        return _Grown(noise, self)


@dataclass(frozen=True, eq=False)
class _Grown:
    """The masks that one noise volume becomes."""

    noise: Tensor
    how: MaskDiffusion

    def __call__(self, network: Any, window: Window) -> Tensor:
        """Logits of a window."""
        x, y, z = window.box
        begun = self.noise[:, :, x, y, z].to(window.features[0].device)
        mask = sampled(
            lambda noisy, t: torch.tanh(0.5 * network.denoised(window.features, noisy, t)),
            begun,
            self.how.schedule,
            steps=self.how.steps,
            method="second-order",
            predicts="x0",
            within=(-1.0, 1.0),
        )
        return 2.0 * torch.atanh(mask.clamp(-_SURE, _SURE))
