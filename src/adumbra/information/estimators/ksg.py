"""Mutual information from nearest neighbours, in bits, by Kraskov, Stögbauer and Grassberger (KSG, 2004).

Where two variables depend on each other, a neighbourhood in the plane that contains k points contains fewer points
along each axis than it would if they were independent. Distances are the maximum norm. For N samples, with the digamma
function ψ and the mean < > over the samples:

    1            ψ(N) + ψ(k) - <ψ(nx + 1) + ψ(ny + 1)>          nx, ny: others nearer along the axis than the k-th
                                                                neighbour is in the plane
    2            ψ(N) + ψ(k) - 1 / k - <ψ(nx) + ψ(ny)>          nx, ny: others within the rectangle of those neighbours
    conditional  ψ(k) + <ψ(nz + 1) - ψ(nxz + 1) - ψ(nyz + 1)>   as 1, in the spaces of z, of x and z, of y and z

The errors of the terms largely cancel: for independent variables the mean is 0, and single estimates have either sign.
The conditional estimator is that of Frenzel and Pompe (2007).

Values are assumed to be continuous. Intensities that are whole numbers coincide. Where k neighbours or more coincide
with a voxel in all variables, the distance to the k-th is 0 and the estimate is undefined. This is an error unless a
generator is given: normal noise of 1e-10 standard deviations is then added to each value, which separates equal values
and changes no other order. If several neighbours are as far as the k-th, variant 2 takes all of them for its rectangle.
"""

from math import isqrt, log
from typing import Any, Literal

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites
from adumbra.information.estimators.nearest_neighbours import extents, others_near, radii, strips
from adumbra.information.estimators.samples import finite_columns, require_same_length, require_whole_number

NOISE = 1e-10  # standard deviations


@cites("Kraskov2004", "Frenzel2007")
def ksg_mutual_information(
    a: Any,
    b: Any,
    *,
    given: Any = None,
    neighbours: int = 3,
    variant: Literal[1, 2] = 1,
    scaled: bool = True,
    generator: np.random.Generator | None = None,
) -> float:
    """I(A; B), or I(A; B | given), by k nearest neighbours, in bits; the estimate may be slightly below 0.

    Two variables of one component each take a fast path, N log N for smooth densities; others use a k-d tree.

    Args:
        a: (N,), or (N, D) for a variable of D components.
        b: The same N samples of the second variable.
        given: The same N samples of the variable that is conditioned on.
        neighbours: k, from 1 to N - 1. A larger k lowers the variance and raises the bias.
        variant: Estimator 1 or 2 of Kraskov et al.; conditioning needs 1.
        scaled: Divide each column by its standard deviation first. Distances of different variables are compared, so
            their units matter.
        generator: Draws the noise that separates equal values; without it none is added.

    Raises:
        ImplausibleValues: Values are NaN or infinite, there is none, or more than k samples are the same in all
            variables and no generator is given.
        InputRejected: The numbers of samples differ, or an option is out of range.
    """
    first, second = finite_columns(a, "a"), finite_columns(b, "b")
    condition = None if given is None else finite_columns(given, "given")
    require_same_length(first, b=second, given=condition)
    if len(first) < 2:
        raise InputRejected("a", expected="at least 2 samples", found=f"{len(first)}", do="take a larger region")
    k = require_whole_number("neighbours", neighbours, least=1, most=len(first) - 1)
    require_whole_number("variant", variant, least=1, most=2 if condition is None else 1)
    x, y = _standardise(first, scaled, generator), _standardise(second, scaled, generator)
    if condition is not None:
        return _conditional(x, y, _standardise(condition, scaled, generator), k) / log(2.0)
    near_x, near_y = _near_in_plane(x, y, k, variant) if x.shape[1] == y.shape[1] == 1 else _near(x, y, k, variant)
    psi = digamma(np.arange(1, len(x) + 1))  # psi[n] is ψ(n + 1)
    inside = psi[near_x] + psi[near_y] if variant == 1 else psi[near_x - 1] + psi[near_y - 1] + 1.0 / k
    return float(psi[-1] + psi[k - 1] - inside.mean()) / log(2.0)


def _standardise(columns: np.ndarray, scaled: bool, generator: np.random.Generator | None) -> np.ndarray:
    deviation = columns.std(axis=0)
    deviation[deviation == 0] = 1.0
    standardised = (columns - columns.mean(axis=0)) / deviation if scaled else columns
    if generator is None:
        return standardised
    return standardised + NOISE * (1.0 if scaled else deviation) * generator.standard_normal(standardised.shape)


def _near_in_plane(x: np.ndarray, y: np.ndarray, k: int, variant: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of others near each sample along x and along y, in one order for both."""
    row_x, row_y = x[:, 0], y[:, 0]
    x_ranked, y_ranked = np.argsort(row_x), np.argsort(row_y)
    length = max(isqrt(k * len(row_x)), 1)
    order = strips(x_ranked, y_ranked, length)
    low, high = _strip_ends(row_x[x_ranked], length)
    laid_x, laid_y = row_x[order], row_y[order]
    reach = _require_positive(radii(laid_x, laid_y, low, high, length, k))
    wide, tall = (reach, reach) if variant == 1 else extents(laid_x, laid_y, low, high, length, reach)
    along_x = others_near(row_x[x_ranked], laid_x, wide, variant == 2)
    return along_x, others_near(row_y[y_ranked], laid_y, tall, variant == 2)


def _strip_ends(ranked: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest value of each strip of ``length`` ranked values."""
    starts = np.arange(0, ranked.size, length)
    return ranked[starts], ranked[np.minimum(starts + length, ranked.size) - 1]


def _near(x: np.ndarray, y: np.ndarray, k: int, variant: int) -> tuple[np.ndarray, np.ndarray]:
    """The same as ``_near_in_plane``, for variables of any number of components."""
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
    """The conditional mutual information I(X; Y | Z), in nats."""
    reach = _radii(cKDTree(np.concatenate([x, y, z], axis=1)), k)
    spaces = z, np.concatenate([x, z], axis=1), np.concatenate([y, z], axis=1)
    of_z, of_xz, of_yz = (digamma(_others(space, reach, closed=False) + 1.0) for space in spaces)
    return float(digamma(k) + (of_z - of_xz - of_yz).mean())


def _radii(tree: cKDTree, k: int) -> np.ndarray:
    distances, _ = tree.query(
        tree.data, k=[k + 1], p=np.inf
    )  # the first is the point itself, or one that coincides with it
    return _require_positive(distances[:, 0])


def _others(points: np.ndarray, radius: np.ndarray, *, closed: bool) -> np.ndarray:
    """Numbers of other points nearer to each than its radius, or as near if ``closed``."""
    if points.shape[1] == 1:
        return others_near(np.sort(points[:, 0]), np.ascontiguousarray(points[:, 0]), radius, closed)
    reach = radius if closed else np.nextafter(radius, 0.0)
    near: np.ndarray = cKDTree(points).query_ball_point(points, reach, p=np.inf, return_length=True)
    return near - 1


def _require_positive(radius: np.ndarray) -> np.ndarray:
    if radius.min() > 0:
        return radius
    raise ImplausibleValues(
        "a and b",
        expected="samples that differ, so that the k-th neighbour is some distance away",
        found=f"{np.count_nonzero(radius == 0)} of {radius.size} samples whose nearest coincide with them",
        do="give a generator, whose noise separates equal values, or exclude the background",
    )
