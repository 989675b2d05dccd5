"""Trains the second look at candidates of a clot, and fits the decision.

The first pass is applied to patches with clots and with what resembles them, and to whole heads. Its candidates, true
and false, are cut out and cached. Heads and seeds are others than those of the first pass, for its candidates in heads
that it was trained on are better than in new ones. The decision is fitted on whole heads of further seeds, with and
without a clot.

Run, with the weights of the first pass: ``python trainings/thrombus/second_look.py prepare --weights FILE ... --work
DIR [--masks DIR]``, which can be stopped and repeated, then ``... train --weights FILE ... --work DIR --out DIR`` with
the same numbers, then ``... calibrate --weights FILE ... --second-look FILE ... --work DIR``. The last one writes the
decision beside the first file of the second look.
"""

import argparse
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.progress import Progress
from adumbra.experiments.candidate_calibration import calibrate_candidates
from adumbra.networks.second_look import SecondLookConfig
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.simulation.clot_patches import ClotPatch, keep_heads
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.simulation.stored_phantom import StoredPhantom
from adumbra.training.cache import CaseSource
from adumbra.training.config import OptimiserConfig, RuntimeConfig
from adumbra.training.second_look.config import SecondLookTraining
from adumbra.training.second_look.examples import cache_examples
from adumbra.training.second_look.loop import train_second_look
from adumbra.training.second_look.untrained import model_with_untrained_look
from adumbra.uncertainty.calibration.candidate_fit import METHODS, DecisionLimits, write_decision

HEADS_SEED, PATCHES_SEED, CLOTS_SEED, NATURAL_SEED, DECISION_SEED = 101, 102, 103, 104, 105
PRESETS = ("monocentric", "emergency", "multicentric")
SIDE_MM = 40.0


def main() -> None:
    """Prepares, trains, or fits the decision."""
    options = parsed_options()
    progress = ProgressBars(Console(stderr=True))
    if options.command == "calibrate":
        calibrate(options, progress)
        return
    config = training_config(options)
    paths = cache_examples(
        sources(options, progress), options.work / "examples", lambda: first_pass(options, config), progress=progress
    )
    if options.command == "train":
        if options.out is None:
            raise SystemExit("train needs --out")
        facts = {"command": "trainings/thrombus/second_look.py", "first pass": [p.name for p in options.weights]}
        print(train_second_look(paths, options.out, config, facts=facts, progress=progress))


def parsed_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("command", choices=("prepare", "train", "calibrate"))
    add("--weights", type=Path, nargs="+", required=True, help="weights of the first pass; several are an ensemble")
    add("--work", type=Path, required=True, help="folder of heads, phantoms, examples and calibration cases")
    add("--out", type=Path, help="folder of the training")
    add("--second-look", type=Path, nargs="+", help="trained weights of the second look, for calibrate")
    add("--masks", type=Path, help="folder of lesion masks in MNI space")
    add("--heads", type=int, default=40)
    add("--patches", type=int, default=2000)
    add("--cases", type=int, default=60, help="whole heads, a third of them with several clots")
    add("--factor", type=int, default=1, help="voxels of a patch along one of the head, as in whole heads; 2 is 0.5 mm")
    add("--held-out", type=int, default=20, help="whole heads that are validated")
    add("--decision-cases", type=int, default=100)
    add("--method", choices=tuple(METHODS), default="logistic")
    add("--low", type=float, default=SecondLookConfig.low)
    add("--peak", type=float, default=SecondLookConfig.peak)
    add("--steps", type=int, default=6000)
    add("--seed", type=int, default=0)
    add("--threads", type=int, default=1)
    add("--workers", type=int, default=1, help="processes of calibrate")
    return parser.parse_args()


def training_config(options: argparse.Namespace) -> SecondLookTraining:
    """The training; the preparation depends on its cube and candidates."""
    return SecondLookTraining(
        network=SecondLookConfig(low=options.low, peak=options.peak),
        held_out=options.held_out,
        optimiser=OptimiserConfig(steps=options.steps, learning_rate=1e-3),
        seed=options.seed,
        runtime=RuntimeConfig(threads=options.threads),
    )


def sources(options: argparse.Namespace, progress: Progress) -> list[CaseSource]:
    """Patches, then whole heads with several clots, then heads as nature has them."""
    masks, folder = lesion_mask_files(options.masks), options.work / "heads"
    names = keep_heads(folder, seed=HEADS_SEED, count=options.heads, lesion_masks=masks, progress=progress)
    # In the order of the heads, whose images and reflection are then read once for all of their patches.
    numbers = sorted(range(options.patches), key=lambda n: n % max(1, len(names)))
    patches = (ClotPatch(folder, names, PATCHES_SEED, n, SIDE_MM, options.factor) for n in numbers)
    cases: list[CaseSource] = list(patches) if names else []
    several = options.cases // 3
    cases += [stored(options, PhantomRef(CLOTS_SEED, n, masks, "clots")) for n in range(several)]
    rest = range(options.cases - several)
    return cases + [stored(options, PhantomRef(NATURAL_SEED, n, masks, PRESETS[n % len(PRESETS)])) for n in rest]


def stored(options: argparse.Namespace, ref: PhantomRef) -> StoredPhantom:
    """A whole head that is simulated once: every further first pass looks at it again."""
    return StoredPhantom(ref, options.work / "phantoms")


def inference(options: argparse.Namespace) -> InferenceConfig:
    """The first pass."""
    compute = ComputeConfig(threads=options.threads)
    return InferenceConfig(weights=options.weights, registration="never", calibration="none", compute=compute)


def first_pass(options: argparse.Namespace, config: SecondLookTraining) -> SegmentationModel:
    """The first pass with an untrained second look, for the search of candidates."""
    model = load_model("thrombus", replace(inference(options), second_look="none"))
    return model_with_untrained_look(model, config)


def calibrate(options: argparse.Namespace, progress: Progress) -> None:
    """Fits the decision and writes it beside the weights of the second look."""
    if not options.second_look:
        raise SystemExit("calibrate needs --second-look")
    masks = lesion_mask_files(options.masks)
    refs = (PhantomRef(DECISION_SEED, n, masks, PRESETS[n % len(PRESETS)]) for n in range(options.decision_cases))
    cases = [stored(options, ref) for ref in refs]
    decision = calibrate_candidates(
        cases,
        config=replace(inference(options), second_look=options.second_look),
        limits=DecisionLimits(method=options.method),
        work=options.work / "decision",
        workers=options.workers,
        progress=progress,
    )
    path = options.second_look[0].with_suffix(".decision.json")
    write_decision(path, decision)
    print(path, f"threshold {decision.threshold:.3f}, vein excess {decision.vein_excess}")
    print(f"in {len(cases)} cases: {decision.false_positives:.2f} false per case, {decision.detected:.2f} detected")


if __name__ == "__main__":
    main()
