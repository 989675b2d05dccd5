"""The lattice of redundancies: which sets of sources can share what they tell, and what each shares alone.

A node is an antichain, a collection of sets of sources none of which holds another, as a tuple of tuples of numbers
from 1: ``((1,), (2, 3))`` is what source 1 shares with the pair of 2 and 3. One node is below another if each set of
the upper one holds a set of the lower one. A redundancy counts all that is below it; Möbius inversion takes that away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations

import numpy as np

Sources = tuple[int, ...]
Antichain = tuple[Sources, ...]


@dataclass(frozen=True, eq=False)
class Lattice:
    """A decomposition on the lattice of two or three sources, in bits, of the batch's shape.

    Attributes:
        atoms: What each node shares and none below it does; their sum is I(T; all sources).
        redundancies: What each node shares: the sum of the atoms at and below it.
    """

    atoms: Mapping[Antichain, np.ndarray]
    redundancies: Mapping[Antichain, np.ndarray]


@cache
def sets_of(sources: int) -> tuple[Sources, ...]:
    """All sets of sources but the empty one, the small ones first."""
    numbers = range(1, sources + 1)
    return tuple(chain.from_iterable(combinations(numbers, size) for size in numbers))


@cache
def antichains(sources: int) -> tuple[Antichain, ...]:
    """The nodes, each after those below it: 4 of two sources, 18 of three."""
    families = chain.from_iterable(combinations(sets_of(sources), size) for size in range(1, 2**sources))
    nodes = [family for family in families if not any(_inside(a, b) for a in family for b in family if a != b)]
    return tuple(sorted(nodes, key=lambda node: (sum(below(other, node) for other in nodes), node)))


def below(lower: Antichain, upper: Antichain) -> bool:
    """Whether each set of the upper node holds a set of the lower one; a node is below itself."""
    return all(any(_inside(a, b) for a in lower) for b in upper)


@cache
def moebius(sources: int) -> np.ndarray:
    """(nodes, nodes): the atoms of redundancies, both in the order of the nodes."""
    nodes = antichains(sources)
    order = np.array([[float(below(lower, upper)) for lower in nodes] for upper in nodes])
    inverse: np.ndarray = np.rint(np.linalg.inv(order))  # triangular, with ones: its inverse has whole numbers
    return inverse


def _inside(a: Sources, b: Sources) -> bool:
    return set(a) <= set(b)
