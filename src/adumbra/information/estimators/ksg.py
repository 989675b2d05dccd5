"""Mutual information of continuous variables from the distances to nearest neighbours. In bits.

Where two variables depend on each other, the neighbourhood in the plane that holds k points holds fewer points of each
axis than chance would have it. All distances are the greatest of the coordinates' distances. Of N samples, with the
digamma function ψ and the mean < > over the samples:

    1            ψ(N) + ψ(k) - <ψ(nx + 1) + ψ(ny + 1)>          nx, ny: others nearer along the axis than the k-th
                                                                neighbour is in the plane
    2            ψ(N) + ψ(k) - 1 / k - <ψ(nx) + ψ(ny)>          nx, ny: others within the rectangle of those neighbours
    conditional  ψ(k) + <ψ(nz + 1) - ψ(nxz + 1) - ψ(nyz + 1)>   as 1, in the spaces of z, of x and z, of y and z

The errors of the terms largely cancel: for independent variables the mean is 0, and single estimates lie on both sides.

Values are taken for continuous. Intensities that are whole numbers coincide, and where k neighbours or more coincide
with a voxel in all variables, the distance to the k-th is 0 and the estimate has no meaning: that is refused, unless a
generator is given. It adds normal noise of 1e-10 standard deviations to each value, which tells equal ones apart and
changes no other order. If more neighbours are as far as the k-th, variant 2 takes all of them for its rectangle.
"""

from math import isqrt, log
from typing import Any, Literal

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.information.estimators.nearest_neighbours import extents, others_near, radii, strips
from adumbra.information.estimators.samples import as_many, finite_columns, whole_number

NOISE = 1e-10  # standard deviations


@cites("Kraskov2004", "Frenzel2007")
def ksg_information(
    a: Any,
    b: Any,
    *,
    given: Any = None,
    neighbours: int = 3,
    variant: Literal[1, 2] = 1,
    scaled: bool = True,
    generator: np.random.Generator | None = None,
) -> float:
    """I(A; B), or I(A; B | given), in bits, by k nearest neighbours; may be a little below 0.

    Two variables of one number each take a fast path, N log N for smooth densities; others a k-d tree.

    Args:
        a: (N,), or (N, D) for a variable of D numbers.
        b: As many samples.
        given: As many samples.
        neighbours: k, from 1 to N - 1. More make the estimate steadier and smoother.
        variant: 1 or 2, of Kraskov et al.; what is given is for 1 only.
        scaled: Whether each column is divided by its standard deviation first. Distances of different variables are
            compared, so their units matter.
        generator: Of the noise that tells equal values apart; none is added without it.

    Raises:
        ImplausibleValues: Values are NaN or infinite, there is none, or more than k samples are the same in all
            variables and no generator is given.
        InputRejected: There are not as many samples of each, or an option is out of range.
    """
    first, second = finite_columns(a, "a"), finite_columns(b, "b")
    known = None if given is None else finite_columns(given, "given")
    as_many(first, b=second, given=known)
    if len(first) < 2:
        raise InputRejected("a", expected="at least 2 samples", found=f"{len(first)}", do="take a larger region")
    k = whole_number("neighbours", neighbours, least=1, most=len(first) - 1)
    whole_number("variant", variant, least=1, most=2 if known is None else 1)
    x, y = _prepared(first, scaled, generator), _prepared(second, scaled, generator)
    if known is not None:
        return _conditional(x, y, _prepared(known, scaled, generator), k) / log(2.0)
    near_x, near_y = _near_in_plane(x, y, k, variant) if x.shape[1] == y.shape[1] == 1 else _near(x, y, k, variant)
    psi = digamma(np.arange(1, len(x) + 1))  # psi[n] is ψ(n + 1)
    inside = psi[near_x] + psi[near_y] if variant == 1 else psi[near_x - 1] + psi[near_y - 1] + 1.0 / k
    return float(psi[-1] + psi[k - 1] - inside.mean()) / log(2.0)


