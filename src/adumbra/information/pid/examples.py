"""The textbook gates: small distributions whose decomposition is known.

The bits of a gate are fair, and independent unless its rule says otherwise, so that each number can be checked by hand.
Atoms are those that the source gives, or that follow from what it proves; none stands here because a solver said so.
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
    """A distribution with its atoms.

    Attributes:
        rule: How the target T comes from the sources X and Y.
        p: (T, X, Y), read-only.
        williams_beer: The atoms by I_min.
        broja: The atoms of Bertschinger et al.; None where no source gives them.
        source: The key of the reference.
    """

    rule: str
    p: np.ndarray
    williams_beer: Parts
    broja: Parts | None
    source: str


def of_outcomes(outcomes: Iterable[Outcome]) -> np.ndarray:
    """(T, X, Y), read-only, of outcomes (t, x, y) that are equally likely; one named twice is twice as likely."""
    listed = np.array(list(outcomes))
    p = np.zeros(tuple(listed.max(axis=0) + 1))
    np.add.at(p, tuple(listed.T), 1.0 / len(listed))
    p.setflags(write=False)
    return p


def _number(*bits: int) -> int:
    """The symbol of several bits."""
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
            "T = X or Y: AND, with 0 and 1 in each other's place",
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
            "T = X + Y: XOR-AND, by another name of the symbols",
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
            "T = (X, Y), and X = Y three times in four: what is redundant is I(X; Y)",
            of_outcomes((_number(x, x ^ (k == 0)), x, x ^ (k == 0)) for x, k in product(BIT, range(4))),
            Parts(redundancy=1.0, synergy=_QUARTER),
            Parts(redundancy=1.0 - _QUARTER, unique_1=_QUARTER, unique_2=_QUARTER),
            "Harder2013",
        ),
        "PW-UNQ": Example(
            "one source, either, is silent with 0, and the other says 1 + T: both tell the same, seen as channels",
            of_outcomes((t, *said) for t in BIT for said in ((0, 1 + t), (1 + t, 0))),
            Parts(redundancy=0.5, synergy=0.5),
            Parts(redundancy=0.5, synergy=0.5),
            "Finn2018",
        ),
        "WB-4A": Example(
            "one source at the most is 1, and T says which",
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
