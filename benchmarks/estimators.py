"""The estimators on held-out phantoms of both presets: how good each one's uncertainty is, and what it costs.

Run: ``python benchmarks/estimators.py --out DIR --weights ESTIMATOR ... [--cases N]``, with an ESTIMATOR as
``NAME=FILE[,FILE...][:POSTERIOR[:CALIBRATION]]``. One cohort is judged; another is what calibrations are fitted on,
cases of both presets together. Each case of an estimator is a line of ``DIR/rows.jsonl`` when it is measured, and
what is there is not measured again. Prints, with 95 % intervals by patient: Dice, NLL and ECE near the boundary,
AUROC of voxel errors, AURC, split-half correlation of the epistemic map, Spearman's rho of the expected Dice loss and
Dice over cases, how often the interval of the volume holds the true one, CPU seconds and peak memory of a reading;
then the same ECE after each calibration, the coverage of conformal intervals, and what the draws of the deepest
levels lose beside naive dropout at every level. Phantoms are not patients: the tables compare methods.
"""

import argparse
import json
import pickle
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from adumbra.core.case import Case
from adumbra.core.geometry.grid import Grid
from adumbra.core.results import VolumeDraws
from adumbra.evaluation.segmentation.pair import Pair
from adumbra.evaluation.statistics import bootstrap_mean, coverage, percentile_interval
from adumbra.evaluation.uncertainty.association import case_association, spearman, split_half
from adumbra.evaluation.uncertainty.boundary import regions
from adumbra.evaluation.uncertainty.quality import case_quality
from adumbra.evaluation.uncertainty.reliability import ReliabilityTable, equal_width_table, expected_calibration_error
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.networks.registry import load
from adumbra.pipeline import read
from adumbra.posterior.registry import posterior_of
from adumbra.simulation import cohort
from adumbra.uncertainty.calibration.calibrators import fitted_isotonic, fitted_local, fitted_temperature, fitted_vector
from adumbra.uncertainty.calibration.conformal import fitted_interval, least_cases
from adumbra.uncertainty.calibration.io import read_calibration
from adumbra.uncertainty.calibration.samples import Voxels, bands, pooled, voxels_of
from adumbra.uncertainty.maps import summarised

JUDGED, FITTED, PRESETS, DRAWS, ALPHA = 41, 42, ("monocentric", "multicentric"), 20, 0.1
SHOWN = {
    "dice": "Dice", "nll_boundary": "NLL, boundary", "ece_boundary": "ECE, boundary", "auroc": "AUROC", "aurc": "AURC",
    "split_half": "split-half r",
}  # fmt: skip
SCANS = ("dwi", "adc", "b0", "flair")
CALIBRATIONS: dict[str, Callable] = {
    "temperature": fitted_temperature, "vector": fitted_vector, "isotonic": fitted_isotonic, "local": fitted_local,
}  # fmt: skip


@dataclass(frozen=True)
class Estimator:
    """Weights, and what is drawn from them."""

    name: str
    weights: tuple[str, ...]
    posterior: str
    calibration: str = ""

    @classmethod
    def of(cls, text: str) -> "Estimator":
        """``name=file,file:posterior:calibration``."""
        name, _, rest = text.partition("=")
        files, *more = rest.split(":")
        return cls(name, tuple(files.split(",")), *(more or [""]))


