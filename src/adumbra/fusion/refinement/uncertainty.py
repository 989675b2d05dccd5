"""What windows are chosen by: the uncertainty of a first pass, or for studies its error."""

from collections.abc import Iterable

import numpy as np

from adumbra.core.case import Case
from adumbra.core.entropy import LN2, binary_entropy
from adumbra.core.errors import MissingInput
from adumbra.core.options import WindowMeasure
from adumbra.core.types import Mask, Target, Volume

LEAST_NATS = {"entropy": 0.1 * LN2, "disagreement": 0.01}
"""Uncertainty below which a voxel does not count: many quiet voxels must not outweigh an uncertain region."""


def first_pass_uncertainty(draws: Iterable[Volume], brain: Mask, *, measure: WindowMeasure) -> tuple[Volume, Volume]:
    """The uncertainty of a first pass in nats, 0 outside the brain and where it is small, and its mean probability.

    Args:
        draws: Draws of the first pass, (X, Y, Z) each; at least one.
        brain: (X, Y, Z).
        measure: The predictive entropy, or the disagreement of the draws: the mutual information.
    """
    count, total, expected = 0, np.zeros(np.count_nonzero(brain)), np.zeros(np.count_nonzero(brain))
    for volume in draws:
        inside = volume[brain].astype(np.float64)
        count += 1
        total += inside
        expected += binary_entropy(np.clip(inside, 0.0, 1.0))
    mean = np.clip(total / count, 0.0, 1.0)
    values = binary_entropy(mean) - (expected / count if measure == "disagreement" else 0.0)
    return _filled(np.where(values >= LEAST_NATS[measure], values, 0.0), brain), _filled(mean, brain)


def first_pass_error(probability: Volume, case: Case, *, target: Target) -> Volume:
    """1 where a probability above one half disagrees with the ground truth, else 0.

    Raises:
        MissingInput: The case has no ground truth of the target.
    """
    truth = case.truth(target)
    if truth is None:
        raise MissingInput(
            case.name,
            expected=f"a mask of the {target}, which the oracle selection reads",
            found="none",
            do="choose another selection of windows",
        )
    return np.asarray((probability > 0.5) != truth.data, dtype=np.float32)


def _filled(values: np.ndarray, brain: Mask) -> Volume:
    volume = np.zeros(brain.shape, dtype=np.float32)
    volume[brain] = values
    return volume
