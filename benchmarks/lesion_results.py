"""Segmentation of the lesion and its uncertainty on held-out phantoms and on real files, and the page of both.

    python benchmarks/lesion_results.py predict --out DIR [--weights FILE ...] [--posterior NAME] [--masks DIR]
        [--presets NAME ...] [--cases N] [--real NAME=PATH ...] [--phantoms DIR] [--workers N]
    python benchmarks/lesion_results.py page --runs NAME=DIR ... --page docs/results/lesion.md

``predict`` appends one line per case to ``DIR/rows.jsonl``: the scores of the default posterior, and of each member of
an ensemble alone, and the features for ``lesion_intervals.py``. A case that is there is not predicted again. ``page``
writes the tables of several runs, over the cases that all of them hold. With ``--phantoms`` each phantom is kept in a
folder, because a head with all seven sequences takes 15 CPU seconds and several runs need it. The phantoms are those of
cohort 97; no training has seen them. Phantoms are not patients: these results compare methods and do not measure
clinical accuracy.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from adumbra.cases.registry import open_case
from adumbra.core.case import Case
from adumbra.core.case_features import CaseFeatures
from adumbra.core.geometry.components import dilate
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.results import Maps
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.evaluation.segmentation.pair import MaskPair
from adumbra.evaluation.statistics import bootstrap_mean
from adumbra.evaluation.uncertainty.boundary import regions
from adumbra.evaluation.uncertainty.reliability import (
    equal_width_table,
    expected_calibration_error,
    negative_log_likelihood,
)
from adumbra.evaluation.uncertainty.selective_prediction import error_detection
from adumbra.experiments.calibration_samples import model_identity
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.posterior.ensemble import EnsembleCase
from adumbra.preprocessing.pipeline import align_case
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.simulation import cohort
from adumbra.simulation.stored_phantom import StoredPhantom
from adumbra.uncertainty.calibration.volume_fit import CalibrationCase
from adumbra.uncertainty.case_features import MemberMasks, ProbabilitySum, case_features
from adumbra.uncertainty.maps import summarise

SEED, PRESETS = 97, ("monocentric", "multicentric", "diffusion", "lesion-both")
SCORES = ("dice", "lesion_f1", "sensitivity", "precision", "nll", "ece_boundary", "auroc", "auroc_epistemic")
DEFAULT = "default posterior"
DEFINITIONS = """\
A run is a set of weights. Its `default posterior` is the mean of its draws: those of the ensemble, or those of
MC dropout for a single network. `member k` is the deterministic prediction of one network of the ensemble. It has no
epistemic part, so the AUROC of that part is 0.5 by definition. All masks of a run have the threshold and the high
threshold of its model card.

| column | meaning |
|---|---|
| Dice, lesion-wise F1, sensitivity, precision | agreement of the mask with the true one; the F1 is that of components |
| NLL | mean negative log-likelihood of the voxels of the brain, in nats |
| ECE near boundary | expected calibration error within 5 mm of the border of the true or the predicted mask |
| AUROC of errors | how well the predictive entropy of a voxel of the brain detects a wrong voxel of the mask |
| AUROC, epistemic | the same of the epistemic part alone |
| CPU-s | median CPU seconds of a case |

