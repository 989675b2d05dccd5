"""Trains the members of the lesion ensemble.

The members differ in the seed, in their simulated patients, in the working grid and in the convention of the annotator
whose masks they learn. One of them predicts correlated logit noise (stochastic segmentation; Monteiro et al., NeurIPS
2020) and learns the masks of all annotators.

By default each member is fine-tuned from the released weights ``lesion``. With ``--from-scratch`` it is a small network
(strided U-Net) that starts from random weights, in two stages: the first changes the patches little, and its loss
treats all voxels alike, because with the region-balanced loss a network from scratch stays on a plateau for a thousand
steps; the second changes the patches more and has the region-balanced loss, without whose term of the hardest voxels
false positives remain. Members from scratch share no weights, but half an hour of CPU time is too little for them
(``docs/results/lesion-ensemble.md``).

All stages of a member read one cache. Run: ``python trainings/lesion/ensemble.py --masks DIR --out DIR [--members 1 2]
[--from-scratch] [--cases N ...] [--steps N ...]``. Repeat the command to resume an interrupted training. ``finish.py
lesion --weights DIR/1/tuned/weights.safetensors ...`` follows.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.networks.registry import load
from adumbra.networks.strided import StridedUNetConfig
from adumbra.networks.unet_config import UNetConfig
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.augment import Augmentation
from adumbra.training.config import LossConfig, OptimiserConfig, RuntimeConfig, TrainConfig, network_for
from adumbra.training.loop import train
from adumbra.training.options import TrainedPosterior
from adumbra.training.presets import TrainingPreset, config_for

ANNOTATORS = 4
PRESET, RELEASED = "lesion-both", "lesion"


@dataclass(frozen=True)
class Member:
    """What distinguishes a member.

    Attributes:
        spacing_mm: Spacing of its working grid, in millimetres.
        annotator: Number of the annotator whose masks it learns, from 1, whose masks are the smallest; 0 draws one
            for each patch.
        posterior: The posterior that it is trained for.
    """

    spacing_mm: float
    annotator: int
    posterior: TrainedPosterior = "deterministic"


MEMBERS = {
    1: Member(2.0, 2),
    2: Member(1.5, 3),
    3: Member(2.0, 0, "stochastic-segmentation"),
    4: Member(2.0, 1),
    5: Member(1.5, 4),
}


@dataclass(frozen=True)
class Stage:
    """A stage of the training of a member.

    Attributes:
        name: Name of its folder.
        augmentation: How patches are changed.
        cases: Number of simulated patients.
        steps: Number of optimiser steps.
        learning_rate: The largest learning rate.
        loss: Its terms.
        tuned: Whether the weights come from an earlier training, in which the member's posterior can be trained.
    """

    name: str
    augmentation: Augmentation
    cases: int
    steps: int
    learning_rate: float
    loss: LossConfig
    tuned: bool = True


EVEN = LossConfig(kind="dice-cross-entropy")
MILD = Augmentation(contrast=0.2, noise=0.1, smooth=0.05, blocky=0.05, shading=0.1, slab=0.05, missing=0.0, strip=0.1)
MODERATE = Augmentation(
    contrast=0.3, noise=0.15, smooth=0.1, blocky=0.1, shading=0.2, slab=0.06, missing=0.25, strip=0.15
)  # The patients have artefacts and lack sequences themselves.


FROM_SCRATCH = (
    Stage("first", MILD, 240, 1200, 2e-3, EVEN, tuned=False),
    Stage("second", MODERATE, 240, 8000, 1.5e-3, LossConfig()),
)
TUNED = (Stage("tuned", MODERATE, 240, 1500, 1e-3, LossConfig()),)


def config_of(
    member: Member, stage: Stage, network: UNetConfig, *, seed: int, threads: int, initial: str
) -> TrainConfig:
    """The training of one stage of a member."""
    posterior = member.posterior if stage.tuned else "deterministic"
    config = config_for(
        TrainingPreset(),
        "lesion",
        network=network_for(posterior, network),
        optimiser=OptimiserConfig(steps=stage.steps, learning_rate=stage.learning_rate, warmup=100, initial=initial),
        posterior=posterior,
        seed=seed,
        runtime=RuntimeConfig(threads=threads, workers=1, validate_every=1000),
    )
    labels = {"annotators": ANNOTATORS, "annotator": member.annotator}
    data = replace(config.data, spacing_mm=member.spacing_mm, augmentation=stage.augmentation, **labels)
    return replace(config, data=data, loss=stage.loss)


def link_cache(folder: Path, stage: str) -> None:
    """Lets a stage read and extend the member's one cache of prepared patients."""
    (folder / "cache").mkdir(parents=True, exist_ok=True)
    (folder / stage).mkdir(exist_ok=True)
    if not (folder / stage / "cache").exists():
        (folder / stage / "cache").symlink_to("../cache", target_is_directory=True)


def main() -> None:
    """Trains the members that are asked for, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", type=Path, help="folder of lesion masks in MNI space")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--members", type=int, nargs="+", choices=MEMBERS, default=list(MEMBERS))
    parser.add_argument("--from-scratch", action="store_true", help="small networks from random weights")
    parser.add_argument("--cases", type=int, nargs="+", help="simulated patients of each stage")
    parser.add_argument("--steps", type=int, nargs="+", help="optimiser steps of each stage")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    defaults = FROM_SCRATCH if options.from_scratch else TUNED
    cases = options.cases or [stage.cases for stage in defaults]
    steps = options.steps or [stage.steps for stage in defaults]
    if {len(cases), len(steps)} != {len(defaults)}:
        parser.error(f"--cases and --steps: expected {len(defaults)} numbers each, one for each stage")
    stages = [replace(stage, cases=n, steps=m) for stage, n, m in zip(defaults, cases, steps, strict=True)]
    network = StridedUNetConfig() if options.from_scratch else load(RELEASED).network.config
    files, bars = lesion_mask_files(options.masks), ProgressBars(Console(stderr=True))
    for number in options.members:
        initial, seed = "" if options.from_scratch else RELEASED, 100 + number
        for stage in stages:
            patients = [PhantomRef(seed, n, files, PRESET, ANNOTATORS) for n in range(stage.cases)]
            config = config_of(MEMBERS[number], stage, network, seed=seed, threads=options.threads, initial=initial)
            link_cache(options.out / str(number), stage.name)
            trained = train(patients, options.out / str(number) / stage.name, config, progress=bars)
            print(f"member {number}, {stage.name}: {trained.sha256[:16]}, {trained.scores}", flush=True)
            initial = str(trained.weights)


if __name__ == "__main__":
    main()
