"""Trains a network that estimates hypoperfused tissue (Tmax over 6 s of the phantom) without contrast agent.

Whole heads of three presets are simulated once and cached at 4 mm with the mirrored hemisphere, so that a patch holds
the whole head; augmentation leaves sequences out, so that DWI, ADC and FLAIR must do on their own. The last
``--held-out`` heads are validated. The heads are those of the second look at clots
(``trainings/thrombus/second_look.py``), which keeps them in a folder; another target is trained on them.

The result is not released. With 87 heads, 2,600 steps at 4 mm reach a loss of 0.29 on the training heads and a Dice of
0.00 to 0.16 on validated heads with hypoperfusion. At 2 mm with patches of 96 mm, 4,000 steps gave 0.21 to 0.44, where
the true core alone has 0.14 to 0.77, and 15 to 180 ml in heads without hypoperfusion. More heads are needed.

Run: ``python trainings/hypoperfusion/train.py prepare --work DIR --phantoms DIR [--masks DIR] [--cases 96]``, which can
be stopped and repeated, then ``... train --work DIR --phantoms DIR --out DIR [--steps 6000]`` with the same numbers. A
second training from these weights, ``--initial FILE --posterior heteroscedastic``, adds the logit noise that the draws
are made of.
"""

import argparse
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.core.types import Modality
from adumbra.networks.strided import StridedUNetConfig
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.simulation.stored_phantom import StoredPhantom
from adumbra.training.cache import cache_cases, link_cache
from adumbra.training.config import DataConfig, LossConfig, OptimiserConfig, RuntimeConfig, TrainConfig, network_for
from adumbra.training.loop import train

SEEDS = (104, 105)
PRESETS = ("monocentric", "emergency", "multicentric")
MODALITIES: tuple[Modality, ...] = ("dwi", "adc", "flair", "swi", "phase", "tof")


def training_config(options: argparse.Namespace) -> TrainConfig:
    """The training; the preparation depends on its data and network alone."""
    network = StridedUNetConfig(MODALITIES, ("hypoperfusion",), dropout=0.0, mirrored=True)
    return TrainConfig(
        network=network_for(options.posterior, network),
        data=DataConfig(spacing_mm=4.0, patch=48, batch=2, held_out=options.held_out, registration="never"),
        optimiser=OptimiserConfig(steps=options.steps, learning_rate=options.learning_rate, initial=options.initial),
        loss=LossConfig(kind=options.loss),
        posterior=options.posterior,
        seed=options.seed,
        runtime=RuntimeConfig(threads=options.threads, workers=options.workers, validate_every=1000),
    )


def main() -> None:
    """Simulates what is missing, or trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("command", choices=("prepare", "train"))
    add("--work", type=Path, required=True, help="folder of the prepared cases")
    add("--out", type=Path, help="folder of the training")
    add("--masks", type=Path, help="folder of lesion masks in MNI space")
    add("--phantoms", type=Path, required=True, help="folder of whole heads; those that it lacks are simulated")
    add("--cases", type=int, default=96)
    add("--held-out", type=int, default=9)
    add("--steps", type=int, default=6000)
    add("--loss", default="dice-cross-entropy")
    add("--posterior", choices=("deterministic", "heteroscedastic"), default="deterministic")
    add("--initial", default="", help="weights to start from")
    add("--learning-rate", type=float, default=OptimiserConfig.learning_rate)
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    add("--workers", type=int, default=1, help="processes that prepare")
    options = parser.parse_args()
    progress, config = ProgressBars(Console(stderr=True)), training_config(options)
    masks = lesion_mask_files(options.masks)
    numbers = [divmod(n, len(SEEDS)) for n in range(options.cases)]
    refs = [PhantomRef(SEEDS[which], number, masks, PRESETS[number % len(PRESETS)]) for number, which in numbers]
    cases = [StoredPhantom(ref, options.phantoms) for ref in refs]
    folder = options.work / "cache"
    cache_cases(cases, folder, config.cache, workers=options.workers, progress=progress)
    if options.command == "train":
        if options.out is None:
            parser.error("train needs --out")
        link_cache(folder, options.out)
        trained = train(cases, options.out, config, progress=progress)
        print(trained.sha256[:16], trained.scores)


if __name__ == "__main__":
    main()
