"""Trains the network that estimates hypoperfused tissue (Tmax over 6 s of the phantom) without contrast agent.

The network reads evidence on a grid of 4 mm: lesion, clot, distal flow, age of the infarct. Simulated strokes without
images give the truth, at a third of a second each, and the evidence is imitated from them (``training.perfusion``). Two
thirds of the heads are of the preset ``emergency``, one third is of ``monocentric``.

Before, networks read the images of whole heads. With 87 heads, 4,000 steps at 2 mm in patches of 96 mm gave a Dice of
0.21 to 0.44 on validated heads with hypoperfusion, and 2,600 steps at 4 mm a Dice of 0.00 to 0.16: too few strokes.

Run: ``python trainings/hypoperfusion/train.py prepare --strokes DIR [--masks DIR] [--heads 1200]``, which can be
stopped and repeated, then ``... train --strokes DIR --out DIR [--steps 4000]``, which takes the heads that are there.
"""

import argparse
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.simulation.cohort import lesion_mask_files
from adumbra.simulation.stroke_maps import stored_stroke_maps
from adumbra.training.config import OptimiserConfig, RuntimeConfig
from adumbra.training.perfusion.loop import PerfusionTraining, train_perfusion

SEED = 300
STROKES = 8
PRESETS = ("emergency", "emergency", "monocentric")


def main() -> None:
    """Simulates what is missing, or trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("command", choices=("prepare", "train"))
    add("--strokes", type=Path, required=True, help="folder of the simulated strokes")
    add("--out", type=Path, help="folder of the training")
    add("--masks", type=Path, help="folder of lesion masks in MNI space")
    add("--heads", type=int, default=1200)
    add("--held-out", type=int, default=20)
    add("--steps", type=int, default=4000)
    add("--batch", type=int, default=4)
    add("--learning-rate", type=float, default=1e-3)
    add("--initial", default="", help="weights to start from")
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    options = parser.parse_args()
    progress = ProgressBars(Console(stderr=True))
    if options.command == "prepare":
        masks = lesion_mask_files(options.masks)
        for number in progress.track(range(options.heads), what="Simulating strokes", total=options.heads):
            preset = PRESETS[number % len(PRESETS)]
            stored_stroke_maps(options.strokes, SEED, number, preset_name=preset, strokes=STROKES, lesion_masks=masks)
        return
    if options.out is None:
        parser.error("train needs --out")
    paths = sorted(options.strokes.glob("*.safetensors"), key=lambda path: path.name.split("n")[-1])
    config = PerfusionTraining(
        batch=options.batch,
        held_out=options.held_out,
        optimiser=OptimiserConfig(steps=options.steps, learning_rate=options.learning_rate, initial=options.initial),
        seed=options.seed,
        runtime=RuntimeConfig(threads=options.threads, validate_every=500),
    )
    print(train_perfusion(paths, options.out, config, facts={"heads": len(paths)}, progress=progress))


if __name__ == "__main__":
    main()
