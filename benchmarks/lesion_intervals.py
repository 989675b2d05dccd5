"""Intervals of the lesion's volume and the case score on held-out phantoms, and the page of both.

Run: ``python benchmarks/lesion_intervals.py --calibration FILE --out DIR [--weights FILE ...] [--masks DIR] [--cases N]
[--page docs/results/lesion-intervals.md]``. Several weights are an ensemble; without any they are the released ones.
With ``--rows FILE`` nothing is predicted: the cases are those of a run of ``lesion_results.py predict``.

Each case is predicted once, without a calibration, and becomes a line of ``DIR/rows.jsonl`` with its features, its true
volume and its Dice. A case that is there is not predicted again, so a run that was stopped can be continued. The
intervals and the meaning of the score are then fitted to the features in the calibration file, which
``trainings/calibrate.py`` writes for another cohort, and evaluated on the lines. The page has every method beside the
interval of the draws, which has no calibration. Phantoms are not patients.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from math import isnan
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from adumbra.core.case_features import CaseFeatures
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.results import Estimate
from adumbra.evaluation.uncertainty.failure_detection import FAILED_DICE, REFERRED, failure_detection
from adumbra.evaluation.uncertainty.intervals import (
    IntervalQuality,
    interval_quality,
    interval_quality_by_group,
    interval_quality_by_size,
)
from adumbra.experiments.calibration_samples import model_identity, sample_of
from adumbra.segmentation_model import load_model
from adumbra.simulation import cohort
from adumbra.uncertainty.calibration.base import VolumeCalibration
from adumbra.uncertainty.calibration.case_score import ScoreCalibration, fit_score
from adumbra.uncertainty.calibration.conformal import VolumeInterval
from adumbra.uncertainty.calibration.io import Calibration, read_calibration
from adumbra.uncertainty.calibration.local_interval import LocalInterval
from adumbra.uncertainty.calibration.volume_fit import CalibrationCase, IntervalMethod, fit_volume
from adumbra.uncertainty.calibration.volume_intervals import NormalisedInterval, QuantileInterval
from adumbra.uncertainty.case_features import log_volume

FOLDS = 5
SEED, PRESETS, LEVEL = 97, ("monocentric", "multicentric"), 0.95
METHODS = ("single", "normalised", "quantile", "local", "auto")
METHOD_OF: Mapping[type[VolumeCalibration], str] = {
    VolumeInterval: "single",
    NormalisedInterval: "normalised",
    QuantileInterval: "quantile",
    LocalInterval: "local",
}
"""The method that gives each kind of interval."""
CASE_SCORE = "case score"
DEFINITIONS = f"""### Methods

