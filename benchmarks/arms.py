"""Every arm of the study at an equal budget: how modalities are fused, what regularises, what guides; one table.

Run, first for each target (what is there is not made again)::

    python benchmarks/arms.py train --target lesion --out DIR [--masks MASKS] [--seeds 0 1 2] [--only ARM ...]
    python benchmarks/arms.py table

What each case was found to be is kept in ``trainings/arms``, of which the table is made.

All arms go on from the shipped U-Net of the target, on phantoms that it never saw, with the same cases, patches, steps
and seeds. For the thrombus, of ``--cases`` those without a clot are left out until they are a quarter at most. The last
``--held-out`` are measured and not trained on. What an arm has beyond a U-Net begins untrained: attention at the skips,
which reads each modality alone; the regulariser's decoder; and most of the cross-modal network and of the diffusion of
masks, which such a budget is too small for. The first readings are U-Nets that went on from the shipped one too, each
on other folds. The threshold of each held-out case is the one that suits the other held-out cases best; beside it
stands the Dice at the one threshold that suits all of them best: it flatters every arm and hangs less on chance. The
table: means over cases and seeds, and differences from early concatenation, paired by patient, with 95 % bootstrap
intervals by patient. Phantoms are no patients.

With ``--anew`` all arms begin from nothing, with half as many channels: it takes more steps, and arms can differ more.
"""

import argparse
import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from safetensors import safe_open

from adumbra.core.atomic_io import write_atomically
from adumbra.evaluation.statistics import bootstrap_mean
from adumbra.networks.registry import load
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.training.cache import cached
from adumbra.training.config import CrossFit, TrainConfig
from adumbra.training.loop import train
from adumbra.training.patches import CachedCase, guidance_maps, open_cached_case
from adumbra.training.presets import TrainingPreset, config_for
from adumbra.training.validate import predicted_volumes

ARMS = {
    "shipped": TrainingPreset(),  # the weights that all go on from, as they are: nothing is trained
    "early": TrainingPreset(),
    "late": TrainingPreset(fusion="late"),
    "attention": TrainingPreset(fusion="attention"),
    "constant": TrainingPreset(fusion="constant"),
    "shuffled": TrainingPreset(fusion="shuffled"),
    "uncertainty": TrainingPreset(fusion="uncertainty"),
    "oracle": TrainingPreset(fusion="oracle"),
    "crossmodal": TrainingPreset("crossmodal", fusion="uncertainty"),
    "joint-sharp": TrainingPreset(regulariser="joint"),
    "joint-uniform": TrainingPreset(regulariser="joint", blur="uniform"),
    "joint-shuffled": TrainingPreset(regulariser="joint", blur="shuffled"),
    "joint-focused": TrainingPreset(regulariser="joint", blur="focused"),
    "before-sharp": TrainingPreset(regulariser="pretrain"),
    "before-focused": TrainingPreset(regulariser="pretrain", blur="focused"),
    "weighted": TrainingPreset(uncertainty_loss="weighted"),
    "smoothed": TrainingPreset(uncertainty_loss="smoothed"),
    "diffusion": TrainingPreset("diffusion"),
}
COHORTS = {"lesion": (61, "diffusion"), "thrombus": (62, "multicentric")}
MEASURES = ("dice", "at its best", "sensitivity", "precision", "detected")
THRESHOLDS = np.round(np.arange(0.05, 0.96, 0.05), 2)


