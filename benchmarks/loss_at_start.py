"""How fast a network from random weights learns with each loss.

Run: ``python benchmarks/loss_at_start.py --work DIR [--masks MASKS] [--cpu-seconds 160] [--page FILE]``. DIR is the
folder of a member of ``trainings/lesion/ensemble.py``, whose cached patients are read; without a cache they are
simulated. One network is trained for each loss, with a constant learning rate and the augmentation of the first stage,
for the same CPU time on one core. The averaged weights are evaluated on the same patches of held-out patients: the mean
soft Dice of the patches with a lesion, and the mean cross-entropy of all voxels, both without weights. The loss values
themselves have different scales and cannot be compared.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.unet import UNet
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.cache import cache_cases
from adumbra.training.config import LossConfig, TrainConfig
from adumbra.training.loop import sample_batch
from adumbra.training.patches import CachedCase, Patches, open_cached_case
from adumbra.training.state import State

sys.path.insert(0, str(Path(__file__).parents[1] / "trainings" / "lesion"))
import ensemble

LOSSES: Mapping[str, LossConfig] = {
    "region-balanced": LossConfig(),
    "region-balanced, no hardest voxels": LossConfig(hard_voxel_fraction=0.0),
    "component-dice": LossConfig(kind="component-dice"),
    "dice-cross-entropy": LossConfig(kind="dice-cross-entropy"),
}
HELD_OUT, BATCHES, EVERY = 40, 8, 40.0


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a network after some CPU time.

    Attributes:
        seconds: CPU time of the training.
        steps: Optimiser steps.
        dice: Mean soft Dice of the held-out patches with a lesion.
        nll: Mean cross-entropy of their voxels, in nats.
    """

    seconds: float
    steps: int
    dice: float
    nll: float


def evaluated(network: UNet, batches: Sequence[Patches]) -> tuple[float, float]:
    """Mean soft Dice of patches with a lesion, and mean cross-entropy."""
    dice, nll = [], []
    with torch.inference_mode():
        for patches in batches:
            logits = network(torch.from_numpy(patches.channels), torch.from_numpy(patches.present)).float()
            truth, p = torch.from_numpy(patches.labels), logits.sigmoid()
            nll.append(float(F.binary_cross_entropy_with_logits(logits, truth)))
            both, either = (p * truth).flatten(1).sum(1), (p + truth).flatten(1).sum(1)
            dice += (2 * both / either)[truth.flatten(1).any(1)].tolist()
    return float(np.mean(dice)), float(np.mean(nll))


def evaluations(
    config: TrainConfig, cases: Sequence[CachedCase], held_out: Sequence[CachedCase], budget: float
) -> Iterator[Evaluation]:
    """Trains from random weights and evaluates every 40 CPU seconds, whose time does not count."""
    fixed = replace(config, seed=999, loss=LossConfig())
    batches = [sample_batch(held_out, fixed, number) for number in range(BATCHES)]
    state, spent, due = State(config, torch.device("cpu")), 0.0, EVERY
    number = 0
    while due <= budget:
        start = time.process_time()
        state.step(number, sample_batch(cases, config, number))
        number, spent = number + 1, spent + time.process_time() - start
        if spent >= due:
            yield Evaluation(spent, number, *evaluated(state.averaged_network(), batches))
            due += EVERY


def main() -> None:
    """Trains with each loss in turn and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--member", type=int, choices=ensemble.MEMBERS, default=1)
    parser.add_argument("--cases", type=int, default=240)
    parser.add_argument("--cpu-seconds", type=float, default=160.0)
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--page", type=Path, help="a file for the table, which is also printed")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stage = replace(ensemble.FROM_SCRATCH[0], cases=options.cases, steps=10**6)
    member = ensemble.MEMBERS[options.member]
    config = ensemble.config_of(member, stage, StridedUNetConfig(), seed=1, threads=1, initial="")
    config = replace(config, optimiser=replace(config.optimiser, warmup=50, ema_decay=0.99))
    files, seed = lesion_mask_files(options.masks), 100 + options.member
    patients = [PhantomRef(seed, n, files, ensemble.PRESET, ensemble.ANNOTATORS) for n in range(options.cases)]
    cases = [open_cached_case(path) for path in cache_cases(patients, options.work / "cache", config.cache)]
    lines = ["| loss | CPU-s | steps | soft Dice | cross-entropy |", "|---|---|---|---|---|"]
    for name in options.losses:
        own = replace(config, loss=LOSSES[name])
        for evaluation in evaluations(own, cases[:-HELD_OUT], cases[-HELD_OUT:], options.cpu_seconds):
            values = f"{evaluation.seconds:.0f} | {evaluation.steps} | {evaluation.dice:.3f} | {evaluation.nll:.4f}"
            lines.append(f"| {name} | {values} |")
            print(lines[-1], flush=True)
    if options.page is not None:
        options.page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
