"""Trains an arm within its budget, measures it, and writes its row."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from adumbra.core.atomic_io import write_atomically
from adumbra.core.progress import Progress, quiet
from adumbra.experiments.lesion_arms.design import ARMS, Arm, Study, arm_config, network_of_arm
from adumbra.experiments.lesion_arms.measure import held_out_cases, measured, network_predictor
from adumbra.experiments.lesion_arms.rows import Row, budget_key, read_rows, write_row
from adumbra.inference.device import select_device
from adumbra.networks.registry import load
from adumbra.simulation.cohort import PhantomRef
from adumbra.training.cache import cache_cases
from adumbra.training.config import TrainConfig
from adumbra.training.context import context_path
from adumbra.training.context_files import write_contexts
from adumbra.training.loop import sample_batch, train
from adumbra.training.patches import CachedCase, open_cached_case
from adumbra.training.state import State

_TIMED_STEPS = 5  # Steps whose CPU time is measured, after one that selects kernels.


def train_arm(study: Study, name: str, seed: int, *, progress: Progress = quiet) -> Row:
    """Trains and measures one arm with one seed, unless its row exists.

    Args:
        study: The study.
        name: A name of ``design.ARMS``.
        seed: Seed of the training.
        progress: Reports simulation, training and measurement.
    """
    key = (name, seed, budget_key(study.budget))
    if existing := [row for row in read_rows(study.rows) if row.key == key]:
        return existing[0]
    arm, folder = ARMS[name], study.out / (f"{name}-{seed}" + ("-tuned" if study.initial else ""))
    patients = study.patients(arm)
    cached = _shared_cache(study, arm, patients, folder, progress)
    steps = study.steps or _steps_within(study, arm, seed, cached, folder)
    config = arm_config(study, arm, seed=seed, steps=steps)
    resumed, started = (folder / "checkpoint.safetensors").exists(), time.process_time()
    weights = train(patients, folder, config, progress=progress).weights
    seconds = None if resumed else round(time.process_time() - started, 1)
    loaded, predict = load(weights), network_predictor(weights, threads=study.threads)
    scores = {
        preset: measured(predict, held_out_cases(study, preset, progress=progress), what=name, progress=progress)
        for preset in study.measured
    }
    parameters = sum(parameter.numel() for parameter in loaded.network.parameters())
    details = {"presets": list(arm.presets), "sha256": loaded.card.sha256, "network": config.network.as_json()}
    row = Row(name, seed, study.budget, steps, seconds, parameters, scores, details)
    write_row(study.rows, row)
    return row


def _shared_cache(
    study: Study, arm: Arm, patients: Sequence[PhantomRef], folder: Path, progress: Progress
) -> tuple[CachedCase, ...]:
    """The cached cases, linked into the folder of the training, which expects a cache of its own.

    Arms with the same presets and the same options of the cache share the files.
    """
    config = arm_config(study, arm, seed=0, steps=1).cache
    options = hashlib.sha256(repr((config, study.masks is not None)).encode()).hexdigest()[:8]
    (folder / "cache").mkdir(parents=True, exist_ok=True)
    for preset in dict.fromkeys(arm.presets):
        own = [patient for patient in patients if patient.preset == preset]
        shared = study.out / "cache" / f"{preset}-{options}"
        files = cache_cases(own, shared, config, workers=study.workers, progress=progress)
        if network_of_arm(arm).context:
            write_contexts(own, files, config, upstream=False, progress=progress)
            files += tuple(context_path(file) for file in files)
        for file in files:
            link = folder / "cache" / file.name
            link.unlink(missing_ok=True)
            os.link(file, link)
    return tuple(open_cached_case(folder / "cache" / f"{patient.name}.safetensors") for patient in patients)


def _steps_within(study: Study, arm: Arm, seed: int, cases: Sequence[CachedCase], folder: Path) -> int:
    config = arm_config(study, arm, seed=seed, steps=1000)
    return steps_within(folder, config, cases, cpu_seconds=study.cpu_seconds or 0.0)


def steps_within(folder: Path, config: TrainConfig, cases: Sequence[CachedCase], *, cpu_seconds: float) -> int:
    """The number of steps within a budget of CPU time, at least 1.

    It is kept in ``folder/steps.json``, so that a training that is resumed has the same number.

    Args:
        folder: Folder of the training.
        config: The training, with any number of steps.
        cases: Its cases.
        cpu_seconds: The budget.
    """
    file = folder / "steps.json"
    if not file.exists():
        seconds = seconds_a_step(config, cases)
        steps = max(1, round(cpu_seconds / seconds))
        write_atomically(file, json.dumps({"seconds_a_step": round(seconds, 4), "steps": steps}).encode())
    return int(json.loads(file.read_text("utf-8"))["steps"])


def seconds_a_step(config: TrainConfig, cases: Sequence[CachedCase]) -> float:
    """Mean CPU time of a step and of sampling its patches, in seconds.

    Args:
        config: The training.
        cases: Its cases.
    """
    state, started = State(config, select_device(config.runtime.device)), 0.0
    for number in range(_TIMED_STEPS + 1):
        if number == 1:
            started = time.process_time()
        state.step(number, sample_batch(cases, config, number))
    return (time.process_time() - started) / _TIMED_STEPS
