"""The doubt that guides a fusion: what a first reading is unsure of, and the controls that it is compared with.

Doubt is the entropy of a probability in bits, so that it lies in [0, 1]: 1 where both answers are as likely. A guided
network is given one map of the reading of all modalities, and one of each modality read alone. That is asked only near
what the first reading doubts; elsewhere a modality's own doubt is taken to be that of all.
"""

from typing import get_args

import numpy as np
from scipy import ndimage

from adumbra.core.errors import InputRejected
from adumbra.core.options import Guide
from adumbra.core.types import Mask, Volume

GUIDES: tuple[Guide, ...] = get_args(Guide)

_DOUBTED, _AROUND = 0.1, 4  # Bits from which modalities are read alone, and voxels around these.
_LEAST = 1e-7  # Of a probability, whose logarithm is finite.


def binary_entropy_bits(probability: Volume) -> Volume:
    """-p log2 p - (1 - p) log2 (1 - p) of each voxel, float32, in [0, 1]."""
    p = np.clip(probability.astype(np.float32), _LEAST, 1.0 - _LEAST)
    return np.asarray(-p * np.log2(p) - (1.0 - p) * np.log2(1.0 - p), dtype=np.float32)


def near_uncertainty(doubt: Volume) -> Mask:
    """Where modalities are read alone: in doubt, and some voxels around it. Elsewhere the attention hardly opens."""
    return np.asarray(ndimage.maximum_filter(doubt, size=2 * _AROUND + 1) > _DOUBTED)


def control_guidance(maps: np.ndarray, guide: Guide, *, within: Mask, generator: np.random.Generator) -> np.ndarray:
    """The maps as a control has them, float32, 0 outside.

    Args:
        maps: (D, X, Y, Z), doubts; for the oracle the true errors.
        guide: Of ``GUIDES``, but ``"none"``.
        within: (X, Y, Z), the brain.
        generator: Shuffles voxels, the same way in all maps.

    Raises:
        InputRejected: No such guide.
    """
    if guide not in GUIDES[1:]:
        raise InputRejected("guide", expected=" or ".join(GUIDES[1:]), found=guide, do="choose one of these")
    inside = maps[:, within]
    if guide == "constant":
        inside = np.broadcast_to(inside.mean(axis=1, keepdims=True), inside.shape)
    if guide == "shuffled":
        inside = inside[:, generator.permutation(inside.shape[1])]
    made = np.zeros(maps.shape, dtype=np.float32)
    made[:, within] = inside
    return made
