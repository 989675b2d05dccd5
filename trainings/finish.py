"""Turns a finished training into weights for release: chooses the thresholds and measures the result.

The cohorts share no case with those of the training; those of hypoperfusion are the heads that its training validates
and does not learn from. One cohort chooses the two thresholds, by the highest mean of Dice and lesion-wise F1 over its
cases. For the thrombus the mean is that of the cases with a visible clot, among the thresholds with at most half a
false positive per case over all cases, with and without a clot. Other cohorts are measured with these thresholds. No
real image is used.

Run: ``python trainings/finish.py TARGET --out DIR [--weights FILE ...] [--masks DIR] [--phantoms DIR] [--workers N]``.
It reads ``weights.safetensors`` of the training in DIR and writes ``TARGET.safetensors`` and ``TARGET.json`` there.
Several files are the members of an ensemble: the thresholds are those of their mean probability, and the files written
are ``TARGET-1.safetensors`` and so on. Phantoms are kept in a folder (``--phantoms``), so that a second run simulates
none.
"""

import argparse
import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from math import inf
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from adumbra.core.geometry.components import dilate, hysteresis_threshold
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.networks.weights import read_weights, save_weights
from adumbra.segmentation_model import load_model
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.simulation.stored_phantom import StoredPhantom

# The threshold sets the extent of a component; the high threshold decides whether it is kept.
LOW = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
HIGH = (0.0, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98, 0.99)
Pair = tuple[float, float]
THRESHOLDS: tuple[Pair, ...] = tuple((low, high) for low, high in product(LOW, HIGH) if high == 0.0 or high > low)


@dataclass(frozen=True)
class Cohort:
    """Simulated patients.

    Attributes:
        seed: Seed of the cohort.
        preset: Preset of the examinations.
        count: Number of patients.
        first: Number of the first patient.
        step: Distance of the numbers of one patient and the next.
    """

    seed: int
    preset: str
    count: int
    first: int = 0
    step: int = 1

    @property
    def numbers(self) -> range:
        """The numbers of the patients."""
        return range(self.first, self.first + self.count * self.step, self.step)


@dataclass(frozen=True)
class Plan:
    """How the weights of a target are finished.

    Attributes:
        choosing: The cohorts that choose the thresholds.
        measured: The cohorts that are measured with them, by name.
        metrics: The metrics of the model card.
        kinds: The kinds of a case, from its parameters, its sequences and the true volume of the target in ml.
        omitted: A modality that is withheld from the network.
        window: Side of the windows at prediction, in voxels.
        absent_kind: The kind of case that has no target; it does not count in the mean that chooses the thresholds.
        most_false_positives: Most false positives per case over all cases at the chosen thresholds.
    """

    choosing: tuple[Cohort, ...]
    measured: dict[str, Cohort]
    metrics: tuple[str, ...]
    kinds: Callable[[Mapping[str, Any], Collection[str], float], tuple[str, ...]]
    omitted: str = ""
    window: int = 64
    absent_kind: str = ""
    most_false_positives: float = inf


def lesion_kinds(parameters: Mapping[str, Any], _: Collection[str], volume_ml: float) -> tuple[str, ...]:
    """The kinds of a case with respect to its infarct."""
    subacute = parameters["stage"]["adc_factor"] > 0.85
    kinds = {
        "no lesion": volume_ml == 0,
        "shower": parameters["pattern"] == "shower" and volume_ml > 0,
        "subacute, ADC over 0.85 of normal": subacute and volume_ml > 0,
        "up to 1 ml": 0 < volume_ml <= 1,
        "over 20 ml": volume_ml > 20,
    }
    return tuple(name for name, applies in kinds.items() if applies)


