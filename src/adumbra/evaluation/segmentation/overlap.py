"""Voxel-wise metrics: the overlap and the volume difference of two masks.

Undefined cases: the Dice of two empty masks is 1. A share of no voxels is undefined, nan.
"""

from math import nan

from adumbra.core.references import cites
from adumbra.evaluation.segmentation.pair import MaskPair


@cites("Dice1945")
def dice(pair: MaskPair) -> float:
    """2 |P ∩ T| / (|P| + |T|), in [0, 1]; 1 if both masks are empty, as in ISLES'22, and 0 if one is."""
    if pair.predicted + pair.true == 0:
        return 1.0
    return 2.0 * pair.both / (pair.predicted + pair.true)


def sensitivity(pair: MaskPair) -> float:
    """|P ∩ T| / |T|, in [0, 1]; nan if the truth is empty, because there is nothing to detect."""
    return pair.both / pair.true if pair.true else nan


def precision(pair: MaskPair) -> float:
    """|P ∩ T| / |P|, in [0, 1]; nan if the prediction is empty, because nothing was predicted positive."""
    return pair.both / pair.predicted if pair.predicted else nan


@cites("HernandezPetzsche2022")
def volume_difference(pair: MaskPair) -> float:
    """| |P| - |T| | in ml, from 0; 0 if both masks are empty. The position of the voxels does not matter."""
    return abs(pair.predicted - pair.true) * pair.grid.voxel_ml
