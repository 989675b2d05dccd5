"""What a decomposition returns."""

from dataclasses import dataclass

import numpy as np

from adumbra.information.jit import compiled

ROUNDING = 1e-14
"""Bits that arithmetic may add or take."""


@dataclass(frozen=True, eq=False)
class Atoms:
    """The four parts of I(T; X, Y), in bits, of the batch's shape; none is below 0.

    With I(T; X), what the first source tells of the target alone, I(T; Y), and I(T; X, Y), what both tell together:

        redundancy + unique_1                        = I(T; X)
        redundancy + unique_2                        = I(T; Y)
        redundancy + unique_1 + unique_2 + synergy   = I(T; X, Y)

    One measured part fixes the others. The union information is what is not synergy.

    Attributes:
        redundancy: What either source tells.
        unique_1: What only the first tells.
        unique_2: What only the second tells.
        synergy: What neither tells alone, and both together do.
        gap: No part is further than this from the exact one; 0 where there is a formula.
    """

    redundancy: np.ndarray
    unique_1: np.ndarray
    unique_2: np.ndarray
    synergy: np.ndarray
    gap: np.ndarray


def atoms_between(specific: np.ndarray, lower: np.ndarray, upper: np.ndarray, *, batch: tuple[int, ...]) -> Atoms:
    """The atoms that bounds of the union information leave; where one may be exactly 0, it is.

    Args:
        specific: What the first source, the second and both tell of each symbol of the target, bits (3, N, T).
        lower: Of what is told without synergy, (N,).
        upper: Of the same. No bound leads beyond what is known, be it infinite or NaN.
        batch: The shape to return, of N problems.
    """
    parts = np.empty((5, lower.size))
    _fill_parts(specific, lower, upper, parts)
    return Atoms(*(part.reshape(batch) for part in parts))


@compiled
def _fill_parts(specific: np.ndarray, lower: np.ndarray, upper: np.ndarray, parts: np.ndarray) -> None:
    """Fills the atoms and the gap: a union is in [max(first, second), min(both, first + second)] in any case."""
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
