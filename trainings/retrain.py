"""The last stage of the shipped weights: they go on with the best arm that ``benchmarks/arms.py`` found.

On phantoms that they never saw. The doubt that an arm asks for is that of the weights themselves: nobody was trained on
these cases, so that the first networks, one step from them, are out of fold as they are.

The lesion goes on slowly, for at a quarter of the usual rate 300 steps were enough to forget what made a real case
readable; and what is kept is the average of the weights before and after, which does better than either where the data
to come differ from those of the training (Wortsman et al., Robust fine-tuning, CVPR 2022). No arm did better on the
thrombus than early concatenation, with which its weights were trained; what they lacked was clots, and they go on with
more of them. That made them no better (``thrombus/retrained.json``), and the weights before ship.

Run: ``python trainings/retrain.py TARGET --initial FILE --masks DIR --out DIR``, then ``finish.py TARGET`` with the
same folders. A training that was stopped goes on when the same command is given again.
"""

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import Bars
from adumbra.networks.weights import read_weights, save_weights
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.config import CrossFit
from adumbra.training.loop import train
from adumbra.training.presets import TrainingPreset, config_for


@dataclass(frozen=True)
class Plan:
    """How the weights of a target go on.

    Attributes:
        seed: Of the cohort.
        examined: What examination its cases have.
        cases: How many; the last 12 are held out.
        arm: The best of the study.
        steps: Of four patches.
        learning_rate: The highest.
        share: Of the weights after, in the average.
    """

    seed: int
    examined: str
    cases: int
    arm: TrainingPreset
    steps: int
    learning_rate: float
    share: float


PLANS = {
    "lesion": Plan(32, "diffusion", 180, TrainingPreset(uncertainty_loss="weighted"), 1200, 2e-4, 0.5),
    "thrombus": Plan(25, "emergency", 120, TrainingPreset(), 2400, 1e-3, 1.0),
}


def main() -> None:
    """Trains, averages, writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=PLANS)
    parser.add_argument("--initial", type=Path, required=True, help="the weights before")
    parser.add_argument("--masks", type=Path, help="folder of lesion masks in MNI space, for the lesion")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, help="fewer or more than planned; so are the others")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--share", type=float, help="of the weights after, in the average")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    target, plan, outlines = asked.target, PLANS[asked.target], lesion_mask_files(asked.masks)
    given = {name: getattr(asked, name) for name in ("cases", "steps", "share") if getattr(asked, name) is not None}
    plan = replace(plan, **given)
    cases = [PhantomRef(plan.seed, number, outlines, plan.examined) for number in range(plan.cases)]
    config = config_for(
        plan.arm, target, initial=str(asked.initial), steps=plan.steps, learning_rate=plan.learning_rate, held_out=12,
        seed=0, threads=asked.threads, registration="never", validate_every=400,
        cross=CrossFit(folds=2, steps=1, draws=2),
    )  # fmt: skip
    found = train(cases, asked.out / "after", config, progress=Bars(Console(stderr=True)))
    before, _ = read_weights(asked.initial)
    after, card = read_weights(found.weights)
    both = {name: before[name].float().lerp(tensor.float(), plan.share) for name, tensor in after.items()}
    about = {name: value for name, value in asdict(card).items() if name not in ("name", "sha256")}
    about["training"] = {**card.training, "share_of_the_weights_after": plan.share}
    print(save_weights(asked.out / "weights.safetensors", both, about))


if __name__ == "__main__":
    main()
