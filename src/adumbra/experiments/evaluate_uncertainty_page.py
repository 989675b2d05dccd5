"""Charts, tables and notes of the page on the quality of an uncertainty map."""

from math import isnan
from pathlib import Path

from adumbra.evaluation.statistics import MeanInterval
from adumbra.evaluation.uncertainty.association import Association
from adumbra.evaluation.uncertainty.curves import mean_curves
from adumbra.evaluation.uncertainty.quality import UncertaintyQuality
from adumbra.report.charts import quality_charts
from adumbra.report.uncertainty_quality import Row, write_uncertainty_quality

NAMES = {
    "dice": "Dice",
    "nll_brain": "NLL, brain",
    "nll_boundary": "NLL, near the boundary",
    "brier_brain": "Brier score, brain",
    "brier_boundary": "Brier score, near the boundary",
    "ece_brain": "ECE, brain",
    "ece_boundary": "ECE, near the boundary",
    "ece_equal_mass_boundary": "Equal-mass ECE, near the boundary",
    "adaptive_boundary": "Adaptive calibration error, near the boundary",
    "mce_boundary": "MCE, near the boundary",
    "auroc": "AUROC of voxel errors, brain",
    "auprc": "AUPRC of voxel errors, brain",
    "aurc": "AURC, brain",
    "excess_aurc": "Excess AURC, brain",
    "qu_brats": "QU-BraTS score",
    "qu_brats_null": "QU-BraTS score of a map of zeros",
    "qu_brats_oracle": "QU-BraTS score of the oracle",
    "lesion_retention": "Area under the lesion-wise retention curve",
    "lesion_retention_constant": "Area under the lesion-wise retention curve of a constant map",
    "lesion_retention_best": "Area under the lesion-wise retention curve of the best order",
}
"""Measures of the page, with their labels. The JSON beside the page has all measures."""
_CASE_MEASURES = ("dice", "nll_brain", "ece_boundary", "auroc", "aurc", "qu_brats", "lesion_retention")
_FAILURE_INDICATORS = {
    "expected_dice_loss": "the expected Dice loss",
    "mean_entropy": "the mean predictive entropy over the mask",
    "volume_cv": "the coefficient of variation of the draws' volumes",
}


def write_uncertainty_quality_page(
    quality: UncertaintyQuality, path: Path, *, subtitle: str, plain: dict[str, object], overwrite: bool
) -> Path:
    """Writes the page and its numbers; errors are those of ``report.uncertainty_quality.write_uncertainty_quality``."""
    means = [Row(text, _mean_cells(quality.means[name])) for name, text in NAMES.items()]
    cases = [
        Row(name, tuple(figure(case.values[key]) for key in _CASE_MEASURES)) for name, case in quality.cases.items()
    ]
    return write_uncertainty_quality(
        path,
        title="Uncertainty against the ground truth",
        subtitle=subtitle,
        charts=quality_charts(mean_curves(quality), of="mean over cases"),
        means=means,
        sentences=sentences(quality),
        headings=[NAMES[key] for key in _CASE_MEASURES],
        cases=cases,
        plain=plain,
        overwrite=overwrite,
    )


def sentences(quality: UncertaintyQuality) -> list[str]:
    """Notes that must be read with the tables."""
    volumes = quality.volumes
    notes = [
        f"Coverage: the volume intervals cover the true volume in {volumes.covered} of {volumes.cases} cases, "
        f"{volumes.share:.0%} (95 % interval {volumes.low:.0%} to {volumes.high:.0%}). "
        f"Their nominal level is {volumes.level:.0%}, and their mean width is {volumes.mean_width:.1f} ml.",
    ]
    notes += [_association(text, quality.associations[name]) for name, text in _FAILURE_INDICATORS.items()]
    notes.append(
        "Most voxels of a brain are easy to classify. AUROC and calibration inside the brain therefore look good "
        "for any network: read those near the boundary."
    )
    if any("phantom" in name for name in quality.cases):
        notes.append("Phantoms are not patients: their results compare methods, and do not measure clinical accuracy.")
    return notes


def _association(text: str, association: Association) -> str:
    if isnan(association.rho):
        return (
            f"The rank correlation of {text} with Dice is undefined: too few cases with the target "
            f"({association.cases}), or constant values."
        )
    return (
        f"Failure indicator: the rank correlation of {text} with Dice over cases is Spearman's ρ {association.rho:.2f} "
        f"(95 % interval {figure(association.low, 2)} to {figure(association.high, 2)}, {association.cases} cases)."
    )


def _mean_cells(mean: MeanInterval) -> tuple[str, str, str]:
    return figure(mean.value), interval(mean), f"{mean.cases}"


def interval(mean: MeanInterval) -> str:
    """Text of the interval of a mean, which is defined for at least two patients."""
    return "needs two patients" if isnan(mean.low) else f"{figure(mean.low)} to {figure(mean.high)}"


def figure(value: float, digits: int = 3) -> str:
    """Text of a number: small ones in scientific notation, nan as ``undefined``."""
    if isnan(value):
        return "undefined"
    return f"{value:.{digits}f}" if value == 0.0 or abs(value) >= 10.0**-digits * 5 else f"{value:.1e}"
