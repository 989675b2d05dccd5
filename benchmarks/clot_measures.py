"""Length, artery and vessel sign of clots as measured on true contours, beside the truth of stored phantoms.

    python benchmarks/clot_measures.py --phantoms DIR [--masks DIR] [--cases PRESET:NUMBER ...] [--json FILE]

The true arteries are those of the phantom along the centre line of the clot; the name is right where segment and side
are those of the first artery that holds a quarter of it. No network takes part: the mask is the contour of the expert,
and the place in the atlas and the mirror image are those that a patient's images would get. A contour on SWI shows the
blooming, which is longer and wider than the clot. The phantoms are those of cohort 97, as in ``thrombus_results.py``;
those that the folder does not hold are simulated. Phantoms are not patients, and the atlas was computed from the same
simulator.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from scipy.spatial import cKDTree

from adumbra.clinic.clot import group_fragments, measure_clot
from adumbra.clinic.clot_artery import LEAST_SHARE, clot_artery, without_side
from adumbra.clinic.vessel_sign import SignImages, vessel_sign
from adumbra.core.atlas.lumen import lumen_atlas
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Mask
from adumbra.preprocessing.atlas.alignment import align_to_atlas
from adumbra.preprocessing.brain_mask import extract_brain
from adumbra.preprocessing.reflection import register_mirrored
from adumbra.report.dataset import TRUTH
from adumbra.simulation.cohort import PhantomRef, lesion_mask_files
from adumbra.simulation.stored_phantom import StoredPhantom
from lesion_results import SEED

CASES = ("monocentric:3", "monocentric:4", "monocentric:6", "monocentric:9", "monocentric:11", "multicentric:13")
SIDE_OF = {"R": "right", "L": "left"}
Row = dict[str, Any]


def true_clot(part: Mask, grid: Grid, clots: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The parameters of the clot whose centre line is nearest to a part of the contour."""
    centre = grid.world_mm(np.argwhere(part)).mean(axis=0)
    return min(clots, key=lambda c: np.linalg.norm(np.array(c["centre_line_mm"]) - centre, axis=1).min())


def phantom_rows(phantom: StoredPhantom) -> Iterator[Row]:
    """One line for each contoured clot of a phantom with SWI."""
    case, clots = phantom.open(), list(phantom.parameters()["clots"])
    swi, truth = case.scan("swi"), case.masks["thrombus"]
    grid, start = swi.grid, time.process_time()
    brain = extract_brain(swi.data, grid)
    alignment = align_to_atlas(swi.data, grid, brain=brain, valid=swi.valid_mask)
    tof = case.scans.get("tof")
    on_grid = None if tof is None else resample(tof.data, tof.grid, grid)
    reflection = register_mirrored([swi.data], brain, grid)
    prepared = time.process_time() - start
    images = SignImages(swi.data, grid, on_grid, reflection.matrix)
    labels, count = group_fragments(truth.data, grid)
    for number in range(1, count + 1):
        part, start = labels == number, time.process_time()
        measures = measure_clot(part, grid)
        artery = clot_artery([part], grid, alignment.deformation)
        lumen = lumen_atlas().get(without_side(artery.best)) if artery.is_sure else None
        sign = vessel_sign([part], images, lumen=lumen)
        true = true_clot(part, grid, clots)
        arteries = true_arteries(phantom, np.array(true["centre_line_mm"]))
        yield {
            "case": f"{phantom.ref.preset} {phantom.ref.number}", "spacing_mm": [round(s, 2) for s in grid.spacing_mm],
            "true": {k: v for k, v in true.items() if k != "centre_line_mm"} | {"arteries": arteries},
            "length_mm": measures.length_mm, "feret_mm": measures.feret_mm, "width_mm": measures.width_mm,
            "largest_width_mm": measures.largest_width_mm, "fragments": measures.fragments,
            "artery": artery.as_json(), "named_rightly": segment(artery.best) == proximal(arteries),
            "sign": sign.as_json(),
            "prepared_s": round(prepared, 1), "measured_s": round(time.process_time() - start, 2),
        }  # fmt: skip


