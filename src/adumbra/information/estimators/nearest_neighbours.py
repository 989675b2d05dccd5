"""Nearest neighbours in the plane and on the line, in the maximum norm: compiled loops.

Points are sorted into strips of equally many points by their rank in x, and within a strip by y. A search starts at the
point itself and moves up and down its strip while y alone is near enough. It then does the same in the strips on both
sides while x alone is near enough. Strips follow ranks and not distances, so outliers and ties do no harm, and the
worst search still visits only the points of some strips.
"""

import numpy as np

from adumbra.information.jit import compiled


@compiled
def strips(x_ranked: np.ndarray, y_ranked: np.ndarray, length: int) -> np.ndarray:
    """The points in the order of strips of ``length`` points, by y in each; the last strip may be shorter.

    Args:
        x_ranked: (N,), indices of the points in the order of x.
        y_ranked: (N,), indices of the points in the order of y.
        length: Number of points of a strip.
    """
    strip, order = np.empty(x_ranked.size, np.int64), np.empty(x_ranked.size, np.int64)
    for rank in range(x_ranked.size):
        strip[x_ranked[rank]] = rank // length
    filled = np.arange(0, x_ranked.size + length, length)
    for point in y_ranked:
        order[filled[strip[point]]] = point
        filled[strip[point]] += 1
    return order


@compiled
def _first_at(y: np.ndarray, start: int, end: int, value: float) -> int:
    """The first index of the rising y[start:end] whose value is not below the given one; ``end`` if there is none."""
    while start < end:
        middle = (start + end) >> 1
        if y[middle] < value:
            start = middle + 1
        else:
            end = middle
    return start


@compiled
def _insert(nearest: np.ndarray, distance: float) -> None:
    """Inserts a distance among the nearest, which rise, and drops the last."""
    place = nearest.size - 1
    while place > 0 and nearest[place - 1] > distance:
        nearest[place] = nearest[place - 1]
        place -= 1
    nearest[place] = distance


@compiled
def _search(
    x: np.ndarray, y: np.ndarray, ends: tuple, places: tuple, own_x: float, own_y: float, nearest: np.ndarray
) -> None:
    """Inserts the nearest points of the strip x[ends[0]:ends[1]], up from ``places[1]`` and down from ``places[0]``."""
    down, up, last = places[0], places[1], nearest.size - 1
    while True:
        below = own_y - y[down] if down >= ends[0] else np.inf
        above = y[up] - own_y if up < ends[1] else np.inf
        if min(above, below) >= nearest[last]:
            return
        if above <= below:
            distance = max(above, abs(x[up] - own_x))
            up += 1
        else:
            distance = max(below, abs(x[down] - own_x))
            down -= 1
        if distance < nearest[last]:
            _insert(nearest, distance)


@compiled
def radii(x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray, length: int, k: int) -> np.ndarray:
    """The distance of each point to its k-th nearest neighbour, (N,), in the order of the points.

    Args:
        x: (N,), in the order of ``strips``.
        y: (N,), in the same order.
        low: The least x of each strip.
        high: The greatest x of each strip.
        length: Number of points of a strip.
        k: From 1 to N - 1.
    """
    radius, nearest, last = np.empty(x.size), np.empty(k), k - 1
    for point in range(x.size):
        own, own_x, own_y = point // length, x[point], y[point]
        nearest[:] = np.inf
        ends = own * length, min((own + 1) * length, x.size)
        _search(x, y, ends, (point - 1, point + 1), own_x, own_y, nearest)
        strip = own - 1
        while strip >= 0 and own_x - high[strip] < nearest[last]:
            ends = strip * length, (strip + 1) * length
            place = _first_at(y, ends[0], ends[1], own_y)
            _search(x, y, ends, (place - 1, place), own_x, own_y, nearest)
            strip -= 1
        strip = own + 1
        while strip < low.size and low[strip] - own_x < nearest[last]:
            ends = strip * length, min((strip + 1) * length, x.size)
            place = _first_at(y, ends[0], ends[1], own_y)
            _search(x, y, ends, (place - 1, place), own_x, own_y, nearest)
            strip += 1
        radius[point] = nearest[last]
    return radius


@compiled
def extents(x: np.ndarray, y: np.ndarray, low: np.ndarray, high: np.ndarray, length: int, radius: np.ndarray) -> tuple:
    """The largest distances in x and in y of the points within the radius of each point: two arrays (N,)."""
    wide, tall = np.zeros(x.size), np.zeros(x.size)
    for point in range(x.size):
        own_x, own_y, reach = x[point], y[point], radius[point]
        strip = point // length
        while strip > 0 and own_x - high[strip - 1] <= reach:
            strip -= 1
        while strip < low.size and low[strip] - own_x <= reach:
            end = min((strip + 1) * length, x.size)
            place = _first_at(
                y, strip * length, end, own_y - reach - reach * 1e-9
            )  # lower by the rounding: a point too many does no harm
            while place < end and y[place] - own_y <= reach:
                across, up = abs(x[place] - own_x), abs(y[place] - own_y)
                if across <= reach and up <= reach:
                    wide[point], tall[point] = max(wide[point], across), max(tall[point], up)
                place += 1
            strip += 1
    return wide, tall


@compiled
def others_near(ranked: np.ndarray, values: np.ndarray, radius: np.ndarray, closed: bool) -> np.ndarray:
    """Numbers of other points on a line nearer to each than its radius, or as near if ``closed``, int64 (N,).

    Args:
        ranked: (N,), the points, rising.
        values: (N,), the same points in any order.
        radius: (N,), in the order of ``values``.
        closed: Count points at the radius itself.
    """
    near = np.empty(values.size, np.int64)
    for point in range(values.size):
        value, reach = values[point], radius[point]
        start, end = 0, ranked.size
        while start < end:  # the first point within the radius
            middle = (start + end) >> 1
            distance = value - ranked[middle]
            if distance > reach or (distance == reach and not closed):
                start = middle + 1
            else:
                end = middle
        first, end = start, ranked.size
        while start < end:  # the first point beyond it
            middle = (start + end) >> 1
            distance = ranked[middle] - value
            if distance < reach or (distance == reach and closed):
                start = middle + 1
            else:
                end = middle
        near[point] = max(start - first - 1, 0)
    return near