def config_of(arm: str, target: str, first: Path, asked: argparse.Namespace, seed: int) -> TrainConfig:
    """The training of an arm."""
    config = config_for(
        ARMS[arm], target, initial=asked.initial or target, steps=asked.steps, learning_rate=5e-4, warmup=50,
        batch=2, patch=48, held_out=asked.held_out, seed=seed, threads=asked.threads, workers=2, registration="never",
        missing_ramp=0.5, validate_every=0,
        first_pass_dir=str(first), cross=CrossFit(folds=2, steps=asked.steps // 2, draws=2),
    )  # fmt: skip
    if not asked.anew:
        return config
    small = replace(config.network, widths=tuple(width // 2 for width in config.network.widths))
    cross = replace(config.cross, steps=asked.steps)
    return replace(config, initial="", network=small, learning_rate=2e-3, warmup=100, cross=cross)


def trained(arm: str, seed: int, cases: Sequence[PhantomRef], asked: argparse.Namespace) -> None:
    """Trains and measures one arm with one seed, unless its rows are there."""
    study = f"{asked.target}-anew" if asked.anew else asked.target
    rows = asked.rows / study / f"{arm}-{seed}.json"
    if rows.exists() or (arm == "shipped" and (seed or asked.anew)):
        return
    folder = asked.out / study
    config, out = config_of(arm, asked.target, folder / "first", asked, seed), folder / f"{arm}-{seed}"
    files = cached(cases, asked.out / asked.target / "cache", config.cache, workers=config.workers)
    (out / "cache").mkdir(parents=True, exist_ok=True)
    for file in files:  # a training has a cache of its own: here they share one
        (out / "cache" / file.name).unlink(missing_ok=True)
        os.link(file, out / "cache" / file.name)
    network = load((asked.initial or asked.target) if arm == "shipped" else train(cases, out, config).weights).network
    guided, maps = network.config.guidance_channels > 0, folder / "first" / f"maps-{config.guide}"
    ready = [replace(open_cached_case(file), guidance=maps / file.name if guided else None) for file in files]
    found = [{"case": case.name, **counts(*read(network, case, config))} for case in ready[-asked.held_out :]]
    about = {"arm": arm, "seed": seed, "cases": len(cases), "steps": asked.steps}
    rows.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(rows, (json.dumps(about | {"found": found}) + "\n").encode())
    rows_of = measures(json.loads(rows.read_text()))
    print(study, arm, seed, {m: round(float(np.nanmean([r[m] for r in rows_of])), 3) for m in MEASURES})


def enough(cases: Sequence[PhantomRef], known: Path) -> list[PhantomRef]:
    """The cases of a thrombus: all that have a clot, and of the others so many that they are at most a quarter."""
    has_clot = json.loads(known.read_text()) if known.exists() else []
    if len(has_clot) < len(cases):  # a quarter of the work of drawing them: it is remembered
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            has_clot += list(pool.map(PhantomRef.has_clot, cases[len(has_clot) :]))
        known.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(known, json.dumps(has_clot).encode())
    has_clot = has_clot[: len(cases)]
    without = [n for n, has in enumerate(has_clot) if not has]
    most = max(1, sum(has_clot) // 3)
    chosen = {without[i * len(without) // most] for i in range(most)} if len(without) > most else set(without)
    return [case for n, case in enumerate(cases) if has_clot[n] or n in chosen]


def read(network, case: CachedCase, config: TrainConfig) -> tuple[np.ndarray, np.ndarray]:
    """Probability, dropout off, and truth."""
    with safe_open(case.path, framework="np") as file:
        channels, brain = file.get_tensor("channels").astype(np.float32), file.get_tensor("brain").astype(bool)
        truth = file.get_tensor("labels")[0].astype(bool)
    inside = brain | truth
    seen = np.concatenate([channels, guidance_maps(case)])
    return predicted_volumes(network, seen, case.present, inside, config, overlap=0.0)[0] * inside, truth


def counts(probability: np.ndarray, truth: np.ndarray) -> dict[str, object]:
    """Voxels of the truth, and by threshold those that are called and those of them that are right."""
    called = [probability >= threshold for threshold in THRESHOLDS]
    right = [int((mask & truth).sum()) for mask in called]
    return {"there": int(truth.sum()), "called": [int(mask.sum()) for mask in called], "right": right}


def measures(run: dict) -> list[dict]:
    """Of each held-out case of a run, at the threshold of the highest mean Dice of the others, and of all."""
    dice = np.array([[measured(case, at)["dice"] for at in range(len(THRESHOLDS))] for case in run["found"]])
    total = np.nansum(dice, axis=0)
    tuned, best = (total - np.nan_to_num(dice)).argmax(axis=1), int(total.argmax())
    return [
        {"case": case["case"], **measured(case, at), "at its best": own[best]}
        for case, at, own in zip(run["found"], tuned.tolist(), dice.tolist(), strict=True)
    ]


def measured(case: dict, at: int) -> dict[str, float]:
    """What is not defined, as the Dice and the sensitivity of a case without a target, is nan."""
    there, called, right = case["there"], case["called"][at], case["right"][at]
    return {
        "dice": 2 * right / (called + there) if there else float("nan"),
        "sensitivity": right / there if there else float("nan"),
        "precision": right / called if called else float("nan"),
        "detected": float(right > 0) if there else float("nan"),
    }


def table(folder: Path) -> None:
    """Prints the table of a study."""
    runs = [json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))]
    budgets = {(run["cases"], run["steps"]) for run in runs}
    if len(budgets) > 1:
        raise SystemExit(f"{folder}: runs of one budget were expected, found (cases, steps) {sorted(budgets)}")
    found = {(run["arm"], run["seed"]): measures(run) for run in runs}
    (trained_on, steps), held_out = budgets.pop(), len(runs[0]["found"])
    print(f"\n### {folder.name}: {held_out} cases, after {steps} steps on {trained_on - held_out} others\n")
    print("| arm | dice by seed | " + " | ".join(f"{m} | against early" for m in MEASURES) + " |")
    print("|---|---|" + "---|---|" * len(MEASURES))
    for arm in ARMS:
        seeds = sorted(seed for other, seed in found if other == arm)
        if not seeds:
            continue
        paired = [seed for seed in seeds if ("early", seed) in found]
        cells = [arm, " ".join(f"{np.nanmean(by_case(found[arm, seed], 'dice')):.3f}" for seed in seeds)]
        for m in MEASURES:
            own = np.nanmean([np.nanmean(by_case(found[arm, seed], m)) for seed in seeds])
            less = [by_case(found[arm, seed], m) - by_case(found["early", seed], m) for seed in paired]
            cells += [f"{own:.3f}", "" if arm == "early" else difference(np.mean(less, axis=0))]
        print("| " + " | ".join(cells) + " |")


def by_case(rows: list[dict], measure: str) -> np.ndarray:
    """A measure of each held-out case of a run."""
    return np.array([row[measure] for row in rows])


def difference(values: np.ndarray) -> str:
    """The mean of paired differences with its interval; of the cases where both are defined."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return ""
    found = bootstrap_mean(values, generator=np.random.default_rng(0))
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def main() -> None:
    """Trains what is missing, or prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "table"])
    parser.add_argument("--out", type=Path, help="for caches, first readings and checkpoints")
    parser.add_argument("--rows", type=Path, default=Path(__file__).parents[1] / "trainings" / "arms")
    parser.add_argument("--target", choices=["lesion", "thrombus"], default="lesion")
    parser.add_argument("--initial", help="weights that all go on from: a file, or the target's that ship")
    parser.add_argument("--anew", action="store_true", help="from nothing, with networks of half the widths")
    parser.add_argument("--masks", type=Path, help="outlines of real lesions in MNI space")
    parser.add_argument("--cases", type=int, default=160, help="phantoms, of a cohort that no shipped weights saw")
    parser.add_argument("--held-out", type=int, default=40)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=list(ARMS), default=list(ARMS))
    asked = parser.parse_args()
    if asked.what == "train":
        if asked.out is None:
            parser.error("train needs --out")
        seed, preset = COHORTS[asked.target]
        outlines = lesion_mask_files(asked.masks)
        cases = [PhantomRef(seed, number, outlines, preset) for number in range(asked.cases)]
        cases = enough(cases, asked.rows / "struck.json") if asked.target == "thrombus" else cases
        for training in asked.seeds:
            for arm in asked.only:
                trained(arm, training, cases, asked)
    for folder in sorted(path for path in asked.rows.iterdir() if any(path.glob("*.json"))):
        table(folder)


if __name__ == "__main__":
    main()
