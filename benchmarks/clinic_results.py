"""ASPECTS, estimated hypoperfusion and verdicts on rules on held-out phantoms, and their page.

    python benchmarks/clinic_results.py predict --out DIR --phantoms DIR [--masks DIR] [--cases N] [--weights FILE ...]
    python benchmarks/clinic_results.py page --out DIR --page docs/results/clinic.md

``predict`` appends one line per case to ``DIR/rows.jsonl`` with the pipeline of ``adumbra predict``; a case that is
there is not predicted again. ASPECTS of the truth is that of the true mask with the same atlas. Hypoperfusion is
estimated twice: from all sequences, that is from the lesion, the thrombus and the distal flow, and from the lesion
alone, that is from DWI, ADC and FLAIR. The onset is not known in either. The verdicts are those on the predicted draws
and those on the true masks, with the same facts of the patient (``FACTS``), so that only the images differ.

The phantoms are those of cohort 97, as in ``lesion_results.py``; no
training has seen them. Phantoms are not patients: these results compare methods and do not measure clinical accuracy.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from adumbra.clinical_summary.lesion import lesion_part
from adumbra.clinical_summary.mismatch import hypoperfusion_part
from adumbra.clinical_summary.place import PlacedCase, placed
from adumbra.clinical_summary.rules import rule_values, verdicts
from adumbra.core.case import Case
from adumbra.core.clinical_facts import ClinicalFacts
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.results import Prediction
from adumbra.core.types import Mask
from adumbra.evaluation.statistics import bootstrap_mean
from adumbra.hypoperfusion.estimate import estimate_hypoperfusion
from adumbra.networks.perfusion import load_perfusion, released_perfusion
from adumbra.pipeline import predict_case
from adumbra.segmentation_model import load_model
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.simulation.stored_phantom import StoredPhantom
from lesion_results import SEED, read_rows

PRESETS = ("monocentric", "multicentric")
ALL = "all sequences"
INPUTS = (ALL, "DWI, ADC and FLAIR")
RULES = ("defuse-3", "extend", "select2")
FACTS = ClinicalFacts(
    age=70.0, nihss=12, prestroke_mrs=0, onset_known=True, hours_since_last_known_well=8.0, occlusion_site="m1",
    evt_possible=False,
)  # fmt: skip
LEAST_ML = 15.0
"""Volume of the true hypoperfusion from which a case counts for the Dice."""
LEAST_CORE_ML = 1.0
"""Volume of the true core from which a case counts for ASPECTS."""
Row = dict[str, Any]


def overlap(mask: Mask, truth: Mask) -> float:
    """Dice of two masks; 1 where both are empty."""
    whole = np.count_nonzero(mask) + np.count_nonzero(truth)
    return 2.0 * float(np.count_nonzero(mask & truth)) / whole if whole else 1.0


def with_draws(prediction: Prediction, mask: Mask) -> Prediction:
    """A prediction whose only draw is a given mask."""
    return replace(prediction, mask_draws=MaskDraws.of([mask]))


def predicted_row(phantom: StoredPhantom, weights: Sequence[Path] | None) -> Row:
    """One line: hypoperfusion from both sets of inputs, ASPECTS and verdicts, each beside the truth."""
    compute = ComputeConfig(threads=1)
    case = phantom.open()
    start = time.process_time()
    lesion = predict_case(case.updated(masks={}), load_model("lesion", InferenceConfig(compute=compute)))
    place, row = placed(lesion.case), {"group": phantom.ref.preset, "name": str(phantom.ref.number)}
    true_core, truth = case.masks["lesion"].data, case.masks["hypoperfusion"].data
    core, reference = lesion_part(lesion, place), lesion_part(with_draws(lesion, true_core), place)
    voxel_ml = lesion.maps.grid.voxel_ml
    row |= {
        "sequences": sorted(case.scans), "true_ml": float(truth.sum()) * voxel_ml,
        "true_core_ml": float(true_core.sum()) * voxel_ml, "core_dice": overlap(true_core, truth),
        "predicted_core_dice": overlap(lesion.maps.mask, truth),
    }  # fmt: skip
    if core.scores is not None and reference.scores is not None:
        own, true = core.scores.score.distribution, reference.scores.score.distribution
        row["aspects"] = {"median": own.median, "low": own.low, "high": own.high, "true": true.median}
    if place.deformation is None:
        return row | {"cpu_s": round(time.process_time() - start, 1)}
    networks = released_perfusion() if not weights else [load_perfusion(path) for path in weights]
    thrombus = thrombus_of(case, InferenceConfig(compute=compute))
    for name in INPUTS:
        shown = thrombus if name == ALL else None
        estimate = estimate_hypoperfusion(networks, (lesion, place), shown)
        prediction = estimate.prediction
        volume = prediction.findings.volume_ml
        row[name] = {
            "dice": overlap(prediction.maps.mask, truth), "ml": volume.value, "low": volume.low, "high": volume.high,
            "closed": estimate.closed, "sources": list(estimate.sources),
        }  # fmt: skip
        own_part = hypoperfusion_part(prediction, lesion, {})
        true_part = hypoperfusion_part(with_draws(prediction, truth), with_draws(lesion, true_core), {})
        mask_part = hypoperfusion_part(
            with_draws(prediction, prediction.maps.mask), with_draws(lesion, lesion.maps.mask), {}
        )
        mask_core = lesion_part(with_draws(lesion, lesion.maps.mask), place)
        row[name]["rules"] = {
            kind: {rule.id: rule.verdict.probability_low for rule in verdicts(values) if rule.id in RULES}
            for kind, values in {
                "draws": rule_values(core, None, own_part, FACTS),
                "mask": rule_values(mask_core, None, mask_part, FACTS),
                "true": rule_values(reference, None, true_part, FACTS),
            }.items()
        }
    return row | {"cpu_s": round(time.process_time() - start, 1)}


def thrombus_of(case: Case, config: InferenceConfig) -> tuple[Prediction, PlacedCase] | None:
    """The prediction of the thrombus with its place; None where no image shows one."""
    if not {"swi", "tof"} & set(case.scans):
        return None
    prediction = predict_case(case.updated(masks={}), load_model("thrombus", config))
    return prediction, placed(prediction.case)


def predict(options: argparse.Namespace) -> None:
    """Predicts the cases that have no line."""
    options.out.mkdir(parents=True, exist_ok=True)
    masks, done = lesion_mask_files(options.masks), {(row["group"], row["name"]) for row in read_rows(options.out)}
    for number in range(options.cases):
        for preset in PRESETS:
            if (preset, str(number)) in done:
                continue
            phantom = StoredPhantom(PhantomRef(SEED, number, masks, preset), options.phantoms)
            row = predicted_row(phantom, options.weights)
            with (options.out / "rows.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            dice = {name: round(row[name]["dice"], 2) for name in INPUTS if name in row}
            print(preset, number, row.get("aspects"), dice, flush=True)


def page(options: argparse.Namespace) -> None:
    """Writes the page."""
    rows = read_rows(options.out)
    plain = ("|", "#", "\n")  # tables and headings keep their lines
    wrapped = (line if line.startswith(plain) else fill(line, 120) for line in lines(rows))
    text = "\n".join(wrapped)
    options.page.write_text(text + "\n", encoding="utf-8")
    print(text)


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """The lines of the page."""
    counts = ", ".join(f"{sum(row['group'] == preset for row in rows)} {preset}" for preset in PRESETS)
    yield "# ASPECTS, estimated hypoperfusion and verdicts on phantoms"
    yield ""
    yield (
        f"{counts} phantoms of cohort 97, by `benchmarks/clinic_results.py`. Each patient is examined with every "
        "preset; intervals are those of the bootstrap by patient (95 %). Phantoms are not patients, and nothing here "
        "is measured perfusion: these figures compare methods."
    )
    yield from aspects_lines(rows)
    estimated = [row for row in rows if all(name in row for name in INPUTS)]
    if estimated:
        yield from hypoperfusion_lines(estimated)
        yield from rule_lines(estimated)


def hypoperfusion_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Dice against the true Tmax above 6 s, beside the core, and agreement of the volumes."""
    own = [row for row in rows if row["true_ml"] >= LEAST_ML]
    empty = [row for row in rows if row["true_ml"] == 0.0]
    yield "\n## Hypoperfusion\n"
    yield (
        f"The truth is Tmax above 6 s of the phantom. {len(own)} of {len(rows)} cases have at least {LEAST_ML:g} ml of "
        f"it, and {len(empty)} have none."
    )
    yield (
        "\n| | Dice | above the true core | bias of the volume, ml | limits of agreement, ml | truth in the interval |"
    )
    yield "|---|---|---|---|---|---|"
    for core, key in (("true", "core_dice"), ("predicted", "predicted_core_dice")):
        yield f"| hypoperfusion := {core} core | {interval(own, itemgetter(key))} | | | | |"
    for name in INPUTS:
        dice, gain = interval(own, partial(dice_of, name=name)), interval(own, partial(gain_of, name=name), signed=True)
        difference = np.array([row[name]["ml"] - row["true_ml"] for row in rows])
        half = 1.96 * float(np.std(difference, ddof=1))
        inside = np.mean([row[name]["low"] <= row["true_ml"] <= row[name]["high"] for row in rows])
        yield (
            f"| {name} | {dice} | {gain} | {difference.mean():+.1f} | "
            f"{difference.mean() - half:.0f} to {difference.mean() + half:.0f} | {100 * inside:.0f} % |"
        )
    if empty:
        yield ""
        called = ", ".join(f"{name}: {np.median([r[name]['ml'] for r in empty]):.1f} ml" for name in INPUTS)
        yield f"Median volume in cases without hypoperfusion: {called}."


