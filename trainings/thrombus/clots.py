"""Trains a thrombus network on thousands of clots, with arteries, veins and flow beside them.

Heads are simulated once without a clot and kept. Patches with a clot, or with what resembles one, are simulated from
them. Whole heads with several clots, and heads as nature has them, complete the training. The last ``--held-out`` whole
heads are validated.

Run: ``python trainings/thrombus/clots.py prepare --work DIR [--masks DIR] [--heads 60] [--patches 3000] [--cases 40]
[--mirrored] [--context coordinates,vessels,upstream]``, which can be stopped and repeated, then ``... train --work DIR
--out DIR [--steps 8000]`` with the same numbers and inputs. With ``--mirrored`` the cases are prepared again, with the
other side of each head; context inputs need no new preparation of the images.
"""

import argparse
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.core.atlas.head_context import CONTEXT_CHANNELS
from adumbra.experiments.clot_arms.design import HARD_VOXELS, TARGETS, ClotArm, ClotStudy
from adumbra.experiments.clot_arms.train import prepare
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.unet_config import UNetConfig
from adumbra.simulation.clot_patches import MODALITIES
from adumbra.training.cache import link_cache
from adumbra.training.config import DataConfig, LossConfig, OptimiserConfig, RuntimeConfig, TrainConfig
from adumbra.training.loop import train


def training_config(options: argparse.Namespace) -> TrainConfig:
    """The training; the preparation depends on its data and network alone."""
    further = {"mirrored": options.mirrored, "context": options.context}
    network: UNetConfig = StridedUNetConfig(MODALITIES, TARGETS, dropout=0.0, **further)
    if options.network == "unet":
        network = UNetConfig(MODALITIES, TARGETS, **further)
    return TrainConfig(
        network=network,
        data=DataConfig(spacing_mm=1.0, patch=48, batch=4, held_out=options.held_out, registration="never"),
        optimiser=OptimiserConfig(steps=options.steps, learning_rate=options.learning_rate, initial=options.initial),
        loss=LossConfig(kind=options.loss, hard_voxel_fraction=HARD_VOXELS),
        posterior="dropout" if options.network == "unet" else "deterministic",
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
    add("--network", choices=("strided-unet", "unet"), default="strided-unet", help="unet has dropout, and costs more")
    add("--initial", default="", help="weights to start from")
    add("--learning-rate", type=float, default=OptimiserConfig.learning_rate)
    add("--loss", default="region-balanced")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    add("--mirrored", action="store_true", help="the network takes the other side of the head beside each image")
    add("--context", type=lambda text: tuple(text.split(",")), default=(), metavar="NAME,...",
        help=f"context inputs, some of {','.join(CONTEXT_CHANNELS)} in this order")  # fmt: skip
    options = parser.parse_args()
    progress, config = ProgressBars(Console(stderr=True)), training_config(options)
    study = ClotStudy(
        options.work,
        options.work,
        options.masks,
        options.heads,
        options.patches,
        options.cases,
        threads=options.threads,
    )
    cases = study.sources(progress=progress)
    prepare(study, cases, ClotArm(options.mirrored, options.context), progress=progress)
    if options.command == "train":
        if options.out is None:
            parser.error("train needs --out")
        link_cache(study.cache_folder(mirrored=options.mirrored), options.out)
        trained = train(cases, options.out, config, progress=progress)
        print(trained.sha256[:16], trained.scores)


if __name__ == "__main__":
    main()
