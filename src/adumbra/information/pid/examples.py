"""Textbook examples: small distributions, such as XOR and AND gates, whose decomposition is known.

The bits of an example are fair, and independent unless its rule states otherwise, so that each number can be checked by
hand. Atoms are those that the reference states, or that follow from its proofs; none was computed by a solver.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from math import log2
from types import MappingProxyType

import numpy as np

Outcome = tuple[int, int, int]

BIT = (0, 1)


@dataclass(frozen=True)
class Parts:
    """The atoms of one distribution, in bits."""

    redundancy: float = 0.0
    unique_1: float = 0.0
    unique_2: float = 0.0
    synergy: float = 0.0


@dataclass(frozen=True, eq=False)
class Example:
    """A distribution with its known atoms.

    Attributes:
        rule: How the target T depends on the sources X and Y.
        p: (T, X, Y), read-only.
        williams_beer: The atoms by I_min.
        broja: The atoms by BROJA; None where no reference states them.
        source: The key of the reference.
    """

    rule: str
    p: np.ndarray
    williams_beer: Parts
    broja: Parts | None
    source: str


def of_outcomes(outcomes: Iterable[Outcome]) -> np.ndarray:
    """The distribution (T, X, Y), read-only, of equally likely outcomes (t, x, y); repeated ones count again."""
    listed = np.array(list(outcomes))
    p = np.zeros(tuple(listed.max(axis=0) + 1))
    np.add.at(p, tuple(listed.T), 1.0 / len(listed))
    p.setflags(write=False)
    return p


def _number(*bits: int) -> int:
    """The symbol that stands for several bits."""
    return int("".join(map(str, bits)), 2)


_QUARTER = 2.0 - 0.75 * log2(3)
"""The entropy of an event of probability 1/4."""

_AND = Parts(redundancy=_QUARTER - 0.5, synergy=0.5)
_SUM = Parts(redundancy=0.5, synergy=1.0)

EXAMPLES = MappingProxyType(
    {
        "RDN": Example(
            "T = X = Y",
            of_outcomes((x, x, x) for x in BIT),
            Parts(redundancy=1.0),
            Parts(redundancy=1.0),
            "Griffith2014",
        ),
        "UNQ": Example(
            "T = (X, Y)",
            of_outcomes((_number(x, y), x, y) for x, y in product(BIT, BIT)),
            Parts(redundancy=1.0, synergy=1.0),
            Parts(unique_1=1.0, unique_2=1.0),
            "Griffith2014",
        ),
        "XOR": Example(
            "T = X xor Y",
            of_outcomes((x ^ y, x, y) for x, y in product(BIT, BIT)),
            Parts(synergy=1.0),
            Parts(synergy=1.0),
            "Griffith2014",
        ),
        "AND": Example(
            "T = X and Y",
            of_outcomes((x & y, x, y) for x, y in product(BIT, BIT)),
            _AND,
            _AND,
            "Bertschinger2014",
        ),
        "OR": Example(
            "T = X or Y: AND with 0 and 1 exchanged",
            of_outcomes((x | y, x, y) for x, y in product(BIT, BIT)),
            _AND,
            _AND,
            "Bertschinger2014",
        ),
        "XOR-AND": Example(
            "T = (X xor Y, X and Y)",
            of_outcomes((_number(x ^ y, x & y), x, y) for x, y in product(BIT, BIT)),
            _SUM,
            _SUM,
            "Bertschinger2014",
        ),
        "SUM": Example(
            "T = X + Y: XOR-AND with other names of the symbols",
            of_outcomes((x + y, x, y) for x, y in product(BIT, BIT)),
            _SUM,
            _SUM,
            "Bertschinger2014",
        ),
        "RDN-XOR": Example(
            "X = (r, a), Y = (r, b), T = (r, a xor b)",
            of_outcomes((_number(r, a ^ b), _number(r, a), _number(r, b)) for r, a, b in product(BIT, repeat=3)),
            Parts(redundancy=1.0, synergy=1.0),
            Parts(redundancy=1.0, synergy=1.0),
            "Griffith2014",
        ),
        "RDN-UNQ-XOR": Example(
            "X = (r, a, u), Y = (r, b, v), T = (r, a xor b, u, v)",
            of_outcomes(
                (_number(r, a ^ b, u, v), _number(r, a, u), _number(r, b, v))
                for r, a, b, u, v in product(BIT, repeat=5)
            ),
            Parts(redundancy=2.0, synergy=2.0),
            Parts(redundancy=1.0, unique_1=1.0, unique_2=1.0, synergy=1.0),
            "Griffith2014",
        ),
        "COPY": Example(
            "T = (X, Y), and X = Y with probability 3/4: the redundancy is I(X; Y)",
            of_outcomes((_number(x, x ^ (k == 0)), x, x ^ (k == 0)) for x, k in product(BIT, range(4))),
            Parts(redundancy=1.0, synergy=_QUARTER),
            Parts(redundancy=1.0 - _QUARTER, unique_1=_QUARTER, unique_2=_QUARTER),
            "Harder2013",
        ),
        "PW-UNQ": Example(
            "one source is 0, and the other, either of them, is 1 + T: as channels both are the same",
            of_outcomes((t, *sources) for t in BIT for sources in ((0, 1 + t), (1 + t, 0))),
            Parts(redundancy=0.5, synergy=0.5),
            Parts(redundancy=0.5, synergy=0.5),
            "Finn2018",
        ),
        "WB-4A": Example(
            "at most one source is 1, and T names it",
            of_outcomes([(0, 0, 0), (1, 0, 1), (2, 1, 0)]),
            Parts(redundancy=log2(3) - 1.0, unique_1=1 / 3, unique_2=1 / 3, synergy=1 / 3),
            None,
            "Williams2010",
        ),
        "WB-4B": Example(
            "T = 1 whenever Y = 1, whatever X",
            of_outcomes([(0, 0, 0), (1, 0, 1), (1, 1, 1), (2, 1, 0)]),
            Parts(redundancy=0.5, unique_2=0.5, synergy=0.5),
            None,
            "Williams2010",
        ),
    }
)
