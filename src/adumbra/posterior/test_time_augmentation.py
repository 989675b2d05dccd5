"""Test-time augmentation: every draw sees the case flipped or at other intensities, and its result is flipped back.

Wang et al., Neurocomputing 2019. Flips are inverted exactly. Changes of intensity need no inversion, since they do not
move voxels. The image varies, not the network: the spread is aleatoric in nature, although the entropies count it as
epistemic.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from adumbra.core.atlas.head_context import flip_signs
from adumbra.core.references import cites
from adumbra.inference.posteriors import Realisation
from adumbra.inference.protocols import NetworkStage, SegmentationNetwork, TrainedNetwork, Window


@cites("Wang2019")
@dataclass(frozen=True)
class TestTimeAugmentation:
    """Augmentations of a case in network units, where a channel has about unit standard deviation.

    Attributes:
        flip: Probability of a flip along each axis, X Y Z. By default only left and right are exchanged, to which
            anatomy is nearly symmetric.
        gain: Standard deviation of the logarithm of each channel's gain.
        shift: Standard deviation of each channel's shift.
    """

    __test__ = False  # pytest takes a class of this name for tests

    flip: tuple[float, float, float] = (0.5, 0.0, 0.0)
    gain: float = 0.1
    shift: float = 0.1

    @property
    def state(self) -> Mapping[str, object]:
        """Strength of the augmentation."""
        return {"approximation": "augmentation", "flip": list(self.flip), "gain": self.gain, "shift": self.shift}

    def stage(self, trained: TrainedNetwork) -> NetworkStage:
        """The encoder: the whole network is computed for every draw."""
        return "encoder"

    def sample(
        self, network: SegmentationNetwork, generator: np.random.Generator, shape: tuple[int, int, int]
    ) -> Realisation:
        """One augmentation, the same in all windows."""
        axes = [2 + axis for axis in range(3) if generator.random() < self.flip[axis]]
        channels, repeats = len(network.config.modalities), 2 if network.config.mirrored else 1
        gain = np.exp(self.gain * generator.standard_normal(channels))
        gain, shift = (a.reshape(1, -1, 1, 1, 1) for a in (gain, self.shift * generator.standard_normal(channels)))

        def augmented(network: SegmentationNetwork, window: Window) -> torch.Tensor:
            (x,) = window.features
            available = window.present.view(1, -1, 1, 1, 1)  # a missing channel stays zero
            # A mirror image is of the same scan, and has its intensities.
            factor, offset = (torch.from_numpy(np.tile(a, (1, repeats, 1, 1, 1))).to(x) for a in (gain, shift))
            images, context = x[:, : factor.shape[1]], x[:, factor.shape[1] :]
            changed = (images * factor + offset) * available.repeat(1, repeats, 1, 1, 1)
            if context.shape[1]:  # no intensities, but the coordinate x of the other side is that of the opposite sign
                signs = torch.tensor(flip_signs(network.config.context, flipped=2 in axes)).to(x).view(1, -1, 1, 1, 1)
                changed = torch.cat([changed, context * signs], dim=1)
            return torch.flip(network((torch.flip(changed, axes),), window.present), axes)

        return augmented
