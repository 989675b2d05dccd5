"""How good an uncertainty is: every measure of one case, and over cases their means, associations and coverage.

A case has, of its probability: NLL, Brier score and calibration errors, inside the brain and near the boundary; of its
uncertainty: how it ranks errors (AUROC, AUPRC, AURC and its excess), the QU-BraTS score beside its baselines, areas of
the retention curves beside theirs; of its draws: whether their interval holds the true volume. Over cases: means with
intervals by patient, and whether what is known of a case without its truth foretells its Dice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import isnan

import numpy as np

from adumbra.core.results import Estimate, Maps, VolumeDraws
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.overlap import dice
from adumbra.evaluation.segmentation.pair import Pair
from adumbra.evaluation.statistics import Coverage, MeanInterval, bootstrap_mean, coverage
from adumbra.evaluation.uncertainty.association import Association, case_association
from adumbra.evaluation.uncertainty.boundary import regions
from adumbra.evaluation.uncertainty.qubrats import qu_brats
from adumbra.evaluation.uncertainty.reliability import (
    ReliabilityTable,
    adaptive_calibration_error,
    average_calibration_error,
    brier_score,
    equal_mass_table,
    equal_width_table,
    expected_calibration_error,
    maximum_calibration_error,
    negative_log_likelihood,
)
from adumbra.evaluation.uncertainty.retention import Retention, lesion_retention, lesion_uncertainty, voxel_retention
from adumbra.evaluation.uncertainty.selective_prediction import RiskCoverage, error_detection

LARGEST: Mapping[str, float] = {
    "entropy": float(np.log(2.0)),
    "aleatoric": float(np.log(2.0)),
    "epistemic": float(np.log(2.0)),
    "variance": 0.25,
}
"""The largest value that each map can have in a voxel of two classes."""
FORETELLING = ("expected_dice_loss", "mean_entropy", "volume_cv")
"""What is known of a case without its truth; the higher, the worse its outline should be."""


@dataclass(frozen=True, eq=False)
class CaseQuality:
    """What one case says.

    Attributes:
        values: The measures by name; nan where undefined.
        brain: Reliability inside the brain, in bins of equal width.
        boundary: The same near the boundary.
        risk: Risk and coverage of the voxels of the brain.
        retention: By lesion.
        volume_ml: The true volume.
        interval: That the draws give it.
    """

    values: Mapping[str, float]
    brain: ReliabilityTable
    boundary: ReliabilityTable
    risk: RiskCoverage
    retention: Retention
    volume_ml: float
    interval: Estimate


@dataclass(frozen=True, eq=False)
class Quality:
    """What many cases say.

    Attributes:
        means: Of each measure, over the cases where it is defined.
        associations: Spearman's rho of each of ``FORETELLING`` with Dice, over the cases that have the target.
        volumes: Coverage of the true volumes by the intervals.
        brain: Reliability of all voxels of all brains.
        boundary: The same near the boundaries.
        cases: By name.
    """

    means: Mapping[str, MeanInterval]
    associations: Mapping[str, Association]
    volumes: Coverage
    brain: ReliabilityTable
    boundary: ReliabilityTable
    cases: Mapping[str, CaseQuality]


def case_quality(
    maps: Maps, draws: VolumeDraws, truth: Mask, brain: Mask, interval: Estimate, *, measure: str = "entropy"
) -> CaseQuality:
    """Every measure of one case.

    Args:
        maps: Of the target.
        draws: Volumes of the draws.
        truth: (X, Y, Z), on the grid of the maps.
        brain: (X, Y, Z), the voxels that are judged.
        interval: Of the volume, as it is shown to the reader.
        measure: Which map is the uncertainty, of ``LARGEST``.

    Raises:
        GridMismatch: The masks have other shapes than the maps.
        ImplausibleValues: The masks are not boolean.
    """
    pair = Pair(maps.mask, truth, maps.grid)
    near = regions(pair, brain)
    uncertainty = getattr(maps, measure)
    p, y = maps.probability[near.brain], truth[near.brain]
    wrong = error_detection(uncertainty[near.brain], (maps.mask != truth)[near.brain])
    doubted = np.clip(uncertainty, 0.0, LARGEST[measure])
    brats = qu_brats(pair, np.where(brain, doubted, 0.0), brain, largest=LARGEST[measure])
    lesions = lesion_retention(lesion_uncertainty(pair, uncertainty))
    voxels = voxel_retention(maps.mask[near.brain], y, uncertainty[near.brain])
    tables = equal_width_table(p, y), equal_width_table(maps.probability[near.boundary], truth[near.boundary])
    values = {"dice": dice(pair), **_calibration("brain", p, y, tables[0])}
    values |= _calibration("boundary", maps.probability[near.boundary], truth[near.boundary], tables[1])
    values |= {name: getattr(wrong, name) for name in ("auroc", "auprc", "aurc", "excess_aurc")}
    values |= {"qu_brats": brats.score, "qu_brats_null": brats.null_score, "qu_brats_oracle": brats.oracle_score}
    values |= _areas("lesion_retention", lesions) | _areas("voxel_retention", voxels)
    values |= failure_indicators(maps, draws)
    volume_ml = float(np.count_nonzero(truth)) * maps.grid.voxel_ml
    return CaseQuality(values, *tables, wrong.curve, lesions, volume_ml, interval)


def _calibration(where: str, p: np.ndarray, y: np.ndarray, table: ReliabilityTable) -> dict[str, float]:
    return {
        f"nll_{where}": negative_log_likelihood(p, y),
        f"brier_{where}": brier_score(p, y),
        f"ece_{where}": expected_calibration_error(table),
        f"ece_equal_mass_{where}": expected_calibration_error(equal_mass_table(p, y)),
        f"ace_{where}": average_calibration_error(table),
        f"adaptive_{where}": adaptive_calibration_error(p, y),
        f"mce_{where}": maximum_calibration_error(table),
    }


def _areas(name: str, curve: Retention) -> dict[str, float]:
    return {name: curve.area, f"{name}_constant": curve.constant_area, f"{name}_best": curve.best_area}


def failure_indicators(maps: Maps, draws: VolumeDraws) -> dict[str, float]:
    """What a case says of itself without its truth.

    ``expected_dice_loss`` is 1 - 2 Σ p m / (Σ p + Σ m), one less the Dice to be expected of the mask m if the
    probability p is right and voxels are independent; ``mean_entropy`` that of the voxels of the mask; ``volume_cv``
    the draws' coefficient of variation. The last two are nan where there is no mask, or no volume.
    """
    p = maps.probability.astype(np.float64)
    sizes = p.sum() + np.count_nonzero(maps.mask)
    volumes = np.asarray(draws.volumes_ml, dtype=np.float64)
    return {
        "expected_dice_loss": 1.0 - 2.0 * float(p[maps.mask].sum()) / float(sizes) if sizes > 0 else float("nan"),
        "mean_entropy": float(maps.entropy[maps.mask].mean(dtype=np.float64)) if maps.mask.any() else float("nan"),
        "volume_cv": float(volumes.std() / volumes.mean()) if volumes.mean() > 0 else float("nan"),
    }


def quality(
    cases: Mapping[str, CaseQuality], *, generator: np.random.Generator, patients: Sequence[str] | None = None
) -> Quality:
    """The cases together.

    Args:
        cases: By name; one at least.
        generator: Of the resamples behind the intervals.
        patients: Whose each case is, in their order; None takes every case for a patient of its own.

    Raises:
        ValueError: There is no case.
    """
    if not cases:
        raise ValueError("cases: expected one at least, found none")
    rows = list(cases.values())
    columns = {name: [row.values[name] for row in rows] for name in rows[0].values}
    means = {name: bootstrap_mean(v, generator=generator, patients=patients) for name, v in columns.items()}
    # A case without the target has a Dice of 0 or 1 and nothing between: it would decide the rank correlation.
    updated = [number for number, row in enumerate(rows) if row.volume_ml > 0.0]
    whose = None if patients is None else [patients[number] for number in updated]
    good = [columns["dice"][number] for number in updated]
    associations = {
        name: case_association([columns[name][n] for n in updated], good, generator=generator, patients=whose)
        for name in FORETELLING
    }
    intervals = [row.interval for row in rows]
    held = coverage(
        [i.low for i in intervals], [i.high for i in intervals], [row.volume_ml for row in rows],
        level=intervals[0].level,
    )  # fmt: skip
    brain, boundary = (_summed([getattr(row, where) for row in rows]) for where in ("brain", "boundary"))
    return Quality(means, associations, held, brain, boundary, cases)


def _summed(tables: list[ReliabilityTable]) -> ReliabilityTable:
    total = tables[0]
    for table in tables[1:]:
        total = total + table
    return total


def plain_table(found: Quality) -> dict[str, object]:
    """All numbers as plain values: of each case, and of all; for JSON."""
    return {
        "cases": {name: dict(case.values) for name, case in found.cases.items()},
        "means": {name: _plain(mean) for name, mean in found.means.items()},
        "associations": {name: _plain(association) for name, association in found.associations.items()},
        "volumes": _plain(found.volumes),
    }


def _plain(value: MeanInterval | Association | Coverage) -> dict[str, float | None]:
    numbers = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: None if isinstance(n, float) and isnan(n) else n for name, n in numbers.items()}
