"""The training of the released thrombus weights, on simulated patients of both presets.

Two stages use multicentric patients, where sequences are missing and a third of the cases has a visible clot. The third
stage adds monocentric ones. The training takes 1.6 hours on 2 cores, and simulating the patients more than an hour
(60 MB each). Repeat the command to resume a training.

Run: ``python trainings/thrombus/train.py --masks DIR --out DIR``, with the same masks as for the lesion.
"""

import argparse
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.config import DataConfig, OptimiserConfig, RuntimeConfig
from adumbra.training.loop import train
from adumbra.training.presets import TrainingPreset, config_for

COHORTS = {"multicentric": (21, 158), "monocentric": (24, 110)}  # Seed and number of patients.


def main() -> None:
    """Runs three stages, each from the weights of the one before."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masks", type=Path, required=True, help="folder of lesion masks in MNI space")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    masks = lesion_mask_files(options.masks)
    multicentric, monocentric = (
        [PhantomRef(seed, number, masks, preset) for number in range(count)]
        for preset, (seed, count) in COHORTS.items()
    )
    stages = (
        ("first", multicentric, 2600, 8),
        ("second", multicentric, 2700, 8),
        ("third", multicentric + monocentric, 1800, 10),
    )
    weights = ""
    for name, cases, steps, held_out in stages:
        config = config_for(
            TrainingPreset(),
            "thrombus",
            data=DataConfig(held_out=held_out, registration="never"),
            optimiser=OptimiserConfig(steps=steps, initial=weights),
            runtime=RuntimeConfig(threads=2),
        )
        weights = str(train(cases, options.out / name, config, progress=ProgressBars(Console(stderr=True))).weights)


if __name__ == "__main__":
    main()
