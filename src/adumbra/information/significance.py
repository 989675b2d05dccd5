"""Confidence intervals, permutation tests and extrapolation of information; the unit of sampling is the patient.

Voxels of one patient are correlated, so an interval that resamples voxels is far too narrow. Here each patient is one
table of counts. The bootstrap resamples patients, the extrapolation leaves patients out, and the permutation test
combines the images of one patient with the lesion mask of another, which gives the distribution under the null
hypothesis. All resamples form one array, so that a measure that accepts batches computes them at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites

Measure = Callable[[np.ndarray], np.ndarray]
"""Maps tables of probabilities (B, ...), each with the sum 1, to values (B,) or (B, K)."""


@dataclass(frozen=True, eq=False)
class Interval:
    """Values with their bootstrap interval over patients.

    Attributes:
        value: The measure of all patients pooled, of its shape for one table.
        low: Lower end of the interval; nan for a single patient.
        high: Upper end of the interval; nan for a single patient.
        level: Confidence level.
        patients: Number of patients.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    level: float
    patients: int


@cites("Field2007")
def bootstrap(
    tables: np.ndarray,
    measure: Measure,
    *,
    generator: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """A measure of all patients pooled, with its percentile interval over resampled patients.

    Args:
        tables: (P, ...), counts of each patient, at least 0; not all 0.
        measure: The measure of pooled probabilities, in batches.
        generator: Draws the patients.
        resamples: Number of resamples.
        level: Confidence level, between 0 and 1.

    Raises:
        ImplausibleValues: The tables are not counts.
        InputRejected: There is no resample, or the level is outside (0, 1).
    """
    _validate(tables, resamples=resamples, level=level)
    patients = len(tables)
    value = np.asarray(measure(pooled(tables, np.ones((1, patients))))[0])
    if patients < 2:
        undefined = np.full_like(value, np.nan)
        return Interval(value, undefined, undefined, level, patients)
    weights = generator.multinomial(patients, np.full(patients, 1.0 / patients), size=resamples)
    weights = weights[
        (weights @ tables.reshape(patients, -1).sum(axis=1)) > 0
    ]  # a resample may contain only patients without voxels
    ends = np.quantile(measure(pooled(tables, weights)), [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    low, high = (np.asarray(end) for end in ends)
    return Interval(value, low, high, level, patients)


def permutation_test(
    crossed: np.ndarray, measure: Measure, *, generator: np.random.Generator, resamples: int = 1000
) -> tuple[np.ndarray, np.ndarray]:
    """The permutation test of a measure: its values if each patient's images go with the lesion mask of another.

    Args:
        crossed: (P, P, ...), counts of the images of patient i with the lesion mask of patient j at [i, j].
        measure: The measure of pooled probabilities, in batches.
        generator: Draws the permutations, in which no patient keeps the own mask.
        resamples: Number of permutations.

    Returns:
        The values under the null hypothesis (resamples, ...), and the p-value of each observed value: one more than the
        number of values that are as large, divided by 1 + resamples. It is never 0.

    Raises:
        ImplausibleValues: The tables are not counts, or do not cover all pairs.
        InputRejected: There are fewer than two patients, or there is no resample.
    """
    _validate(crossed, resamples=resamples, level=0.95)
    patients = len(crossed)
    if crossed.ndim < 3 or crossed.shape[1] != patients:
        raise ImplausibleValues(
            "crossed",
            expected="a table for each pair of patients, (P, P, ...)",
            found=f"shape {crossed.shape}",
            do="count the images of each patient with the lesion mask of each",
        )
    if patients < 2:
        raise InputRejected("crossed", expected="two patients or more", found="one", do="give more patients")
    orders = np.stack([_derangement(patients, generator) for _ in range(resamples)])
    null = np.stack([crossed[np.arange(patients), order].sum(axis=0) for order in orders]).astype(np.float64)
    values = measure(_shares(null))
    own = crossed[np.arange(patients), np.arange(patients)]
    observed = measure(pooled(own, np.ones((1, patients))))[0]
    larger = (values >= observed - 1e-12).sum(axis=0)  # equal values that differ by rounding count as equal
    return values, np.asarray((1.0 + larger) / (1.0 + resamples))


@cites("Strong1998")
def extrapolate_to_infinite_patients(
    tables: np.ndarray, measure: Measure, *, generator: np.random.Generator, repeats: int = 20
) -> np.ndarray:
    """A measure extrapolated to infinitely many patients, from all, halves and quarters of them; it may be below 0.

    Args:
        tables: (P, ...), counts of each patient; at least four patients.
        measure: The measure of pooled probabilities, in batches.
        generator: Splits the patients into parts.
        repeats: Number of random splits.

    Raises:
        ImplausibleValues: The tables are not counts.
        InputRejected: There are fewer than four patients.
    """
    _validate(tables, resamples=repeats, level=0.95)
    patients = len(tables)
    if patients < 4:
        raise InputRejected("tables", expected="four patients or more", found=f"{patients}", do="give more patients")
    means, rows = [], []
    for parts in (1, 2, 4):
        weights = np.concatenate([_parts(patients, parts, generator) for _ in range(repeats if parts > 1 else 1)])
        weights = weights[(weights @ tables.reshape(patients, -1).sum(axis=1)) > 0]
        means.append(measure(pooled(tables, weights)).mean(axis=0))
        inverse = patients / weights.sum(axis=1)
        rows.append([1.0, inverse.mean(), np.square(inverse).mean()])
    weight = np.linalg.solve(np.array(rows).T, np.array([1.0, 0.0, 0.0]))
    return np.asarray(np.tensordot(weight, np.stack(means), axes=1))


def pooled(tables: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Probabilities (B, ...) of the tables of patients (P, ...), whose counts are added with weights (B, P)."""
    flat = weights.astype(np.float64) @ tables.reshape(len(tables), -1).astype(np.float64)
    return _shares(flat.reshape(-1, *tables.shape[1:]))


def _shares(counts: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, counts.ndim))
    shares: np.ndarray = counts / counts.sum(axis=axes, keepdims=True)
    return shares


def _derangement(patients: int, generator: np.random.Generator) -> np.ndarray:
    """A permutation without a fixed point, drawn uniformly by rejection: about one permutation in e is accepted."""
    while True:
        order = generator.permutation(patients)
        if (order != np.arange(patients)).all():
            return order


def _parts(patients: int, parts: int, generator: np.random.Generator) -> np.ndarray:
    """A random partition of the patients, (parts, P): 1 where a patient belongs to a part, else 0."""
    order = generator.permutation(patients)
    weights = np.zeros((parts, patients))
    for number, members in enumerate(np.array_split(order, parts)):
        weights[number, members] = 1.0
    return weights


def _validate(tables: np.ndarray, *, resamples: int, level: float) -> None:
    counts = np.asarray(tables)
    if counts.dtype.kind not in "biuf" or counts.ndim < 2 or not (np.isfinite(counts) & (counts >= 0)).all():
        raise ImplausibleValues(
            "tables", expected="counts from 0, one table a patient", found="other values", do="give counts of voxels"
        )
    if not counts.any():
        raise ImplausibleValues("tables", expected="at least one voxel", found="none", do="choose another region")
    if resamples < 1:
        raise InputRejected("resamples", expected="1 or more", found=f"{resamples}", do="take 1000")
    if not 0.0 < level < 1.0:
        raise InputRejected("level", expected="between 0 and 1", found=f"{level}", do="give a level such as 0.95")
