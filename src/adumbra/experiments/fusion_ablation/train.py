"""Trains the arms and writes the voxel counts of their held-out cases."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from safetensors import safe_open

from adumbra.core.atomic_io import write_atomically
from adumbra.core.types import Mask, Volume
from adumbra.experiments.fusion_ablation.design import RELEASED, Ablation, arm_config, quarter_without_clot
from adumbra.experiments.fusion_ablation.table import THRESHOLDS
from adumbra.networks.registry import load
from adumbra.networks.unet import UNet
from adumbra.simulation.cohort import PhantomRef
from adumbra.training.cache import cache_cases
from adumbra.training.config import TrainConfig
from adumbra.training.loop import train
from adumbra.training.patches import CachedCase, guidance_maps, open_cached_case
from adumbra.training.validate import predicted_volumes


def train_arm(ablation: Ablation, arm: str, seed: int, cases: Sequence[PhantomRef]) -> Path:
    """Trains and measures one arm with one seed, unless its results exist.

    Args:
        ablation: The study.
        arm: A name of ``design.ARMS``.
        seed: Seed of the training.
        cases: The cohort, see ``ablation_cases``.

    Returns:
        The file with the results. The released weights are measured once, with seed 0, and never from scratch; for
        their other seeds the file does not exist.
    """
    row = ablation.row(arm, seed)
    if row.exists() or (arm == RELEASED and (seed or ablation.from_scratch)):
        return row
    config, out = arm_config(ablation, arm, seed), ablation.folder / f"{arm}-{seed}"
    files = _share_cache(ablation, cases, config, out)
    weights = ablation.weights if arm == RELEASED else train(cases, out, config).weights
    network, maps = load(weights).network, ablation.first_pass / f"maps-{config.guidance.guide}"
    held_out = files[-ablation.held_out :]
    if network.config.guidance_channels:
        opened = [replace(open_cached_case(file), guidance=maps / file.name) for file in held_out]
    else:
        opened = [open_cached_case(file) for file in held_out]
    results = [{"case": case.name, **threshold_counts(*_predict(network, case, config))} for case in opened]
    content = {
        "arm": arm,
        "seed": seed,
        "cases": len(cases),
        "steps": ablation.steps,
        "thresholds": list(THRESHOLDS),
        "results": results,
    }
    row.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(row, (json.dumps(content) + "\n").encode())
    return row


def _share_cache(ablation: Ablation, cases: Sequence[PhantomRef], config: TrainConfig, out: Path) -> tuple[Path, ...]:
    """The cache files of the cases, linked into the folder of a training, which expects a cache of its own."""
    cache = ablation.out / ablation.target / "cache"
    files = cache_cases(cases, cache, config.cache, workers=config.runtime.workers)
    (out / "cache").mkdir(parents=True, exist_ok=True)
    for file in files:
        link = out / "cache" / file.name
        link.unlink(missing_ok=True)
        os.link(file, link)
    return files


def ablation_cases(ablation: Ablation) -> list[PhantomRef]:
    """The cohort; for the thrombus without most of the cases that have no clot."""
    cases = ablation.cohort()
    if ablation.target != "thrombus":
        return cases
    return quarter_without_clot(cases, has_clot(cases, ablation.rows / "has_clot.json"))


def has_clot(cases: Sequence[PhantomRef], file: Path) -> list[bool]:
    """Whether each case has a clot.

    It takes a quarter of the time of a simulation to know, so the answers are kept in a file.

    Args:
        cases: The cohort, in order.
        file: The answers so far, from the first case on. It is extended where it is too short.
    """
    clots: list[bool] = json.loads(file.read_text("utf-8")) if file.exists() else []
    if len(clots) < len(cases):
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            clots += list(pool.map(PhantomRef.has_clot, cases[len(clots) :]))
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(clots).encode())
    return clots[: len(cases)]


def _predict(network: UNet, case: CachedCase, config: TrainConfig) -> tuple[Volume, Mask]:
    """The probability without dropout, and the ground truth."""
    with safe_open(case.path, framework="np") as file:
        channels, brain = file.get_tensor("channels").astype(np.float32), file.get_tensor("brain").astype(bool)
        truth = file.get_tensor("labels")[0].astype(bool)
    inside = brain | truth
    inputs = np.concatenate([channels, guidance_maps(case)])
    volumes = predicted_volumes(
        network, inputs, case.present, inside,
        side=config.data.patch, precision=config.runtime.precision, overlap=0.0,
    )  # fmt: skip
    return volumes[0] * inside, truth


def threshold_counts(probability: Volume, truth: Mask) -> dict[str, object]:
    """Voxel counts of a case.

    Returns:
        The true voxels, and for each of ``THRESHOLDS`` the predicted positive voxels and the true positives.
    """
    # As float64 scalars: float32 probabilities are not to be compared with rounded thresholds.
    masks = [probability >= np.float64(threshold) for threshold in THRESHOLDS]
    return {
        "true_voxels": int(truth.sum()),
        "predicted_voxels": [int(mask.sum()) for mask in masks],
        "true_positives": [int((mask & truth).sum()) for mask in masks],
    }
