"""Every metric of one case, and of many cases a table with its summary: values, printed elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations, cites
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.pair import Pair
from adumbra.evaluation.segmentation.registry import METRICS


@dataclass(frozen=True)
class Summary:
    """One metric over the cases where it is defined; nan throughout when it is defined in none.

    Attributes:
        cases: How many cases have a value; those where the metric is undefined are not counted.
        mean: Arithmetic mean.
        median: With ``low`` and ``high``, the quartiles.
    """

    cases: int
    mean: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Table:
    """The scores of each case, and each metric's summary over the cases."""

    rows: Mapping[str, Mapping[str, float]]
    summary: Mapping[str, Summary]


@cites(*citations(*(metric.of for metric in METRICS.values())))
def scores(prediction: Mask, truth: Mask, grid: Grid) -> dict[str, float]:
    """Every metric of the catalogue by name, nan where it is undefined.

    Raises:
        GridMismatch: The masks have not both the grid's shape.
        ImplausibleValues: A mask is not boolean.
    """
    pair = Pair(prediction, truth, grid)
    return {name: metric.of(pair) for name, metric in METRICS.items()}


def table(rows: Mapping[str, Mapping[str, float]]) -> Table:
    """The scores by case name, with a summary of each metric that any case has, in the order of the first seen."""
    names = dict.fromkeys(name for row in rows.values() for name in row)
    return Table(rows, {name: summary([row[name] for row in rows.values() if name in row]) for name in names})


def summary(values: list[float]) -> Summary:
    """Mean, median and quartiles of the values that are defined."""
    defined = [value for value in values if not isnan(value)]
    if not defined:
        return Summary(0, *[float("nan")] * 4)
    low, median, high = np.quantile(defined, [0.25, 0.5, 0.75])
    return Summary(len(defined), float(np.mean(defined)), float(median), float(low), float(high))
