"""All segmentation metrics of one case, and the table with its summary for many cases."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations, cites
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.evaluation.segmentation.registry import METRICS


@dataclass(frozen=True)
class Summary:
    """Summary of one metric over the cases in which it is defined; nan throughout if it is defined in none.

    Attributes:
        cases: Number of cases with a value. Cases in which the metric is undefined are not counted.
        mean: Arithmetic mean.
        median: Median.
        low: First quartile.
        high: Third quartile.
    """

    cases: int
    mean: float
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Table:
    """Scores of each case, and the summary of each metric over the cases.

    Attributes:
        rows: Scores by metric, by case.
        summary: Summary by metric.
    """

    rows: Mapping[str, Mapping[str, float]]
    summary: Mapping[str, Summary]


@cites(*citations(*(metric.of for metric in METRICS.values())))
def scores(prediction: Mask, truth: Mask, grid: Grid) -> dict[str, float]:
    """Values of all metrics of the registry by name, nan where a metric is undefined.

    Raises:
        GridMismatch: A mask does not have the shape of the grid.
        ImplausibleValues: A mask is not boolean.
    """
    pair = MaskPair(prediction, truth, grid)
    return {name: metric.of(pair) for name, metric in METRICS.items()}


def table(rows: Mapping[str, Mapping[str, float]]) -> Table:
    """Table of the scores by case, with a summary of each metric in the order of its first appearance."""
    names = dict.fromkeys(name for row in rows.values() for name in row)
    return Table(rows, {name: summary([row[name] for row in rows.values() if name in row]) for name in names})


def summary(values: list[float]) -> Summary:
    """Mean, median and quartiles of the values that are not nan."""
    defined = [value for value in values if not isnan(value)]
    if not defined:
        return Summary(0, *[float("nan")] * 4)
    low, median, high = np.quantile(defined, [0.25, 0.5, 0.75])
    return Summary(len(defined), float(np.mean(defined)), float(median), float(low), float(high))