All but `draws` are conformal: the cases of the calibration cohort, whose true volumes are known, determine the width.
The intervals are computed on the scale g(v) = ln(1 + v / 0.1 ml), and end at 0 ml and at the volume of the brain. They
are explained in [Uncertainty](../explanation/uncertainty.md#intervals-of-the-volume).

| method | interval |
|---|---|
| `draws` | the central {LEVEL:.0%} of the volumes of the draws, without a calibration |
| `single` | around the mean of g over the draws: one factor for all cases times (their standard deviation of g + 0.1) |
| `normalised` | around a ridge regression of g: one factor times the error that a second regression predicts |
| `quantile` | conformalised quantile regression: between two quantile regressions of g, moved apart by one constant |
| `local` | around the mean of g over the draws: two factors, below and above, times the error at this `member_dice` |
| `auto` | what `adumbra calibrate` takes by default, with the method that it chose in brackets |
| `calibration file` | the interval of the calibration file itself, with its method in brackets |

### Columns

| column | meaning |
|---|---|
| n | number of cases |
| coverage | share of the cases whose true volume lies in the interval, with its 95 % Wilson interval |
| ratio of ends over 5 ml | upper end over lower end, the median of the cases with a true volume above 5 ml |
| median width, ml | upper end minus lower end, the median of all cases |
| Winkler, ml | mean width plus {2 / (1 - LEVEL):.0f} times the distance of a missed true volume; lower is better |
| Winkler, log | the same with the ends and the true volume on the scale g, on which large lesions do not dominate |
"""
SCORE_DEFINITIONS = f"""
| score | meaning; higher stands for a better segmentation |
|---|---|
| {CASE_SCORE} | mean Dice of the pairs of members' masks (`member_dice`) |
| − spread of the log volumes | minus the standard deviation of g over the draws |
| − entropy per ml of the mask | minus the summed entropy, over the volume of the mask plus 0.1 ml |

| column | meaning |
|---|---|
| ρ with Dice | Spearman correlation over the cases, with its 95 % bootstrap interval |
| AURC | area under the mean of 1 − Dice over the share of cases retained, best scores first; lower is better |
| excess AURC | AURC minus that of the best possible order |
| failures | number of cases with a Dice below {FAILED_DICE:g} |
| detected at 10 % referred | number and share of failures among the {REFERRED:.0%} of cases with the lowest scores |
| at most | the share of the failures that these cases could contain |

In a head without a lesion the Dice is 1 if nothing is segmented, and 0 otherwise.
"""


@dataclass(frozen=True)
class Row:
    """One predicted case."""

    preset: str
    number: int
    seconds: float
    case: CalibrationCase


def predict_row(config: InferenceConfig, preset: str, number: int, masks: tuple[Path, ...]) -> dict:
    """Simulates and predicts one case."""
    model = load_model("lesion", config)
    case = cohort.PhantomRef(SEED, number, masks, preset).open()
    start = time.process_time()
    sample = sample_of(case, model, generator=np.random.default_rng(number))
    seconds = round(time.process_time() - start, 2)
    row = {"preset": preset, "number": number, "seconds": seconds, "identity": model_identity(model)}
    return row | {"case": sample.case.as_json()}


def read_rows(path: Path) -> list[dict]:
    """The lines that are complete; a run that died may have left a part of one."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    rows = []
    for line in lines:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def predict_missing(args: argparse.Namespace, config: InferenceConfig) -> list[Row]:
    """Predicts the cases that have no line, and returns all.

    Raises:
        SystemExit: The lines are of other weights or settings.
    """
    args.out.mkdir(parents=True, exist_ok=True)
    path, masks = args.out / "rows.jsonl", cohort.lesion_mask_files(args.masks)
    rows = read_rows(path)
    if rows and any(row["identity"] != model_identity(load_model("lesion", config)) for row in rows):
        raise SystemExit(f"{path} holds rows of other weights or settings: give another --out")
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    done = {(row["preset"], row["number"]) for row in rows}
    wanted = [(args.presets[n % len(args.presets)], n) for n in range(args.cases)]
    missing = [job for job in wanted if job not in done]
    with path.open("a", encoding="utf-8") as file:
        for row in predicted(missing, config, masks, args.workers):
            rows.append(row)
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(
                len(rows), "of", args.cases, row["preset"], row["number"], f"Dice {row['case']['dice']:.2f}", flush=True
            )
    rows = [row for row in rows if (row["preset"], row["number"]) in set(wanted)]
    return [Row(r["preset"], r["number"], r["seconds"], CalibrationCase.from_json(r["case"])) for r in rows]


def rows_of_results(path: Path, cases: int, presets: Sequence[str]) -> list[Row]:
    """The phantoms of a run of ``lesion_results.py predict``, the first ``cases`` of the presets in turn."""
    by_job = {(row["group"], int(row["name"])): row for row in read_rows(path) if row["group"] != "real"}
    wanted = [(presets[n % len(presets)], n // len(presets)) for n in range(cases)]
    if missing := [job for job in wanted if job not in by_job]:
        raise SystemExit(f"{path}: {len(missing)} of {cases} cases are missing, first {missing[0]}: predict them")
    rows = [(preset, number, by_job[preset, number]) for preset, number in wanted]
    return [Row(p, n, r["cpu_s"], CalibrationCase.from_json(r["case"])) for p, n, r in rows]


def predicted(
    jobs: Sequence[tuple[str, int]], config: InferenceConfig, masks: tuple[Path, ...], workers: int
) -> Iterator[dict]:
    """Rows of the jobs, in their order; in this process for one worker."""
    if workers == 1:
        yield from (predict_row(config, preset, number, masks) for preset, number in jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(predict_row, config, preset, number, masks) for preset, number in jobs]
        yield from (future.result() for future in futures)


def draws_interval(features: CaseFeatures) -> Estimate:
    """The central interval of the draws' volumes."""
    low, high = np.quantile(features.draw_ml, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(features.mean_mask_ml, float(low), float(high), LEVEL, "ml")


def intervals_by_method(calibration: Calibration) -> dict[str, Callable[[CaseFeatures], Estimate]]:
    """The interval of a case by each method, fitted to the features in the calibration file, and as the file has it."""
    methods: dict[str, Callable[[CaseFeatures], Estimate]] = {"draws": draws_interval}
    for name in METHODS:
        fit = fit_volume(
            calibration.features, generator=np.random.default_rng(0), method=name, alpha=round(1 - LEVEL, 12)
        )  # type: ignore[arg-type]
        methods[f"auto ({METHOD_OF[type(fit.interval)]})" if name == "auto" else name] = fit.interval.of_case
    if calibration.volume is not None and calibration.volume.level == LEVEL:
        methods[f"calibration file ({METHOD_OF[type(calibration.volume)]})"] = calibration.volume.of_case
    return methods


def ends(rows: Sequence[Row], interval: Callable[[CaseFeatures], Estimate]) -> tuple[list[float], list[float]]:
    """Lower and upper ends, from 0 to the volume of the brain, as ``pipeline.calibrated_interval`` caps them."""
    estimates = [(interval(row.case.features), row.case.features.brain_ml) for row in rows]
    return [min(e.low, brain) for e, brain in estimates], [min(e.high, brain) for e, brain in estimates]


def interval_tables(rows: Sequence[Row], calibration: Calibration) -> Iterator[str]:
    """The tables of the intervals: all cases, by size, by preset."""
    truth = [row.case.true_ml for row in rows]
    methods = {name: ends(rows, interval) for name, interval in intervals_by_method(calibration).items()}
    yield "## Intervals of the volume\n"
    yield DEFINITIONS
    yield "### All cases\n"
    yield from table("method", {m: interval_quality(*both, truth, level=LEVEL) for m, both in methods.items()})
    yield "\n### By cross-validation on the calibration cohort\n"
    yield "Each fifth of its cases has intervals that were fitted to the others. The local interval was designed when"
    yield "results on the cohort above were known, so this table is the fairer one for it.\n"
    yield from table("method", {name: cross_validated(calibration.features, name) for name in ("single", "local")})
    for name, both in methods.items():
        if name.startswith("auto"):
            continue  # one of the methods above, or that of the file
        yield f"\n### By size and preset: {name}\n"
        by_size = interval_quality_by_size(*both, truth, level=LEVEL)
        presets = interval_quality_by_group(*both, truth, [row.preset for row in rows], level=LEVEL)
        yield from table("true volume, preset", by_size | presets)


def cross_validated(cases: Sequence[CalibrationCase], method: IntervalMethod) -> IntervalQuality:
    """The quality of a method's intervals on the calibration cases, each fifth of them fitted to the others."""
    rng = np.random.default_rng(0)
    fold, low, high = rng.permutation(np.arange(len(cases)) % FOLDS), np.empty(len(cases)), np.empty(len(cases))
    for number in range(FOLDS):
        others = [case for case, own in zip(cases, fold, strict=True) if own != number]
        interval = fit_volume(others, generator=rng, method=method, alpha=round(1 - LEVEL, 12)).interval
        for index in np.flatnonzero(fold == number):
            estimate, brain = interval.of_case(cases[index].features), cases[index].features.brain_ml
            low[index], high[index] = min(estimate.low, brain), min(estimate.high, brain)
    return interval_quality(low.tolist(), high.tolist(), [case.true_ml for case in cases], level=LEVEL)


def table(head: str, rows: dict[str, IntervalQuality]) -> Iterator[str]:
    """A table of the quality of intervals."""
    widths = "ratio of ends over 5 ml | median width, ml | Winkler, ml | Winkler, log"
    yield f"| {head} | n | coverage (95 % interval) | {widths} |"
    yield "|---|---|---|---|---|---|---|"
    for name, quality in rows.items():
        c = quality.coverage
        if c.cases == 0:
            yield f"| {name} | 0 | – | – | – | – | – |"
            continue
        cells = [f"{c.share:.1%} ({c.low:.1%} to {c.high:.1%})", text(quality.median_ratio), text(c.median_width)]
        cells += [text(quality.winkler_ml), text(quality.winkler_log)]
        yield f"| {name} | {c.cases} | " + " | ".join(cells) + " |"


def score_tables(rows: Sequence[Row], calibration: Calibration) -> Iterator[str]:
    """The tables of the case score: detection of failures, and the observed shares in each block."""
    yield "\n## Case score\n"
    heads = ("ρ with Dice (95 % interval)", "AURC", "excess AURC", "failures", "detected at 10 % referred", "at most")
    yield "| cases | score | n | " + " | ".join(heads) + " |"
    yield "|---|---|---|" + "---|" * len(heads)
    for kind, chosen in (("all", rows), ("with a lesion", [row for row in rows if row.case.true_ml > 0])):
        dice = np.array([row.case.dice for row in chosen])
        for name, score in case_scores(chosen).items():
            d = failure_detection(score, dice, generator=np.random.default_rng(0))
            rho = f"{d.association.rho:.2f} ({d.association.low:.2f} to {d.association.high:.2f})"
            detected = "–" if isnan(d.detected_share) else f"{d.detected:.1f} ({d.detected_share:.0%})"
            most = f"{min(1.0, REFERRED * len(chosen) / d.failures):.0%}" if d.failures else "–"
            cells = (rho, f"{d.aurc:.4f}", f"{d.excess_aurc:.4f}", str(d.failures), detected, most)
            yield f"| {kind} | {name} | {len(chosen)} | " + " | ".join(cells) + " |"
    yield SCORE_DEFINITIONS
    yield from meaning_table(rows, fit_score(calibration.features))


def case_scores(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """The case score and two simpler ones; higher stands for a better segmentation."""
    features = [row.case.features for row in rows]
    spread = [float(log_volume(np.array(f.draw_ml)).std(ddof=1)) for f in features]
    entropy = [f.entropy_nat_ml / (f.mean_mask_ml + 0.1) for f in features]
    return {
        CASE_SCORE: np.array([f.member_dice for f in features]),
        "− spread of the log volumes": -np.array(spread),
        "− entropy per ml of the mask": -np.array(entropy),
    }


def meaning_table(rows: Sequence[Row], fit: ScoreCalibration) -> Iterator[str]:
    """For each block of the score: the share of poor cases that is reported, and the share that was observed."""
    yield f"### Meaning of the score: Dice below {fit.dice_limit:g}\n"
    yield "Each row is a range of the case score. *Reported* is the number and share of calibration cases with a Dice"
    yield f"below {fit.dice_limit:g}, which `adumbra predict` states; *observed* is that of the held-out cases.\n"
    yield "| score | calibration cases | reported | held-out cases | observed |"
    yield "|---|---|---|---|---|"
    edges = [-np.inf, *fit.edges, np.inf]
    scores = np.array([row.case.features.member_dice for row in rows])
    poor = np.array([row.case.dice < fit.dice_limit for row in rows])
    for block, (cases, failures) in enumerate(zip(fit.block_cases, fit.block_failures, strict=True)):
        inside = (edges[block] <= scores) & (scores < edges[block + 1])
        observed = f"{poor[inside].sum()} ({poor[inside].mean():.0%})" if inside.any() else "–"
        span = f"{max(edges[block], 0):.3f} to {min(edges[block + 1], 1):.3f}"
        yield f"| {span} | {cases} | {failures} ({failures / cases:.0%}) | {inside.sum()} | {observed} |"


def text(value: float) -> str:
    """A number with three significant digits; a dash where it is undefined."""
    if isnan(value):
        return "–"
    return "∞" if np.isinf(value) else f"{value:.3g}"


def page(rows: Sequence[Row], calibration: Calibration, command: str) -> str:
    """The page of results."""
    features = rows[0].case.features
    dice = np.array([row.case.dice for row in rows])
    lines = [
        "# Intervals of the lesion's volume, and the case score\n",
        f"```shell\n{command}\n```\n",
        f"{len(rows)} phantoms of cohort {SEED} ({', '.join(dict.fromkeys(row.preset for row in rows))}), "
        f"{features.member_count} member{'s' if features.member_count > 1 else ''}, {len(features.draw_ml)} draws. "
        f"The intervals have a nominal level of {LEVEL:.0%} and were fitted to {len(calibration.features)} phantoms of "
        f"another cohort. Mean Dice {dice.mean():.3f}, median {np.median(dice):.3f}, heads without a lesion included; "
        f"median CPU seconds of a case {np.median([row.seconds for row in rows]):.0f}. "
        "Results on phantoms compare methods and do not measure clinical accuracy.\n",
        *interval_tables(rows, calibration),
        *score_tables(rows, calibration),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Predicts the missing cases, then writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--out", type=Path, help="folder of the predicted cases")
    source.add_argument("--rows", type=Path, help="rows of lesion_results.py predict")
    parser.add_argument("--calibration", type=Path, required=True, help="file of trainings/calibrate.py")
    parser.add_argument("--weights", nargs="+")
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--cases", type=int, default=150)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), help="examinations, in turn")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--page", type=Path, help="the page to write; printed otherwise")
    args = parser.parse_args()
    config = InferenceConfig(
        weights=args.weights,
        draws=args.draws,
        registration="never",
        calibration="none",
        compute=ComputeConfig(threads=1),
    )
    calibration = read_calibration(args.calibration)
    if not calibration.features:
        raise SystemExit(f"{args.calibration.name} has no features of its cases: write it with trainings/calibrate.py")
    rows = rows_of_results(args.rows, args.cases, args.presets) if args.rows else predict_missing(args, config)
    shared = {row.case.name for row in rows} & {case.name for case in calibration.features}
    if shared:
        raise SystemExit(f"the calibration was fitted on {len(shared)} of the evaluated cases")
    cases = "--rows DIR/rows.jsonl" if args.rows else "--out DIR --masks MASKS"
    command = f"python benchmarks/lesion_intervals.py --calibration FILE {cases} --cases {len(rows)}"
    result = page(rows, calibration, f"{command} --presets {' '.join(args.presets)}")
    if args.page is None:
        print(result)
    else:
        args.page.write_text(result, "utf-8")


if __name__ == "__main__":
    main()