def true_arteries(phantom: StoredPhantom, line_mm: np.ndarray) -> dict[str, float]:
    """The share of the centre line of a clot in each artery of the phantom, from its proximal end."""
    folder = phantom.data_set / TRUTH / phantom.name
    image = nib.load(next(folder.rglob("*_space-phantom_desc-arteries_dseg.nii.gz")))
    rows = next(folder.rglob("*_space-phantom_desc-arteries_dseg.tsv")).read_text("utf-8").splitlines()[1:]
    names = {int(row.split("\t")[0]): row.split("\t")[1] for row in rows}
    labels = np.asarray(image.dataobj).astype(int)
    index = np.argwhere(labels > 0)
    steps = np.linalg.norm(np.diff(line_mm, axis=0), axis=1)
    middles = (line_mm[1:] + line_mm[:-1]) / 2
    nearest = cKDTree(nib.affines.apply_affine(image.affine, index)).query(middles)[1]
    shares: dict[str, float] = {}
    for number, step in zip(nearest, steps / steps.sum(), strict=True):
        stem, _, side = names[labels[tuple(index[number])]].partition("_")
        name = f"{stem.replace('M4', 'M3')} {SIDE_OF[side]}" if side else stem
        shares[name] = shares.get(name, 0.0) + float(step)
    return shares


def proximal(shares: Mapping[str, float]) -> str:
    """The segment and side of the first artery that holds enough of a clot, by the rule of ``clinic.clot_artery``."""
    return segment(next(name for name, share in shares.items() if share >= LEAST_SHARE))


def segment(name: str) -> str:
    """The segment of an artery, such as M2, with its side; branches of one segment are not distinguished."""
    artery = without_side(name)
    return name.replace(artery, artery[:2]) if artery[1:2].isdigit() else name


def table(rows: list[Row]) -> Iterator[str]:
    """The lines of the table."""
    yield (
        "| case | visible on | true arteries, share of the clot | length mm: true, measured | width mm: "
        "mean, largest | artery | right | sign: true, probability | blooming mm | loss | contralateral, expected mm | "
        "layered: true, measured |"
    )
    yield "|---" * 12 + "|"
    for row in rows:
        true, sign = row["true"], row["sign"]
        numbers = {key: value["median"] for key, value in sign.items() if isinstance(value, dict)}
        text = {key: "–" if value is None else f"{value:.2g}" for key, value in numbers.items()}
        expected = "–" if sign["expected_lumen_mm"] is None else f"{sign['expected_lumen_mm']:.1f}"
        named = ", ".join(f"{name} {p:.2f}" for name, p in [*row["artery"]["probabilities"].items()][:2])
        sure = "–" if sign["probability"] is None else f"{sign['probability']:.2f}"
        held = ", ".join(f"{name} {share:.2f}" for name, share in true["arteries"].items())
        yield (
            f"| {row['case']} | {true['visible_on'] or 'nothing'} | {held} | "
            f"{true['length_mm']:.1f}, {row['length_mm']:.1f} | {row['width_mm']:.1f}, {row['largest_width_mm']:.1f} | "
            f"{named} | {'yes' if row['named_rightly'] else 'no'} | {'yes' if true['vessel_sign'] else 'no'}, {sure} | "
            f"{text['blooming_mm']} | {text['loss']} | {text['contralateral_mm']}, {expected} | "
            f"{'yes' if true['layered'] else 'no'}, {sign['layers']} |"
        )
    errors = np.array([row["length_mm"] - row["true"]["length_mm"] for row in rows])
    yield ""
    size = np.median(np.abs(errors))
    yield f"{len(rows)} clots: length error {errors.mean():+.1f} mm (mean), {size:.1f} mm (median without sign)."
    yield f"Artery right in {sum(row['named_rightly'] for row in rows)} of {len(rows)}."


def main() -> None:
    """Measures the clots of the phantoms and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phantoms", type=Path, required=True)
    parser.add_argument("--masks", type=Path)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    masks, rows = lesion_mask_files(options.masks), []
    for text in options.cases:
        preset, number = text.split(":")
        rows += phantom_rows(StoredPhantom(PhantomRef(SEED, int(number), masks, preset), options.phantoms))
    print("\n".join(table(rows)))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