def _prepared(columns: np.ndarray, scaled: bool, generator: np.random.Generator | None) -> np.ndarray:
    deviation = columns.std(axis=0)
    deviation[deviation == 0] = 1.0
    ready = (columns - columns.mean(axis=0)) / deviation if scaled else columns
    if generator is None:
        return ready
    return ready + NOISE * (1.0 if scaled else deviation) * generator.standard_normal(ready.shape)


def _near_in_plane(x: np.ndarray, y: np.ndarray, k: int, variant: int) -> tuple[np.ndarray, np.ndarray]:
    """How many others are near along x, and along y, of each sample, in one order for both."""
    row_x, row_y = x[:, 0], y[:, 0]
    x_ranked, y_ranked = np.argsort(row_x), np.argsort(row_y)
    length = max(isqrt(k * len(row_x)), 1)
    order = strips(x_ranked, y_ranked, length)
    low, high = _strip_ends(row_x[x_ranked], length)
    laid_x, laid_y = row_x[order], row_y[order]
    reach = _apart(radii(laid_x, laid_y, low, high, length, k))
    wide, tall = (reach, reach) if variant == 1 else extents(laid_x, laid_y, low, high, length, reach)
    along_x = others_near(row_x[x_ranked], laid_x, wide, variant == 2)
    return along_x, others_near(row_y[y_ranked], laid_y, tall, variant == 2)


def _strip_ends(ranked: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest value of each strip of so many ranked values."""
    starts = np.arange(0, ranked.size, length)
    return ranked[starts], ranked[np.minimum(starts + length, ranked.size) - 1]


def _near(x: np.ndarray, y: np.ndarray, k: int, variant: int) -> tuple[np.ndarray, np.ndarray]:
    """As ``_near_in_plane``, for variables of any dimensions."""
    tree = cKDTree(np.concatenate([x, y], axis=1))
    reach = _radii(tree, k)
    if variant == 1:
        return _others(x, reach, closed=False), _others(y, reach, closed=False)
    members = tree.query_ball_point(tree.data, reach, p=np.inf)
    counts = np.array([len(one) for one in members])
    of, to = np.repeat(np.arange(len(x)), counts), np.concatenate(members).astype(np.int64)
    starts = np.cumsum(counts) - counts
    extent = (np.maximum.reduceat(np.abs(v[of] - v[to]).max(axis=1), starts) for v in (x, y))
    near_x, near_y = (_others(v, far, closed=True) for v, far in zip((x, y), extent, strict=True))
    return near_x, near_y


def _conditional(x: np.ndarray, y: np.ndarray, z: np.ndarray, k: int) -> float:
    """In nats."""
    reach = _radii(cKDTree(np.concatenate([x, y, z], axis=1)), k)
    spaces = z, np.concatenate([x, z], axis=1), np.concatenate([y, z], axis=1)
    of_z, of_xz, of_yz = (digamma(_others(space, reach, closed=False) + 1.0) for space in spaces)
    return float(digamma(k) + (of_z - of_xz - of_yz).mean())


def _radii(tree: cKDTree, k: int) -> np.ndarray:
    distances, _ = tree.query(tree.data, k=[k + 1], p=np.inf)  # the first is the point itself, or its like
    return _apart(distances[:, 0])


def _others(points: np.ndarray, radius: np.ndarray, *, closed: bool) -> np.ndarray:
    """How many other points lie nearer to each than its radius, or as near if ``closed``."""
    if points.shape[1] == 1:
        return others_near(np.sort(points[:, 0]), np.ascontiguousarray(points[:, 0]), radius, closed)
    reach = radius if closed else np.nextafter(radius, 0.0)
    near: np.ndarray = cKDTree(points).query_ball_point(points, reach, p=np.inf, return_length=True)
    return near - 1


def _apart(radius: np.ndarray) -> np.ndarray:
    if radius.min() > 0:
        return radius
    raise ImplausibleValues(
        "a and b",
        expected="samples that differ, so that the k-th neighbour is some distance away",
        found=f"{np.count_nonzero(radius == 0)} of {radius.size} samples whose nearest coincide with them",
        do="give a generator, whose noise tells equal values apart, or leave the background out",
    )
