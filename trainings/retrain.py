"""The last stage of the shipped weights: they go on, slowly, with the best arm that ``benchmarks/arms.py`` found.

On phantoms that they never saw; for the thrombus on those that have a clot. The doubt that the arm asks for is that of
the weights themselves: nobody was trained on these cases, so that the first networks, one step from them, are out of
fold as they are. The rate is a tenth of the usual, for at a quarter 300 steps were enough to forget what made a real
case readable. What is kept is the average of the weights before and after, which does better than either where the
data to come differ from those of the training (Wortsman et al., Robust fine-tuning, CVPR 2022).

Run: ``python trainings/retrain.py TARGET --initial FILE --masks DIR --out DIR``, then ``finish.py TARGET`` with the
same folders. A training that was stopped goes on when the same command is given again.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from adumbra.cli.bars import Bars
from adumbra.cohort import PhantomRef, outline_files
from adumbra.networks.weights import read_weights, save_weights
from adumbra.training.config import CrossFit
from adumbra.training.loop import train
from adumbra.training.presets import Preset, config_for

BEST = Preset(softening="weighted")
COHORTS = {"lesion": (32, "diffusion"), "thrombus": (25, "multicentric")}


def main() -> None:
    """Trains, averages, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=COHORTS)
    parser.add_argument("--initial", type=Path, required=True, help="the weights before")
    parser.add_argument("--masks", type=Path, help="folder of lesion masks in MNI space")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=300, help="of the cohort; of these, for the thrombus, the struck")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--share", type=float, default=0.5, help="of the weights after, in the average")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    target, (seed, preset), outlines = asked.target, COHORTS[asked.target], outline_files(asked.masks)
    cases = [PhantomRef(seed, number, outlines, preset) for number in range(asked.cases)]
    if target == "thrombus":
        cases = [case for case in cases if case.struck()]
    config = config_for(
        BEST, target, initial=str(asked.initial), steps=asked.steps, learning_rate=2e-4, held_out=12, seed=0,
        threads=asked.threads, registration="never", validate_every=400, cross=CrossFit(folds=2, steps=1, draws=2),
    )  # fmt: skip
    found = train(cases, asked.out / "after", config, progress=Bars(Console(stderr=True)))
    before, _ = read_weights(asked.initial)
    after, card = read_weights(found.weights)
    both = {name: before[name].float().lerp(tensor.float(), asked.share) for name, tensor in after.items()}
    about = {name: value for name, value in asdict(card).items() if name not in ("name", "sha256")}
    about["training"] = {**card.training, "share_of_the_weights_after": asked.share}
    print(save_weights(asked.out / "weights.safetensors", both, about))


if __name__ == "__main__":
    main()
