"""What was found of an uncertainty, as charts, tables and sentences for its page."""

from math import isnan
from pathlib import Path

from adumbra.evaluation.statistics import MeanInterval
from adumbra.evaluation.uncertainty.association import Association
from adumbra.evaluation.uncertainty.curves import mean_curves
from adumbra.evaluation.uncertainty.quality import Quality
from adumbra.report.charts import quality_charts
from adumbra.report.uncertainty_quality import Row, write_quality

NAMES = {
    "dice": "Dice",
    "nll_brain": "NLL, brain",
    "nll_boundary": "NLL, near the boundary",
    "brier_brain": "Brier score, brain",
    "brier_boundary": "Brier score, near the boundary",
    "ece_brain": "ECE, brain",
    "ece_boundary": "ECE, near the boundary",
    "ece_equal_mass_boundary": "ECE of equal mass, near the boundary",
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
    "lesion_retention_constant": "The same, of a map that says nothing",
    "lesion_retention_best": "The same, of the best order",
}
"""The measures that the page shows, as it names them; the JSON beside it has all."""
_OF_A_CASE = ("dice", "nll_brain", "ece_boundary", "auroc", "aurc", "qu_brats", "lesion_retention")
_FORETELL = {
    "expected_dice_loss": "the Dice to be expected",
    "mean_entropy": "the mean entropy of the outline",
    "volume_cv": "the spread of the volumes",
}


def write_quality_page(found: Quality, path: Path, *, about: str, plain: dict[str, object], overwrite: bool) -> Path:
    """The page and its numbers; errors as of ``report.uncertainty_quality.write_quality``."""
    rows = [Row(text, _mean_cells(found.means[name])) for name, text in NAMES.items()]
    cases = [Row(name, tuple(figure(case.values[key]) for key in _OF_A_CASE)) for name, case in found.cases.items()]
    return write_quality(
        path,
        title="Is it right, and does it know where it is not?",
        about=about,
        charts=quality_charts(mean_curves(found), of="mean of the cases"),
        means=rows,
        sentences=sentences(found),
        heads=[NAMES[key] for key in _OF_A_CASE],
        cases=cases,
        plain=plain,
        overwrite=overwrite,
    )


def sentences(found: Quality) -> list[str]:
    """What cannot be read from the tables."""
    held = found.volumes
    said = [
        f"The intervals of the volume held the true one in {held.covered} of {held.cases} cases, {held.share:.0%} "
        f"(95 % interval {held.low:.0%} to {held.high:.0%}); they are those of a level of {held.level:.0%}. "
        f"Their mean width is {held.mean_width:.1f} ml.",
    ]
    said += [_association(text, found.associations[name]) for name, text in _FORETELL.items()]
    said.append("Most of a brain is easily called right: AUROC and calibration inside the brain flatter any network; "
                "read those near the boundary.")  # fmt: skip
    if any("phantom" in name for name in found.cases):
        said.append("Phantoms are not patients: figures on them say how methods compare, not how good they are.")
    return said


def _association(text: str, of: Association) -> str:
    if isnan(of.rho):
        return f"How well {text} foretells Dice is undefined: too few cases with the target ({of.cases}), or all alike."
    return (
        f"How well {text} foretells Dice over cases: Spearman's ρ {of.rho:.2f} "
        f"(95 % interval {figure(of.low, 2)} to {figure(of.high, 2)}, {of.cases} cases)."
    )


def _mean_cells(mean: MeanInterval) -> tuple[str, str, str]:
    return figure(mean.value), interval(mean), f"{mean.cases}"


def interval(mean: MeanInterval) -> str:
    """The interval of a mean; it takes two patients to have one."""
    return "needs two patients" if isnan(mean.low) else f"{figure(mean.low)} to {figure(mean.high)}"


def figure(value: float, digits: int = 3) -> str:
    """A number for people: small ones with two leading digits, an undefined one says so."""
    if isnan(value):
        return "undefined"
    return f"{value:.{digits}f}" if value == 0.0 or abs(value) >= 10.0**-digits * 5 else f"{value:.1e}"