def dice_of(row: Row, name: str) -> float:
    """The Dice of an estimate."""
    return float(row[name]["dice"])


def gain_of(row: Row, name: str) -> float:
    """The Dice of an estimate minus that of the true core."""
    return dice_of(row, name) - float(row["core_dice"])


def aspects_lines(rows: Sequence[Row]) -> Iterator[str]:
    """How often the predicted ASPECTS is that of the truth, to within a point."""
    own = [row for row in rows if "aspects" in row and row["true_core_ml"] >= LEAST_CORE_ML]
    yield "\n## DWI-ASPECTS\n"
    if not own:
        yield "No case was placed in the atlas."
        return
    near = interval(own, lambda row: float(abs(row["aspects"]["median"] - row["aspects"]["true"]) <= 1.0))
    exact = interval(own, lambda row: float(row["aspects"]["median"] == row["aspects"]["true"]))
    inside = interval(own, lambda row: float(row["aspects"]["low"] <= row["aspects"]["true"] <= row["aspects"]["high"]))
    yield (
        f"{len(own)} cases with a true core of at least {LEAST_CORE_ML:g} ml, against the score of the true mask with "
        f"the same atlas: within one point {near}, equal {exact}, truth in the interval of the "
        f"draws {inside}. Errors of the atlas and of its alignment are not part of these figures."
    )


