"""Posterior estimators on held-out phantoms of both presets: the quality of their uncertainty, and their cost.

Run: ``python benchmarks/estimators.py --out DIR --weights ESTIMATOR ... [--cases N]``, with an ESTIMATOR as
``NAME=FILE[,FILE...][:POSTERIOR[:CALIBRATION]]``. One cohort is evaluated, and another is used to fit calibrations, on
cases of both presets together. Each case of an estimator is a line of ``DIR/rows.jsonl``; a case that is there is not
measured again.

The tables have 95 % intervals by patient. The first is of Dice, NLL and ECE near the boundary, AUROC of voxel errors,
AURC, split-half correlation of the epistemic map, Spearman's rho of the expected Dice loss and Dice over cases,
coverage of the volume by its interval, CPU seconds and peak memory of a prediction. The second is of the same ECE after
each calibration and of the coverage of conformal intervals. The last are of paired differences, such as that of
selective dropout and dropout at every level. Phantoms are not patients: the tables compare methods.
"""

import argparse
import json
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from adumbra.core.case import Case
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.results import Prediction, VolumeDraws
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.evaluation.statistics import bootstrap_mean, coverage, percentile_interval
from adumbra.evaluation.uncertainty.association import case_association, spearman, split_half
from adumbra.evaluation.uncertainty.boundary import regions
from adumbra.evaluation.uncertainty.quality import case_quality
from adumbra.evaluation.uncertainty.reliability import ReliabilityTable, equal_width_table, expected_calibration_error
from adumbra.pipeline import predict_case
from adumbra.segmentation_model import load_model
from adumbra.simulation import cohort
from adumbra.uncertainty.calibration.base import ProbabilityCalibration
from adumbra.uncertainty.calibration.calibrators import (
    fit_isotonic,
    fit_local_temperature,
    fit_temperature,
    fit_vector_scaling,
)
from adumbra.uncertainty.calibration.conformal import fit_volume_interval, least_cases
from adumbra.uncertainty.calibration.samples import Voxels, bands, pool_voxels, sample_voxels
from adumbra.uncertainty.maps import summarise

EVALUATED, FITTED, PRESETS, DRAWS, ALPHA = 41, 42, ("monocentric", "multicentric"), 20, 0.1
COLUMNS = {
    "dice": "Dice", "nll_boundary": "NLL, boundary", "ece_boundary": "ECE, boundary", "auroc": "AUROC", "aurc": "AURC",
    "split_half": "split-half r",
}  # fmt: skip
PAIRED = {"auroc": "AUROC", "aurc": "AURC", "dice": "Dice", "nll_boundary": "NLL, boundary"}
COMPARISONS = (
    ("dropout", "everywhere"),
    ("calibrated", "dropout"),
    ("ensemble", "dropout"),
    ("ensemble", "member1"),
    ("ensemble", "member2"),
)
SCANS = ("dwi", "adc", "b0", "flair")
CALIBRATIONS: dict[str, Callable[[Voxels], ProbabilityCalibration]] = {
    "temperature": fit_temperature, "vector": fit_vector_scaling, "isotonic": fit_isotonic,
    "local": fit_local_temperature,
}  # fmt: skip


@dataclass(frozen=True)
class Estimator:
    """Weights with a posterior and a calibration."""

    name: str
    weights: tuple[str, ...]
    posterior: str = ""
    calibration: str = ""

    @classmethod
    def parse(cls, text: str) -> "Estimator":
        """``name=file,file:posterior:calibration``."""
        name, _, rest = text.partition("=")
        files, *more = rest.split(":")
        return cls(name, tuple(files.split(",")), *more)


