"""Segmentation and detection of the thrombus on held-out phantoms and on real files, and the page of both.

    python benchmarks/thrombus_results.py predict --out DIR [--weights FILE ...] [--second-look FILE ...]
        [--masks DIR] [--presets NAME ...] [--cases N] [--phantoms DIR] [--real NAME=PATH ...] [--crops DIR]
        [--workers N]
    python benchmarks/thrombus_results.py page --runs NAME=DIR ... --page docs/results/thrombus.md

``predict`` appends one line per case to ``DIR/rows.jsonl`` with the pipeline of ``adumbra predict``; a case that is
there is not predicted again. The truth is the contour of an expert, see ``phantom.clot_contour``: a clot that no image
shows has none. Beside each Dice stands that of a second expert. The phantoms are those of cohort 97, as in
``lesion_results.py``, which can read the same folder; no training and no threshold has seen them. Phantoms are not
patients: these results compare methods and do not measure clinical accuracy.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from math import isnan, nan
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from adumbra.cases.registry import open_case
from adumbra.cases.scan import read_scan
from adumbra.core.case import Case, Scan
from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.path_length import path_length_mm
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.results import Maps
from adumbra.core.types import Mask
from adumbra.evaluation.segmentation.comparison import scores
from adumbra.evaluation.statistics import bootstrap_mean
from adumbra.experiments.calibration_samples import model_identity
from adumbra.phantom.ground_truth import OTHER_EXPERT
from adumbra.pipeline import predict_case
from adumbra.preprocessing.pipeline import reference_modality
from adumbra.segmentation_model import load_model
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.simulation.stored_phantom import StoredPhantom
from lesion_results import SEED, Job, read_rows

PRESETS = ("monocentric", "multicentric")
PICTURE = "../images/thrombus-failures.jpg"
CROP = "crop"
REAL = ("real", CROP)
DISTAL = ("M2", "M3+", "ACA", "PCA", "AChA", "cerebellar")
METRICS = ("dice", "sensitivity", "precision", "detected", "detected_strictly", "false_positives")
Row = dict[str, Any]


def predicted_row(job: Job, config: InferenceConfig, masks: tuple[Path, ...], phantoms: Path) -> Row:
    """One line: the scores of a case, and each clot that an image shows."""
    model = load_model("thrombus", config)
    row: Row = {"group": job.group, "name": job.name, "identity": model_identity(model)}
    if job.path is not None:
        case = crop_case(job) if job.group == CROP else open_case(job.path)
        start = time.process_time()
        maps = predict_case(case.updated(masks={}), model).maps
        return row | {"cpu_s": round(time.process_time() - start, 1), **predicted_volume(maps)}
    phantom = StoredPhantom(PhantomRef(SEED, int(job.name), masks, job.group), phantoms)
    case = phantom.open()
    start = time.process_time()
    maps = predict_case(case.updated(masks={}), model).maps
    row |= {"cpu_s": round(time.process_time() - start, 1), **predicted_volume(maps)}
    truth = case.masks["thrombus"]
    second = phantom.truth_mask(OTHER_EXPERT, reference_modality(case, "thrombus"))
    clots = phantom.parameters().get("clots", [])
    return row | {
        "sequences": sorted(case.scans),
        "clots": [{k: v for k, v in clot.items() if k != "centre_line_mm"} for clot in clots],
        "scores": scores(maps.mask, truth.data, maps.grid),
        "second": scores(second.data, truth.data, maps.grid),
        "visible": [*visible_clots(maps.mask, truth, clots)],
    }


def crop_jobs(folder: Path) -> Iterator[Job]:
    """The echoes after the first of each multi-echo crop below a folder, which holds ``Mag.nii`` and ``Phase.nii``."""
    for magnitude in sorted(folder.rglob("Mag.nii")):
        image = nib.load(magnitude)
        if image.ndim < 4 or not (image.header["sform_code"] or image.header["qform_code"]):
            print(f"{magnitude.relative_to(folder)} is left out: it has one echo, or no orientation")
            continue
        for echo in range(1, image.shape[3]):
            yield Job(CROP, f"{magnitude.parent.relative_to(folder)} echo {echo + 1}", magnitude.parent)


def crop_case(job: Job) -> Case:
    """Magnitude and phase of one echo."""
    assert job.path is not None
    echo = int(job.name.rsplit(" ", 1)[1]) - 1
    files = {"swi": "Mag.nii", "phase": "Phase.nii"}
    return Case("sub-crop", {name: read_scan(job.path / file, name, volume=echo)[0] for name, file in files.items()})


def predicted_volume(maps: Maps) -> Row:
    """The predicted volume in ml, and the number of components."""
    return {"ml": float(maps.mask.sum()) * maps.grid.voxel_ml, "components": label_components(maps.mask)[1]}


def visible_clots(mask: Mask, truth: Scan, clots: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """Each contoured clot: its site, its length as measured on either mask, and whether it was detected.

    A component of the contour belongs to the clot whose centre line is nearest.
    """
    labels, count = label_components(truth.data)
    owners: dict[int, list[int]] = {}
    for number in range(1, count + 1):
        centre = truth.grid.world_mm(np.argwhere(labels == number)).mean(axis=0)
        distances = [float(np.linalg.norm(np.array(c["centre_line_mm"]) - centre, axis=1).min()) for c in clots]
        owners.setdefault(int(np.argmin(distances)), []).append(number)
    for clot_number, numbers in owners.items():
        contour = np.isin(labels, numbers)
        others = truth.data & ~contour
        own = components_touching(mask & ~others, contour)
        facts = clots[clot_number]
        strict = scores(own, contour, truth.grid)["detected_strictly"]
        yield {
            "site": facts["site"],
            "vessel_sign": facts["vessel_sign"],
            "visible_on": facts["visible_on"],
            "true_mm": facts["length_mm"],
            "contour_mm": path_length_mm(contour, truth.grid),
            "predicted_mm": path_length_mm(own, truth.grid),
            "ml": float(contour.sum()) * truth.grid.voxel_ml,
            "detected": bool((mask & contour).any()),
            "detected_strictly": bool(strict == 1.0),
        }
    for number, facts in enumerate(clots):
        if facts["visible_on"] and number not in owners:  # below the field of view of the reference
            missed = {"contour_mm": nan, "predicted_mm": 0.0, "ml": 0.0, "detected": False, "detected_strictly": False}
            shown = {name: facts[name] for name in ("site", "vessel_sign", "visible_on")}
            yield shown | {"true_mm": facts["length_mm"]} | missed


def components_touching(mask: Mask, region: Mask) -> Mask:
    """The components of a mask that meet a region."""
    labels, _ = label_components(mask)
    numbers = np.unique(labels[region & mask])
    return np.isin(labels, numbers[numbers > 0])


def inference(options: argparse.Namespace) -> InferenceConfig:
    """The weights that the options name, on one thread."""
    weights = tuple(options.weights) if options.weights else None
    named = options.second_look
    look = "beside" if named is None else "none" if named == ["none"] else tuple(named)
    return InferenceConfig(weights=weights, second_look=look, compute=ComputeConfig(threads=1))


def predict(options: argparse.Namespace) -> None:
    """Predicts the cases that have no line."""
    options.out.mkdir(parents=True, exist_ok=True)
    config = inference(options)
    masks = lesion_mask_files(options.masks)
    jobs = [Job("real", name, Path(path)) for name, path in (text.split("=", 1) for text in options.real)]
    jobs += [] if options.crops is None else [*crop_jobs(options.crops)]
    jobs += [Job(preset, str(n)) for n in range(options.cases) for preset in options.presets]
    rows, identity = read_rows(options.out), model_identity(load_model("thrombus", config))
    if any(row["identity"] != identity for row in rows):
        raise SystemExit(f"{options.out} holds rows of other weights or settings: give another --out")
    done = {(row["group"], row["name"]) for row in rows}
    jobs = [job for job in jobs if (job.group, job.name) not in done]
    row_of = partial(predicted_row, config=config, masks=masks, phantoms=options.phantoms or options.out / "phantoms")
    with (
        (options.out / "rows.jsonl").open("a", encoding="utf-8") as file,
        ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool,
    ):
        for row in pool.map(row_of, jobs):
            file.write(json.dumps(row) + "\n")
            file.flush()
            score = row.get("scores", {"dice": nan, "false_positives": nan})
            print(row["group"], row["name"], f"Dice {score['dice']:.2f}, FP {score['false_positives']:.0f}", flush=True)


def page(options: argparse.Namespace) -> None:
    """Writes the tables of the runs."""
    runs = {name: read_rows(Path(folder)) for name, folder in (text.split("=", 1) for text in options.runs)}
    tabled = (line for name, rows in runs.items() for line in tables(name, rows))
    text = "\n".join([*introduction(), *tabled, *failures(options.page)])
    options.page.write_text(text + "\n", encoding="utf-8")
    print(text)


def introduction() -> Iterator[str]:
    """The beginning of the page."""
    yield "# Segmentation of the thrombus\n"
    yield "Written by `benchmarks/thrombus_results.py page` from the rows of `predict`. Means with 95 % intervals, by"
    yield "bootstrap over patients. The truth is the contour of a simulated expert, on SWI where it shows the vessel"
    yield "sign, else on TOF; *second expert* is the Dice of another one with the first. *Strictly* detected means an"
    yield "intersection over union of at least 0.1, or centroids within 5 mm. Phantoms are not patients: the figures"
    yield "compare methods and do not measure clinical accuracy. On patients, Dice 0.65 at a detection of 0.97 was"
    yield "published for one centre, and 0.35 at 0.80 across centres; a phantom is not a patient."


def failures(page: Path) -> Iterator[str]:
    """The pictures of ``thrombus_failures.py`` where they are beside the page."""
    if (page.parent / PICTURE).is_file():
        yield "\n## Where it fails\n"
        yield "Missed clots, false positives and poor contours (`benchmarks/thrombus_failures.py`): SWI (least value of"
        yield "a slab of 6 mm), TOF (highest value) and mean probability (highest value). Yellow is the contour of the"
        yield "expert, blue the predicted mask. At missed clots the probability is often above its surroundings, and"
        yield "below the high threshold.\n"
        yield f"![Missed clots, false positives and poor contours on SWI, TOF and probability]({PICTURE})"


def tables(run: str, rows: Sequence[Row]) -> Iterator[str]:
    """The tables of one run."""
    for group in dict.fromkeys(row["group"] for row in rows if row["group"] not in REAL):
        own = [row for row in rows if row["group"] == group]
        yield f"\n## {run}: {group}, {len(own)} phantoms\n"
        yield from case_table(own)
        yield from clot_table(own)
    real = [row for row in rows if row["group"] in REAL]
    if real:
        yield f"\n## {run}: real files\n"
        yield "| case | called, ml | components | CPU-s |"
        yield "|---|---|---|---|"
        for row in real:
            yield f"| {row['name']} | {row['ml']:.3f} | {row['components']} | {row['cpu_s']} |"


def case_table(rows: Sequence[Row]) -> Iterator[str]:
    """Scores by patient, for all patients and for those that lack a sequence."""
    kinds: dict[str, list[Row]] = {"all": list(rows)}
    for name, sequence in (("SWI", "swi"), ("phase", "phase"), ("TOF", "tof"), ("DWI", "dwi")):
        kinds[f"without {name}"] = [row for row in rows if sequence not in row["sequences"]]
        kinds[f"with {name}"] = [row for row in rows if sequence in row["sequences"]]
    yield "| patients | with a visible clot | Dice | second expert | sensitivity | precision | detected | strictly | \
false positives, all patients | without a visible clot | left empty |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for kind, own in kinds.items():
        if not own or (kind != "all" and len(own) == len(rows)):
            continue
        with_clot = [row for row in own if row["visible"]]
        without = [row for row in own if not row["visible"]]
        cells = [interval([row["scores"][name] for row in with_clot]) for name in METRICS[:5]]
        cells.insert(1, interval([row["second"]["dice"] for row in with_clot]))
        cells.append(interval([row["scores"]["false_positives"] for row in own]))
        empty = sum(row["components"] == 0 for row in without)
        yield f"| {kind} | {len(with_clot)} | " + " | ".join(cells) + f" | {len(without)} | {empty} |"


def clot_table(rows: Sequence[Row]) -> Iterator[str]:
    """Detection and length of the visible clots, by site and by what shows them."""
    clots = [(row["name"], clot) for row in rows for clot in row["visible"]]
    kinds = {"all": clots}
    kinds |= {"with the vessel sign": [c for c in clots if c[1]["visible_on"] == "SWI"]}
    kinds |= {"visible on TOF alone": [c for c in clots if c[1]["visible_on"] == "TOF"]}
    kinds |= {"distal": [c for c in clots if c[1]["site"] in DISTAL]}
    for site in dict.fromkeys(clot["site"] for _, clot in clots):
        kinds[site] = [c for c in clots if c[1]["site"] == site]
    yield "\n| clots | number | detected | strictly | length, median error mm | from the lumen, median mm |"
    yield "|---|---|---|---|---|---|"
    for kind, own in kinds.items():
        if not own:
            continue
        patients = [name for name, _ in own]
        cells = [interval([float(c[key]) for _, c in own], patients) for key in ("detected", "detected_strictly")]
        hits = [c for _, c in own if c["detected"]]
        for key in ("contour_mm", "true_mm"):
            errors = [abs(c["predicted_mm"] - c[key]) for c in hits]
            cells.append(f"{np.median(errors):.1f}" if errors else "–")
        yield f"| {kind} | {len(own)} | " + " | ".join(cells) + " |"


def interval(values: Sequence[float], patients: Sequence[str] | None = None) -> str:
    """Mean and interval over the cases where the score is defined."""
    defined = [(v, None if patients is None else patients[n]) for n, v in enumerate(values) if not isnan(v)]
    if not defined:
        return "–"
    names = None if patients is None else [str(name) for _, name in defined]
    estimate = bootstrap_mean([v for v, _ in defined], generator=np.random.default_rng(0), patients=names)
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})"


def main() -> None:
    """Predicts, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("predict", help="predict the missing cases")
    run.set_defaults(command=predict)
    run.add_argument("--out", type=Path, required=True)
    run.add_argument("--weights", nargs="+")
    run.add_argument("--second-look", nargs="+", help="its weights, or none; those beside the first pass by default")
    run.add_argument("--masks", type=Path)
    run.add_argument("--presets", nargs="*", default=list(PRESETS))
    run.add_argument("--cases", type=int, default=100, help="phantoms of each preset")
    run.add_argument("--phantoms", type=Path, help="folder of the simulated phantoms; OUT/phantoms unless given")
    run.add_argument("--real", nargs="*", default=[], metavar="NAME=PATH", help="real cases")
    run.add_argument("--crops", type=Path, help="folder of real multi-echo crops without a clot")
    run.add_argument("--workers", type=int, default=1)
    write = commands.add_parser("page", help="write the tables")
    write.set_defaults(command=page)
    write.add_argument("--runs", nargs="+", required=True, metavar="NAME=DIR")
    write.add_argument("--page", type=Path, required=True)
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
