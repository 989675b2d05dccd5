"""Trains an arm within its budget, measures it on held-out phantoms, and writes its row."""

import math
import time
from collections.abc import Sequence
from pathlib import Path

from adumbra.core.case import Case
from adumbra.core.geometry.components import hysteresis_threshold
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.progress import Progress, quiet
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.experiments.clot_arms.design import ARMS, ClotArm, ClotStudy, arm_config
from adumbra.experiments.lesion_arms.design import Study
from adumbra.experiments.lesion_arms.measure import held_out_cases
from adumbra.experiments.lesion_arms.rows import CaseScores, Row, budget_key, read_rows, write_row
from adumbra.experiments.lesion_arms.train import steps_within
from adumbra.networks.registry import load
from adumbra.pipeline import predict_case
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.training.cache import CaseSource, cache_cases, link_cache
from adumbra.training.context_files import write_contexts
from adumbra.training.loop import train
from adumbra.training.patches import open_cached_case

PRESET = "emergency"
"""Preset of the held-out phantoms."""
MEASURES = ("dice", "sensitivity", "detected", "detected_strictly", "false_positives")
"""The measures that are stored; sensitivity is undefined where there is no clot."""
THRESHOLDS = tuple((low, high) for low in (0.2, 0.3, 0.5) for high in (0.5, 0.7, 0.8, 0.9, 0.95, 0.98))
"""The pairs of low and high threshold at which a mask is measured."""


def prepare(study: ClotStudy, sources: Sequence[CaseSource], arm: ClotArm, *, progress: Progress = quiet) -> list[Path]:
    """Caches the cases of an arm that are not cached yet, with their context where the arm takes any.

    Args:
        study: The study.
        sources: As ``ClotStudy.sources`` gives them.
        arm: The arm.
        progress: Reports the cases.

    Returns:
        The cache files, in the order of the sources.
    """
    config = arm_config(study, arm, seed=0, steps=1).cache
    folder = study.cache_folder(mirrored=arm.mirrored)
    paths = cache_cases(sources, folder, config, workers=study.threads, progress=progress)
    if arm.context:
        write_contexts(sources, paths, config, upstream="upstream" in arm.context, progress=progress)
    return list(paths)


def train_arm(
    study: ClotStudy, name: str, seed: int, sources: Sequence[CaseSource], *, progress: Progress = quiet
) -> Row:
    """Trains and measures one arm with one seed, unless its row exists.

    Args:
        study: The study.
        name: A name of ``design.ARMS``.
        seed: Seed of the training.
        sources: As ``ClotStudy.sources`` gives them.
        progress: Reports simulation, training and measurement.
    """
    key = (name, seed, budget_key(study.budget))
    if existing := [row for row in read_rows(study.rows) if row.key == key]:
        return existing[0]
    arm, folder = ARMS[name], study.out / f"{name}-{seed}"
    paths = prepare(study, sources, arm, progress=progress)
    link_cache(study.cache_folder(mirrored=arm.mirrored), folder)
    timed = arm_config(study, arm, seed=seed, steps=1000)
    steps = steps_within(folder, timed, [open_cached_case(path) for path in paths], cpu_seconds=study.cpu_seconds)
    config = arm_config(study, arm, seed=seed, steps=steps)
    resumed, started = (folder / "checkpoint.safetensors").exists(), time.process_time()
    weights = train(sources, folder, config, progress=progress).weights
    seconds = None if resumed else round(time.process_time() - started, 1)
    loaded = load(weights)
    parameters = sum(parameter.numel() for parameter in loaded.network.parameters())
    details = {"sha256": loaded.card.sha256, "network": config.network.as_json()}
    measured = {PRESET: _measured(study, weights, what=name, progress=progress)}
    row = Row(name, seed, study.budget, config.optimiser.steps, seconds, parameters, measured, details)
    write_row(study.rows, row)
    return row


def _measured(study: ClotStudy, weights: Path, *, what: str, progress: Progress) -> dict[str, CaseScores]:
    """The measures of each held-out phantom at each pair of thresholds."""
    held_out = Study(out=study.out, masks=study.masks, measured_cases=study.measured_cases)
    config = InferenceConfig(
        weights=weights, posterior="deterministic", draws=1, calibration="none", registration="never",
        compute=ComputeConfig(threads=study.threads, device="cpu"),
    )  # fmt: skip
    model = load_model("thrombus", config)
    cases = held_out_cases(held_out, PRESET, progress=progress)
    return {c.name: case_scores(c.open(), model) for c in progress.track(cases, what=what, total=len(cases))}


def case_scores(case: Case, model: SegmentationModel) -> CaseScores:
    """The measures of one case by pair of thresholds, rounded; None where a measure is undefined.

    Args:
        case: A case with the mask of its thrombus.
        model: The network.
    """
    prediction = predict_case(case, model)
    probability, truth = prediction.maps.probability, prediction.case.masks["thrombus"]
    rows = {}
    for low, high in THRESHOLDS:
        values = scores(hysteresis_threshold(probability, low=low, high=high), truth.data, truth.grid)
        rows[f"{low:g}-{high:g}"] = {n: None if math.isnan(values[n]) else round(values[n], 5) for n in MEASURES}
    return rows
