"""Values in order, and where the runs of equal values end: what makes a measure blind to the order of ties.

A map of uncertainty has millions of equal voxels, and no order among them is meant. A measure that walks through sorted
values one by one depends on the order in which they happened to lie; one that walks from run to run does not.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.core.errors import ImplausibleValues


@dataclass(frozen=True, eq=False)
class Runs:
    """The different values from the lowest to the highest, each a run of all that equal it.

    Attributes:
        values: (R,), rising.
        ends: (R,), int64, how many values lie up to the end of each run; the last is N.
    """

    values: np.ndarray
    ends: np.ndarray

    def counted(self, some: np.ndarray) -> np.ndarray:
        """How many of some of the values lie up to the end of each run; int64 (R,)."""
        in_run = np.bincount(np.searchsorted(self.values, some), minlength=self.values.size)
        return np.cumsum(in_run, dtype=np.int64)


def runs(values: np.ndarray, where: str) -> Runs:
    """The runs of equal values in a row (N,); none for no values. Infinite values are ordered like others.

    Values are sorted and not their indices, which takes a fraction of the time.

    Raises:
        ImplausibleValues: A value is not a number and so has no place in any order; ``where`` names it.
    """
    risen = np.sort(values)
    if risen.size and np.isnan(risen[-1]):  # NumPy sorts NaN to the end
        raise ImplausibleValues(
            where,
            expected="numbers",
            found="NaN",
            do="leave such voxels out, or find where the map was divided by zero",
        )
    last = np.flatnonzero(np.append(risen[1:] != risen[:-1], np.ones(min(risen.size, 1), dtype=bool)))
    return Runs(risen[last], last + 1)
