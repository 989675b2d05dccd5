"""ASPECTS, PC-ASPECTS and territories of predicted lesions beside those of the true ones, on held-out phantoms.

    python benchmarks/aspects.py predict --out DIR [--weights FILE ...] [--posterior NAME] [--draws 20] [--masks DIR]
        [--presets NAME ...] [--cases N]
    python benchmarks/aspects.py page --rows DIR --page FILE

``predict`` appends one line per phantom to ``DIR/rows.jsonl``; a phantom that is there is not predicted again. The
truth is the same computation on the true mask with the true place of every voxel in MNI152 space. Two predictions stand
beside it: ``predicted``, with the draws of the network and the alignment to the atlas that a patient's images would
get; and ``true place``, with the same draws and the true place, whose error is that of the mask alone. ``page`` writes
the tables with intervals by bootstrap over patients. The phantoms are those of cohort 97; no training has seen them.
Phantoms are not patients, and truth and prediction use the same atlas: the figures measure the segmentation and the
alignment, and not whether the regions are those of an expert.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from adumbra.clinic.aspects import AspectsDraws, RegionMap, aspects
from adumbra.clinic.distribution import LEVEL
from adumbra.clinic.region_scores import FULL_SCORE, RANGES, Aspects, Score
from adumbra.clinic.territories import TerritoryDraws, TerritoryMap, TerritoryVolumes, territory_volumes
from adumbra.core.case import Case
from adumbra.core.geometry.components import dilate
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.types import Mask
from adumbra.evaluation.statistics import bootstrap_mean
from adumbra.experiments.calibration_samples import model_identity
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.phantom.generate import phantom_from
from adumbra.phantom.patient import SimulatedPatient, simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.preprocessing.atlas.alignment import align_to_atlas
from adumbra.preprocessing.pipeline import align_case
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.simulation.cohort import case_name, case_seed, lesion_mask_files, sample_lesion_shape
from adumbra.uncertainty.maps import summarise
from adumbra.uncertainty.regional import DrawMasks
from lesion_results import SEED, read_rows

KINDS = ("predicted", "true place")
_EVERY = 101  # Of the voxels of the brain, for the error of the alignment.


class Counted(DrawMasks):
    """Counts each draw by region and territory, with every place of the head, as it is drawn."""

    def __init__(self, counters: Sequence[AspectsDraws | TerritoryDraws]) -> None:
        super().__init__(stored=2)
        self.counters = counters

    def add(self, mask: Mask) -> None:
        """Counts the mask of one draw."""
        super().add(mask)
        for counter in self.counters:
            counter.add(mask)


def true_places(patient: SimulatedPatient) -> np.ndarray:
    """The true MNI152 mm of each voxel of the DWI, (3, X, Y, Z)."""
    sampler = patient.acquisitions["dwi"].sampler
    return np.stack([sampler.sample(c, stacks=False, blur=False) for c in patient.head.mni_mm])


def predicted_row(preset: str, number: int, model: SegmentationModel, masks: tuple[Path, ...]) -> dict:
    """One line: the truth and both predictions of a phantom."""
    seed = case_seed(SEED, number)
    shape = sample_lesion_shape(masks, seed)
    patient = simulate_patient(seed, preset=preset_named(preset), lesion_shape=shape)
    case = phantom_from(patient, seed, preset, case_name(SEED, number)).case
    aligned = align_case(
        case, target="lesion", modalities=model.modalities, registration=model.config.registration,
        mirrored=model.mirrored,
    )  # fmt: skip
    grid, brain = aligned.grid, aligned.masks["brain"].data
    places = true_places(patient)
    if not patient.acquisitions["dwi"].sampler.grid.coincides(grid):
        raise SystemExit(f"{case.name}: the aligned case does not lie on the grid of the true places")
    started = time.process_time()
    scan = aligned.scans["dwi"]
    alignment = align_to_atlas(scan.data, grid, brain=brain, valid=scan.valid_mask)
    estimated = alignment.deformation.of_voxels(grid.affine, grid.shape)
    seconds = time.process_time() - started
    placed = zip(KINDS, (estimated, places), strict=True)
    maps = {kind: (RegionMap.at(mm, grid), TerritoryMap.at(mm, grid)) for kind, mm in placed}
    regions, territories = maps["true place"]
    truth = aligned.truth("lesion")
    true_mask = np.zeros(grid.shape, dtype=bool) if truth is None else truth.data
    counters = {kind: (AspectsDraws(own), TerritoryDraws(areas)) for kind, (own, areas) in maps.items()}
    draw(aligned, model, Counted([counter for pair in counters.values() for counter in pair]))
    within = np.argwhere(brain)[::_EVERY].T
    error = np.linalg.norm((estimated - places)[:, *within], axis=0)
    return {
        "group": preset,
        "name": str(number),
        "identity": model_identity(model),
        "alignment_mm": round(float(np.median(error)), 2),
        "alignment_cpu_s": round(seconds, 2),
        "truth": summary(aspects([true_mask], regions), territory_volumes([true_mask], territories)),
        **{kind: summary(scores.result(), areas.volumes()) for kind, (scores, areas) in counters.items()},
    }


def draw(aligned: Case, model: SegmentationModel, counted: Counted) -> None:
    """Counts the draws of the lesion, masks with both thresholds of the network."""
    region = dilate(aligned.masks["brain"].data, aligned.grid, by_mm=BEYOND_BRAIN_MM)
    prepared = model.prepare(model.network_cases(aligned), aligned.grid, within=region)
    low, high = model.thresholds
    summarise(
        prepared.draws(int(model.config.draws), np.random.default_rng(model.config.seed)),
        target="lesion",
        grid=aligned.grid,
        threshold=low,
        high_threshold=high,
        within=region,
        draw_masks=counted,
    )


def summary(scores: Aspects, areas: TerritoryVolumes) -> dict:
    """What a line holds of one lesion."""
    return {
        "aspects": score_row(scores.score),
        "pc_aspects": score_row(scores.pc_score),
        "regions": {f"{r.region} {r.side}".strip(): round(r.probability, 4) for r in scores.regions},
        "side": areas.affected_side,
        "whole_ml": round(areas.whole.median, 3),
        "territories_ml": {name: round(row.median, 3) for name, row in areas.rows.items()},
        "mca_share": max((round(s.median, 4) for s in areas.mca_shares.values()), default=0.0),
    }


def score_row(score: Score) -> dict:
    """Median, interval and probabilities of a score."""
    own = score.distribution
    return {"median": own.median, "low": own.low, "high": own.high, "probabilities": list(score.probabilities)}


def predict(options: argparse.Namespace) -> None:
    """Predicts the phantoms that have no line."""
    options.out.mkdir(parents=True, exist_ok=True)
    config = InferenceConfig(
        weights=tuple(options.weights) if options.weights else None,
        posterior=options.posterior,
        draws=options.draws,
        calibration="none",
        compute=ComputeConfig(threads=1),
    )
    model, rows = load_model("lesion", config), read_rows(options.out)
    if any(row["identity"] != model_identity(model) for row in rows):
        raise SystemExit(f"{options.out} holds rows of other weights or settings: give another --out")
    done, masks = {(row["group"], row["name"]) for row in rows}, lesion_mask_files(options.masks)
    with (options.out / "rows.jsonl").open("a", encoding="utf-8") as file:
        for preset, number in ((p, n) for n in range(options.cases) for p in options.presets):
            if (preset, str(number)) in done:
                continue
            row = predicted_row(preset, number, model, masks)
            file.write(json.dumps(row) + "\n")
            file.flush()
            pairs = ", ".join(f"{k} {row[k]['aspects']['median']:g}" for k in ("truth", *KINDS))
            print(preset, number, f"{row['truth']['whole_ml']:.1f} ml; ASPECTS: {pairs}", flush=True)


def page(options: argparse.Namespace) -> None:
    """Writes the tables."""
    text = "\n".join([*introduction(), *tables(read_rows(options.rows))]) + "\n"
    options.page.write_text(text, encoding="utf-8")
    print(text)


def introduction() -> Iterator[str]:
    """The beginning of the page."""
    yield "# ASPECTS and territories\n"
    yield "Written by `benchmarks/aspects.py page` from the rows of `predict`. Means with 95 % intervals, by bootstrap"
    yield "over patients. The truth is the same computation on the true lesion at its true place. `predicted` uses the"
    yield "draws of the network and the estimated alignment, `true place` the same draws at their true place. The cases"
    yield "are phantoms, not patients, and the atlas is the same in truth and prediction. The figures do not measure"
    yield "agreement with a reader.\n"
    yield "```shell"
    yield "python benchmarks/aspects.py predict --out DIR"
    yield "python benchmarks/aspects.py page --rows DIR --page FILE"
    yield "```"


def tables(rows: list[dict]) -> Iterator[str]:
    """One table for each preset."""
    for group in dict.fromkeys(row["group"] for row in rows):
        own = [row for row in rows if row["group"] == group]
        alignment = np.median([row["alignment_mm"] for row in own])
        yield f"\n## {group}: {len(own)} phantoms\n"
        high = sum(row["truth"]["aspects"]["median"] >= FULL_SCORE - 1 for row in own)
        yield f"Median error of the alignment {alignment:.1f} mm. The true ASPECTS is 9 or 10 in {high} of {len(own)},"
        yield "which is how often a constant score of 10 would be within ± 1.\n"
        yield "| measure | predicted | true place |"
        yield "|---|---|---|"
        for name, measure in MEASURES.items():
            yield (
                f"| {name} | "
                + " | ".join(interval([measure(row["truth"], row[k]) for row in own]) for k in KINDS)
                + " |"
            )


def within(score: str, points: float) -> Callable[[dict, dict], float]:
    """Whether the median score lies within some points of the true one."""
    return lambda truth, own: float(abs(own[score]["median"] - truth[score]["median"]) <= points)


def within_affected(truth: dict, own: dict) -> float:
    """Whether ASPECTS is within 1 of the true one; nan where no region is truly involved."""
    return float("nan") if truth["aspects"]["median"] == FULL_SCORE else within("aspects", 1.0)(truth, own)


def covers(score: str) -> Callable[[dict, dict], float]:
    """Whether the interval of the draws holds the true score."""
    return lambda truth, own: float(own[score]["low"] <= truth[score]["median"] <= own[score]["high"])


def same_range(truth: dict, own: dict) -> float:
    """Probability of the range of the rules that holds the true ASPECTS."""
    low, high = next(r for r in RANGES if r[0] <= truth["aspects"]["median"] <= r[1])
    return float(sum(own["aspects"]["probabilities"][low : high + 1]))


def region_error(truth: dict, own: dict) -> float:
    """Brier score of the involvement of all regions."""
    return float(np.mean([(own["regions"][name] - value) ** 2 for name, value in truth["regions"].items()]))


def moved_share(truth: dict, own: dict) -> float:
    """Total variation distance of predicted and true volume over the territories, 0 to 1; nan without either."""
    names, totals = truth["territories_ml"], [sum(side["territories_ml"].values()) for side in (truth, own)]
    if min(totals) <= 0.0:
        return float("nan")
    parts = [abs(truth["territories_ml"][n] / totals[0] - own["territories_ml"][n] / totals[1]) for n in names]
    return float(sum(parts) / 2)


def same_side(truth: dict, own: dict) -> float:
    """Whether the affected side is the true one; nan without a true lesion."""
    return float("nan") if truth["whole_ml"] == 0.0 else float(truth["side"] == own["side"])


MEASURES: dict[str, Callable[[dict, dict], float]] = {
    "ASPECTS equal": within("aspects", 0.0),
    "ASPECTS within ± 1": within("aspects", 1.0),
    "ASPECTS within ± 1, true ASPECTS below 10": within_affected,
    f"ASPECTS: {100 * LEVEL:.0f} % interval holds the truth": covers("aspects"),
    "ASPECTS: probability of the true range (0–2, 3–5, 6–10)": same_range,
    "PC-ASPECTS within ± 1": within("pc_aspects", 1.0),
    f"PC-ASPECTS: {100 * LEVEL:.0f} % interval holds the truth": covers("pc_aspects"),
    "regions: Brier score of involvement": region_error,
    "affected side is right": same_side,
    "distribution over the territories: total variation distance": moved_share,
    "share of the MCA territory: absolute error": lambda truth, own: abs(own["mca_share"] - truth["mca_share"]),
}


def interval(values: Sequence[float]) -> str:
    """Mean and interval over the patients where the measure is defined."""
    defined = [value for value in values if np.isfinite(value)]
    if not defined:
        return "–"
    estimate = bootstrap_mean(defined, generator=np.random.default_rng(0))
    return f"{estimate.value:.3f} ({estimate.low:.3f} to {estimate.high:.3f}), n = {len(defined)}"


def main() -> None:
    """Predicts, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("predict", help="predict the missing phantoms")
    run.set_defaults(command=predict)
    run.add_argument("--out", type=Path, required=True)
    run.add_argument("--weights", nargs="+")
    run.add_argument("--posterior", default="")
    run.add_argument("--draws", type=int, default=20)
    run.add_argument("--masks", type=Path)
    run.add_argument("--presets", nargs="*", default=["diffusion"])
    run.add_argument("--cases", type=int, default=100, help="phantoms of each preset")
    write = commands.add_parser("page", help="write the tables")
    write.set_defaults(command=page)
    write.add_argument("--rows", type=Path, required=True, metavar="DIR")
    write.add_argument("--page", type=Path, required=True)
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
