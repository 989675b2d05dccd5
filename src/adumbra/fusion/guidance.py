"""Guidance maps: the uncertainty that guides a fusion, and the controls that it is compared with.

A guidance map is the entropy of a probability in bits, so that it lies in [0, 1]: 1 where both classes are equally
likely. A guided network takes one map of a first pass over all modalities, and one of a pass over each modality alone.
The latter is computed only near voxels where the former is uncertain; elsewhere it is taken to be the former.
"""

from typing import get_args

import numpy as np
from scipy import ndimage

from adumbra.core.entropy import LN2, binary_entropy
from adumbra.core.errors import InputRejected
from adumbra.core.options import Guide
from adumbra.core.types import Mask, Volume

GUIDES: tuple[Guide, ...] = get_args(Guide)

_UNCERTAIN_BITS, _AROUND = 0.1, 4  # Entropy from which modalities are passed alone, and the margin in voxels.


def binary_entropy_bits(probability: Volume) -> Volume:
    """Entropy of each voxel's probability in bits, float32, in [0, 1]."""
    return np.asarray(binary_entropy(probability) / LN2, dtype=np.float32)


def near_uncertainty(guidance: Volume) -> Mask:
    """Uncertain voxels and a margin around them: there modalities are passed alone. Elsewhere the gate hardly opens."""
    return np.asarray(ndimage.maximum_filter(guidance, size=2 * _AROUND + 1) > _UNCERTAIN_BITS)


def control_guidance(maps: np.ndarray, guide: Guide, *, within: Mask, generator: np.random.Generator) -> np.ndarray:
    """The guidance maps of a guide or control, float32, 0 outside the brain.

    Args:
        maps: (D, X, Y, Z), uncertainty; for the oracle the true errors.
        guide: One of ``GUIDES`` except ``"none"``.
        within: (X, Y, Z), the brain.
        generator: Permutes the voxels, in the same way in all maps.

    Raises:
        InputRejected: There is no such guide.
    """
    if guide not in GUIDES[1:]:
        raise InputRejected("guide", expected=" or ".join(GUIDES[1:]), found=guide, do="choose one of these")
    inside = maps[:, within]
    if guide == "constant":
        inside = np.broadcast_to(inside.mean(axis=1, keepdims=True), inside.shape)
    if guide == "shuffled":
        inside = inside[:, generator.permutation(inside.shape[1])]
    guidance = np.zeros(maps.shape, dtype=np.float32)
    guidance[:, within] = inside
    return guidance
