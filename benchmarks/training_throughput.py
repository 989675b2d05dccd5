"""Throughput of lesion training: the strided U-Net beside the plain U-Net, at equal CPU time.

Both networks train on the same simulated patients, from scratch, with the same seed and batches, for the same CPU time
(one thread). At every tenth of the budget the loss on fixed patches of held-out patients is computed with the averaged
weights. The learning rate follows a cosine over the budget, so that each network ends its own schedule.

Run: ``python benchmarks/training_throughput.py --out DIR [--masks DIR] [--cpu-seconds 400] [--cases 120]``. It prints
one line per measurement and writes ``rows.jsonl`` there. Without ``--cpu-seconds`` only the time of a step is measured.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from adumbra.inference.device import autocast
from adumbra.networks.registry import network_of
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.unet_config import UNetConfig
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.allocator import keep_freed_memory
from adumbra.training.cache import cache_cases
from adumbra.training.config import OptimiserConfig, TrainConfig
from adumbra.training.loop import sample_batch
from adumbra.training.losses import region_balanced
from adumbra.training.objective import Batch
from adumbra.training.patches import CachedCase, concatenate_patches, open_cached_case, sample_patch
from adumbra.training.state import State

SEED, HELD_OUT, VALIDATION_PATCHES = 71, 24, 96
NETWORKS = {"plain U-Net": UNetConfig(), "strided U-Net": StridedUNetConfig()}


def step_seconds(config: TrainConfig, cases: Sequence[CachedCase], count: int = 6) -> float:
    """The least CPU time of a step, without the sampling of its batch."""
    state, batch, least = State(config, torch.device("cpu")), sample_batch(cases, config, 0), math.inf
    for number in range(count):
        start = time.process_time()
        state.step(number, batch)
        least = min(least, time.process_time() - start)
    return least


def validation_batches(cases: Sequence[CachedCase], config: TrainConfig) -> list[Batch]:
    """Fixed patches of held-out cases, without augmentation."""
    rng = np.random.default_rng(SEED)
    data, batches = config.data, []
    for start in range(0, VALIDATION_PATCHES, data.batch):
        numbers = [cases[(start + n) % len(cases)] for n in range(data.batch)]
        patches = [sample_patch(case, rng, side=data.patch, spacing_mm=data.spacing_mm) for case in numbers]
        batches.append(Batch.from_patches(concatenate_patches(patches), torch.device("cpu")))
    return batches


def validation_loss(state: State, batches: Sequence[Batch]) -> float:
    """The mean loss of the averaged weights over the fixed patches."""
    network, config = state.averaged_network(), state.config
    with torch.inference_mode(), autocast(config.runtime.precision, state.device):
        losses = [region_balanced(network(b.images, b.present), b.labels, b.weights) for b in batches]
    return float(torch.stack(losses).mean())


def race(
    name: str, config: TrainConfig, cases: Sequence[CachedCase], batches: Sequence[Batch], budget: float, rows: Path
) -> None:
    """Trains one network for a budget of CPU time, and appends a row at every tenth of it."""
    per_step = step_seconds(config, cases) + 0.05
    steps = int(budget / per_step)
    config = replace(config, optimiser=replace(config.optimiser, steps=steps))
    state, used = State(config, torch.device("cpu")), 0.0
    for number in range(steps):
        start = time.process_time()
        state.step(number, sample_batch(cases, config, number))
        used += time.process_time() - start
        if (number + 1) % max(1, steps // 10) == 0:
            voxels = (number + 1) * config.data.batch * config.data.patch**3
            row = {"network": name, "steps": number + 1, "cpu_s": round(used, 1), "voxels_per_cpu_s": voxels / used}
            row["validation_loss"] = validation_loss(state, batches)
            print(json.dumps(row), flush=True)
            with rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def main() -> None:
    """Simulates the patients, measures the step of each network, and races them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--masks", type=Path, help="folder of lesion masks in MNI space")
    parser.add_argument("--cpu-seconds", type=float, default=0.0, help="training budget of each network")
    parser.add_argument("--cases", type=int, default=120)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    masks = lesion_mask_files(options.masks)
    references = [PhantomRef(SEED, number, masks) for number in range(options.cases)]
    plain = TrainConfig(seed=SEED, optimiser=OptimiserConfig(warmup=50))
    paths = cache_cases(references, options.out / "cache", plain.cache, workers=1)
    cases = [open_cached_case(path) for path in paths]
    training, held_out = cases[HELD_OUT:], cases[:HELD_OUT]
    batches = validation_batches(held_out, plain)
    for name, network in NETWORKS.items():
        config = replace(plain, network=network)
        parameters = sum(p.numel() for p in network_of(network).parameters())
        seconds = step_seconds(config, training)
        voxels = config.data.batch * config.data.patch**3
        print(
            f"{name}: {parameters / 1e6:.2f} M parameters, {seconds:.3f} CPU-s a step, {voxels / seconds:.3g} voxels/s"
        )
        if options.cpu_seconds:
            race(name, config, training, batches, options.cpu_seconds, options.out / "rows.jsonl")


if __name__ == "__main__":
    main()
