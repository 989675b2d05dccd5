"""Summary statistics that several stages report: one definition each."""

from collections.abc import Sequence
from math import nan

import numpy as np


def coefficient_of_variation(values: Sequence[float] | np.ndarray) -> float:
    """Sample standard deviation over mean, such as of the volumes of posterior draws.

    The standard deviation is that of a sample, divided by n - 1 (Bessel's correction).

    Args:
        values: (N,), of any unit, such as ml or voxels.

    Returns:
        A number without unit, from 0. It is exactly 0 for equal values, and nan where the mean is not above 0 or
        there are fewer than two values.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2 or not (mean := float(sample.mean())) > 0.0:
        return nan
    if sample.min() == sample.max():  # the rounding of the mean must not look like spread
        return 0.0
    return float(sample.std(ddof=1)) / mean
