"""What a network may know of a voxel beside its intensities: the context inputs, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from adumbra.core.atlas.deformation import Deformation

ContextInput = Literal["coordinates", "vessels", "upstream"]
"""MNI152 coordinates; the probability of an artery and of a vein; how the predicted lesion relates to the territory of
the artery."""

CONTEXT_CHANNELS: Mapping[ContextInput, int] = {"coordinates": 3, "vessels": 2, "upstream": 2}
"""Number of channels of each input, in the order in which a network takes them."""


def flip_signs(inputs: Sequence[ContextInput], *, flipped: bool) -> list[float]:
    """The factor of each channel where left and right of a head are exchanged: -1 for the coordinate x, 1 for others.

    Args:
        inputs: Names of the inputs.
        flipped: Whether they are exchanged; all factors are 1 otherwise.
    """
    signs = [1.0] * sum(CONTEXT_CHANNELS[name] for name in inputs)
    if flipped and "coordinates" in inputs:
        signs[sum(CONTEXT_CHANNELS[name] for name in inputs[: inputs.index("coordinates")])] = -1.0
    return signs


@dataclass(frozen=True, eq=False)
class HeadContext:
    """What the context inputs of one head are computed from.

    Attributes:
        deformation: Subject mm to MNI152 mm, estimated from the images.
        upstream: float32 (segments, 2), for each of ``core.atlas.vessels.SEGMENTS`` the share of the predicted lesion
            that lies in its territory, and the share of its territory that is lesion; None where no prediction of the
            lesion is known.
    """

    deformation: Deformation
    upstream: np.ndarray | None = None
