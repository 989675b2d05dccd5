"""Turns a finished training into weights for release: chooses the thresholds and measures the result.

The cohorts share no case with those of the training. One cohort chooses the two thresholds, by the highest mean of Dice
and lesion-wise F1 over its cases. Where most cases lack the target, only those that have it are used, because an empty
prediction would be best otherwise. Other cohorts are measured with these thresholds. No real image is used.

Run: ``python trainings/finish.py TARGET --out DIR [--masks DIR] [--workers N]``. It reads ``weights.safetensors`` of
the training in DIR and writes ``TARGET.safetensors`` and ``TARGET.json`` there.
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
from adumbra.core.geometry.resampling import resample
from adumbra.core.options import ComputeConfig
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.networks.registry import load
from adumbra.networks.weights import read_weights, save_weights
from adumbra.posterior.deterministic import Deterministic
from adumbra.posterior.sampled_posterior import SampledPosterior
from adumbra.preprocessing.pipeline import preprocess
from adumbra.simulation import cohort

# The threshold sets the extent of a component; the high threshold decides whether it is kept.
LOW, HIGH = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7), (0.0, 0.5, 0.7, 0.8, 0.9, 0.95)
THRESHOLDS = tuple((low, high) for low, high in product(LOW, HIGH) if high == 0.0 or high > low)


@dataclass(frozen=True)
class Cohort:
    """Simulated patients.

    Attributes:
        seed: Seed of the cohort.
        preset: Preset of the examinations.
        count: Number of patients.
    """

    seed: int
    preset: str
    count: int


@dataclass(frozen=True)
class Plan:
    """How the weights of a target are finished.

    Attributes:
        choosing: The cohort that chooses the thresholds.
        measured: The cohorts that are measured with them, by name.
        metrics: The metrics of the model card.
        kinds: The kinds of a case, from its phantom and the true volume of the target in ml.
        omitted: A modality that is withheld from the network.
        window: Side of the windows at prediction, in voxels.
        ignored_kind: The kind of case that does not count in the choice of the thresholds.
    """

    choosing: Cohort
    measured: dict[str, Cohort]
    metrics: tuple[str, ...]
    kinds: Callable[[object, float], tuple[str, ...]]
    omitted: str = ""
    window: int = 64
    ignored_kind: str = ""


def lesion_kinds(phantom, volume_ml: float) -> tuple[str, ...]:
    """The kinds of a case with respect to its infarct."""
    subacute = phantom.parameters["stage"]["adc_factor"] > 0.85
    kinds = {
        "no lesion": volume_ml == 0,
        "shower": phantom.parameters["pattern"] == "shower" and volume_ml > 0,
        "subacute, ADC over 0.85 of normal": subacute and volume_ml > 0,
        "up to 1 ml": 0 < volume_ml <= 1,
        "over 20 ml": volume_ml > 20,
    }
    return tuple(name for name, applies in kinds.items() if applies)


def thrombus_kinds(phantom, volume_ml: float) -> tuple[str, ...]:
    """The kinds of a case with respect to its clots."""
    clots, sequences = phantom.parameters["clots"], phantom.case.scans
    kinds = {
        "no clot": volume_ml == 0,
        "central": any(c["site"] in ("ICA", "M1", "basilar") for c in clots),
        "distal": any(c["site"] not in ("ICA", "M1", "basilar") for c in clots),
        "without the vessel sign": any(not c["vessel_sign"] for c in clots),
        "without SWI": "swi" not in sequences,
        "without phase": "phase" not in sequences and "swi" in sequences,
        "without TOF": "tof" not in sequences,
    }
    return tuple(name for name, applies in kinds.items() if applies)


OVERLAP = ("dice", "lesion_f1", "sensitivity", "precision")
PLANS = {
    "lesion": Plan(
        Cohort(3, "diffusion", 24), {"cohort 2": Cohort(2, "diffusion", 40)}, OVERLAP, lesion_kinds, omitted="b0"
    ),
    "thrombus": Plan(
        Cohort(23, "multicentric", 16),
        {name: Cohort(22, name, 30) for name in ("monocentric", "multicentric")},
        (*OVERLAP, "detected", "detected_strictly", "false_positives"),
        thrombus_kinds,
        ignored_kind="no clot",
    ),
}


@dataclass(frozen=True)
class Measurement:
    """The measurement of cases; worker processes receive a copy.

    Attributes:
        target: The segmented target.
        weights: The weights of the training.
        masks: Files of lesion shapes in MNI space.
    """

    target: str
    weights: Path
    masks: tuple[Path, ...]

    def predict(self, patients: Cohort, number: int):
        """The deterministic probability of one case, its ground truth, their grid, and the kinds of the case."""
        plan, target = PLANS[self.target], self.target
        phantom = cohort.simulate_case(patients.seed, number, self.masks, preset_name=patients.preset)
        case = phantom.case
        case = case.updated(scans={name: scan for name, scan in case.scans.items() if name != plan.omitted})
        network = load(self.weights)
        modalities, spacing_mm = network.network.config.modalities, network.card.spacing_mm
        aligned, prepared = preprocess(
            case, target=target, modalities=modalities, spacing_mm=spacing_mm, registration="never"
        )
        compute = ComputeConfig(window=plan.window, threads=1)
        probability = SampledPosterior(network, Deterministic(), compute=compute).deterministic(prepared)
        truth, grid = aligned.masks[target].data, aligned.grid
        kinds = plan.kinds(phantom, truth.sum() * grid.voxel_ml)
        return resample(probability, prepared.grid, grid), truth, grid, kinds

    def score(self, patients: Cohort, thresholds, number: int) -> dict:
        """The scores of one case at every pair of thresholds."""
        probability, truth, grid, kinds = self.predict(patients, number)
        row = {
            (low, high): scores(hysteresis_threshold(probability, low=low, high=high), truth, grid)
            for low, high in thresholds
        }
        pair = thresholds[len(thresholds) // 2]
        print(f"{patients.preset} {patients.seed}, case {number}: Dice at {pair} {row[pair]['dice']:.3f}", flush=True)
        return row | {"kinds": kinds}

    def score_all(self, patients: Cohort, thresholds, pool: Executor) -> list[dict]:
        """The scores of every case of a cohort."""
        return list(pool.map(partial(self.score, patients, thresholds), range(patients.count)))


def mean_metric(rows: list[dict], pair: tuple[float, float], metric: str) -> float | None:
    """The mean of a metric over the cases where it is defined; None where it is defined in none."""
    values = [row[pair][metric] for row in rows if not np.isnan(row[pair][metric])]
    return round(float(np.mean(values)), 4) if values else None


def summary(rows: list[dict], pair: tuple[float, float], metrics: tuple[str, ...]) -> dict:
    """The mean metrics of a cohort, and of each kind of case in it."""
    by_kind = {}
    for kind in sorted({kind for row in rows for kind in row["kinds"]}):
        own = [row for row in rows if kind in row["kinds"]]
        by_kind[kind] = {"cases": len(own), **{name: mean_metric(own, pair, name) for name in metrics}}
    return {name: mean_metric(rows, pair, name) for name in metrics} | {"cases": len(rows), "by_kind": by_kind}


def main() -> None:
    """Chooses the thresholds, measures the cohorts, and writes the weights and their model card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=PLANS)
    parser.add_argument("--masks", type=Path, help="folder of lesion masks in MNI space")
    parser.add_argument("--out", type=Path, required=True, help="folder of the training")
    parser.add_argument("--workers", type=int, default=2, help="number of processes, of one thread each")
    options = parser.parse_args()
    target, plan, weights = options.target, PLANS[options.target], options.out / "weights.safetensors"
    measurement = Measurement(target, weights, cohort.lesion_mask_files(options.masks))
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        choosing = measurement.score_all(plan.choosing, THRESHOLDS, pool)
        choosing = [row for row in choosing if plan.ignored_kind not in row["kinds"]]
        merit = {
            pair: np.mean([mean_metric(choosing, pair, name) for name in ("dice", "lesion_f1")]) for pair in THRESHOLDS
        }
        best = max(merit, key=lambda pair: merit[pair])
        measured = {
            name: summary(measurement.score_all(patients, (best,), pool), best, plan.metrics)
            for name, patients in plan.measured.items()
        }
    tensors, card = read_weights(weights)
    patients = plan.choosing
    training = {
        **card.training,
        "thresholds_chosen_on": f"{len(choosing)} of {patients.count} {patients.preset} phantoms of cohort "
        f"{patients.seed}",
        "merit_by_thresholds": {f"{low:g} {high:g}": round(float(m), 4) for (low, high), m in merit.items()},
        "measured": measured,
    }
    values = {name: value for name, value in asdict(card).items() if name not in ("name", "sha256")}
    values |= {"threshold": best[0], "high_threshold": best[1], "window": plan.window, "training": training}
    sha256 = save_weights(options.out / f"{target}.safetensors", tensors, values)
    card_text = json.dumps({"sha256": sha256, **values}, indent=2) + "\n"
    (options.out / f"{target}.json").write_text(card_text, encoding="utf-8")
    print(f"thresholds {best}, sha256 {sha256}\n{json.dumps(measured, indent=1)}")


if __name__ == "__main__":
    main()
