"""From a finished training to weights that can be shipped: the thresholds are chosen, and all is measured, on phantoms.

Cohorts that share no case with those trained on: one chooses the two thresholds (highest mean of Dice and lesion-wise
F1 over its cases; where most cases lack the target, over those that have it, or calling nothing would be best), others
are measured with them. No real image is looked at.

Run: ``python trainings/finish.py TARGET --out DIR [--masks DIR] [--workers N]``; reads ``weights.safetensors`` of the
training in DIR and writes ``TARGET.safetensors`` and ``TARGET.json`` there.
"""

import argparse
import json
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from adumbra.core.geometry.components import hysteresis_threshold
from adumbra.core.geometry.resampling import resampled
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.networks.registry import load
from adumbra.networks.weights import read_weights, save_weights
from adumbra.posterior.deterministic import Deterministic
from adumbra.posterior.sampled_posterior import SampledPosterior
from adumbra.preprocessing.pipeline import preprocess
from adumbra.simulation import cohort

# (threshold, peak threshold): how far an outline reaches, and whether there is one.
LOW, HIGH = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7), (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
CUTS = tuple((low, high) for low, high in product(LOW, HIGH) if high == 0.0 or high > low)


@dataclass(frozen=True)
class Cohort:
    """Phantoms: the seed of a cohort, and what examinations its cases have."""

    seed: int
    preset: str
    count: int


@dataclass(frozen=True)
class Plan:
    """How the weights of a target are finished.

    Attributes:
        choosing: For the thresholds.
        measured: With them, by name.
        metrics: That are measured.
        kinds: What a case is an example of, from its phantom and the volume of its truth in ml.
        left_out: A sequence that is not shown to the network.
        window: Side of the windows at prediction.
        passed_over: The kind of case that has no say in the thresholds.
    """

    choosing: Cohort
    measured: dict[str, Cohort]
    metrics: tuple[str, ...]
    kinds: Callable[[object, float], tuple[str, ...]]
    left_out: str = ""
    window: int = 64
    passed_over: str = ""


def lesion_kinds(phantom, volume_ml: float) -> tuple[str, ...]:
    """Of infarcts."""
    subacute = phantom.parameters["stage"]["adc_factor"] > 0.85
    found = {
        "no lesion": volume_ml == 0,
        "shower": phantom.parameters["pattern"] == "shower" and volume_ml > 0,
        "subacute, ADC over 0.85 of normal": subacute and volume_ml > 0,
        "up to 1 ml": 0 < volume_ml <= 1,
        "over 20 ml": volume_ml > 20,
    }
    return tuple(name for name, true in found.items() if true)


def thrombus_kinds(phantom, volume_ml: float) -> tuple[str, ...]:
    """Of clots."""
    clots, sequences = phantom.parameters["clots"], phantom.case.scans
    found = {
        "no clot": volume_ml == 0,
        "central": any(c["site"] in ("ICA", "M1", "basilar") for c in clots),
        "distal": any(c["site"] not in ("ICA", "M1", "basilar") for c in clots),
        "without the vessel sign": any(not c["vessel_sign"] for c in clots),
        "without SWI": "swi" not in sequences,
        "without phase": "phase" not in sequences and "swi" in sequences,
        "without TOF": "tof" not in sequences,
    }
    return tuple(name for name, true in found.items() if true)


OVERLAP = ("dice", "lesion_f1", "sensitivity", "precision")
PLANS = {
    "lesion": Plan(
        Cohort(3, "diffusion", 24), {"cohort 2": Cohort(2, "diffusion", 40)}, OVERLAP, lesion_kinds, left_out="b0"
    ),
    "thrombus": Plan(
        Cohort(23, "multicentric", 16),
        {name: Cohort(22, name, 30) for name in ("monocentric", "multicentric")},
        (*OVERLAP, "detected", "detected_strictly", "false_positives"),
        thrombus_kinds,
        passed_over="no clot",
    ),
}


@dataclass(frozen=True)
class Measure:
    """How a case is measured; it travels to the processes that do it.

    Attributes:
        target: What is outlined.
        weights: File of the training.
        masks: Shapes of lesions.
    """

    target: str
    weights: Path
    masks: tuple[Path, ...]

    def predicted(self, of: Cohort, number: int):
        """The deterministic probability of one phantom, its truth, their grid, and what kinds of case it is."""
        plan, target = PLANS[self.target], self.target
        phantom = cohort.phantom(of.seed, number, self.masks, preset_name=of.preset)
        case = phantom.case
        case = case.updated(scans={name: scan for name, scan in case.scans.items() if name != plan.left_out})
        network = load(self.weights)
        looked_at, spacing_mm = network.network.config.modalities, network.card.spacing_mm
        aligned, working = preprocess(
            case, target=target, modalities=looked_at, spacing_mm=spacing_mm, registration="never"
        )
        probability = SampledPosterior(
            network, Deterministic(), inference=InferenceConfig(side=plan.window, threads=1)
        ).deterministic(working)
        truth, grid = aligned.masks[target].data, aligned.grid
        kinds = plan.kinds(phantom, truth.sum() * grid.voxel_ml)
        return resampled(probability, working.grid, grid), truth, grid, kinds

    def scored(self, of: Cohort, cuts, number: int) -> dict:
        """The scores of one case at every pair of thresholds."""
        probability, truth, grid, kinds = self.predicted(of, number)
        row = {cut: scores(hysteresis_threshold(probability, low=cut[0], high=cut[1]), truth, grid) for cut in cuts}
        cut = cuts[len(cuts) // 2]
        print(f"{of.preset} {of.seed}, case {number}: Dice at {cut} {row[cut]['dice']:.3f}", flush=True)
        return row | {"kinds": kinds}

    def of_all(self, of: Cohort, cuts, pool: Executor) -> list[dict]:
        """Of every case of a cohort."""
        return list(pool.map(partial(self.scored, of, cuts), range(of.count)))


def mean_of(rows: list[dict], cut: tuple[float, float], metric: str) -> float | None:
    """Of a metric over the cases where it is defined; None where it is in none."""
    values = [row[cut][metric] for row in rows if not np.isnan(row[cut][metric])]
    return round(float(np.mean(values)), 4) if values else None


def summary(rows: list[dict], cut: tuple[float, float], metrics: tuple[str, ...]) -> dict:
    """The means of a cohort, and of each kind of case in it."""
    by_kind = {}
    for kind in sorted({kind for row in rows for kind in row["kinds"]}):
        of = [row for row in rows if kind in row["kinds"]]
        by_kind[kind] = {"cases": len(of), **{name: mean_of(of, cut, name) for name in metrics}}
    return {name: mean_of(rows, cut, name) for name in metrics} | {"cases": len(rows), "by_kind": by_kind}


def main() -> None:
    """Chooses, measures, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=PLANS)
    parser.add_argument("--masks", type=Path, help="folder of lesion masks in MNI space")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2, help="processes, of one thread each")
    asked = parser.parse_args()
    target, plan, weights = asked.target, PLANS[asked.target], asked.out / "weights.safetensors"
    measure = Measure(target, weights, cohort.lesion_mask_files(asked.masks))
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool:
        choosing = measure.of_all(plan.choosing, CUTS, pool)
        choosing = [row for row in choosing if plan.passed_over not in row["kinds"]]
        merit = {cut: np.mean([mean_of(choosing, cut, name) for name in ("dice", "lesion_f1")]) for cut in CUTS}
        best = max(merit, key=lambda cut: merit[cut])
        measured = {
            name: summary(measure.of_all(of, (best,), pool), best, plan.metrics) for name, of in plan.measured.items()
        }
    tensors, card = read_weights(weights)
    of = plan.choosing
    training = {
        **card.training,
        "thresholds_chosen_on": f"{len(choosing)} of {of.count} {of.preset} phantoms of cohort {of.seed}",
        "merit_by_thresholds": {f"{low:g} {high:g}": round(float(m), 4) for (low, high), m in merit.items()},
        "measured": measured,
    }
    about = {name: value for name, value in asdict(card).items() if name not in ("name", "sha256")}
    about |= {"threshold": best[0], "high_threshold": best[1], "window": plan.window, "training": training}
    sha256 = save_weights(asked.out / f"{target}.safetensors", tensors, about)
    card_text = json.dumps({"sha256": sha256, **about}, indent=2) + "\n"
    (asked.out / f"{target}.json").write_text(card_text, encoding="utf-8")
    print(f"thresholds {best}, sha256 {sha256}\n{json.dumps(measured, indent=1)}")


if __name__ == "__main__":
    main()