A run may hold fewer than 100 phantoms of a preset; the headings count those with a lesion.
"""
REAL_FILES = {
    "isles": "ISLES'22 case 0009, which was inspected while the simulator was built",
    "philips": "a healthy head (Philips, 2 mm, b = 1000 s/mm²), in which any segmented volume is false",
}
"""What the real files of the released page are, by the names that they have on the command line."""


@dataclass(frozen=True)
class Job:
    """A case to predict.

    Attributes:
        group: Preset of a phantom, or ``real``.
        name: Number of the phantom, or name of the real case.
        path: Folder or file of a real case; None simulates.
    """

    group: str
    name: str
    path: Path | None = None

    def open(self, masks: tuple[Path, ...], phantoms: Path | None) -> Case:
        """The case; a phantom is kept as a data set in the folder ``phantoms``."""
        if self.path is not None:
            return open_case(self.path)
        ref = cohort.PhantomRef(SEED, int(self.name), masks, self.group)
        return ref.open() if phantoms is None else StoredPhantom(ref, phantoms).open()


def measures(maps: Maps, truth: Mask, brain: Mask) -> dict[str, float]:
    """Scores of a mask and of its uncertainty, and the predicted volume in ml."""
    pair = MaskPair(maps.mask, truth, maps.grid)
    near, p = regions(pair, brain), maps.probability
    wrong = (maps.mask != truth)[near.brain]
    table = equal_width_table(p[near.boundary], truth[near.boundary])
    return scores(maps.mask, truth, maps.grid) | {
        "ml": float(maps.mask.sum()) * maps.grid.voxel_ml,
        "nll": negative_log_likelihood(p[near.brain], truth[near.brain]),
        "ece_boundary": expected_calibration_error(table),
        "auroc": error_detection(maps.entropy[near.brain], wrong).auroc,
        "auroc_epistemic": error_detection(maps.epistemic[near.brain], wrong).auroc,
    }


def predicted_row(job: Job, config: InferenceConfig, masks: tuple[Path, ...], phantoms: Path | None) -> dict:
    """One line: the default posterior, and each member of an ensemble alone."""
    model = load_model("lesion", config)
    case = job.open(masks, phantoms)
    start = time.process_time()
    posterior, members, aligned, features = sampled(case, model)
    seconds = time.process_time() - start
    truth = aligned.truth("lesion")
    empty = np.zeros(aligned.grid.shape, dtype=bool)
    true_mask, brain = empty if truth is None else truth.data, aligned.masks["brain"].data
    row: dict = {"group": job.group, "name": job.name, "cpu_s": round(seconds, 2)}
    row |= {"true_ml": float(true_mask.sum()) * aligned.grid.voxel_ml, "with_truth": truth is not None}
    maps = {DEFAULT: posterior, **members}
    row |= {"scores": {name: measures(m, true_mask, brain) for name, m in maps.items()}}
    fitted = CalibrationCase(case.name, features, row["true_ml"], row["scores"][DEFAULT]["dice"])
    return row | {"identity": model_identity(model), "case": fitted.rounded().as_json()}


def sampled(case: Case, model: SegmentationModel) -> tuple[Maps, dict[str, Maps], Case, CaseFeatures]:
    """Maps of the posterior and of each member's deterministic volume, the aligned case, and the features."""
    registration = model.config.registration
    aligned = align_case(
        case, target="lesion", modalities=model.modalities, registration=registration, mirrored=model.mirrored
    )
    region = dilate(aligned.masks["brain"].data, aligned.grid, by_mm=BEYOND_BRAIN_MM)
    prepared = model.prepare(model.network_cases(aligned), aligned.grid, within=region)
    low, high = model.thresholds
    thresholds = {"threshold": low, "high_threshold": high}
    options = {"target": "lesion", "grid": aligned.grid, "within": region} | thresholds
    probability, masks = ProbabilitySum(region), MemberMasks(model.member_count)
    draws = prepared.draws(int(model.config.draws), np.random.default_rng(model.config.seed))
    posterior, volumes = summarise(probability.passing(draws), draw_masks=masks, **options)
    features = case_features(
        volumes, masks, probability, grid=aligned.grid, brain=aligned.masks["brain"].data, **thresholds
    )
    members = prepared.members if isinstance(prepared, EnsembleCase) else ()
    alone = {f"member {n}": summarise([m.deterministic()], **options)[0] for n, m in enumerate(members, start=1)}
    return posterior, alone, aligned, features


def read_rows(folder: Path) -> list[dict]:
    """The lines of a run."""
    path = folder / "rows.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.is_file() else []


