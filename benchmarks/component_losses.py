"""Cost of the component losses: CPU time that each adds to a training step of 4 × 48³ voxels.

The component regions are computed where patches are sampled, the loss in the step. Both count here. The patches hold
balls of 1 to 6 voxels radius, a few as after an embolism or many as in a shower; the images are noise. The step is that
of the usual network on one core.

Run: ``python benchmarks/component_losses.py``, about a minute.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import get_args

import numpy as np
import torch

from adumbra.training.component_regions import with_regions
from adumbra.training.config import LossConfig, RuntimeConfig, TrainConfig
from adumbra.training.losses import overlap_loss
from adumbra.training.options import LossKind
from adumbra.training.patches import Patches
from adumbra.training.state import State

BATCH, CHANNELS, SIDE = 4, 4, 48


def patches_with(balls: int, rng: np.random.Generator) -> Patches:
    """Patches of noise with a number of balls in each."""
    index = np.indices((SIDE, SIDE, SIDE))
    labels = np.zeros((BATCH, 1, SIDE, SIDE, SIDE), dtype=np.float32)
    for patch in range(BATCH):
        for _ in range(balls):
            squared = ((index - rng.integers(0, SIDE, 3)[:, None, None, None]) ** 2).sum(axis=0)
            labels[patch, 0][squared <= rng.integers(1, 7) ** 2] = 1.0
    images = rng.standard_normal((BATCH, CHANNELS, SIDE, SIDE, SIDE), dtype=np.float32)
    present, ones = np.ones((BATCH, CHANNELS), dtype=np.float32), np.ones_like(labels)
    return Patches(images, present, labels, ones, ones, labels[:, :0])


def cpu_milliseconds(call: Callable[[], object], repeats: int) -> float:
    """Least CPU time of a call in ms, after one that is not counted."""
    times = []
    for _ in range(repeats + 1):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return 1000.0 * min(times[1:])


def overlap_step(patches: Patches, kind: LossKind) -> None:
    """The overlap term of a batch, and its gradient."""
    logits = torch.zeros(patches.labels.shape, requires_grad=True)
    regions = None if patches.regions is None else torch.from_numpy(patches.regions)
    truth, weights = torch.from_numpy(patches.labels), torch.from_numpy(patches.weights)
    overlap_loss(LossConfig(kind=kind), regions)(logits.sigmoid(), truth, weights).backward()


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = TrainConfig(runtime=RuntimeConfig(threads=1))
    state, rng = State(config, torch.device("cpu")), np.random.default_rng(0)
    print("| balls in a patch | loss | regions, ms | overlap term, ms | whole step, ms | added |")
    print("|---|---|---|---|---|---|")
    for balls in (1, 6, 40):
        patches = patches_with(balls, rng)
        step = cpu_milliseconds(partial(state.step, 0, patches), options.repeats)
        plain = cpu_milliseconds(partial(overlap_step, patches, "region-balanced"), options.repeats)
        for kind in get_args(LossKind):
            own = with_regions(patches, kind)
            regions = cpu_milliseconds(partial(with_regions, patches, kind), options.repeats)
            overlap = cpu_milliseconds(partial(overlap_step, own, kind), options.repeats)
            added = (regions + overlap - plain) / step
            print(f"| {balls} | {kind} | {regions:.1f} | {overlap:.1f} | {step:.0f} | {added:+.1%} |", flush=True)


if __name__ == "__main__":
    main()
