"""The union information of two sources of a binary target, in closed form.

All that a source tells about a binary target is in its ROC curve: the probabilities of its symbols given each of the
two, added up from the symbol that favours the second most. One source is a garbling of another exactly if its curve is
nowhere above the other's (Blackwell 1953), so the least source J of which both are garblings has the upper concave hull
of both curves. For a target of three symbols there is in general no such source (Bertschinger, Rauh 2014).

I(T; J) is the union information (Bertschinger et al. 2014). No q with the marginals of the sources has less, for under
q both sources are garblings of their pair. And if X and Y are garbled from J independently, their q has no more.
"""

import numpy as np

from adumbra.information.jit import compiled
from adumbra.information.shannon import NEGLIGIBLE


def binary_union_information(tx: np.ndarray, ty: np.ndarray) -> np.ndarray:
    """The union information (N,), in nats, of problems with the marginals (N, 2, X) and (N, 2, Y)."""
    return _hull_informations(np.ascontiguousarray(tx), np.ascontiguousarray(ty))


@compiled
def _hull_informations(tx: np.ndarray, ty: np.ndarray) -> np.ndarray:
    information = np.zeros(tx.shape[0])
    first, second = np.empty((tx.shape[2], 2)), np.empty((ty.shape[2], 2))
    hull = np.empty((first.shape[0] + second.shape[0] + 1, 2))
    for i in range(information.size):
        corner = (tx[i, 0].sum(), tx[i, 1].sum())
        _trace(tx[i], corner, first)
        _trace(ty[i], corner, second)
        points = _hull(first, second, hull)
        for k in range(1, points):
            u, v = hull[k, 0] - hull[k - 1, 0], hull[k, 1] - hull[k - 1, 1]
            if u > NEGLIGIBLE:
                information[i] += u * np.log(u / (u + v) / corner[0])
            if v > NEGLIGIBLE:
                information[i] += v * np.log(v / (u + v) / corner[1])
    return information


@compiled
def _trace(marginals: np.ndarray, corner: tuple[float, float], curve: np.ndarray) -> None:
    """Fills the vertices of the ROC curve after (0, 0). Rounding is removed: both curves end in the same corner."""
    mass = marginals[0] + marginals[1]
    order = np.argsort(marginals[1] / np.where(mass > 0.0, mass, 1.0))
    u = v = 0.0
    for k in range(order.size):
        symbol = order[order.size - 1 - k]
        u += marginals[0, symbol]
        v += marginals[1, symbol]
        curve[k, 0], curve[k, 1] = min(u, corner[0]), min(v, corner[1])
    curve[-1, 0], curve[-1, 1] = corner


@compiled
def _hull(first: np.ndarray, second: np.ndarray, hull: np.ndarray) -> int:
    """Fills the vertices of the upper hull from (0, 0) to the corner, and returns their number."""
    hull[0] = 0.0
    points, i, j = 1, 0, 0
    while i < first.shape[0] or j < second.shape[0]:
        left = j == second.shape[0]
        if not left and i < first.shape[0]:
            left = first[i, 0] < second[j, 0] or (first[i, 0] == second[j, 0] and first[i, 1] <= second[j, 1])
        u, v = (first[i, 0], first[i, 1]) if left else (second[j, 0], second[j, 1])
        i, j = (i + 1, j) if left else (i, j + 1)
        while points > 1:
            a, b = hull[points - 2], hull[points - 1]
            if (b[0] - a[0]) * (v - a[1]) < (b[1] - a[1]) * (u - a[0]):
                break  # b is above the line from a to the new point
            points -= 1
        hull[points, 0], hull[points, 1] = u, v
        points += 1
    return points