def thrombus_kinds(parameters: Mapping[str, Any], sequences: Collection[str], volume_ml: float) -> tuple[str, ...]:
    """The kinds of a case with respect to its clots."""
    clots = parameters.get("clots", [])
    kinds = {
        NO_CLOT: volume_ml == 0,
        "central": any(c["site"] in ("ICA", "M1", "basilar") for c in clots),
        "distal": any(c["site"] not in ("ICA", "M1", "basilar") for c in clots),
        "without the vessel sign": any(not c["vessel_sign"] for c in clots),
        "without SWI": "swi" not in sequences,
        "without phase": "phase" not in sequences and "swi" in sequences,
        "without TOF": "tof" not in sequences,
    }
    return tuple(name for name, applies in kinds.items() if applies)


def hypoperfusion_kinds(_: Mapping[str, Any], sequences: Collection[str], volume_ml: float) -> tuple[str, ...]:
    """The kinds of a case with respect to its hypoperfusion."""
    kinds = {
        NO_HYPOPERFUSION: volume_ml == 0,
        "without TOF": "tof" not in sequences,
        "without SWI": "swi" not in sequences,
    }
    return tuple(name for name, applies in kinds.items() if applies)


NO_CLOT = "no clot"
NO_HYPOPERFUSION = "no hypoperfusion"
MERIT = ("dice", "lesion_f1")
OVERLAP = ("dice", "lesion_f1", "sensitivity", "precision")
PLANS = {
    "lesion": Plan(
        (Cohort(3, "diffusion", 24), Cohort(3, "lesion-both", 24)),
        {"diffusion": Cohort(2, "diffusion", 40), "lesion-both": Cohort(2, "lesion-both", 40)},
        OVERLAP,
        lesion_kinds,
        omitted="b0",
    ),
    "thrombus": Plan(
        tuple(
            Cohort(105, preset, 15, first=first, step=3)  # the phantoms of the decision, see thrombus/second_look.py
            for first, preset in enumerate(("monocentric", "emergency", "multicentric"))
        ),
        {},  # measured by benchmarks/thrombus_results.py
        (*OVERLAP, "detected", "detected_strictly", "false_positives"),
        thrombus_kinds,
        absent_kind=NO_CLOT,
        most_false_positives=0.5,
    ),
    "hypoperfusion": Plan(
        (  # the heads that hypoperfusion/train.py validates
            Cohort(104, "multicentric", 2, first=44, step=3),
            Cohort(104, "monocentric", 1, first=45),
            Cohort(104, "emergency", 1, first=46),
            Cohort(105, "emergency", 2, first=43, step=3),
            Cohort(105, "multicentric", 2, first=44, step=3),
            Cohort(105, "monocentric", 1, first=45),
        ),
        {},  # measured by benchmarks/clinic_results.py
        OVERLAP,
        hypoperfusion_kinds,
        absent_kind=NO_HYPOPERFUSION,
    ),
}


@dataclass(frozen=True)
class Measurement:
    """The measurement of cases; worker processes receive a copy.

    Attributes:
        target: The segmented target.
        weights: The weights of the training, or of the members of an ensemble.
        masks: Files of lesion shapes in MNI space.
        phantoms: Folder of the simulated phantoms.
    """

    target: str
    weights: tuple[Path, ...]
    masks: tuple[Path, ...]
    phantoms: Path

    def predict(self, patients: Cohort, number: int):
        """The deterministic probability of one case, its ground truth, their grid, and the kinds of the case."""
        plan, target = PLANS[self.target], self.target
        phantom = StoredPhantom(PhantomRef(patients.seed, number, self.masks, patients.preset), self.phantoms)
        case = phantom.open()
        case = case.updated(scans={name: scan for name, scan in case.scans.items() if name != plan.omitted})
        compute = ComputeConfig(window=plan.window, threads=1)
        config = InferenceConfig(
            weights=self.weights, posterior="deterministic", registration="never", compute=compute, calibration="none"
        )
        model = load_model(target, config)
        aligned = model.align(case)
        within = dilate(aligned.masks["brain"].data, aligned.grid, by_mm=BEYOND_BRAIN_MM)
        prepared = model.prepare(model.network_cases(aligned), aligned.grid, within=within)
        probability = np.where(within, prepared.deterministic(), 0)
        truth, grid = aligned.masks[target].data, aligned.grid
        kinds = plan.kinds(phantom.parameters(), case.scans, truth.sum() * grid.voxel_ml)
        return probability, truth, grid, kinds

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
        return list(pool.map(partial(self.score, patients, thresholds), patients.numbers))


