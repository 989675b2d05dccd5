"""The decomposition BROJA of Bertschinger, Rauh, Olbrich, Jost and Ay (2014), for two sources.

Their assumption is that unique information depends only on the marginals (T, X) and (T, Y). The union information is
then the least I(T; X, Y) of all distributions with these marginals, and synergy is what exceeds it. A target of two
symbols has a closed form (``blackwell``); for larger ones a convex program gives two bounds (``union_information``).
"""

import numpy as np

from adumbra.core.references import cites
from adumbra.information.pid.atoms import ROUNDING, Atoms, atoms_between
from adumbra.information.pid.blackwell import binary_union_information
from adumbra.information.pid.distribution import validate_distribution
from adumbra.information.pid.union_information import bounds
from adumbra.information.shannon import BITS, entropy, specific_informations


@cites("Altschuler2017", "Bertschinger2014", "Blackwell1953", "Mehrotra1992")
def atoms(p: np.ndarray) -> Atoms:
    """Redundancy, unique information and synergy of each distribution, in bits.

    An atom is exactly 0 where the bounds admit it.

    Args:
        p: (..., T, X, Y), the probability of each symbol of the target with each symbol of the sources; any batch.

    Returns:
        Atoms of the batch's shape. Their gap is within rounding for a target of at most two symbols that have mass, and
        wherever a source tells nothing or all there is to tell. For others it is the distance of the bounds, 1e-10.

    Raises:
        ImplausibleValues: A probability is negative or not finite, or a distribution's sum is not 1 within 1e-9.
        InputRejected: There are fewer than three axes, or one of the last three is empty.
    """
    table = validate_distribution(p)
    batch, problems = table.shape[:-3], table.reshape(-1, *table.shape[-3:])
    specific, tx, ty = specific_informations(problems)
    if problems.shape[1] <= 2:
        lower = upper = BITS * binary_union_information(tx, ty)
    else:
        lower, upper = _union_bounds(problems, specific, tx, ty)
    return atoms_between(specific, lower, upper, batch=batch)


def _union_bounds(
    problems: np.ndarray, specific: np.ndarray, tx: np.ndarray, ty: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper bound of each union information, bits; infinite where the general bounds meet."""
    first, second, both = specific.sum(2)
    unknown = np.minimum(both, first + second) - np.maximum(first, second) > ROUNDING
    targets = tx.sum(2)
    binary = np.count_nonzero(targets, axis=1) <= 2
    lower, upper = np.full(len(problems), -np.inf), np.full(len(problems), np.inf)
    closed_form, program = unknown & binary, unknown & ~binary
    if closed_form.any():  # all symbols of the target but two have no mass
        pair = np.argsort(targets[closed_form], axis=1)[:, -2:, None]
        marginals = (np.take_along_axis(marginal[closed_form], pair, axis=1) for marginal in (tx, ty))
        lower[closed_form] = upper[closed_form] = BITS * binary_union_information(*marginals)
    if program.any():
        union = entropy(targets[program], axis=1)[:, None] + BITS * bounds(problems[program])
        lower[program], upper[program] = union[:, 0], union[:, 1]
    return lower, upper
