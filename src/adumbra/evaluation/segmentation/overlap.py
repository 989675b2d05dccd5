"""How much of two masks is the same, voxel by voxel.

What an empty mask means is fixed here: the Dice of two empty masks is 1; a share of no voxels is undefined, nan.
"""

from math import nan

from adumbra.core.references import cites
from adumbra.evaluation.segmentation.pair import Pair


@cites("Dice1945")
def dice(pair: Pair) -> float:
    """2 |P ∩ T| / (|P| + |T|), in [0, 1]; 1 when both are empty (as ISLES'22 has it), 0 when one is."""
    if pair.predicted + pair.true == 0:
        return 1.0
    return 2.0 * pair.both / (pair.predicted + pair.true)


def sensitivity(pair: Pair) -> float:
    """|P ∩ T| / |T|, in [0, 1]; nan when the truth is empty, for then there was nothing to find."""
    return pair.both / pair.true if pair.true else nan


def precision(pair: Pair) -> float:
    """|P ∩ T| / |P|, in [0, 1]; nan when the prediction is empty, for then nothing was claimed."""
    return pair.both / pair.predicted if pair.predicted else nan


@cites("HernandezPetzsche2022")
def volume_difference(pair: Pair) -> float:
    """| |P| - |T| | in ml, from 0; it does not ask where the voxels lie. 0 when both are empty."""
    return abs(pair.predicted - pair.true) * pair.grid.voxel_ml
