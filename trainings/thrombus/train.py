"""The training of the shipped thrombus weights: phantoms only, of both presets.

Two stages on multicentric phantoms, where sequences are missing and a third of the cases has a clot that can be seen,
then one with monocentric ones beside them. 1.6 hours on 2 cores, and more than an hour in which the
phantoms are drawn (60 MB each). A training that was stopped goes on when the same command is given again.

Run: ``python trainings/thrombus/train.py --masks DIR --out DIR``; the masks are those of the lesion.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from adumbra.cli.bars import Bars
from adumbra.cohort import PhantomRef, lesion_mask_files
from rich.console import Console

from adumbra.training.config import DEFAULT_TRAINING, TrainConfig
from adumbra.training.loop import train

MULTICENTRIC, MONOCENTRIC = (21, 158), (24, 110)  # Seed of the cohort, and how many of its cases.


def main() -> None:
    """Three stages, each from the weights before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=Path, required=True, help="folder of lesion masks in MNI space")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    outlines, learned = lesion_mask_files(asked.masks), DEFAULT_TRAINING["thrombus"]
    refs = {
        preset: [PhantomRef(seed, number, outlines, preset) for number in range(count)]
        for preset, (seed, count) in {"multicentric": MULTICENTRIC, "monocentric": MONOCENTRIC}.items()
    }
    both = refs["multicentric"] + refs["monocentric"]
    config = TrainConfig(
        network=learned.network, spacing_mm=learned.spacing_mm, hard_voxel_fraction=learned.hard_voxel_fraction, registration="never",
        threads=2, workers=2, seed=0,
    )  # fmt: skip
    stages = (
        ("first", refs["multicentric"], 2600, 8),
        ("second", refs["multicentric"], 2700, 8),
        ("third", both, 1800, 10),
    )
    weights = ""
    for name, cases, steps, held_out in stages:
        stage = replace(config, steps=steps, held_out=held_out, initial=weights)
        weights = str(train(cases, asked.out / name, stage, progress=Bars(Console(stderr=True))).weights)


if __name__ == "__main__":
    main()
