"""What a decomposition returns."""

from dataclasses import dataclass

import numpy as np


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


def atoms_of_union(
    first: np.ndarray, second: np.ndarray, both: np.ndarray, *, union: np.ndarray, gap: np.ndarray
) -> Atoms:
    """The parts that a union information leaves, which must be in [max(first, second), min(both, first + second)].

    Args:
        first: I(T; X), bits.
        second: I(T; Y).
        both: I(T; X, Y).
        union: What is told without synergy.
        gap: Of the union.
    """
    parts = (first + second - union, union - second, union - first, both - union, gap)
    return Atoms(*(np.asarray(part) for part in parts))
