"""Bins of continuous intensities, of equal width or of equal frequency.

Equal width keeps the scale of the intensities; equal frequency uses only their order and leaves no bin empty. The
result is a value, ``Bins``, that can be applied to other patients: information of patients is comparable only in
common bins.

A value lies in bin k where edges[k] <= value < edges[k + 1]; values beyond the ends lie in the outermost bins. For
equal widths the index of the bin is also trunc((value - low) * count / (high - low)), in float64. The inner edges are
the first numbers at which that product, as it is rounded, reaches 1, 2, ..., so that both rules agree exactly.
"""

from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.estimators.counting import even_indices, uneven_indices
from adumbra.information.estimators.samples import finite_row, require_whole_number, row_and_range

MOST_BINS = 65536  # indices of bins are uint16 at most


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins, given by their edges; a value beyond the ends is counted in the outermost bin.

    Attributes:
        edges: (K + 1,), rising, float64, read-only. A single bin may have no width, if all values are the same.

    Raises:
        InputRejected: The edges do not rise, are not finite, or belong to more than 65,536 bins.
    """

    edges: np.ndarray

    def __post_init__(self) -> None:
        edges = np.array(self.edges, dtype=np.float64)
        rising = edges.ndim == 1 and 2 <= edges.size <= MOST_BINS + 1 and bool(np.isfinite(edges).all())
        if not (rising and ((np.diff(edges) > 0).all() or (edges.size == 2 and edges[0] == edges[1]))):
            raise InputRejected(
                "edges",
                expected=f"2 to {MOST_BINS + 1} finite numbers that rise",
                found=f"shape {edges.shape}, {edges.ravel()[:4]} ...",
                do="sort them, and remove duplicates",
            )
        edges.setflags(write=False)
        object.__setattr__(self, "edges", edges)

    @property
    def count(self) -> int:
        """Number of bins."""
        return self.edges.size - 1

    @cached_property
    def scale(self) -> float:
        """Bins per unit of intensity if all are equally wide, so that both rules above agree exactly; 0 otherwise."""
        if self.count == 1:
            return 1.0
        low, inner, steps = float(self.edges[0]), self.edges[1:-1], np.arange(1, self.count)
        scale = self.count / (float(self.edges[-1]) - low)
        if not isfinite(scale):
            return 0.0
        before = np.nextafter(inner, -np.inf)
        exact = ((inner - low) * scale >= steps) & ((before - low) * scale < steps)
        return scale if bool(exact.all()) else 0.0

    def indices(self, values: Any, *, name: str = "values") -> np.ndarray:
        """The index of each value's bin, of the values' shape; uint8 for up to 256 bins, else uint16.

        Args:
            values: Any shape, finite.
            name: The name of the values in errors.

        Raises:
            ImplausibleValues: A value is NaN or infinite, or there is no value.
        """
        row = finite_row(values, name)
        bins = np.empty(row.size, dtype=np.uint8 if self.count <= 256 else np.uint16)
        if self.scale:
            even_indices(row, float(self.edges[0]), self.scale, self.count - 1.0, bins)
        else:
            uneven_indices(row, self.edges[1:-1].copy(), bins)
        return bins.reshape(np.shape(values))


def equal_width(
    values: Any,
    *,
    bins: int,
    limits: tuple[float, float] | None = None,
    quantiles: tuple[float, float] | None = None,
    name: str = "values",
) -> Bins:
    """Bins of equal width, from the least value to the greatest; one bin if all values are the same.

    There are fewer than ``bins`` only where the range holds fewer floating-point numbers than that.

    Args:
        values: Any shape, finite.
        bins: Number of bins, from 1 to 65,536.
        limits: The ends, instead of the least and the greatest value.
        quantiles: The ends as quantiles of the values, such as (0.001, 0.999), so that a few bright voxels of a vessel
            do not leave most bins empty.
        name: The name of the values in errors.

    Raises:
        ImplausibleValues: A value is NaN or infinite, there is none, or values differ but the quantiles do not.
        InputRejected: The number of bins, the limits or the quantiles are out of range, or both limits and quantiles
            are given.
    """
    low, high = _ends(*row_and_range(values, name), limits, quantiles)
    return spanning(low, high, bins=bins, name=name)


def spanning(low: float, high: float, *, bins: int, name: str) -> Bins:
    """Bins of equal width from ``low`` to ``high``; one bin if these are the same.

    Raises:
        InputRejected: The number of bins is not from 1 to 65,536, or the range is not finite.
    """
    count = require_whole_number("bins", bins, least=1, most=MOST_BINS)
    if low == high:
        return Bins(np.array([low, high]))
    if not isfinite(high - low):
        raise InputRejected(name, expected="a range that is finite", found=f"{low} to {high}", do="rescale them")
    return Bins(np.unique(np.concatenate([[low], _inner_edges(low, high, count), [high]])))


def equal_frequency(values: Any, *, bins: int, name: str = "values") -> Bins:
    """Bins that hold equally many values, as far as ties allow; one bin if all values are the same.

    Equal values stay together. A cut that falls among equal values moves to the nearer end of them, downwards if both
    are as near. A cut that coincides with another, or would leave a bin empty, is dropped. A background that makes up
    half of the voxels therefore becomes one bin, and there are fewer than ``bins``.

    Args:
        values: Any shape, finite.
        bins: Number of bins, from 1 to 65,536.
        name: The name of the values in errors.

    Raises:
        ImplausibleValues: A value is NaN or infinite, or there is none.
        InputRejected: The number of bins is not from 1 to 65,536.
    """
    row, count = np.sort(finite_row(values, name)), require_whole_number("bins", bins, least=1, most=MOST_BINS)
    steps = row.size * np.arange(1, count) / count
    tied = row[steps.astype(np.int64)]
    start, end = np.searchsorted(row, tied, side="left"), np.searchsorted(row, tied, side="right")
    cut = np.unique(np.where(steps - start <= end - steps, start, end))
    inner = _between(row.astype(np.float64), cut[(cut > 0) & (cut < row.size)])
    low, high = float(row[0]), float(row[-1])
    if inner.size and inner[-1] == high:  # no number lies between the greatest two values
        high = float(np.nextafter(high, np.inf))
    return Bins(np.concatenate([[low], inner, [high]]))


def _between(row: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """The middle of the values on both sides of each cut, or the upper value where no number lies between."""
    lower, upper = row[cut - 1], row[cut]
    middle = 0.5 * lower + 0.5 * upper
    return np.where(middle > lower, middle, upper)


def _inner_edges(low: float, high: float, count: int) -> np.ndarray:
    """The first numbers at which (value - low) * scale, as float64 rounds it, reaches 1, 2, ..., count - 1.

    The product never falls as the value rises, so bisection over the ordered floats finds the numbers.
    """
    scale, steps = count / (high - low), np.arange(1, count)
    if not isfinite(scale):
        return np.linspace(low, high, count + 1)[1:-1]
    below, reached = (_ranks(np.full(steps.size, end)) for end in (low, high))
    for _ in range(64):
        middle = (below >> 1) + (reached >> 1) + (below & reached & 1)
        enough = (_floats(middle) - low) * scale >= steps
        below, reached = np.where(enough, below, middle), np.where(enough, middle, reached)
    return _floats(reached)


def _ranks(floats: np.ndarray) -> np.ndarray:
    """The rank of each float64 among all of them, int64: neighbours differ by 1, and 0 has the rank 0."""
    bits = floats.view(np.int64)
    return np.where(bits >= 0, bits, np.iinfo(np.int64).min - bits)


def _floats(ranks: np.ndarray) -> np.ndarray:
    """The float64 of each rank."""
    return np.where(ranks >= 0, ranks, np.iinfo(np.int64).min - ranks).view(np.float64)


def _ends(
    row: np.ndarray,
    least: float,
    greatest: float,
    limits: tuple[float, float] | None,
    quantiles: tuple[float, float] | None,
) -> tuple[float, float]:
    if limits is not None and quantiles is not None:
        raise InputRejected("limits", expected="limits or quantiles", found="both", do="give one of them")
    if limits is not None:
        return _rising("limits", limits, -np.inf, np.inf)
    if quantiles is None:
        return least, greatest
    low, high = np.quantile(row, _rising("quantiles", quantiles, 0.0, 1.0))
    if low == high and least < greatest:
        raise ImplausibleValues(
            "quantiles",
            expected="two quantiles between which the values differ",
            found=f"{low} at both of {quantiles}",
            do="exclude the background, or choose quantiles nearer to 0 and 1",
        )
    return float(low), float(high)


def _rising(name: str, ends: tuple[float, float], least: float, most: float) -> tuple[float, float]:
    low, high = (float(end) for end in ends)
    if not (isfinite(low) and isfinite(high) and least <= low < high <= most):
        raise InputRejected(
            name, expected=f"two numbers that rise, in [{least}, {most}]", found=f"{ends}", do="give other numbers"
        )
    return low, high
