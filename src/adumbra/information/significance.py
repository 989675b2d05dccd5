"""How far information can be believed: intervals and chance, by patient and never by voxel.

Voxels of one patient resemble each other, so they are not as many samples as they are voxels: an interval that
resamples voxels is far too narrow. Here each patient is one table of counts, and patients are what is drawn again
(bootstrap), left out (extrapolation), or confounded (permutation): for what chance makes, the images of one patient
are read with the outline of another. All resamples are one array, so that a measure that takes batches computes them
at once.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.core.references import cites

Measure = Callable[[np.ndarray], np.ndarray]
"""Of probabilities (B, ...), each table of them summing to 1: values (B,) or (B, K)."""


@dataclass(frozen=True, eq=False)
class Interval:
    """Values with their bootstrap interval by patient.

    Attributes:
        value: Of all patients together, the measure's shape for one table.
        low: Lower end; nan for a single patient.
        high: Upper end.
        level: Of the interval.
        patients: How many there were.
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
    """A measure of all patients together, with its percentile interval over patients drawn again.

    Args:
        tables: (P, ...), counts of each patient, from 0; not all 0.
        measure: Of the pooled probabilities, in batches.
        generator: Draws the patients.
        resamples: How many.
        level: Of the interval, between 0 and 1.

    Raises:
        ImplausibleValues: The tables are no counts.
        InputRejected: No resample, or a level outside (0, 1).
    """
    _checked(tables, resamples=resamples, level=level)
    patients = len(tables)
    value = np.asarray(measure(pooled(tables, np.ones((1, patients))))[0])
    if patients < 2:
        undefined = np.full_like(value, np.nan)
        return Interval(value, undefined, undefined, level, patients)
    weights = generator.multinomial(patients, np.full(patients, 1.0 / patients), size=resamples)
    weights = weights[(weights @ tables.reshape(patients, -1).sum(axis=1)) > 0]  # a draw of patients without voxels
    ends = np.quantile(measure(pooled(tables, weights)), [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0)
    low, high = (np.asarray(end) for end in ends)
    return Interval(value, low, high, level, patients)


def permutation_test(
    crossed: np.ndarray, measure: Measure, *, generator: np.random.Generator, resamples: int = 1000
) -> tuple[np.ndarray, np.ndarray]:
    """What a measure is when each patient's images are read with the outline of another, and how rarely it is as large.

    Args:
        crossed: (P, P, ...), counts of the images of patient i with the outline of patient j at [i, j].
        measure: Of the pooled probabilities, in batches.
        generator: Draws the permutations, in which no patient keeps his own.
        resamples: How many.

    Returns:
        Values under chance (resamples, ...), and the p-value of each observed value, (1 + how many of them are as
        large) / (1 + resamples): never 0.

    Raises:
        ImplausibleValues: The tables are no counts, or not of all pairs.
        InputRejected: Fewer than two patients, or no resample.
    """
    _checked(crossed, resamples=resamples, level=0.95)
    patients = len(crossed)
    if crossed.ndim < 3 or crossed.shape[1] != patients:
        raise ImplausibleValues(
            "crossed",
            expected="a table for each pair of patients, (P, P, ...)",
            found=f"shape {crossed.shape}",
            do="count the images of each patient with the outline of each",
        )
    if patients < 2:
        raise InputRejected("crossed", expected="two patients or more", found="one", do="give more patients")
    drawn = np.stack([_derangement(patients, generator) for _ in range(resamples)])
    null = np.stack([crossed[np.arange(patients), order].sum(axis=0) for order in drawn]).astype(np.float64)
    values = measure(_shares(null))
    own = crossed[np.arange(patients), np.arange(patients)]
    observed = measure(pooled(own, np.ones((1, patients))))[0]
    larger = (values >= observed - 1e-12).sum(axis=0)  # so that rounding does not tell equals apart
    return values, np.asarray((1.0 + larger) / (1.0 + resamples))


@cites("Strong1998")
def of_infinitely_many(
    tables: np.ndarray, measure: Measure, *, generator: np.random.Generator, repeats: int = 20
) -> np.ndarray:
    """A measure extrapolated to infinitely many patients, from all, halves and quarters of them; may be below 0.

    Args:
        tables: (P, ...), counts of each patient; at least four patients.
        measure: Of the pooled probabilities, in batches.
        generator: Deals the patients into parts.
        repeats: How many times.

    Raises:
        ImplausibleValues: The tables are no counts.
        InputRejected: Fewer than four patients.
    """
    _checked(tables, resamples=repeats, level=0.95)
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
    """Probabilities (B, ...) of patients' tables (P, ...) added with weights (B, P), voxel by voxel."""
    flat = weights.astype(np.float64) @ tables.reshape(len(tables), -1).astype(np.float64)
    return _shares(flat.reshape(-1, *tables.shape[1:]))


def _shares(counts: np.ndarray) -> np.ndarray:
    axes = tuple(range(1, counts.ndim))
    shares: np.ndarray = counts / counts.sum(axis=axes, keepdims=True)
    return shares


def _derangement(patients: int, generator: np.random.Generator) -> np.ndarray:
    """A permutation that leaves none where he was; of all such, each is as likely (about one draw in e is one)."""
    while True:
        order = generator.permutation(patients)
        if (order != np.arange(patients)).all():
            return order


def _parts(patients: int, parts: int, generator: np.random.Generator) -> np.ndarray:
    """Which patients belong to each part, 0 or 1, (parts, P)."""
    order = generator.permutation(patients)
    weights = np.zeros((parts, patients))
    for number, members in enumerate(np.array_split(order, parts)):
        weights[number, members] = 1.0
    return weights


def _checked(tables: np.ndarray, *, resamples: int, level: float) -> None:
    counts = np.asarray(tables)
    if counts.dtype.kind not in "biuf" or counts.ndim < 2 or not (np.isfinite(counts) & (counts >= 0)).all():
        raise ImplausibleValues(
            "tables", expected="counts from 0, one table a patient", found="others", do="give counts of voxels"
        )
    if not counts.any():
        raise ImplausibleValues("tables", expected="at least one voxel", found="none", do="choose another region")
    if resamples < 1:
        raise InputRejected("resamples", expected="1 or more", found=f"{resamples}", do="take 1000")
    if not 0.0 < level < 1.0:
        raise InputRejected("level", expected="between 0 and 1", found=f"{level}", do="give a level such as 0.95")
