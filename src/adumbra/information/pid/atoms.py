"""The atoms of a partial information decomposition of two sources."""

from dataclasses import dataclass

import numpy as np

from adumbra.information.jit import compiled

ROUNDING = 1e-14
"""Bits that rounding may add to or take from an information."""


@dataclass(frozen=True, eq=False)
class Atoms:
    """The four atoms of I(T; X, Y), in bits, each of the shape of the batch; none is below 0.

    They fulfil

        redundancy + unique_1                        = I(T; X)
        redundancy + unique_2                        = I(T; Y)
        redundancy + unique_1 + unique_2 + synergy   = I(T; X, Y)

    so that a definition of one atom fixes the others.

    Attributes:
        redundancy: Redundancy, or shared information: what both X and Y tell about T.
        unique_1: Unique information of X.
        unique_2: Unique information of Y.
        synergy: Synergy, or complementary information: what only X and Y together tell about T.
        gap: Each atom differs from its exact value by at most this; 0 where there is a closed form.
    """

    redundancy: np.ndarray
    unique_1: np.ndarray
    unique_2: np.ndarray
    synergy: np.ndarray
    gap: np.ndarray

    @property
    def union_information(self) -> np.ndarray:
        """The union information, I(T; X, Y) less the synergy."""
        return np.asarray(self.redundancy + self.unique_1 + self.unique_2)

    @property
    def co_information(self) -> np.ndarray:
        """The co-information I(T; X; Y) = I(T; X) + I(T; Y) - I(T; X, Y): redundancy less synergy, of either sign."""
        return np.asarray(self.redundancy - self.synergy)


def atoms_between(specific: np.ndarray, lower: np.ndarray, upper: np.ndarray, *, batch: tuple[int, ...]) -> Atoms:
    """The atoms that follow from bounds of the union information; an atom that may be 0 within rounding is exactly 0.

    Args:
        specific: (3, N, T), the specific information of the first source, the second and both, in bits.
        lower: (N,), lower bounds of the union information, in bits. Infinite or NaN bounds leave the general ones.
        upper: (N,), upper bounds.
        batch: The shape of the atoms, N in all.
    """
    parts = np.empty((5, lower.size))
    _fill_parts(specific, lower, upper, parts)
    return Atoms(*(part.reshape(batch) for part in parts))


@compiled
def _fill_parts(specific: np.ndarray, lower: np.ndarray, upper: np.ndarray, parts: np.ndarray) -> None:
    """Fills atoms and gap. Any union information is in [max(first, second), min(both, first + second)]."""
    for i in range(lower.size):
        first, second, both = specific[0, i].sum(), specific[1, i].sum(), specific[2, i].sum()
        least, most = max(first, second), min(both, first + second)
        low = min(max(lower[i], least), most) if lower[i] >= least else least
        high = max(min(upper[i], most), low) if upper[i] <= most else max(most, low)
        union = (low + high) / 2.0
        if low <= least + ROUNDING:
            union = least
        elif high >= most - ROUNDING:
            union = most
        parts[0, i], parts[1, i], parts[2, i] = first + second - union, union - second, union - first
        parts[3, i], parts[4, i] = both - union, high - low
