"""The arrays of the iteration, under the names of the table of notation in ``interior_point``."""

from typing import NamedTuple

import numpy as np

from adumbra.information.jit import inlined

TOLERANCE = 1e-10
"""Nats between the lower and the upper bound that the solution gives."""

FLOOR = 1e-300
"""The least positive number whose reciprocal and logarithm are taken."""

SIDE = 4
"""Rows and columns of the tiles in which ``Factor.G`` is stored."""


class Iterate(NamedTuple):
    """A point of the iteration, and the data of its problem; shapes without the lane axis.

    Attributes:
        marginals: (X T + T Y), p(t,x) and p(t,y).
        dual: (X T + T Y), α and β; minus infinity where the marginal is 0.
        pi: (X, T, Y), π = q(t|x,y).
        c: (X, Y), ln Σ_t exp(α + β); -1 where no t is allowed.
        w: (X, Y), the mass q(x,y).
        s: (X, Y), the slack.
        omega: (X, Y), the weights of the central path.
        gauge: (T Y), factors of the diagonal of H.
    """

    marginals: np.ndarray
    dual: np.ndarray
    pi: np.ndarray
    c: np.ndarray
    w: np.ndarray
    s: np.ndarray
    omega: np.ndarray
    gauge: np.ndarray


class Step(NamedTuple):
    """Newton's direction and what it aims at; shapes without the lane axis.

    Attributes:
        dual: (X T + rows), Δα and Δβ, with zeros behind them up to a multiple of ``SIDE``.
        w: (X, Y), Δw.
        s: (X, Y), Δs.
        central: (X, Y), what w s is to become.
        inverse_w: (X, Y), 1/w.
        inverse_s: (X, Y), 1/s.
    """

    dual: np.ndarray
    w: np.ndarray
    s: np.ndarray
    central: np.ndarray
    inverse_w: np.ndarray
    inverse_s: np.ndarray


class Factor(NamedTuple):
    """The Cholesky factor of H; shapes without the lane axis.

    Attributes:
        L: (X, T T), the lower triangle of each x, the diagonal inverse.
        G: ((X T + rows) rows), the rows of β in tiles, the diagonal inverse; ``rows`` is T Y up to a multiple of
            ``SIDE``.
    """

    L: np.ndarray
    G: np.ndarray


@inlined
def allocate(X: int, T: int, Y: int, lanes: tuple[int, ...]) -> tuple[Iterate, Step, Factor]:
    """Arrays for problems of this shape; their last axes are ``lanes``, ``()`` or ``(LANES,)``."""
    J = T * Y
    unknowns, rows = X * T + J, (J + SIDE - 1) // SIDE * SIDE
    iterate = Iterate(
        np.empty((unknowns, *lanes)),
        np.empty((unknowns, *lanes)),
        np.empty((X, T, Y, *lanes)),
        np.empty((X, Y, *lanes)),
        np.empty((X, Y, *lanes)),
        np.empty((X, Y, *lanes)),
        np.empty((X, Y, *lanes)),
        np.empty((J, *lanes)),
    )
    step = Step(
        np.zeros((X * T + rows, *lanes)),
        np.zeros((X, Y, *lanes)),
        np.zeros((X, Y, *lanes)),
        np.zeros((X, Y, *lanes)),
        np.empty((X, Y, *lanes)),
        np.empty((X, Y, *lanes)),
    )
    factor = Factor(np.empty((X, T * T, *lanes)), np.zeros(((X * T + rows) * rows, *lanes)))
    return iterate, step, factor