def rule_lines(rows: Sequence[Row]) -> Iterator[str]:
    """Sensitivity and specificity of the verdicts, and what borderline is worth."""
    yield "\n## Verdicts\n"
    yield (
        "All facts of the patient are the same and fulfil the rules, so that only core, hypoperfusion and ASPECTS "
        "decide. A verdict on the draws is positive where it is met in at least half of them; without uncertainty it "
        "is that of the two masks."
    )
    yield (
        "\n| rule | inputs | met in truth | sensitivity, draws | specificity, draws | sensitivity, masks | "
        "specificity, masks | borderline, of it met |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for rule in RULES:
        for name in INPUTS:
            table = [(row[name]["rules"]["true"][rule] >= 0.5, row[name]["rules"]) for row in rows]
            cells = [
                share([float(kinds[kind][rule] >= 0.5) == float(wanted) for true, kinds in table if true == wanted])
                for kind in ("draws", "mask")
                for wanted in (True, False)
            ]
            border = [true for true, kinds in table if 0.05 < kinds["draws"][rule] < 0.95]
            met = f"{sum(true for true, _ in table)} of {len(table)}"
            yield f"| {rule} | {name} | {met} | {' | '.join(cells)} | {len(border)}, {sum(border)} |"


def share(values: Sequence[bool]) -> str:
    """A share with its number of cases."""
    return f"{sum(values)} of {len(values)}" if values else "–"


def interval(rows: Sequence[Row], value: Callable[[Row], float], *, signed: bool = False) -> str:
    """The mean of a value of some rows with its interval, by patient."""
    if not rows:
        return "–"
    patients = [row["name"] for row in rows]  # one patient is examined with both presets
    mean = bootstrap_mean([value(row) for row in rows], generator=np.random.default_rng(0), patients=patients)
    form: Callable[[float], str] = "{:+.2f}".format if signed else "{:.2f}".format
    return f"{form(mean.value)} ({form(mean.low)} to {form(mean.high)})"


def main() -> None:
    """Predicts, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("predict", "page"))
    parser.add_argument("--out", type=Path, required=True, help="folder of the rows")
    parser.add_argument("--phantoms", type=Path, help="folder of the phantoms; those that it lacks are simulated")
    parser.add_argument("--masks", type=Path, help="folder of lesion masks in MNI space")
    parser.add_argument("--cases", type=int, default=100, help="phantoms of each preset")
    parser.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        help="weights of the estimate of hypoperfusion, in place of the released ones",
    )
    parser.add_argument("--page", type=Path)
    options = parser.parse_args()
    {"predict": predict, "page": page}[options.command](options)


if __name__ == "__main__":
    main()
