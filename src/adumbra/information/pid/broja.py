"""The decomposition of Bertschinger, Rauh, Olbrich, Jost and Ay (2014), for two sources.

What is unique depends on no more than the marginals (T, X) and (T, Y). Of all distributions that have them, the least
I(T; X, Y) is the union information: what the sources tell without synergy. A binary target has a formula for it
(``blackwell``); of others it is found between two bounds (``union``).
"""

import numpy as np

from adumbra.core.references import cites
from adumbra.information.entropy import BITS, entropy, told
from adumbra.information.pid.atoms import ROUNDING, Atoms, atoms_between
from adumbra.information.pid.blackwell import union_informations
from adumbra.information.pid.distribution import checked
from adumbra.information.pid.union_information import bounds


@cites("Altschuler2017", "Bertschinger2014", "Blackwell1953", "Mehrotra1992")
def atoms(p: np.ndarray) -> Atoms:
    """The atoms of each distribution, in bits.

    Each problem goes the way that its own symbols ask for. A part is exactly 0 where the bounds admit it.

    Args:
        p: (..., T, X, Y), the probability of each symbol of the target with each symbol of the sources; any batch.

    Returns:
        Atoms of the batch's shape. Their gap is rounding for a target of two symbols that have mass, or fewer, and
        wherever a source tells nothing or all there is to tell; for others the distance of the bounds, 1e-10.

    Raises:
        ImplausibleValues: A probability is negative or not finite, or a distribution's sum is not 1 within 1e-9.
        InputRejected: There are fewer than three axes, or one of the last three is empty.
    """
    table = checked(p)
    batch, problems = table.shape[:-3], table.reshape(-1, *table.shape[-3:])
    specific, tx, ty = told(problems)
    if problems.shape[1] <= 2:
        lower = upper = BITS * union_informations(tx, ty)
    else:
        lower, upper = _union_bounds(problems, specific, tx, ty)
    return atoms_between(specific, lower, upper, batch=batch)


def _union_bounds(
    problems: np.ndarray, specific: np.ndarray, tx: np.ndarray, ty: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper bound of each union information, bits; infinite where what is known leaves no doubt."""
    first, second, both = specific.sum(2)
    unknown = np.minimum(both, first + second) - np.maximum(first, second) > ROUNDING
    targets = tx.sum(2)
    binary = np.count_nonzero(targets, axis=1) <= 2
    lower, upper = np.full(len(problems), -np.inf), np.full(len(problems), np.inf)
    one, other = unknown & binary, unknown & ~binary
    if one.any():  # all symbols but two have no mass
        pair = np.argsort(targets[one], axis=1)[:, -2:, None]
        marginals = (np.take_along_axis(marginal[one], pair, axis=1) for marginal in (tx, ty))
        lower[one] = upper[one] = BITS * union_informations(*marginals)
    if other.any():
        found = entropy(targets[other], axis=1)[:, None] + BITS * bounds(problems[other])
        lower[other], upper[other] = found[:, 0], found[:, 1]
    return lower, upper
