"""Test-time augmentation: every draw sees the case turned over or at other grey levels, and its answer is turned back.

Wang et al., Neurocomputing 2019. Flips are inverted exactly; grey levels are not altered in the answer, so they need no
inversion. What varies is the image, not the network: the spread is aleatoric in spirit, whatever the entropies call it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from adumbra.core.references import cites
from adumbra.inference.protocols import Loaded, NetworkStage, Realisation


@cites("Wang2019")
@dataclass(frozen=True)
class TestTimeAugmentation:
    """Views of a case; in network units, where a channel has about unit spread.

    Attributes:
        flip: Probability that a view is flipped along each axis, X Y Z. By default left and right only, which anatomy
            nearly leaves as it is.
        gain: Standard deviation of the logarithm of each channel's gain.
        shift: Of each channel's shift.
    """

    flip: tuple[float, float, float] = (0.5, 0.0, 0.0)
    gain: float = 0.1
    shift: float = 0.1

    @property
    def state(self) -> Mapping[str, object]:
        """How far views differ."""
        return {"approximation": "augmentation", "flip": list(self.flip), "gain": self.gain, "shift": self.shift}

    def part(self, loaded: Loaded) -> NetworkStage:
        """The whole network is computed for every draw."""
        return "encoder"

    def drawn(self, network: Any, generator: np.random.Generator, shape: tuple[int, int, int]) -> Realisation:
        """One view, the same in all windows."""
        axes = [2 + axis for axis in range(3) if generator.random() < self.flip[axis]]
        channels = len(network.config.modalities)
        gain = np.exp(self.gain * generator.standard_normal(channels))
        gain, shift = (a.reshape(1, -1, 1, 1, 1) for a in (gain, self.shift * generator.standard_normal(channels)))

        def seen(network: Any, window: Any) -> torch.Tensor:
            (x,) = window.features
            there = window.present.view(1, -1, 1, 1, 1)  # a missing channel stays zero
            changed = (x * torch.from_numpy(gain).to(x) + torch.from_numpy(shift).to(x)) * there
            return torch.flip(network((torch.flip(changed, axes),), window.present), axes)

        return seen