def predict(options: argparse.Namespace) -> None:
    """Predicts the cases that have no line."""
    options.out.mkdir(parents=True, exist_ok=True)
    config = InferenceConfig(
        weights=tuple(options.weights) if options.weights else None,
        posterior=options.posterior,
        draws=options.draws,
        calibration="none",
        registration=options.registration,
        compute=ComputeConfig(threads=1),
    )
    masks = cohort.lesion_mask_files(options.masks)
    jobs = [Job("real", name, Path(path)) for name, path in (text.split("=", 1) for text in options.real)]
    jobs += [Job(preset, str(n)) for n in range(options.cases) for preset in options.presets]
    rows, identity = read_rows(options.out), model_identity(load_model("lesion", config))
    if any(row.get("identity") != identity for row in rows):
        raise SystemExit(f"{options.out} holds rows of other weights or settings: give another --out")
    done = {(row["group"], row["name"]) for row in rows}
    jobs = [job for job in jobs if (job.group, job.name) not in done]
    with (options.out / "rows.jsonl").open("a", encoding="utf-8") as file:
        row_of = partial(predicted_row, config=config, masks=masks, phantoms=options.phantoms)
        for row in rows_of(jobs, row_of, options.workers):
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(row["group"], row["name"], f"{row['true_ml']:.1f} ml", summary(row["scores"]), flush=True)


def rows_of(jobs: Sequence[Job], row_of: Callable[[Job], dict], workers: int) -> Iterator[dict]:
    """The lines of the jobs, in their order."""
    if workers == 1:
        yield from map(row_of, jobs)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(row_of, job) for job in jobs]
        yield from (future.result() for future in futures)


def summary(by_predictor: dict) -> str:
    """Dice of each predictor, for the terminal."""
    return ", ".join(f"{name} {values['dice']:.3f}" for name, values in by_predictor.items())


def page(options: argparse.Namespace) -> None:
    """Writes the tables of one run, then those beside other runs over the cases that all of them hold."""
    runs = {name: read_rows(Path(folder)) for name, folder in (text.split("=", 1) for text in options.runs)}
    first = next(iter(runs))
    text = "\n".join([*introduction(), *tables({first: runs[first]})])
    if len(runs) > 1:
        keys = set.intersection(*({(r["group"], r["name"]) for r in rows} for rows in runs.values()))
        shared = {name: [r for r in rows if (r["group"], r["name"]) in keys] for name, rows in runs.items()}
        text += "\n\n## Beside other weights\n\nThe same over the cases that all runs hold.\n"
        text += "\n".join(tables(shared)).replace("\n## ", "\n### ")
    options.page.write_text(text + "\n", encoding="utf-8")
    print(text)


def introduction() -> Iterator[str]:
    """The beginning of the page."""
    yield "# Segmentation of the lesion\n"
    yield "Written by `benchmarks/lesion_results.py page` from the rows of `predict`. Means with 95 % intervals, by"
    yield "bootstrap over cases. The cases are phantoms unless they are called real. Phantoms are not patients: the"
    yield "figures compare methods and do not measure clinical accuracy. Probabilities are not calibrated here.\n"
    yield "```shell"
    yield "python benchmarks/lesion_results.py predict --out DIR --masks MASKS --presets diffusion lesion-both \\"
    yield "    --real NAME=PATH ..."
    yield "python benchmarks/lesion_results.py predict --out DIR --masks MASKS --presets monocentric multicentric"
    yield "python benchmarks/lesion_results.py page --runs ensemble=DIR ... --page docs/results/lesion.md"
    yield "```\n"
    yield DEFINITIONS


def tables(runs: dict[str, list[dict]]) -> Iterator[str]:
    """The tables of each group of cases."""
    first = next(iter(runs.values()))
    for group in dict.fromkeys(row["group"] for row in first if row["group"] != "real"):
        rows = {name: [r for r in own if r["group"] == group] for name, own in runs.items()}
        with_lesion = {name: [r for r in own if r["true_ml"] > 0] for name, own in rows.items()}
        yield f"\n## {group}: {len(next(iter(with_lesion.values())))} phantoms with a lesion\n"
        yield from score_table(with_lesion)
        yield from healthy_table({name: [r for r in own if r["true_ml"] == 0] for name, own in rows.items()})
    yield from real_table(runs)