class Kept:
    """A posterior whose draws are kept as they pass, so that two halves of them can be compared."""

    def __init__(self, posterior) -> None:
        self.posterior, self.passed = posterior, []

    def draws(self, case: Case, n: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Those of the posterior."""
        for volume in self.posterior.draws(case, n, generator):
            self.passed.append(volume)
            yield volume


def phantom_case(out: Path, seed: int, preset: str, number: int, masks: tuple[Path, ...]) -> Case:
    """What the networks look at of one phantom; kept in a file, since it is drawn in many seconds."""
    path = out / "cases" / f"{seed}-{preset}-{number}.pickle"
    if path.exists():
        return Case(*pickle.loads(path.read_bytes()))
    whole = cohort.phantom(seed, number, masks, preset_name=preset).case
    scans = {name: scan for name, scan in whole.scans.items() if name in SCANS}
    kept = {name: mask for name, mask in whole.masks.items() if name in ("brain", "lesion")}
    parts = (whole.name, scans, kept, whole.provenance)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".part").write_bytes(pickle.dumps(parts))
    path.with_suffix(".part").rename(path)
    return Case(*parts)


def measured(out: Path, estimators: tuple[Estimator, ...], seed: int, preset: str, number: int, masks) -> list[dict]:
    """A row for each estimator of one phantom; the voxels that calibrations need lie in files beside."""
    case = phantom_case(out, seed, preset, number, masks)
    rows = []
    for estimator in estimators:
        networks = [load(name) for name in estimator.weights]
        kept = Kept(posterior_of(networks, estimator.posterior, target="lesion", inference=InferenceConfig(threads=1)))
        card = networks[0].card
        calibration = read_calibration(Path(estimator.calibration)) if estimator.calibration else None
        forget_peak()
        begun = time.process_time()
        reading = read(
            case, networks[0], kept, target="lesion", draws=DRAWS, seed=number, threshold=card.threshold,
            high_threshold=card.high_threshold, registration="never", calibration=calibration,
        )  # fmt: skip
        seconds, peak_gb = time.process_time() - begun, peak_memory_gb()
        about = {"estimator": estimator.name, "cohort": seed, "preset": preset, "case": number}
        truth, maps = reading.case.masks["lesion"].data, reading.maps
        keep_voxels(voxels_file(out, **about), reading, truth)
        found = case_quality(maps, reading.draws, truth, reading.case.masks["brain"].data, reading.findings.volume_ml)
        held = {"low": found.interval.low, "high": found.interval.high, "true_ml": found.volume_ml}
        cost = {"seconds": seconds, "peak_gb": peak_gb, "split_half": halves(kept.passed)}
        rows.append({**about, **found.values, **held, **cost, "draws_ml": reading.draws.volumes_ml})
    return rows


def halves(draws: list[np.ndarray]) -> float:
    """The correlation of the epistemic maps of two halves of the draws, where one half has more than 0.001 nats."""
    if len(draws) < 4:
        return float("nan")
    grid = Grid(draws[0].shape, np.eye(4))  # where they lie does not matter to their reliability
    parts = (summarised(half, target="lesion", grid=grid)[0] for half in (draws[::2], draws[1::2]))
    first, second = (maps.epistemic for maps in parts)
    doubtful = np.maximum(first, second) > 1e-3
    return split_half(first, second, doubtful).r if doubtful.sum() > 2 else float("nan")


def keep_voxels(path: Path, reading, truth: np.ndarray) -> None:
    """The voxels near the boundary, which are judged, and some of the brain, which a calibration is fitted on."""
    maps, brain = reading.maps, reading.case.masks["brain"].data
    near = regions(Pair(maps.mask, truth, maps.grid), brain).boundary
    band = bands(maps.mask, maps.grid)
    some = voxels_of(maps.probability, truth, case=path.stem, within=brain, bands=band, most=20_000,
                     generator=np.random.default_rng(0))  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {name: getattr(some, name) for name in ("probability", "truth", "weight", "band")}
    np.savez_compressed(path, p=maps.probability[near], y=truth[near], b=band[near], **rows)


def voxels_file(out: Path, *, estimator: str, cohort: int, preset: str, case: int) -> Path:
    """Where they lie."""
    return out / "voxels" / f"{estimator}-{cohort}-{preset}-{case}.npz"


def forget_peak() -> None:
    """The peak of the resident memory begins here."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory_gb() -> float:
    """The peak since then."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1e6


def table(rows: list[dict]) -> None:
    """The estimators on the judged cohort: of each preset, and of both."""
    for preset in [*PRESETS, "both"]:
        print(f"\n### Estimators, {preset}\n")
        brain_contexts(["estimator", "n", *SHOWN.values(), "case-level ρ", "volumes held", "CPU s", "GB"])
        for name, own in of_preset(rows, preset, JUDGED):
            generator = np.random.default_rng(0)
            whose = [str(row["case"]) for row in own]  # a case has one head, examined in two ways
            means = [bootstrap_mean([row[m] for row in own], generator=generator, patients=whose) for m in SHOWN]
            updated = [row for row in own if row["true_ml"] > 0]
            said, good = ([row[key] for row in updated] for key in ("expected_dice_loss", "dice"))
            rho = case_association(said, good, generator=generator, patients=[str(row["case"]) for row in updated])
            held = shares_held([(row["low"], row["high"]) for row in own], own)
            cells = [cell(m.value, m.low, m.high) for m in means]
            cells += [cell(rho.rho, rho.low, rho.high), held]
            cost = (
                f"{np.median([row[key] for row in own]):.{digits}f}" for key, digits in (("seconds", 0), ("peak_gb", 1))
            )
            line([name, len(own), *cells, *cost])


def calibrations(out: Path, rows: list[dict]) -> None:
    """What each calibration, fitted on the other cohort, makes of the ECE near the boundary and of the intervals."""
    print("\n### After calibration: ECE of all voxels near the boundary; true volumes held by the conformal interval\n")
    brain_contexts(
        ["estimator", "preset", "none", *CALIBRATIONS, f"volumes held by {1 - ALPHA:.0%} intervals", "median width, ml"]
    )
    maps: dict[str, dict] = {}
    for preset in [*PRESETS, "both"]:
        for name, own in of_preset(rows, preset, JUDGED):
            fitting = [row for row in rows if (row["estimator"], row["cohort"]) == (name, FITTED)]
            if len(fitting) < 2 * least_cases(ALPHA):
                plain = pooled_ece([boundary(out, row, None) for row in own], [row["case"] for row in own])
                line([name, preset, cell(*plain), *["–"] * (len(CALIBRATIONS) + 2)])
                continue
            if name not in maps:
                voxels = pooled(*(kept_voxels(out, row) for row in fitting))
                maps[name] = {"none": None, **{kind: fit(voxels) for kind, fit in CALIBRATIONS.items()}}
            whose = [row["case"] for row in own]
            tables = ([boundary(out, row, found) for row in own] for found in maps[name].values())
            cells = [cell(*pooled_ece(some, whose)) for some in tables]
            single = [row for row in fitting if row["preset"] == PRESETS[row["case"] % 2]]  # a patient counts once
            interval = fitted_interval(
                [drawn(row) for row in single], [row["true_ml"] for row in single],
                cases=[str(row["case"]) for row in single], alpha=ALPHA,
            )  # fmt: skip
            said = [interval.interval(drawn(row)) for row in own]
            width = f"{np.median([s.high - s.low for s in said]):.1f}"
            line([name, preset, *cells, shares_held([(s.low, s.high) for s in said], own), width])


def shares_held(intervals: list[tuple[float, float]], rows: list[dict]) -> str:
    """The share of true volumes that lie in their intervals; its own interval is by patient."""
    found = coverage([low for low, _ in intervals], [high for _, high in intervals], [row["true_ml"] for row in rows])
    patients = [str(row["case"]) for row in rows]
    if len(set(patients)) == len(rows):
        return cell(found.share, found.low, found.high)
    inside = [float(low <= row["true_ml"] <= high) for (low, high), row in zip(intervals, rows, strict=True)]
    mean = bootstrap_mean(inside, generator=np.random.default_rng(0), patients=patients)
    return cell(mean.value, mean.low, mean.high)


def drawn(row: dict) -> VolumeDraws:
    """The volumes of the draws of a row."""
    return VolumeDraws("lesion", tuple(row["draws_ml"]), (0,) * DRAWS)


def brain_contexts(names: list[str]) -> None:
    """The head of a table."""
    line(names)
    line(["---"] * len(names))


def line(cells: list) -> None:
    """A line of a table."""
    print("| " + " | ".join(map(str, cells)) + " |")


def against(rows: list[dict], one: str, other: str) -> None:
    """Mean differences over the cases that both have, with intervals by patient."""
    print(f"\n### {one} less {other}, case by case\n")
    measures = ("auroc", "aurc", "dice", "nll_boundary")
    brain_contexts(["preset", "n", *measures, "case-level ρ"])
    for preset in [*PRESETS, "both"]:
        of = {
            name: {(row["preset"], row["case"]): row for row in rows
                   if (row["estimator"], row["cohort"]) == (name, JUDGED) and preset in (row["preset"], "both")}
            for name in (one, other)
        }  # fmt: skip
        both = sorted(set(of[one]) & set(of[other]))
        if not both:
            continue
        cells = []
        for measure in measures:
            differences = [of[one][key][measure] - of[other][key][measure] for key in both]
            whose = [str(number) for _, number in both]
            mean = bootstrap_mean(differences, generator=np.random.default_rng(0), patients=whose)
            cells.append(cell(mean.value, mean.low, mean.high))
        line([preset, len(both), *cells, cell(*rho_difference(of[one], of[other], both))])


def rho_difference(one: dict, other: dict, keys: list) -> tuple[float, float, float]:
    """Of the two rank correlations over the cases with a lesion, and its bootstrap interval by patient."""
    keys = [key for key in keys if one[key]["true_ml"] > 0]
    generator = np.random.default_rng(0)

    def rho(of: dict, chosen: list) -> float:
        said, good = ([of[key][what] for key in chosen] for what in ("expected_dice_loss", "dice"))
        return spearman(np.array(said), np.array(good))

    found = rho(one, keys) - rho(other, keys)
    numbers = sorted({number for _, number in keys})
    chosen = [generator.choice(numbers, len(numbers)) for _ in range(500)]
    drawn = [[key for number in some for key in keys if key[1] == number] for some in chosen]
    return found, *percentile_interval(np.array([rho(one, d) - rho(other, d) for d in drawn]), 0.95)


def of_preset(rows: list[dict], preset: str, seed: int) -> Iterator[tuple[str, list[dict]]]:
    """The rows of a cohort and preset, or of both presets, by estimator."""
    for name in dict.fromkeys(row["estimator"] for row in rows):
        own = [row for row in rows if (row["estimator"], row["cohort"]) == (name, seed)]
        own = [row for row in own if preset in (row["preset"], "both")]
        if own:
            yield name, own


def kept_voxels(out: Path, row: dict) -> Voxels:
    """Those that a calibration is fitted on."""
    with np.load(voxels_file(out, **{k: row[k] for k in ("estimator", "cohort", "preset", "case")})) as found:
        name = f"{row['preset']}-{row['case']}"
        return Voxels(found["probability"], found["truth"], found["weight"], found["band"], (name,))


def boundary(out: Path, row: dict, calibration) -> ReliabilityTable:
    """The voxels near the boundary of one case, after a calibration."""
    with np.load(voxels_file(out, **{k: row[k] for k in ("estimator", "cohort", "preset", "case")})) as found:
        p, y, band = found["p"], found["y"], found["b"]
    if calibration is not None:
        local = type(calibration).__name__ == "LocalTemperature"
        p = calibration.apply(p, bands=band) if local else calibration.apply(p)
    return equal_width_table(p, y)


def pooled_ece(tables: list[ReliabilityTable], patients: list[int]) -> tuple[float, float, float]:
    """ECE of the voxels of all cases together, with a bootstrap interval by patient."""
    generator = np.random.default_rng(0)

    def ece(chosen: list[ReliabilityTable]) -> float:
        count, true, probability = (sum(getattr(t, k) for t in chosen) for k in ("count", "true", "probability"))
        return expected_calibration_error(ReliabilityTable(chosen[0].edges, count, true, probability))

    of = {patient: [t for t, whose in zip(tables, patients, strict=True) if whose == patient] for patient in patients}
    chosen = [generator.choice(list(of), len(of)) for _ in range(500)]
    drawn = [[table for patient in some for table in of[patient]] for some in chosen]
    return ece(tables), *percentile_interval(np.array([ece(chosen) for chosen in drawn]), 0.95)


def cell(value: float, low: float, high: float) -> str:
    """A number and its interval."""
    return f"{number(value)} ({number(low)} to {number(high)})"


def number(value: float) -> str:
    """Three decimals; small ones in two leading digits."""
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.01 or np.isnan(value) else f"{value:.1e}"


def main() -> None:
    """Measures what is missing, then prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", action="append", default=[], type=Estimator.of)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--cases", type=int, default=30, help="of each preset, to be judged")
    parser.add_argument("--fitting", type=int, default=20, help="of each preset, for calibrations")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    path, outlines = asked.out / "rows.jsonl", cohort.lesion_mask_files(asked.masks)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["estimator"], row["cohort"], row["preset"], row["case"]) for row in rows}
    with ProcessPoolExecutor(asked.workers, mp_context=get_context("spawn")) as pool, path.open("a") as file:
        coming = []
        for number in range(max(asked.cases, asked.fitting)):
            for seed, most in ((JUDGED, asked.cases), (FITTED, asked.fitting)):
                for preset in PRESETS if number < most else ():
                    missing = tuple(e for e in asked.weights if (e.name, seed, preset, number) not in done)
                    if missing:
                        coming.append(pool.submit(measured, asked.out, missing, seed, preset, number, outlines))
        for future in coming:
            for row in future.result():
                rows.append(row)
                file.write(json.dumps(row) + "\n")
            file.flush()
    table(rows)
    calibrations(asked.out, rows)
    for one, other in (
        ("dropout", "everywhere"),
        ("calibrated", "dropout"),
        ("ensemble", "dropout"),
        ("ensemble", "member1"),
        ("ensemble", "member2"),
    ):
        if {one, other} <= {row["estimator"] for row in rows}:
            against(rows, one, other)


if __name__ == "__main__":
    main()
