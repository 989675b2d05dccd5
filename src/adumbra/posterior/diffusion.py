"""Draws of a diffusion model of masks: one noise volume is denoised window by window, in few steps.

Wolleb et al., MIDL 2022. One noise volume is one draw: overlapping windows share the noise where they overlap, so that
they differ only by their surroundings. The solver is of second order; with so few steps, first-order solvers give masks
that are too similar.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from adumbra.core.errors import WeightsRejected
from adumbra.core.references import cites
from adumbra.diffusion.sampling import sample
from adumbra.diffusion.schedule import Schedule
from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import MaskDenoising, NetworkStage, SegmentationNetwork, TrainedNetwork, Window

_LARGEST = 1.0 - 1e-6  # Largest magnitude of a mask in [-1, 1] whose logit is finite.


@cites("Ho2020", "Lu2022", "Wolleb2022")
@dataclass(frozen=True)
class MaskDiffusion:
    """Masks sampled by reversing the diffusion.

    Attributes:
        steps: Number of denoising steps.
        schedule: Noise schedule, as in training.
    """

    steps: int = 10
    schedule: Schedule = field(default_factory=Schedule)

    @property
    def state(self) -> Mapping[str, object]:
        """Number of steps."""
        return {"approximation": "mask diffusion", "steps": self.steps}

    def stage(self, trained: TrainedNetwork) -> NetworkStage:
        """The decoder: images are encoded once.

        Raises:
            WeightsRejected: The network does not denoise masks.
        """
        if trained.network.mask_denoising is None:
            raise WeightsRejected(
                trained.card.name,
                expected="weights of a mask denoiser",
                found="another architecture",
                do="train with adumbra train --backbone diffusion, or choose another posterior",
            )
        return "decoder"

    def sample(
        self, network: SegmentationNetwork, generator: np.random.Generator, shape: tuple[int, int, int]
    ) -> Realisation:
        """One draw, for a volume of a shape."""
        denoiser: MaskDenoising | None = network.mask_denoising
        assert denoiser is not None  # ``stage`` refuses others
        targets = len(network.config.targets)
        noise = torch.from_numpy(generator.standard_normal((1, targets, *shape), dtype=np.float32))

        def logits(_: SegmentationNetwork, window: Window) -> Tensor:
            x, y, z = window.box
            mask = sample(
                lambda noisy, t: torch.tanh(0.5 * denoiser.denoise(window.features, noisy, t)),
                noise[:, :, x, y, z].to(window.features[0].device),
                self.schedule,
                steps=self.steps,
                method="second-order",
                predicts="x0",
                within=(-1.0, 1.0),
            )
            return 2.0 * torch.atanh(mask.clamp(-_LARGEST, _LARGEST))

        return logits
