"""The decomposition of Williams and Beer (2010), whose redundancy is I_min.

I_min is the expectation, over the symbols of the target, of the least specific information that any source has about
the symbol. It compares amounts and not contents: of two independent bits, each one half of a target of two bits, I_min
says that they share one bit and have one bit of synergy, for both tell one bit about every symbol. ``broja`` gives each
of them one bit of unique information. Read the two side by side.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np

from adumbra.core.references import cites
from adumbra.information.pid.atoms import Atoms, atoms_between
from adumbra.information.pid.distribution import validate_distribution
from adumbra.information.pid.lattice import Antichain, Lattice, Sources, antichains, moebius_inversion, source_sets
from adumbra.information.shannon import specific_information, specific_informations


@cites("Williams2010")
def atoms(p: np.ndarray) -> Atoms:
    """Redundancy, unique information and synergy of two sources, in bits, in closed form: the gap is 0.

    Args:
        p: (..., T, X, Y), the probability of each symbol of the target with each symbol of the sources; any batch.

    Raises:
        ImplausibleValues: A probability is negative or not finite, or a distribution's sum is not 1 within 1e-9.
        InputRejected: There are fewer than three axes, or one of the last three is empty.
    """
    table = validate_distribution(p)
    batch, problems = table.shape[:-3], table.reshape(-1, *table.shape[-3:])
    specific, _, _ = specific_informations(problems)
    union = np.maximum(specific[0], specific[1]).sum(1)
    return atoms_between(specific, union, union, batch=batch)


@cites("Williams2010")
def lattice(p: np.ndarray, *, sources: Literal[2, 3] = 3) -> Lattice:
    """Redundancy I_min and atom of each node of the redundancy lattice, in bits.

    Args:
        p: (..., T, X, Y, Z), or (..., T, X, Y) for two sources; any batch.
        sources: Number of sources.

    Raises:
        ImplausibleValues: A probability is negative or not finite, or a distribution's sum is not 1 within 1e-9.
        InputRejected: There are too few axes, or one of the last is empty.
    """
    table = validate_distribution(p, sources=sources)
    batch, problems = table.shape[: -1 - sources], table.reshape(-1, *table.shape[-1 - sources :])
    specific, nodes = _specific_by_sources(problems, sources), antichains(sources)
    redundancies = np.stack([np.minimum.reduce([specific[a] for a in node]) for node in nodes])
    # Williams and Beer prove that no atom of a symbol is below 0, so a negative value is rounding.
    parts = np.maximum(np.tensordot(moebius_inversion(sources), redundancies, axes=1), 0.0)
    return Lattice(*(_by_node(values.sum(-1).reshape(-1, *batch), sources) for values in (parts, redundancies)))


def _by_node(values: np.ndarray, sources: int) -> Mapping[Antichain, np.ndarray]:
    return MappingProxyType({node: np.asarray(row) for node, row in zip(antichains(sources), values, strict=True)})


def _specific_by_sources(problems: np.ndarray, sources: int) -> dict[Sources, np.ndarray]:
    """The specific information (N, T) of each set of sources, at least that of each of its subsets."""
    specific: dict[Sources, np.ndarray] = {}
    for members in source_sets(sources):
        others = tuple(1 + number for number in range(1, 1 + sources) if number not in members)
        marginal = problems.sum(axis=others)
        own = specific_information(marginal.reshape(*marginal.shape[:2], -1))
        subsets = [specific[smaller] for smaller in specific if set(smaller) < set(members)]
        specific[members] = np.maximum.reduce([own, *subsets])
    return specific
