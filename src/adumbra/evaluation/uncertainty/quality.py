"""Quality of an uncertainty map: every measure of one case, and their means, associations and coverage over cases.

The probability of a case is measured by the negative log-likelihood, the Brier score and the calibration errors, inside
the brain and near the boundary. Its uncertainty is measured by the detection of voxel errors (AUROC, AUPRC, AURC and
excess AURC), by the QU-BraTS score beside its baselines, and by the areas under the retention curves beside theirs. Its
draws are measured by whether their interval covers the true volume.

Over cases, means have bootstrap intervals by patient. Failure indicators are computed without the truth, and their rank
correlation with Dice says how well they predict a poor segmentation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import isnan

import numpy as np

from adumbra.core.entropy import LN2
from adumbra.core.results import Estimate, Maps, VolumeDraws
from adumbra.core.statistics import coefficient_of_variation
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.overlap import dice
from adumbra.evaluation.segmentation.pair import MaskPair
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

MAXIMA: Mapping[str, float] = {"entropy": LN2, "aleatoric": LN2, "epistemic": LN2, "variance": 0.25}
"""Largest value that each uncertainty measure can have in a voxel of two classes."""
FAILURE_INDICATORS = ("expected_dice_loss", "mean_entropy", "volume_cv")
"""Indicators of a poor segmentation that need no truth. A higher value predicts a lower Dice."""


@dataclass(frozen=True, eq=False)
class CaseQuality:
    """Measures of one case.

    Attributes:
        values: Measures by name; nan where undefined.
        brain: Reliability inside the brain, in bins of equal width.
        boundary: Reliability near the boundary, in bins of equal width.
        risk: Risk-coverage curve of the voxels of the brain.
        retention: Lesion-wise retention curve.
        volume_ml: True volume.
        interval: Predicted volume with its interval.
    """

    values: Mapping[str, float]
    brain: ReliabilityTable
    boundary: ReliabilityTable
    risk: RiskCoverage
    retention: Retention
    volume_ml: float
    interval: Estimate


@dataclass(frozen=True, eq=False)
class UncertaintyQuality:
    """Measures of many cases.

    Attributes:
        means: Mean of each measure over the cases in which it is defined.
        associations: Spearman's rho of each of ``FAILURE_INDICATORS`` with Dice, over the cases that have the target.
        volumes: Coverage of the true volumes by the intervals.
        brain: Reliability of the voxels of all brains.
        boundary: Reliability of the voxels near all boundaries.
        cases: Measures of each case, by name.
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
        maps: Maps of the target.
        draws: Volumes of the same posterior draws.
        truth: (X, Y, Z), true mask on the grid of the maps.
        brain: (X, Y, Z), voxels that are evaluated.
        interval: Predicted volume with the interval that is shown to the reader.
        measure: Uncertainty measure that is evaluated, a key of ``MAXIMA``.

    Raises:
        GridMismatch: A mask does not have the shape of the maps.
        ImplausibleValues: A mask is not boolean.
    """
    pair = MaskPair(maps.mask, truth, maps.grid)
    evaluated = regions(pair, brain)
    uncertainty = maps.uncertainty(measure)
    p, y = maps.probability[evaluated.brain], truth[evaluated.brain]
    p_boundary, y_boundary = maps.probability[evaluated.boundary], truth[evaluated.boundary]
    errors = error_detection(uncertainty[evaluated.brain], (maps.mask != truth)[evaluated.brain])
    clipped = np.clip(uncertainty, 0.0, MAXIMA[measure])
    brats = qu_brats(pair, np.where(brain, clipped, 0.0), brain, largest=MAXIMA[measure])
    lesions = lesion_retention(lesion_uncertainty(pair, uncertainty))
    voxels = voxel_retention(maps.mask[evaluated.brain], y, uncertainty[evaluated.brain])
    tables = equal_width_table(p, y), equal_width_table(p_boundary, y_boundary)
    values = {"dice": dice(pair), **_calibration("brain", p, y, tables[0])}
    values |= _calibration("boundary", p_boundary, y_boundary, tables[1])
    values |= {"auroc": errors.auroc, "auprc": errors.auprc, "aurc": errors.aurc, "excess_aurc": errors.excess_aurc}
    values |= {"qu_brats": brats.score, "qu_brats_null": brats.null_score, "qu_brats_oracle": brats.oracle_score}
    values |= _areas("lesion_retention", lesions) | _areas("voxel_retention", voxels)
    values |= failure_indicators(maps, draws)
    volume_ml = float(np.count_nonzero(truth)) * maps.grid.voxel_ml
    return CaseQuality(values, *tables, errors.curve, lesions, volume_ml, interval)


def _calibration(region: str, p: np.ndarray, y: np.ndarray, table: ReliabilityTable) -> dict[str, float]:
    return {
        f"nll_{region}": negative_log_likelihood(p, y),
        f"brier_{region}": brier_score(p, y),
        f"ece_{region}": expected_calibration_error(table),
        f"ece_equal_mass_{region}": expected_calibration_error(equal_mass_table(p, y)),
        f"ace_{region}": average_calibration_error(table),
        f"adaptive_{region}": adaptive_calibration_error(p, y),
        f"mce_{region}": maximum_calibration_error(table),
    }


def _areas(name: str, curve: Retention) -> dict[str, float]:
    return {name: curve.area, f"{name}_constant": curve.constant_area, f"{name}_best": curve.best_area}


def failure_indicators(maps: Maps, draws: VolumeDraws) -> dict[str, float]:
    """Indicators of a poor segmentation that are computed without the truth.

    ``expected_dice_loss`` is 1 - 2 Σ p m / (Σ p + Σ m): one minus the expected Dice of the mask m if the probability p
    is calibrated and voxels are independent. ``mean_entropy`` is the mean predictive entropy over the mask.
    ``volume_cv`` is the coefficient of variation of the draws' volumes (standard deviation divided by n - 1). The first
    is nan where probability and mask are zero everywhere, the second where the mask is empty, and the third for a
    single draw and where every draw is empty.
    """
    p = maps.probability.astype(np.float64)
    sizes = p.sum() + np.count_nonzero(maps.mask)
    return {
        "expected_dice_loss": 1.0 - 2.0 * float(p[maps.mask].sum()) / float(sizes) if sizes > 0 else float("nan"),
        "mean_entropy": float(maps.entropy[maps.mask].mean(dtype=np.float64)) if maps.mask.any() else float("nan"),
        "volume_cv": coefficient_of_variation(draws.volumes_ml),
    }


def uncertainty_quality(
    cases: Mapping[str, CaseQuality], *, generator: np.random.Generator, patients: Sequence[str] | None = None
) -> UncertaintyQuality:
    """Means, associations and coverage over cases.

    Args:
        cases: Measures of each case, by name; at least one.
        generator: Random generator of the bootstrap resamples.
        patients: Patient of each case, in the order of the cases. None means that every case is another patient.

    Raises:
        ValueError: There is no case.
    """
    if not cases:
        raise ValueError("cases: expected one at least, found none")
    rows = list(cases.values())
    columns = {name: [row.values[name] for row in rows] for name in rows[0].values}
    means = {name: bootstrap_mean(v, generator=generator, patients=patients) for name, v in columns.items()}
    # A case without the target has a Dice of 0 or 1 and nothing between: it would decide the rank correlation.
    with_target = [number for number, row in enumerate(rows) if row.volume_ml > 0.0]
    names = None if patients is None else [patients[number] for number in with_target]
    dices = [columns["dice"][number] for number in with_target]
    associations = {
        name: case_association([columns[name][n] for n in with_target], dices, generator=generator, patients=names)
        for name in FAILURE_INDICATORS
    }
    brain, boundary = _sum([row.brain for row in rows]), _sum([row.boundary for row in rows])
    return UncertaintyQuality(means, associations, _volume_coverage(rows), brain, boundary, cases)


def _volume_coverage(rows: list[CaseQuality]) -> Coverage:
    intervals = [row.interval for row in rows]
    return coverage(
        [interval.low for interval in intervals],
        [interval.high for interval in intervals],
        [row.volume_ml for row in rows],
        level=intervals[0].level,
    )


def _sum(tables: list[ReliabilityTable]) -> ReliabilityTable:
    total = tables[0]
    for table in tables[1:]:
        total = total + table
    return total


def plain_table(quality: UncertaintyQuality) -> dict[str, object]:
    """All numbers, of each case and over cases, as plain values for JSON."""
    return {
        "cases": {name: dict(case.values) for name, case in quality.cases.items()},
        "means": {name: _plain(mean) for name, mean in quality.means.items()},
        "associations": {name: _plain(association) for name, association in quality.associations.items()},
        "volumes": _plain(quality.volumes),
    }


def _plain(value: MeanInterval | Association | Coverage) -> dict[str, float | None]:
    numbers = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: None if isinstance(n, float) and isnan(n) else n for name, n in numbers.items()}
