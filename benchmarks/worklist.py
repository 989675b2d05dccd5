"""What the worklist of uncertain regions is worth on held-out phantoms, beside a ranking by entropy alone.

    python benchmarks/worklist.py predict --phantoms DIR --out DIR [--presets NAME ...] [--cases N] [--draws 10]
    python benchmarks/worklist.py cost --phantoms DIR [--cases N] [--members N ...]
    python benchmarks/worklist.py page --out DIR --page docs/results/worklist.md

``predict`` stores the maps and the masks of the draws of each phantom once. ``cost`` measures the passes with one
modality withheld. ``page`` builds the worklists and writes the tables. The phantoms are those of cohort 97, which no
training has used; only stored ones are read. Every case gets the clinical values of one invented patient, so that rules
can be evaluated, and the true hypoperfusion stands for a measured one. Phantoms are not patients.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adumbra.clinic.aspects import aspects
from adumbra.clinic.decisions import Surroundings
from adumbra.clinic.mismatch import mismatch
from adumbra.clinic.region_pieces import uncertain_pieces
from adumbra.clinic.region_places import RegionPlaces
from adumbra.clinic.rules.case_values import CaseValues, case_values
from adumbra.clinic.rules.evaluation import evaluate_rules
from adumbra.clinic.rules.reader import load_rules
from adumbra.clinic.territories import territory_volumes
from adumbra.clinic.worklist import Worklist, WorklistItem, worklist
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.components import dilate
from adumbra.core.geometry.grid import Grid
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.options import ComputeConfig, InferenceConfig
from adumbra.core.results import Maps
from adumbra.inference.model_input import BEYOND_BRAIN_MM
from adumbra.modality_change import withheld_probabilities
from adumbra.preprocessing.atlas.alignment import align_to_atlas
from adumbra.segmentation_model import SegmentationModel, load_model
from adumbra.simulation.cohort import PhantomRef
from adumbra.simulation.stored_phantom import StoredPhantom
from adumbra.uncertainty.maps import summarise
from adumbra.uncertainty.regional import DrawMasks

SEED, RESTRICTED_ADC = 97, 0.62
PATIENT = {
    "age": 70, "nihss": 18, "prestroke_mrs": 0, "occlusion_site": "m1", "hours_since_last_known_well": 8.0,
    "onset_known": True, "flair_change": False, "mass_effect": False, "evt_possible": True,
}  # fmt: skip
"""The clinical values of every case."""
RULES = load_rules()
READ_ML = (1.0, 2.0, 5.0, 10.0)
"""Volumes that a reader looks at."""
ORDERS = ("worklist", "sum of entropy", "mean entropy", "whole components", "random voxels")


def stored(phantom: StoredPhantom) -> StoredPhantom:
    """The phantom, which must be on disk: nothing is simulated here."""
    if not phantom.data_set.is_dir():
        raise MissingInput(
            phantom.data_set, expected="a stored phantom", found="none", do="store it, or give fewer --cases"
        )
    return phantom


def predicted(phantom: StoredPhantom, model: SegmentationModel, draws: int) -> dict[str, np.ndarray]:
    """The arrays of one phantom: maps, masks of the draws, truth, and the place of the head."""
    started = time.process_time()
    aligned = model.align(phantom.open())
    grid, brain = aligned.grid, aligned.masks["brain"].data
    region = dilate(brain, grid, by_mm=BEYOND_BRAIN_MM)
    prepared = model.prepare(model.network_cases(aligned), grid, within=region)
    low, high = model.thresholds
    volumes = model.draws(prepared, None, draws)
    if model.calibration is not None:
        volumes = (model.calibration.apply(volume) for volume in volumes)
    masks = DrawMasks()
    maps, _ = summarise(
        volumes, target="lesion", grid=grid, threshold=low, high_threshold=high, within=region, draw_masks=masks
    )
    scan = aligned.scans["dwi"]
    place = align_to_atlas(scan.data, grid, brain=brain, valid=scan.valid_mask).deformation
    packed, truth, perfusion = masks.packed(), aligned.truth("lesion"), aligned.truth("hypoperfusion")
    nothing = np.zeros(grid.shape, dtype=bool)
    adc = aligned.scans["adc"].data if "adc" in aligned.scans else None
    return {
        "affine": grid.affine,
        "probability": maps.probability,
        "entropy": maps.entropy,
        "epistemic": maps.epistemic,
        "mask": maps.mask,
        "thresholds": np.array([low, high]),
        "draws": packed.bits if packed is not None else np.zeros((0, 0), dtype=np.uint8),
        "brain": brain,
        "truth": nothing if truth is None else truth.data,
        "hypoperfusion": nothing if perfusion is None else perfusion.data,
        "restricted": nothing if adc is None else (adc > 0.0) & (adc < RESTRICTED_ADC),
        "place": place.affine,
        "bending_mm": place.bending_mm,
        "cpu_s": np.array(time.process_time() - started),
    }


def predict(options: argparse.Namespace) -> None:
    """Predicts the phantoms that have no file."""
    options.out.mkdir(parents=True, exist_ok=True)
    model = lesion_model(options.draws)
    for preset, number in ((p, n) for p in options.presets for n in range(options.cases)):
        file = options.out / f"{preset}-{number:02d}.npz"
        if not file.exists():
            phantom = stored(StoredPhantom(PhantomRef(SEED, number, (), preset), options.phantoms))
            arrays = predicted(phantom, model, options.draws)
            np.savez_compressed(file, **arrays)
            print(file.name, f"{float(arrays['cpu_s']):.1f} CPU s", flush=True)


def lesion_model(draws: int) -> SegmentationModel:
    """The released ensemble of the lesion."""
    return load_model("lesion", InferenceConfig(draws=draws, compute=ComputeConfig(threads=1)))


def cost(options: argparse.Namespace) -> None:
    """Measures the CPU seconds of the passes with one modality withheld, and prints what they say of one head."""
    model = lesion_model(1)
    for number in range(options.cases):
        phantom = stored(StoredPhantom(PhantomRef(options.seed, number, (), options.preset), options.phantoms))
        aligned = model.align(phantom.open())
        cases = model.network_cases(aligned)
        region = dilate(aligned.masks["brain"].data, aligned.grid, by_mm=BEYOND_BRAIN_MM)
        for members in options.members:
            started = time.process_time()
            result = withheld_probabilities(model, cases, aligned.grid, within=region, members=members)
            seconds = time.process_time() - started
            names = [] if result is None else list(result.without)
            print(f"{phantom.name}: {members} members, {', '.join(names)} withheld: {seconds:.1f} CPU s", flush=True)


@dataclass(frozen=True, eq=False)
class Head:
    """One predicted phantom with all pieces of its uncertain voxels and its worklist."""

    name: str
    maps: Maps
    truth: np.ndarray
    brain: np.ndarray
    pieces: tuple[np.ndarray, ...]
    worklist: Worklist
    verdicts: Mapping[str, tuple[str, str]]

    @property
    def wrong(self) -> np.ndarray:
        """Wrong voxels of the mask, flat."""
        return (self.maps.mask != self.truth).ravel()

    def item(self, piece: np.ndarray) -> WorklistItem | None:
        """The item of a piece; None where it is not listed."""
        chosen = set(piece.tolist())
        shape = self.maps.grid.shape
        for item in self.worklist.items:
            if int(np.ravel_multi_index(item.region.index, shape)) in chosen:
                return item
        return None


def read_head(file: Path) -> Head:
    """The head of a stored prediction."""
    arrays = np.load(file)
    mask = arrays["mask"]
    grid = Grid(mask.shape, arrays["affine"])
    entropy, epistemic = arrays["entropy"], arrays["epistemic"]
    draws = MaskDraws(grid.shape, arrays["draws"])
    low, high = arrays["thresholds"].tolist()
    maps = Maps(
        "lesion", grid, arrays["probability"], entropy, entropy - epistemic, epistemic, np.zeros_like(entropy), mask,
        low, len(draws), high,
    )  # fmt: skip
    places = RegionPlaces.of(Deformation(arrays["place"], arrays["bending_mm"]), grid)
    perfusion, restricted = arrays["hypoperfusion"], arrays["restricted"]
    values = rule_values(list(draws), perfusion, restricted, places)
    around = Surroundings(
        places.territory_map, places.region_map, restricted, MaskDraws.of([perfusion] * len(draws)), values, RULES
    )
    brain, truth = arrays["brain"], arrays["truth"]
    listed = worklist(maps, draws, brain=brain, places=places, surroundings=around)
    pieces = uncertain_pieces(maps, within=brain & places.candidates("lesion"), labels=places.labels)
    own = evaluate_rules(RULES, values)
    true = evaluate_rules(RULES, rule_values([truth], perfusion, restricted, places))
    verdicts = {rule.id: (mine.status, right.status) for rule, mine, right in zip(RULES, own, true, strict=True)}
    return Head(file.stem, maps, truth, brain, pieces, listed, verdicts)


def rule_values(
    masks: list[np.ndarray], perfusion: np.ndarray, restricted: np.ndarray, places: RegionPlaces
) -> CaseValues:
    """The quantities of a lesion, as the report computes them."""
    ml = places.grid.voxel_ml
    core = [float(mask.sum()) * ml for mask in masks]
    both = [float((mask & perfusion).sum()) * ml for mask in masks]
    draws = {
        "adc620_ml": np.array([float((mask & restricted).sum()) * ml for mask in masks]),
        **aspects(masks, places.region_map).rule_draws(),
        **territory_volumes(masks, places.territory_map).rule_draws(),
        **mismatch(core, [float(perfusion.sum()) * ml] * len(masks), both).rule_draws(),
    }
    return case_values(PATIENT, draws)


def order(head: Head, name: str) -> list[np.ndarray]:
    """The pieces in the order in which they are read."""
    entropy = head.maps.entropy.ravel()
    pieces = list(head.pieces)
    if name == "whole components":
        region = dilate(head.brain, head.maps.grid, by_mm=BEYOND_BRAIN_MM)
        pieces = list(uncertain_pieces(head.maps, within=region, longest_mm=np.inf))
    if name == "random voxels":
        return [np.sort(np.concatenate(pieces))] if pieces else []
    if name == "worklist":
        items = [(item.region.rank if (item := head.item(piece)) else len(pieces) + 1) for piece in pieces]
        keys = [(rank, -float(entropy[piece].sum())) for rank, piece in zip(items, pieces, strict=True)]
    else:
        value: Callable[[np.ndarray], float] = np.mean if name == "mean entropy" else np.sum
        keys = [(0, -float(value(entropy[piece]))) for piece in pieces]
    return [piece for _, piece in sorted(zip(keys, pieces, strict=True), key=lambda pair: pair[0])]


def wrong_within(head: Head, pieces: list[np.ndarray], read_ml: float) -> float:
    """Share of the wrong voxels of the brain in the first ``read_ml``; of the last piece a proportional part."""
    wrong, ml = head.wrong, head.maps.grid.voxel_ml
    total = int((wrong & head.brain.ravel()).sum())
    left, covered = read_ml / ml, 0.0
    for piece in pieces:
        if left <= 0.0:
            break
        covered += float(wrong[piece].sum()) * min(1.0, left / piece.size)
        left -= piece.size
    return covered / total if total else float("nan")


def kind(item: WorklistItem | None) -> str:
    """The group of a piece in the first table."""
    if item is None:
        return "not listed"
    ranks = max(item.if_in.rule_rank, item.if_out.rule_rank)
    if ranks:
        return "a rule flips" if ranks == 2 else "another verdict changes"
    return "a score changes" if max(item.if_in.score_change, item.if_out.score_change) >= 1.0 else "volume only"


def interval(per_head: np.ndarray, patients: list[str]) -> str:
    """The ratio of the sums of two columns (H, 2), with its 95 % interval by bootstrap over patients."""
    names = sorted(set(patients))
    rows = np.array([per_head[[p == name for p in patients]].sum(axis=0) for name in names])
    if not rows[:, 1].sum():
        return "–"
    generator = np.random.default_rng(0)
    sums = [rows[generator.integers(len(rows), size=len(rows))].sum(axis=0) for _ in range(2000)]
    ratios = [a / b for a, b in sums if b > 0]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return f"{rows[:, 0].sum() / rows[:, 1].sum():.3f} ({low:.3f} to {high:.3f})"


def tables(heads: list[Head]) -> Iterator[str]:
    """The three tables."""
    patients = [head.name.partition("-")[2] for head in heads]
    yield "\n## Errors by consequence\n"
    yield "| pieces | number | volume, ml | wrong share (95 % interval) |"
    yield "|---|---|---|---|"
    groups = ("a rule flips", "another verdict changes", "a score changes", "volume only", "not listed")
    for group in groups:
        rows = []
        for head in heads:
            own = [piece for piece in head.pieces if kind(head.item(piece)) == group]
            rows.append([sum(head.wrong[p].sum() for p in own), sum(p.size for p in own), len(own),
                         sum(p.size for p in own) * head.maps.grid.voxel_ml])  # fmt: skip
        sums = np.array(rows, dtype=np.float64)
        yield f"| {group} | {sums[:, 2].sum():.0f} | {sums[:, 3].sum():.1f} | {interval(sums[:, :2], patients)} |"
    yield "\n## Errors found per volume read\n"
    listed_ml = [sum(item.region.volume_ml for item in head.worklist.items) for head in heads]
    outside = float(np.median([head.worklist.outside_ml for head in heads]))
    items = np.mean([len(head.worklist.items) for head in heads])
    yield f"A worklist has {items:.1f} items and {np.mean(listed_ml):.1f} ml on average, and at most"
    yield f"{max(listed_ml):.1f} ml. The median volume of uncertain voxels outside the brain is {outside:.2f} ml.\n"
    yield "| order | the list's own volume | " + " | ".join(f"{ml:g} ml" for ml in READ_ML) + " |"
    yield "|---|" + "---|" * (len(READ_ML) + 1)
    for name in ORDERS:
        ordered = [order(head, name) for head in heads]
        columns = []
        for budget in ("list", *READ_ML):
            budgets = listed_ml if budget == "list" else [float(budget)] * len(heads)
            shares = [wrong_within(h, o, b) for h, o, b in zip(heads, ordered, budgets, strict=True)]
            pairs = np.array([[share, 1.0] if np.isfinite(share) else [0.0, 0.0] for share in shares])
            columns.append(interval(pairs, patients))
        yield f"| {name} | " + " | ".join(columns) + " |"
    yield from verdict_table(heads)


def verdict_table(heads: list[Head]) -> Iterator[str]:
    """How often a borderline or wrong verdict is named by the list."""
    rows = {"as the truth's": [0, 0, 0], "borderline": [0, 0, 0], "the opposite of the truth's": [0, 0, 0]}
    for head in heads:
        by_items = {r.id for i in head.worklist.items for side in (i.if_in, i.if_out) for r in side.rules}
        whole = [side for side in (head.worklist.all_in, head.worklist.all_out) if side is not None]
        together = {rule.id for side in whole for rule in side.rules}
        for rule, (own, true) in head.verdicts.items():
            if true not in ("met", "not met") or own == "cannot be said":
                continue
            label = "borderline" if own == "borderline" else "as the truth's" if own == true else list(rows)[-1]
            rows[label][0] += 1
            rows[label][1] += rule in by_items
            rows[label][2] += rule in by_items | together
    yield "\n## Verdicts\n"
    yield "| verdict of the draws | rules × heads | named by a listed region | named by all regions together too |"
    yield "|---|---|---|---|"
    for label, (number, items, together) in rows.items():
        yield f"| {label} | {number} | {items} | {together} |"


def page(options: argparse.Namespace) -> None:
    """Writes the tables."""
    heads = [read_head(file) for file in sorted(options.out.glob("*.npz"))]
    presets = sorted({head.name.partition("-")[0] for head in heads})
    text = options.page.read_text("utf-8") if options.page.exists() else ""
    lead, mark, _ = text.partition(MARK)
    lines = [f"{len(heads)} heads ({', '.join(presets)}) of {len({h.name.partition('-')[2] for h in heads})} strokes."]
    written = f"{lead if mark else text}{MARK}\n" + "\n".join([*lines, *tables(heads)]) + "\n"
    options.page.write_text(written, encoding="utf-8")
    print("\n".join([*lines, *tables(heads)]))


MARK = "<!-- written by benchmarks/worklist.py page -->"


def main() -> None:
    """Predicts, measures the cost, or writes the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("predict", help="predict the missing phantoms")
    run.set_defaults(command=predict)
    run.add_argument("--phantoms", type=Path, required=True, help="folder of the stored phantoms")
    run.add_argument("--out", type=Path, required=True)
    run.add_argument("--presets", nargs="*", default=["monocentric", "multicentric"])
    run.add_argument("--cases", type=int, default=8, help="phantoms of each preset")
    run.add_argument("--draws", type=int, default=10)
    measure = commands.add_parser("cost", help="measure the passes with one modality withheld")
    measure.set_defaults(command=cost)
    measure.add_argument("--phantoms", type=Path, required=True)
    measure.add_argument("--preset", default="monocentric")
    measure.add_argument("--seed", type=int, default=SEED)
    measure.add_argument("--cases", type=int, default=1)
    measure.add_argument("--members", nargs="*", type=int, default=[1])
    write = commands.add_parser("page", help="write the tables below the mark of the page")
    write.set_defaults(command=page)
    write.add_argument("--out", type=Path, required=True)
    write.add_argument("--page", type=Path, required=True)
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
