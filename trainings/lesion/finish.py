"""From a finished training to weights that can be shipped: the thresholds are chosen, and all is measured, on phantoms.

Cohorts that share no case: seeds 1, 4, 6 and 8 were trained on, seed 3 chooses the two thresholds (highest mean of Dice
and lesion-wise F1 over its cases), seed 2 is measured with them. No real image is looked at.

Run: ``python trainings/lesion/finish.py --masks DIR --out DIR``; writes ``lesion.safetensors`` and ``lesion.json``.
"""

import argparse
import json
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np

from adumbra import cohort
from adumbra.evaluation.compare import scores
from adumbra.networks.catalogue import load
from adumbra.networks.weights import read_weights, save_weights
from adumbra.posterior.dropout import MCDropout
from adumbra.prepare.ready import made_ready
from adumbra.space.components import peaked
from adumbra.space.resampling import resampled

CHOOSING, MEASURING = 3, 2
# (threshold, peak threshold): how far a lesion reaches, and whether it is one.
CUTS = tuple((low, high) for low, high in product((0.3, 0.4, 0.5, 0.6, 0.7), (0.0, 0.7, 0.8, 0.9, 0.95)) if high != low)
METRICS = ("dice", "lesion_f1", "sensitivity", "precision")
WINDOW = 64


def predicted(weights: Path, seed: int, number: int, masks: tuple[Path, ...]):
    """The deterministic probability of one phantom without its b0, its truth, their grid, and what kind it is."""
    phantom = cohort.phantom(seed, number, masks)
    case = phantom.case
    case = case.having(scans={name: scan for name, scan in case.scans.items() if name != "b0"})
    network = load(weights)
    looked_at = network.network.config.modalities
    aligned, working = made_ready(case, target="lesion", modalities=looked_at, spacing_mm=2.0, registration="never")
    probability = MCDropout(network, side=WINDOW, threads=2).deterministic(working)
    truth, grid = aligned.masks["lesion"].data, aligned.grid
    return resampled(probability, working.grid, grid), truth, grid, kinds(phantom, truth.sum() * grid.voxel_ml)


def kinds(phantom, volume_ml: float) -> tuple[str, ...]:
    """What a case is an example of."""
    subacute = phantom.parameters["stage"]["adc_factor"] > 0.85
    found = {
        "no lesion": volume_ml == 0,
        "shower": phantom.parameters["pattern"] == "shower" and volume_ml > 0,
        "subacute, ADC over 0.85 of normal": subacute and volume_ml > 0,
        "up to 1 ml": 0 < volume_ml <= 1,
        "over 20 ml": volume_ml > 20,
    }
    return tuple(name for name, true in found.items() if true)


def scored(weights: Path, seed: int, count: int, masks: tuple[Path, ...], cuts) -> list[dict]:
    """For each case of a cohort the scores at every pair of thresholds."""
    rows = []
    for number in range(count):
        probability, truth, grid, names = predicted(weights, seed, number, masks)
        row = {cut: scores(peaked(probability, low=cut[0], high=cut[1]), truth, grid) for cut in cuts}
        rows.append(row | {"kinds": names})
        cut = cuts[len(cuts) // 2]
        print(f"cohort {seed}, case {number}: Dice at {cut} {rows[-1][cut]['dice']:.3f}", flush=True)
    return rows


def mean_of(rows: list[dict], cut: tuple[float, float], metric: str) -> float:
    """Of a metric over the cases where it is defined."""
    return float(np.nanmean([row[cut][metric] for row in rows]))


def main() -> None:
    """Chooses, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=24, help="to choose the thresholds on")
    parser.add_argument("--measured", type=int, default=40)
    asked = parser.parse_args()
    masks, weights = cohort.outline_files(asked.masks), asked.out / "weights.safetensors"
    choosing = scored(weights, CHOOSING, asked.cases, masks, CUTS)
    merit = {cut: (mean_of(choosing, cut, "dice") + mean_of(choosing, cut, "lesion_f1")) / 2 for cut in CUTS}
    best = max(merit, key=lambda cut: merit[cut])
    measured = scored(weights, MEASURING, asked.measured, masks, (best,))
    results = {name: round(mean_of(measured, best, name), 4) for name in METRICS}
    by_kind = {
        kind: {"cases": len(of), **{name: round(mean_of(of, best, name), 4) for name in ("dice", "lesion_f1")}}
        for kind in sorted({kind for row in measured for kind in row["kinds"]})
        if (of := [row for row in measured if kind in row["kinds"]])
    }
    tensors, card = read_weights(weights)
    training = {
        **card.training,
        "thresholds_chosen_on": f"{asked.cases} phantoms of cohort {CHOOSING}",
        "merit_by_thresholds": {f"{low:g} {high:g}": round(m, 4) for (low, high), m in merit.items()},
        f"measured_on_{asked.measured}_phantoms_of_cohort_{MEASURING}": results | {"by_kind": by_kind},
    }
    about = {name: value for name, value in asdict(card).items() if name not in ("name", "sha256")}
    about |= {"threshold": best[0], "peak_threshold": best[1], "window": WINDOW, "training": training}
    sha256 = save_weights(asked.out / "lesion.safetensors", tensors, about)
    (asked.out / "lesion.json").write_text(json.dumps({"sha256": sha256, **about}, indent=2) + "\n", encoding="utf-8")
    print(f"thresholds {best}, on cohort {MEASURING}: {results}, sha256 {sha256}\n{json.dumps(by_kind, indent=1)}")


if __name__ == "__main__":
    main()
