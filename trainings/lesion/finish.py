"""From a finished training to weights that can be shipped: the threshold is chosen, and both are measured, on phantoms.

Three cohorts that share no case: seed 1 was trained on, seed 3 chooses the threshold (highest mean of Dice and
lesion-wise F1 over its cases), seed 2 is measured with it. No real image is looked at.

Run: ``python trainings/lesion/finish.py --masks DIR --out DIR``; writes ``lesion.safetensors`` and ``lesion.json``.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from adumbra import cohort
from adumbra.evaluation.compare import scores
from adumbra.networks.catalogue import load
from adumbra.networks.weights import read_weights, save_weights
from adumbra.posterior.dropout import MCDropout
from adumbra.prepare.align import align
from adumbra.prepare.normalise import normalised
from adumbra.prepare.resample import case_onto
from adumbra.space.grid import respaced
from adumbra.space.resampling import resampled

CHOOSING, MEASURING = 3, 2
THRESHOLDS = np.round(np.arange(0.3, 0.91, 0.05), 2)
WINDOW = 64


def predicted(weights: Path, seed: int, number: int, masks: tuple[Path, ...]):
    """The deterministic probability of one phantom without its b0, its truth, and their grid."""
    case = cohort.phantom(seed, number, masks).case
    case = case.having(scans={name: scan for name, scan in case.scans.items() if name != "b0"})
    aligned = align(case, reference="dwi", registration="never")
    working = normalised(case_onto(aligned, respaced(aligned.grid, (2.0, 2.0, 2.0))))
    probability = MCDropout(load(weights), side=WINDOW, threads=2).deterministic(working)
    return resampled(probability, working.grid, aligned.grid), aligned.masks["lesion"].data, aligned.grid


def scored(weights: Path, seed: int, count: int, masks: tuple[Path, ...]) -> list[dict[float, dict[str, float]]]:
    """For each case of a cohort the scores at every threshold."""
    rows = []
    for number in range(count):
        probability, truth, grid = predicted(weights, seed, number, masks)
        rows.append({float(t): scores(probability >= np.float32(t), truth, grid) for t in THRESHOLDS})
        print(f"cohort {seed}, case {number}: Dice at 0.5 {rows[-1][0.5]['dice']:.3f}", flush=True)
    return rows


def mean_of(rows: list[dict[float, dict[str, float]]], threshold: float, metric: str) -> float:
    """Of a metric over the cases where it is defined."""
    return float(np.nanmean([row[threshold][metric] for row in rows]))


def main() -> None:
    """Chooses, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=16)
    asked = parser.parse_args()
    masks, weights = cohort.outline_files(asked.masks), asked.out / "weights.safetensors"
    choosing = scored(weights, CHOOSING, asked.cases, masks)
    merit = {t: mean_of(choosing, t, "dice") + mean_of(choosing, t, "lesion_f1") for t in map(float, THRESHOLDS)}
    threshold = max(merit, key=lambda t: merit[t])
    measured = scored(weights, MEASURING, asked.cases, masks)
    results = {
        name: round(mean_of(measured, threshold, name), 4) for name in ("dice", "lesion_f1", "sensitivity", "precision")
    }
    tensors, card = read_weights(weights)
    training = {
        **card.training,
        "threshold_chosen_on": f"{asked.cases} phantoms of cohort {CHOOSING}",
        "merit_by_threshold": {str(t): round(m / 2, 4) for t, m in merit.items()},
        f"measured_on_{asked.cases}_phantoms_of_cohort_{MEASURING}": results,
    }
    about = {name: value for name, value in asdict(card).items() if name not in ("name", "sha256")}
    about |= {"threshold": threshold, "window": WINDOW, "training": training}
    sha256 = save_weights(asked.out / "lesion.safetensors", tensors, about)
    (asked.out / "lesion.json").write_text(json.dumps({"sha256": sha256, **about}, indent=2) + "\n", encoding="utf-8")
    print(f"threshold {threshold}, on cohort {MEASURING}: {results}, sha256 {sha256}")


if __name__ == "__main__":
    main()
