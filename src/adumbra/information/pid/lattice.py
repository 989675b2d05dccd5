"""The redundancy lattice of Williams and Beer (2010): its antichains, their order and its Möbius inversion.

A node is an antichain, a collection of sets of sources none of which contains another. It is written as a tuple of
tuples of numbers from 1: ``((1,), (2, 3))`` stands for what source 1 and the pair of sources 2 and 3 share. A node is
below another if each set of the upper one contains a set of the lower one. The redundancy of a node is the sum of the
atoms at and below it, which Möbius inversion recovers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations

import numpy as np

Sources = tuple[int, ...]
"""A set of sources."""
Antichain = tuple[Sources, ...]
"""A node of the lattice."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """A decomposition on the lattice of two or three sources, in bits, each value of the batch's shape.

    Attributes:
        atoms: What each node shares and no node below it does; the atoms sum to I(T; all sources).
        redundancies: What each node shares: the sum of the atoms at and below it.
    """

    atoms: Mapping[Antichain, np.ndarray]
    redundancies: Mapping[Antichain, np.ndarray]


@cache
def source_sets(sources: int) -> tuple[Sources, ...]:
    """All sets of sources but the empty one, ordered by size."""
    numbers = range(1, sources + 1)
    return tuple(chain.from_iterable(combinations(numbers, size) for size in numbers))


@cache
def antichains(sources: int) -> tuple[Antichain, ...]:
    """The nodes, each after those below it: 4 for two sources, 18 for three."""
    families = chain.from_iterable(combinations(source_sets(sources), size) for size in range(1, 2**sources))
    nodes = [family for family in families if not any(_is_subset(a, b) for a in family for b in family if a != b)]
    return tuple(sorted(nodes, key=lambda node: (sum(below(other, node) for other in nodes), node)))


def below(lower: Antichain, upper: Antichain) -> bool:
    """Whether each set of the upper node contains a set of the lower one; a node is below itself."""
    return all(any(_is_subset(a, b) for a in lower) for b in upper)


@cache
def moebius_inversion(sources: int) -> np.ndarray:
    """The matrix (nodes, nodes) that turns redundancies into atoms, both in the order of ``antichains``."""
    nodes = antichains(sources)
    order = np.array([[float(below(lower, upper)) for lower in nodes] for upper in nodes])
    inverse: np.ndarray = np.rint(np.linalg.inv(order))  # triangular with ones, so its inverse has whole numbers
    return inverse


def _is_subset(a: Sources, b: Sources) -> bool:
    return set(a) <= set(b)
