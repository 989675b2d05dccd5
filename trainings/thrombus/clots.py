"""Trains a thrombus network on thousands of clots, with arteries, veins and flow beside them.

Heads are simulated once without a clot and kept. Patches with a clot, or with what resembles one, are simulated from
them. Whole heads with several clots, and heads as nature has them, complete the training. The last ``--held-out`` whole
heads are validated.

Run: ``python trainings/thrombus/clots.py prepare --work DIR [--masks DIR] [--heads 60] [--patches 3000] [--cases 40]``,
which can be stopped and repeated, then ``... train --work DIR --out DIR [--steps 8000]`` with the same numbers.
"""

import argparse
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.core.types import STRUCTURES, Structure, Target
from adumbra.networks.strided import StridedUNetConfig
from adumbra.simulation.clot_patches import MODALITIES, ClotPatch, keep_heads
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.cache import CaseSource, cache_cases
from adumbra.training.config import DataConfig, LossConfig, OptimiserConfig, RuntimeConfig, TrainConfig
from adumbra.training.loop import train

HEADS_SEED, PATCHES_SEED, CLOTS_SEED, NATURAL_SEED = 91, 92, 93, 94
TARGETS: tuple[Target | Structure, ...] = ("thrombus", *STRUCTURES)
SIDE_MM, HARD_VOXELS = 40.0, 0.001


def training_config(options: argparse.Namespace) -> TrainConfig:
    """The training; the preparation depends on its data and network alone."""
    return TrainConfig(
        network=StridedUNetConfig(MODALITIES, TARGETS, dropout=0.0),
        data=DataConfig(spacing_mm=1.0, patch=48, batch=4, held_out=options.held_out, registration="never"),
        optimiser=OptimiserConfig(steps=options.steps, initial=options.initial),
        loss=LossConfig(kind=options.loss, hard_voxel_fraction=HARD_VOXELS),
        posterior="deterministic",
        seed=options.seed,
        runtime=RuntimeConfig(threads=options.threads, workers=options.threads, validate_every=1000),
    )


def main() -> None:
    """Simulates what is missing, or trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("command", choices=("prepare", "train"))
    add("--work", type=Path, required=True, help="folder of heads and of prepared cases")
    add("--out", type=Path, help="folder of the training")
    add("--masks", type=Path, help="folder of lesion masks in MNI space")
    add("--heads", type=int, default=60)
    add("--patches", type=int, default=3000)
    add("--cases", type=int, default=40, help="whole heads, half of them with several clots")
    add("--held-out", type=int, default=8)
    add("--steps", type=int, default=8000)
    add("--initial", default="", help="weights to start from")
    add("--loss", default="region-balanced")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    options = parser.parse_args()
    progress, masks = ProgressBars(Console(stderr=True)), lesion_mask_files(options.masks)
    config, folder = training_config(options), options.work / "heads"
    names = keep_heads(folder, seed=HEADS_SEED, count=options.heads, lesion_masks=masks, progress=progress)
    half = options.cases // 2
    cases: list[CaseSource] = [ClotPatch(folder, names, PATCHES_SEED, n, SIDE_MM) for n in range(options.patches)]
    cases += [PhantomRef(CLOTS_SEED, n, masks, "clots") for n in range(half)]
    cases += [PhantomRef(NATURAL_SEED, n, masks, "emergency") for n in range(options.cases - half)]
    cache_cases(cases, options.work / "cache", config.cache, workers=options.threads, progress=progress)
    if options.command == "train":
        if options.out is None:
            parser.error("train needs --out")
        options.out.mkdir(parents=True, exist_ok=True)
        if not (options.out / "cache").exists():
            (options.out / "cache").symlink_to((options.work / "cache").resolve(), target_is_directory=True)
        trained = train(cases, options.out, config, progress=progress)
        print(trained.sha256[:16], trained.scores)


if __name__ == "__main__":
    main()