class RecordingPosterior:
    """A posterior that also stores its draws, so that two halves of them can be compared."""

    def __init__(self, posterior) -> None:
        self.posterior, self.recorded = posterior, []

    def prepare(self, case: Case) -> "RecordingPosterior":
        """Prepares a case; the draws are those of the posterior."""
        self.prepared = self.posterior.prepare(case)
        return self

    def draws(self, n: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Draws of the prepared case."""
        for volume in self.prepared.draws(n, generator):
            self.recorded.append(volume)
            yield volume

    def attention_maps(self):
        """Attention maps of the prepared case."""
        return self.prepared.attention_maps()

    def structure_maps(self):
        """Structure maps of the prepared case."""
        return self.prepared.structure_maps()


def phantom_case(out: Path, seed: int, preset: str, number: int, masks: tuple[Path, ...]) -> Case:
    """Inputs and truth of one phantom, stored in a file because its simulation takes many seconds."""
    path = out / "cases" / f"{seed}-{preset}-{number}.pickle"
    if path.exists():
        return Case(*pickle.loads(path.read_bytes()))
    whole = cohort.simulate_case(seed, number, masks, preset_name=preset).case
    scans = {name: scan for name, scan in whole.scans.items() if name in SCANS}
    used = {name: mask for name, mask in whole.masks.items() if name in ("brain", "lesion")}
    parts = (whole.name, scans, used, whole.provenance)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_bytes(pickle.dumps(parts))
    path.with_suffix(".part").rename(path)
    return Case(*parts)


def measure(out: Path, estimators: tuple[Estimator, ...], seed: int, preset: str, number: int, masks) -> list[dict]:
    """A row for each estimator of one phantom; the voxels for calibrations are stored in files."""
    case = phantom_case(out, seed, preset, number, masks)
    rows = []
    for estimator in estimators:
        config = InferenceConfig(
            weights=estimator.weights, posterior=estimator.posterior, draws=DRAWS, seed=number, registration="never",
            calibration=Path(estimator.calibration) if estimator.calibration else "none",
            compute=ComputeConfig(threads=1),
        )  # fmt: skip
        model = load_model("lesion", config)
        recording = RecordingPosterior(model.posterior)
        reset_peak_memory()
        start = time.process_time()
        prediction = predict_case(case, replace(model, posterior=recording))
        seconds, peak_gb = time.process_time() - start, peak_memory_gb()
        key = {"estimator": estimator.name, "cohort": seed, "preset": preset, "case": number}
        truth, brain = prediction.case.masks["lesion"].data, prediction.case.masks["brain"].data
        store_voxels(voxels_file(out, **key), prediction, truth)
        quality = case_quality(prediction.maps, prediction.draws, truth, brain, prediction.findings.volume_ml)
        volume = {"low": quality.interval.low, "high": quality.interval.high, "true_ml": quality.volume_ml}
        cost = {"seconds": seconds, "peak_gb": peak_gb, "split_half": split_half_correlation(recording.recorded)}
        rows.append({**key, **quality.values, **volume, **cost, "draws_ml": prediction.draws.volumes_ml})
    return rows


def split_half_correlation(draws: list[np.ndarray]) -> float:
    """Correlation of the epistemic maps of two halves of the draws, where one of them exceeds 0.001 nats."""
    if len(draws) < 4:
        return float("nan")
    grid = Grid(draws[0].shape, np.eye(4))  # the correlation does not depend on the grid
    halves = (summarise(half, target="lesion", grid=grid)[0] for half in (draws[::2], draws[1::2]))
    first, second = (maps.epistemic for maps in halves)
    uncertain = np.maximum(first, second) > 1e-3
    return split_half(first, second, uncertain).r if uncertain.sum() > 2 else float("nan")


def store_voxels(path: Path, prediction: Prediction, truth: np.ndarray) -> None:
    """Stores the voxels near the boundary for the evaluation, and a sample of the brain for the fit."""
    maps, brain = prediction.maps, prediction.case.masks["brain"].data
    near = regions(MaskPair(maps.mask, truth, maps.grid), brain).boundary
    band = bands(maps.mask, maps.grid)
    sample = sample_voxels(maps.probability, truth, case=path.stem, within=brain, bands=band, most=20_000,
                           generator=np.random.default_rng(0))  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path, p=maps.probability[near], y=truth[near], b=band[near],
        probability=sample.probability, truth=sample.truth, weight=sample.weight, band=sample.band,
    )  # fmt: skip


def voxels_file(out: Path, *, estimator: str, cohort: int, preset: str, case: int) -> Path:
    """File of the stored voxels of a case."""
    return out / "voxels" / f"{estimator}-{cohort}-{preset}-{case}.npz"


def row_file(out: Path, row: dict) -> Path:
    """File of the stored voxels of a row."""
    return voxels_file(out, **{key: row[key] for key in ("estimator", "cohort", "preset", "case")})


def reset_peak_memory() -> None:
    """Restarts the measurement of the peak resident memory."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory_gb() -> float:
    """Peak resident memory since ``reset_peak_memory``."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e6


def print_estimators(rows: list[dict]) -> None:
    """Prints the table of the estimators on the evaluated cohort, for each preset and for both."""
    for preset in [*PRESETS, "both"]:
        print(f"\n### {preset.capitalize()}\n")
        print_head(
            ["estimator", "n", *COLUMNS.values(), "case-level ρ", "coverage of volumes", "CPU s", "GB"]
        )  # fmt: skip
        for name, own in rows_by_estimator(rows, preset, EVALUATED):
            generator = np.random.default_rng(0)
            patients = [str(row["case"]) for row in own]  # a patient is examined in both presets
            means = [bootstrap_mean([row[m] for row in own], generator=generator, patients=patients) for m in COLUMNS]
            with_lesion = [row for row in own if row["true_ml"] > 0]
            losses, dices = ([row[key] for row in with_lesion] for key in ("expected_dice_loss", "dice"))
            names = [str(row["case"]) for row in with_lesion]
            rho = case_association(losses, dices, generator=generator, patients=names)
            cells = [cell(m.value, m.low, m.high) for m in means] + [cell(rho.rho, rho.low, rho.high)]
            cells.append(volume_coverage([(row["low"], row["high"]) for row in own], own))
            cost = (
                f"{np.median([row[key] for row in own]):.{digits}f}" for key, digits in (("seconds", 0), ("peak_gb", 1))
            )
            print_row([name, len(own), *cells, *cost])


def print_calibrations(out: Path, rows: list[dict]) -> None:
    """Prints the ECE near the boundary and the coverage of volumes after calibrations that the other cohort fitted."""
    print("\n## After calibration\n")
    print_head(["estimator", "preset", "none", *CALIBRATIONS, f"coverage of {1 - ALPHA:.0%} intervals",
                "median width, ml"])  # fmt: skip
    maps: dict[str, dict] = {}
    for preset in [*PRESETS, "both"]:
        for name, own in rows_by_estimator(rows, preset, EVALUATED):
            fitting = [row for row in rows if (row["estimator"], row["cohort"]) == (name, FITTED)]
            patients = [row["case"] for row in own]
            if len(fitting) < 2 * least_cases(ALPHA):
                plain = pooled_ece([boundary_table(out, row, None) for row in own], patients)
                print_row([name, preset, cell(*plain), *["–"] * (len(CALIBRATIONS) + 2)])
                continue
            if name not in maps:
                voxels = pool_voxels(*(stored_voxels(out, row) for row in fitting))
                maps[name] = {"none": None, **{kind: fit(voxels) for kind, fit in CALIBRATIONS.items()}}
            tables = ([boundary_table(out, row, calibration) for row in own] for calibration in maps[name].values())
            cells = [cell(*pooled_ece(of_map, patients)) for of_map in tables]
            single = [row for row in fitting if row["preset"] == PRESETS[row["case"] % 2]]  # a patient counts once
            calibrated = fit_volume_interval(
                [volume_draws(row) for row in single], [row["true_ml"] for row in single],
                cases=[str(row["case"]) for row in single], alpha=ALPHA,
            )  # fmt: skip
            estimates = [calibrated.interval(volume_draws(row)) for row in own]
            width = f"{np.median([e.high - e.low for e in estimates]):.1f}"
            print_row([name, preset, *cells, volume_coverage([(e.low, e.high) for e in estimates], own), width])


def volume_coverage(intervals: list[tuple[float, float]], rows: list[dict]) -> str:
    """Coverage of the true volumes by their intervals, with its interval by patient."""
    wilson = coverage([low for low, _ in intervals], [high for _, high in intervals], [row["true_ml"] for row in rows])
    patients = [str(row["case"]) for row in rows]
    if len(set(patients)) == len(rows):
        return cell(wilson.share, wilson.low, wilson.high)
    inside = [float(low <= row["true_ml"] <= high) for (low, high), row in zip(intervals, rows, strict=True)]
    mean = bootstrap_mean(inside, generator=np.random.default_rng(0), patients=patients)
    return cell(mean.value, mean.low, mean.high)


def volume_draws(row: dict) -> VolumeDraws:
    """Volumes of the draws of a row."""
    return VolumeDraws("lesion", tuple(row["draws_ml"]), (0,) * DRAWS)


def print_head(names: list[str]) -> None:
    """Prints the head of a table."""
    print_row(names)
    print_row(["---"] * len(names))


def print_row(cells: list) -> None:
    """Prints a row of a table."""
    print("| " + " | ".join(map(str, cells)) + " |")


def print_differences(rows: list[dict], one: str, other: str) -> None:
    """Prints mean differences over the cases that both estimators have, with intervals by patient."""
    print(f"\n### {one} minus {other}\n")
    print_head(["preset", "n", *PAIRED.values(), "case-level ρ"])
    for preset in [*PRESETS, "both"]:
        by_key = {
            name: {(row["preset"], row["case"]): row for row in rows
                   if (row["estimator"], row["cohort"]) == (name, EVALUATED) and preset in (row["preset"], "both")}
            for name in (one, other)
        }  # fmt: skip
        keys = sorted(set(by_key[one]) & set(by_key[other]))
        if not keys:
            continue
        cells = []
        for name in PAIRED:
            differences = [by_key[one][key][name] - by_key[other][key][name] for key in keys]
            patients = [str(number) for _, number in keys]
            mean = bootstrap_mean(differences, generator=np.random.default_rng(0), patients=patients)
            cells.append(cell(mean.value, mean.low, mean.high))
        print_row([preset, len(keys), *cells, cell(*rho_difference(by_key[one], by_key[other], keys))])


def rho_difference(one: dict, other: dict, keys: list) -> tuple[float, float, float]:
    """Difference of two rank correlations over the cases with a lesion, with its bootstrap interval by patient."""
    keys = [key for key in keys if one[key]["true_ml"] > 0]
    generator = np.random.default_rng(0)

    def rho(rows: dict, chosen: list) -> float:
        losses, dices = ([rows[key][name] for key in chosen] for name in ("expected_dice_loss", "dice"))
        return spearman(np.array(losses), np.array(dices))

    difference = rho(one, keys) - rho(other, keys)
    patients = sorted({number for _, number in keys})
    chosen = [generator.choice(patients, len(patients)) for _ in range(500)]
    resamples = [[key for number in some for key in keys if key[1] == number] for some in chosen]
    return difference, *percentile_interval(np.array([rho(one, some) - rho(other, some) for some in resamples]), 0.95)


def rows_by_estimator(rows: list[dict], preset: str, seed: int) -> Iterator[tuple[str, list[dict]]]:
    """Rows of a cohort and of one preset or both, by estimator."""
    for name in dict.fromkeys(row["estimator"] for row in rows):
        own = [row for row in rows if (row["estimator"], row["cohort"]) == (name, seed)]
        own = [row for row in own if preset in (row["preset"], "both")]
        if own:
            yield name, own


def stored_voxels(out: Path, row: dict) -> Voxels:
    """Sample of the brain for the fit of a calibration."""
    with np.load(row_file(out, row)) as stored:
        name = f"{row['preset']}-{row['case']}"
        return Voxels(stored["probability"], stored["truth"], stored["weight"], stored["band"], (name,))


def boundary_table(out: Path, row: dict, calibration: ProbabilityCalibration | None) -> ReliabilityTable:
    """Reliability near the boundary of one case, after a calibration."""
    with np.load(row_file(out, row)) as stored:
        p, y, band = stored["p"], stored["y"], stored["b"]
    return equal_width_table(p if calibration is None else calibration.apply(p, bands=band), y)


def pooled_ece(tables: list[ReliabilityTable], patients: list[int]) -> tuple[float, float, float]:
    """ECE of the voxels of all cases together, with a bootstrap interval by patient."""
    generator = np.random.default_rng(0)

    def ece(chosen: list[ReliabilityTable]) -> float:
        return expected_calibration_error(sum(chosen[1:], start=chosen[0]))

    own = {patient: [t for t, whose in zip(tables, patients, strict=True) if whose == patient] for patient in patients}
    chosen = [generator.choice(list(own), len(own)) for _ in range(500)]
    resamples = [[table for patient in some for table in own[patient]] for some in chosen]
    return ece(tables), *percentile_interval(np.array([ece(some) for some in resamples]), 0.95)


def cell(value: float, low: float, high: float) -> str:
    """Text of a number and its interval."""
    return f"{number_text(value)} ({number_text(low)} to {number_text(high)})"


def number_text(value: float) -> str:
    """Text of a number with three decimals, or in scientific notation if it is small."""
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.01 or np.isnan(value) else f"{value:.1e}"


def main() -> None:
    """Measures the missing cases, then prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", action="append", default=[], type=Estimator.parse)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--cases", type=int, default=30, help="evaluated cases of each preset")
    parser.add_argument("--fitting", type=int, default=20, help="cases of each preset for the fit of calibrations")
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path, masks = args.out / "rows.jsonl", cohort.lesion_mask_files(args.masks)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["estimator"], row["cohort"], row["preset"], row["case"]) for row in rows}
    with ProcessPoolExecutor(args.workers, mp_context=get_context("spawn")) as pool, path.open("a") as file:
        futures = []
        for number in range(max(args.cases, args.fitting)):
            for seed, most in ((EVALUATED, args.cases), (FITTED, args.fitting)):
                for preset in PRESETS if number < most else ():
                    missing = tuple(e for e in args.weights if (e.name, seed, preset, number) not in done)
                    if missing:
                        futures.append(pool.submit(measure, args.out, missing, seed, preset, number, masks))
        for future in futures:
            for row in future.result():
                rows.append(row)
                file.write(json.dumps(row) + "\n")
            file.flush()
    print_estimators(rows)
    print_calibrations(args.out, rows)
    for one, other in COMPARISONS:
        if {one, other} <= {row["estimator"] for row in rows}:
            print_differences(rows, one, other)


if __name__ == "__main__":
    main()
