"""The decomposition of Williams and Beer (2010), by I_min: redundant is the least that any source tells of a symbol.

It compares amounts. Of two independent bits, each the half of a target of two, it says that they share one bit and
have one in synergy, since both tell one bit of every symbol, though not the same one: read it beside ``broja``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np

from adumbra.core.references import cites
from adumbra.information.entropy import specific_information, told
from adumbra.information.pid.atoms import Atoms, atoms_between
from adumbra.information.pid.distribution import checked
from adumbra.information.pid.lattice import Antichain, Lattice, Sources, antichains, moebius, sets_of


@cites("Williams2010")
def atoms(p: np.ndarray) -> Atoms:
    """The atoms of two sources, in bits, by a formula: the gap is 0.

    Args:
        p: (..., T, X, Y), the probability of each symbol of the target with each symbol of the sources; any batch.

    Raises:
        ImplausibleValues: A probability is negative or not finite, or a distribution's sum is not 1 within 1e-9.
        InputRejected: There are fewer than three axes, or one of the last three is empty.
    """
    table = checked(p)
    batch, problems = table.shape[:-3], table.reshape(-1, *table.shape[-3:])
    specific, _, _ = told(problems)
    union = np.maximum(specific[0], specific[1]).sum(1)
    return atoms_between(specific, union, union, batch=batch)


@cites("Williams2010")
def lattice(p: np.ndarray, *, sources: Literal[2, 3] = 3) -> Lattice:
    """The atoms of each node of the lattice, in bits.

    Args:
        p: (..., T, X, Y, Z), or (..., T, X, Y) of two sources; any batch.
        sources: How many there are.

    Raises:
        ImplausibleValues: A probability is negative or not finite, or a distribution's sum is not 1 within 1e-9.
        InputRejected: There are too few axes, or one of the last is empty.
    """
    table = checked(p, sources=sources)
    batch, problems = table.shape[: -1 - sources], table.reshape(-1, *table.shape[-1 - sources :])
    informations, nodes = _specific_informations(problems, sources), antichains(sources)
    shared = np.stack([np.minimum.reduce([informations[a] for a in node]) for node in nodes])
    # no symbol has an atom below 0, as Williams and Beer prove: what is below is rounding
    alone = np.maximum(np.tensordot(moebius(sources), shared, axes=1), 0.0)
    return Lattice(*(_by_node(values.sum(-1).reshape(-1, *batch), sources) for values in (alone, shared)))


def _by_node(values: np.ndarray, sources: int) -> Mapping[Antichain, np.ndarray]:
    return MappingProxyType({node: np.asarray(of_it) for node, of_it in zip(antichains(sources), values, strict=True)})


def _specific_informations(problems: np.ndarray, sources: int) -> dict[Sources, np.ndarray]:
    """(N, T) of each set of sources, at least that of the sets inside."""
    found: dict[Sources, np.ndarray] = {}
    for members in sets_of(sources):
        others = tuple(1 + number for number in range(1, 1 + sources) if number not in members)
        marginal = problems.sum(axis=others)
        told_by = specific_information(marginal.reshape(*marginal.shape[:2], -1))
        inside = [found[smaller] for smaller in found if set(smaller) < set(members)]
        found[members] = np.maximum.reduce([told_by, *inside])
    return found
