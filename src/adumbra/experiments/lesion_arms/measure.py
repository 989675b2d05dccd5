"""Held-out phantoms on disk, and the measures of a network on them."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from adumbra.cases.registry import CaseLocation
from adumbra.core.atomic_io import write_atomically
from adumbra.core.case import Case
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.experiments.lesion_arms.design import HELD_OUT_SEED, TARGET, Study
from adumbra.experiments.lesion_arms.rows import CaseScores
from adumbra.pipeline import predict_case
from adumbra.segmentation_model import load_model
from adumbra.simulation.cohort import case_name, simulate

THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""The thresholds at which a mask is measured."""

MEASURES = ("dice", "lesion_f1", "sensitivity", "precision", "false_positives", "volume_difference_ml")
"""The measures that are stored, names of ``evaluation.segmentation.registry.METRICS``."""

Predictor = Callable[[Case], dict[str, Mask]]
"""The masks of a case on the grid of its truth, by threshold as text."""


def held_out_cases(study: Study, preset: str, *, progress: Progress = quiet) -> tuple[CaseLocation, ...]:
    """The held-out phantoms of a preset; those that are missing are simulated and written as a BIDS data set.

    Args:
        study: Folder, number of phantoms, and masks of real lesions.
        preset: Name of the examination preset.
        progress: Reports the simulation.
    """
    folder, finished = study.out / "held-out" / preset, study.out / "held-out" / f"{preset}.json"
    done: list[int] = json.loads(finished.read_text("utf-8")) if finished.exists() else []
    missing = [number for number in range(study.measured_cases) if number not in done]
    for number in progress.track(missing, what=f"Simulating held-out phantoms, {preset}", total=len(missing)):
        simulate(
            folder, cases=1, seed=HELD_OUT_SEED, first=number, preset_name=preset, lesion_masks=study.masks,
            overwrite=True,
        )  # fmt: skip
        done.append(number)
        write_atomically(finished, json.dumps(done).encode())
    names = (case_name(HELD_OUT_SEED, number) for number in range(study.measured_cases))
    return tuple(CaseLocation(name, folder / name) for name in names)


def network_predictor(weights: Path, *, threads: int) -> Predictor:
    """Masks of a network without dropout, with the pipeline of ``adumbra predict``.

    Args:
        weights: File of the weights.
        threads: Number of processor threads.
    """
    config = InferenceConfig(
        weights=weights, posterior="deterministic", draws=1, calibration="none", registration="never",
        compute=ComputeConfig(threads=threads, device="cpu"),
    )  # fmt: skip
    model = load_model(TARGET, config)

    def predict(case: Case) -> dict[str, Mask]:
        probability = predict_case(case, model).maps.probability
        return {str(threshold): probability >= np.float32(threshold) for threshold in THRESHOLDS}

    return predict


def measured(
    predict: Predictor, cases: Sequence[CaseLocation], *, what: str = "Measuring", progress: Progress = quiet
) -> dict[str, CaseScores]:
    """The measures of each case at each threshold.

    Args:
        predict: Gives the masks of a case.
        cases: The held-out phantoms.
        what: Label of the progress.
        progress: Reports the cases.
    """
    return {
        location.name: _case_scores(predict, location.open())
        for location in progress.track(cases, what=what, total=len(cases))
    }


def _case_scores(predict: Predictor, case: Case) -> CaseScores:
    truth = case.masks[TARGET]
    return {name: _stored(scores(mask, truth.data, truth.grid)) for name, mask in predict(case).items()}


def _stored(values: dict[str, float]) -> dict[str, float | None]:
    """The stored measures, rounded; None where a measure is undefined."""
    return {name: None if math.isnan(values[name]) else round(values[name], 5) for name in MEASURES}
