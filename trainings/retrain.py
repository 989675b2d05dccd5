"""The last stage of the released weights: they are fine-tuned with the best arm of the fusion ablation.

The simulated patients were not used for the weights before. No training has seen these cases, so the first-pass
networks, one step away from the initial weights, are out of fold without cross-fitting.

The lesion weights are fine-tuned slowly. At a quarter of the usual rate, 300 steps were enough to lose the performance
on a real case. The result is the average of the weights before and after, which is better than either where the data at
prediction differ from those of the training (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022). For
the thrombus no arm was better than early concatenation, with which its weights were trained. These weights had few
clots to learn from, and are fine-tuned with more of them. That did not improve them (``thrombus/retrained.json``), so
the weights before are the released ones.

Run: ``python trainings/retrain.py TARGET --initial FILE --masks DIR --out DIR``, then ``finish.py TARGET`` with the
same folders. Repeat the command to resume a training.
"""

import argparse
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.networks.weights import read_weights, save_weights
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.config import DataConfig, GuidanceConfig, OptimiserConfig, RuntimeConfig
from adumbra.training.loop import train
from adumbra.training.presets import TrainingPreset, config_for


@dataclass(frozen=True)
class Plan:
    """How the weights of a target are fine-tuned.

    Attributes:
        seed: Seed of the cohort.
        examination: Preset of its examinations.
        cases: Number of patients; the last 12 are held out.
        arm: The best arm of the ablation.
        steps: Number of steps of four patches.
        learning_rate: The highest learning rate.
        share: Share of the fine-tuned weights in the average.
    """

    seed: int
    examination: str
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
    """Trains, averages and writes the weights."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=PLANS)
    parser.add_argument("--initial", type=Path, required=True, help="the weights before")
    parser.add_argument("--masks", type=Path, help="folder of lesion masks in MNI space, for the lesion")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, help="number of patients, in place of the planned one")
    parser.add_argument("--steps", type=int, help="number of steps, in place of the planned one")
    parser.add_argument("--share", type=float, help="share of the fine-tuned weights, in place of the planned one")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    plan, masks = PLANS[options.target], lesion_mask_files(options.masks)
    changes = {name: getattr(options, name) for name in ("cases", "steps", "share")}
    plan = replace(plan, **{name: value for name, value in changes.items() if value is not None})
    cases = [PhantomRef(plan.seed, number, masks, plan.examination) for number in range(plan.cases)]
    config = config_for(
        plan.arm,
        options.target,
        data=DataConfig(held_out=12, registration="never"),
        optimiser=OptimiserConfig(steps=plan.steps, learning_rate=plan.learning_rate, initial=str(options.initial)),
        guidance=GuidanceConfig(folds=2, steps=1, draws=2),
        runtime=RuntimeConfig(threads=options.threads, validate_every=400),
    )
    result = train(cases, options.out / "after", config, progress=ProgressBars(Console(stderr=True)))
    before, _ = read_weights(options.initial)
    after, card = read_weights(result.weights)
    average = {name: before[name].float().lerp(tensor.float(), plan.share) for name, tensor in after.items()}
    values = {name: value for name, value in asdict(card).items() if name not in ("name", "sha256")}
    values["training"] = {**card.training, "share_of_the_weights_after": plan.share}
    print(save_weights(options.out / "weights.safetensors", average, values))


if __name__ == "__main__":
    main()