def mean_metric(rows: list[dict], pair: tuple[float, float], metric: str) -> float | None:
    """The mean of a metric over the cases where it is defined; None where it is defined in none."""
    values = [row[pair][metric] for row in rows if not np.isnan(row[pair][metric])]
    return round(float(np.mean(values)), 4) if values else None


def chosen_thresholds(rows: list[dict], plan: Plan) -> tuple[Pair, dict[Pair, float]]:
    """The best pair of thresholds, and the merit of each; where every pair calls too much, the one that calls least."""
    own = [row for row in rows if plan.absent_kind not in row["kinds"]]
    merit = {pair: float(np.mean([mean_metric(own, pair, name) for name in MERIT])) for pair in THRESHOLDS}
    excess = {pair: mean_metric(rows, pair, "false_positives") or 0.0 for pair in THRESHOLDS}
    allowed = [pair for pair in THRESHOLDS if excess[pair] <= plan.most_false_positives]
    return max(allowed or [min(excess, key=excess.__getitem__)], key=merit.__getitem__), merit


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
    parser.add_argument("--out", type=Path, required=True, help="folder of the training, and of the result")
    parser.add_argument("--phantoms", type=Path, help="folder of the simulated phantoms; OUT/phantoms unless given")
    parser.add_argument("--weights", type=Path, nargs="+", help="weights of the members of an ensemble")
    parser.add_argument("--without-measurement", action="store_true", help="choose the thresholds only")
    parser.add_argument("--workers", type=int, default=2, help="number of processes, of one thread each")
    options = parser.parse_args()
    target, plan = options.target, PLANS[options.target]
    weights = tuple(options.weights or [options.out / "weights.safetensors"])
    measurement = Measurement(
        target, weights, lesion_mask_files(options.masks), options.phantoms or options.out / "phantoms"
    )
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        choosing = [row for c in plan.choosing for row in measurement.score_all(c, THRESHOLDS, pool)]
        best, merit = chosen_thresholds(choosing, plan)
        measured = {
            name: summary(measurement.score_all(patients, (best,), pool), best, plan.metrics)
            for name, patients in ({} if options.without_measurement else plan.measured).items()
        }
    patients = ", ".join(f"{c.count} {c.preset} phantoms of cohort {c.seed}" for c in plan.choosing)
    facts = {
        "thresholds_chosen_on": f"{len(choosing)} cases: {patients}",
        "merit_by_thresholds": {f"{low:g} {high:g}": round(float(m), 4) for (low, high), m in merit.items()},
        "measured": measured,
    }
    names = [target] if len(weights) == 1 else [f"{target}-{n}" for n in range(1, len(weights) + 1)]
    for name, path in zip(names, weights, strict=True):
        write_released(path, options.out / f"{name}.safetensors", best, plan.window, facts)
    print(f"thresholds {best}\n{json.dumps(measured, indent=1)}")


def write_released(source: Path, out: Path, thresholds: tuple[float, float], window: int, facts: dict) -> None:
    """Writes weights with the thresholds and the measured facts on their card, and the card beside them."""
    tensors, card = read_weights(source)
    values = {name: value for name, value in asdict(card).items() if name not in ("name", "sha256")}
    low, high = thresholds
    training = {**card.training, **facts}
    values |= {"threshold": low, "high_threshold": high, "window": window, "training": training}
    sha256 = save_weights(out, tensors, values)
    text = json.dumps({"sha256": sha256, **values}, indent=2) + "\n"
    out.with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
