"""Evaluation of the uncertainty of written predictions against the ground truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adumbra.cases.scan import read_mask
from adumbra.core.errors import GridMismatch, InputRejected, MissingInput
from adumbra.core.progress import Progress, quiet
from adumbra.core.results import Prediction, RunRecord
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Target
from adumbra.evaluation.uncertainty.quality import (
    MAXIMA,
    CaseQuality,
    UncertaintyQuality,
    case_quality,
    uncertainty_quality,
)
from adumbra.report.stored_predictions import read_predictions, targets_in


def evaluate_uncertainty(
    predictions: Path,
    *,
    target: Target = "lesion",
    truths: Mapping[str, Path] | None = None,
    measure: str = "entropy",
    seed: int = 0,
    progress: Progress = quiet,
) -> UncertaintyQuality:
    """Every measure of the predictions in a folder.

    Args:
        predictions: Folder that ``adumbra predict`` wrote.
        target: The target that is evaluated where the folder holds several.
        truths: Files of true masks, by case. None takes the masks that the cases came with.
        measure: Uncertainty measure that is evaluated, a key of ``evaluation.uncertainty.quality.MAXIMA``.
        seed: Seed of the bootstrap resamples.
        progress: Shows the progress over cases.

    Raises:
        MissingInput: There is no prediction, or none with a true mask.
        GridMismatch: A true mask lies on another grid than its prediction.
        InputRejected: A calibration was fitted on one of the cases, or there is no such measure.
    """
    if measure not in MAXIMA:
        raise InputRejected("map", expected=" or ".join(MAXIMA), found=measure, do="choose one of these")
    cases: dict[str, CaseQuality] = {}
    targets = targets_in(predictions)
    only = target if len(set(targets)) > 1 else None
    total = sum(only in (None, name) for name in targets)
    stored = read_predictions(predictions, target=only)
    for prediction, run in progress.track(stored, what="Evaluating uncertainty", total=total):
        truth = _truth(prediction, truths)
        if truth is None:
            continue
        refuse_calibrated_on(prediction, run)
        case, volume = prediction.case, prediction.findings.volume_ml
        brain = case.masks["brain"].data
        cases[case.name] = case_quality(prediction.maps, prediction.draws, truth, brain, volume, measure=measure)
    if not cases:
        raise MissingInput(
            predictions.name,
            expected="a prediction whose truth is known",
            found="none",
            do="give --truth, or predict cases that come with a mask",
        )
    return uncertainty_quality(cases, generator=np.random.default_rng(seed))


def refuse_calibrated_on(prediction: Prediction, run: RunRecord) -> None:
    """Refuses to evaluate a calibration on a case that it was fitted on, where it looks better than it is.

    Two cases are the same if their scans are. Where a scan was never a file, they are the same if their names are.

    Raises:
        InputRejected: The calibration was fitted on this case.
    """
    calibration: Any = run.options.get("calibration")
    if calibration is None:
        return
    name, fitted_on = prediction.case.name, calibration["cases"]
    reference = TARGET_SPECS[prediction.maps.target].reference_modalities
    scans = [run.inputs[modality] for modality in reference if modality in run.inputs]
    sha256 = scans[0] if scans else ""
    same_scan = bool(sha256) and sha256 in fitted_on.values()
    same_name = name in fitted_on and not (sha256 and fitted_on[name])
    if same_scan or same_name:
        raise InputRejected(
            name,
            expected="a case that the calibration was not fitted on",
            found=f"one of the {len(fitted_on)} it was fitted on",
            do="evaluate it on other cases, or calibrate without this one",
        )


def _truth(prediction: Prediction, truths: Mapping[str, Path] | None) -> np.ndarray | None:
    name, target, grid = prediction.case.name, prediction.maps.target, prediction.maps.grid
    if truths is None:
        own = prediction.case.truth(target)
        return None if own is None else own.data
    if name not in truths:
        return None
    mask, _ = read_mask(truths[name], target)
    if not mask.grid.coincides(grid):
        raise GridMismatch(
            truths[name].name,
            expected=f"the grid of the prediction, {grid.shape}",
            found=f"{mask.grid.shape}",
            do="segment on the scan that the prediction was made on",
        )
    return mask.data
