"""How good the uncertainty of written predictions is: each is read back and held against its truth."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adumbra.cases.scan import read_mask
from adumbra.core.errors import GridMismatch, InputRejected, MissingInput
from adumbra.core.ground_truth import REFERENCE_MODALITIES
from adumbra.core.progress import Progress, quiet
from adumbra.core.results import Prediction, RunRecord
from adumbra.evaluation.uncertainty.quality import LARGEST, CaseQuality, Quality, case_quality, quality
from adumbra.report.prediction_files import read_predictions


def evaluate_uncertainty(
    predictions: Path,
    *,
    truths: Mapping[str, Path] | None = None,
    measure: str = "entropy",
    seed: int = 0,
    progress: Progress = quiet,
) -> Quality:
    """Every measure of the predictions in a folder.

    Args:
        predictions: What ``adumbra predict`` wrote.
        truths: Files of outlines by case; None takes those that the cases came with.
        measure: Which map is the uncertainty, of ``evaluation.uncertainty.quality.LARGEST``.
        seed: Of the resamples behind the intervals.
        progress: Watches the cases.

    Raises:
        MissingInput: No prediction is there, or none with a truth.
        GridMismatch: A truth lies on another grid than its prediction.
        InputRejected: A calibration was fitted on one of the cases, or there is no such map.
    """
    if measure not in LARGEST:
        raise InputRejected("map", expected=" or ".join(LARGEST), found=measure, do="choose one of these")
    found: dict[str, CaseQuality] = {}
    total = sum(1 for _ in predictions.glob("*_run.json"))
    for reading, run in progress.track(read_predictions(predictions), what="Judging uncertainty", total=total):
        truth = _truth(reading, truths)
        if truth is None:
            continue
        refuse_calibrated_on(reading, run)
        case, volume = reading.case, reading.findings.volume_ml
        brain = case.masks["brain"].data
        found[case.name] = case_quality(reading.maps, reading.draws, truth, brain, volume, measure=measure)
    if not found:
        raise MissingInput(
            predictions.name,
            expected="a prediction whose truth is known",
            found="none",
            do="give --truth, or predict cases that come with an outline",
        )
    return quality(found, generator=np.random.default_rng(seed))


def refuse_calibrated_on(reading: Prediction, run: RunRecord) -> None:
    """Refuses to judge a calibration on a case that it was fitted on: there it is better than it is.

    Two cases are one where their scans are, or, where one of them was never a file, where their names are.

    Raises:
        InputRejected: So it is.
    """
    calibration: Any = run.options.get("calibration")
    if calibration is None:
        return
    name, fitted_on = reading.case.name, calibration["cases"]
    scans = [run.inputs[modality] for modality in REFERENCE_MODALITIES[reading.maps.target] if modality in run.inputs]
    sha256 = scans[0] if scans else ""
    same_scan = bool(sha256) and sha256 in fitted_on.values()
    same_name = name in fitted_on and not (sha256 and fitted_on[name])
    if same_scan or same_name:
        raise InputRejected(
            name,
            expected="a case that the calibration was not fitted on",
            found=f"one of the {len(fitted_on)} it was fitted on",
            do="judge it on other cases, or calibrate without this one",
        )


def _truth(reading: Prediction, truths: Mapping[str, Path] | None) -> np.ndarray | None:
    name, target, grid = reading.case.name, reading.maps.target, reading.maps.grid
    if truths is None:
        own = reading.case.truth(target)
        return None if own is None else own.data
    if name not in truths:
        return None
    mask, _ = read_mask(truths[name], target)
    if not mask.grid.coincides(grid):
        raise GridMismatch(
            truths[name].name,
            expected=f"the grid of the prediction, {grid.shape}",
            found=f"{mask.grid.shape}",
            do="outline on the scan that was predicted on",
        )
    return mask.data