def score_table(rows: dict[str, list[dict]]) -> Iterator[str]:
    """Mean scores of each run and of each member alone."""
    heads = ("Dice", "lesion-wise F1", "sensitivity", "precision", "NLL", "ECE near boundary")
    yield "| run | predictor | " + " | ".join((*heads, "AUROC of errors", "AUROC, epistemic")) + " | CPU-s |"
    yield "|---|---|" + "---|" * (len(heads) + 3)
    for name, own in rows.items():
        for predictor in own[0]["scores"] if own else ():
            cells = [interval([r["scores"][predictor][score] for r in own]) for score in SCORES]
            seconds = f"{np.median([r['cpu_s'] for r in own]):.1f}" if predictor == DEFAULT else ""
            yield f"| {name} | {predictor} | " + " | ".join(cells) + f" | {seconds} |"


def interval(values: Sequence[float]) -> str:
    """Mean and interval over the cases where the score is defined."""
    defined = [value for value in values if np.isfinite(value)]
    if not defined:
        return "–"
    estimate = bootstrap_mean(defined, generator=np.random.default_rng(0))
    digits = 4 if estimate.value < 0.1 else 3
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f} to {estimate.high:.{digits}f})"


def healthy_table(rows: dict[str, list[dict]]) -> Iterator[str]:
    """Falsely segmented volume in phantoms without a lesion."""
    if not any(rows.values()):
        return
    yield "\n| run | phantoms without a lesion | falsely segmented, median ml | largest ml | left empty |"
    yield "|---|---|---|---|---|"
    for name, own in rows.items():
        ml = np.array([r["scores"][DEFAULT]["ml"] for r in own])
        yield f"| {name} | {len(ml)} | {np.median(ml):.2f} | {ml.max():.2f} | {int((ml == 0).sum())} |"


def real_table(runs: dict[str, list[dict]]) -> Iterator[str]:
    """Real files; nothing was tuned on them."""
    real = {name: [r for r in own if r["group"] == "real"] for name, own in runs.items()}
    if not any(real.values()):
        return
    names = dict.fromkeys(row["name"] for own in real.values() for row in own)
    yield "\n## Real files\n"
    if known := [f"`{name}` is {REAL_FILES[name]}." for name in names if name in REAL_FILES]:
        yield " ".join(known) + "\n"
    yield "| case | run | true ml | predicted ml | Dice | lesion-wise F1 |"
    yield "|---|---|---|---|---|---|"
    for name, own in real.items():
        for row in own:
            own_scores = row["scores"][DEFAULT]
            if row["with_truth"]:
                cells = f"{row['true_ml']:.2f} | {own_scores['ml']:.2f} | {own_scores['dice']:.3f} | "
                cells += f"{own_scores['lesion_f1']:.3f}"
            else:
                cells = f"– | {own_scores['ml']:.2f} | – | –"
            yield f"| {row['name']} | {name} | {cells} |"


def main() -> None:
    """Predicts, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("predict", help="predict the missing cases")
    run.set_defaults(command=predict)
    run.add_argument("--out", type=Path, required=True)
    run.add_argument("--weights", nargs="+")
    run.add_argument("--posterior", default="")
    run.add_argument("--draws", type=int, default=20)
    run.add_argument("--masks", type=Path)
    run.add_argument("--presets", nargs="*", default=list(PRESETS))
    run.add_argument("--cases", type=int, default=100, help="phantoms of each preset")
    run.add_argument("--real", nargs="*", default=[], metavar="NAME=PATH", help="real cases")
    run.add_argument("--phantoms", type=Path, help="folder of the phantoms, which is read and extended")
    run.add_argument("--registration", choices=("auto", "never"), default="auto")
    run.add_argument("--workers", type=int, default=1)
    write = commands.add_parser("page", help="write the tables")
    write.set_defaults(command=page)
    write.add_argument("--runs", nargs="+", required=True, metavar="NAME=DIR")
    write.add_argument("--page", type=Path, required=True)
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
