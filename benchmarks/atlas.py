"""Error of the alignment to the atlas and of the mirror image on phantoms, whose true coordinates are known.

Run: ``python benchmarks/atlas.py [--cases 12] [--seed 601] [--preset multicentric] [--only atlas|mirror] [--out
FILE]``. Every sequence of a case is aligned alone: as it lies, with the extracted brain and with the true one, and
turned by 15 to 25 degrees about a random axis. The error is the distance in MNI152 mm between the estimated and the
true place of the voxels of the brain. The peer in the same run is the affine map of least squared error, which needs
the truth: no affine registration is better. A failure is a case whose median error is above 10 mm; an alarm is a case
that ``AtlasAlignment.implausible`` reports. For the mirror image the error is the distance in mm of the head between
the estimated and the true place of the other side; its peer is the plane of the brain mask (``core.geometry.midline``).
``cut`` removes 35 mm of one side of the brain.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from adumbra.core.case import Scan
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.midline import midsagittal_plane
from adumbra.core.geometry.reflection import plane_reflection
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.preprocessing.atlas.alignment import align_to_atlas
from adumbra.preprocessing.brain_mask import extract_brain
from adumbra.preprocessing.reflection import register_mirrored

FAILED_MM = 10.0
CUT_MM = 35.0
_EVERY = 53  # Of the voxels of the brain, for errors.


def sequences(seed: int, preset: str):
    """The scans of a phantom with the true coordinates and the true brain on the grid of each."""
    patient = simulate_patient(seed, preset=preset_named(preset))
    brain = (patient.head.depth_mm < 0).astype(np.float32)
    for acquired in patient.acquisitions.values():
        sampler = acquired.sampler
        mni = np.stack([sampler.sample(c, stacks=False, blur=False) for c in patient.head.mni_mm])
        inside = sampler.sample(brain, stacks=False, blur=False) > 0.5
        for modality, scan in acquired.scans.items():
            if modality in patient.setup.sequences and modality != "phase":
                yield modality, scan, mni, inside


def turned(grid: Grid, rng: np.random.Generator) -> Grid:
    """A grid turned by 15 to 25 degrees about a random axis through the origin."""
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    angle = np.radians(rng.uniform(15, 25))
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    matrix = np.eye(4)
    matrix[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return Grid(grid.shape, matrix @ grid.affine)


def atlas_row(scan: Scan, grid: Grid, mni: np.ndarray, inside: np.ndarray, given: np.ndarray | None) -> dict:
    """Errors of one alignment, and of the best affine map."""
    started = time.process_time()
    brain = extract_brain(scan.data, grid) if given is None else given
    masked = time.process_time()
    alignment = align_to_atlas(scan.data, grid, brain=brain)
    seconds = time.process_time() - masked
    index = np.argwhere(inside)[::_EVERY]
    own, true = grid.world_mm(index), mni[:, index[:, 0], index[:, 1], index[:, 2]].T
    errors = np.linalg.norm(alignment.deformation(own.T).T - true, axis=1)
    design = np.c_[own, np.ones(len(own))]
    best = np.linalg.norm(design @ np.linalg.lstsq(design, true, rcond=None)[0] - true, axis=1)
    return {
        "median": float(np.median(errors)),
        "p95": float(np.percentile(errors, 95)),
        "affine_median": float(np.median(best)),
        "affine_p95": float(np.percentile(best, 95)),
        "alarm": bool(alignment.implausible),
        "brain_dice": float(2 * (brain & inside).sum() / (brain.sum() + inside.sum())),
        "seconds": seconds,
        "mask_seconds": masked - started,
    }


def mirror_row(scan: Scan, mni: np.ndarray, inside: np.ndarray, *, cut: bool) -> dict:
    """Errors of the mirror image of one scan."""
    grid = scan.grid
    first = int(np.flatnonzero(inside.any(axis=(1, 2)))[0]) + round(CUT_MM / grid.spacing_mm[0]) if cut else 0
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world_mm([first, 0, 0])
    part = Grid((grid.shape[0] - first, *grid.shape[1:]), affine)
    started = time.process_time()
    reflection = register_mirrored([scan.data[first:]], inside[first:], part)
    seconds = time.process_time() - started
    index, all_index = np.argwhere(inside)[::_EVERY], np.argwhere(inside)[::3]
    own, true = grid.world_mm(index), mni[:, index[:, 0], index[:, 1], index[:, 2]].T
    distance, nearest = cKDTree(mni[:, *all_index.T].T).query(true * [-1.0, 1.0, 1.0])
    other, known = grid.world_mm(all_index[nearest]), distance < 2.5

    def median_error(matrix: np.ndarray) -> float:
        return float(np.median(np.linalg.norm(own @ matrix[:3, :3].T + matrix[:3, 3] - other, axis=1)[known]))

    mask_plane = plane_reflection(midsagittal_plane(inside[first:], part))
    return {
        "median": median_error(reflection.matrix),
        "mask_plane": median_error(mask_plane),
        "covered": reflection.covered,
        "accepted": reflection.accepted,
        "seconds": seconds,
    }


def main() -> None:
    """Prints both tables, and appends one line per measurement to ``--out``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=12)
    parser.add_argument("--seed", type=int, default=601)
    parser.add_argument("--preset", default="multicentric")
    parser.add_argument("--only", choices=("atlas", "mirror"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    atlas, mirror = defaultdict(list), defaultdict(list)
    for number in range(options.cases):
        for modality, scan, mni, inside in sequences(options.seed * 1_000_000 + number, options.preset):
            rng = np.random.default_rng([options.seed, number, *modality.encode()])
            poses = {"as it lies": (scan.grid, None), "turned": (turned(scan.grid, rng), None)}
            poses["true brain"] = (scan.grid, inside)
            for pose, (grid, given) in poses.items() if options.only != "mirror" else ():
                row = atlas_row(scan, grid, mni, inside, given)
                atlas[modality, pose].append(row)
                _append(options.out, {"case": number, "modality": modality, "pose": pose, **row})
            measured = options.only != "atlas" and modality not in ("adc", "b0")
            for view in ("whole", "cut") if measured else ():
                row = mirror_row(scan, mni, inside, cut=view == "cut")
                mirror[modality, view].append(row)
                _append(options.out, {"case": number, "modality": modality, "view": view, **row})
        print(f"case {number}", flush=True)
    _print_atlas(atlas)
    _print_mirror(mirror)


def _append(out: Path | None, row: dict) -> None:
    if out is not None:
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")


def _print_atlas(rows: dict) -> None:
    print("| sequence | | heads | median mm | 95th percentile mm | best affine: median, 95th | failures | alarms "
          "| Dice of the brain mask | CPU s |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    for (modality, pose), group in rows.items():
        column = {key: np.array([row[key] for row in group]) for key in group[0]}
        failed = int((column["median"] > FAILED_MM).sum())
        median, p95, best, best_p95, dice = (
            np.median(column[key]) for key in ("median", "p95", "affine_median", "affine_p95", "brain_dice")
        )
        print(
            f"| {modality} | {pose} | {len(group)} | {median:.1f} | {p95:.1f} | {best:.1f}, {best_p95:.1f} | {failed} "
            f"| {int(column['alarm'].sum())} | {dice:.2f} | {column['seconds'].mean():.1f} |"
        )


def _print_mirror(rows: dict) -> None:
    print("| sequence | field of view | heads | median mm | plane of the brain mask, median mm | CPU s |")
    print("|---|---|---|---|---|---|")
    for (modality, view), group in rows.items():
        column = {key: np.array([row[key] for row in group]) for key in group[0]}
        print(
            f"| {modality} | {view} | {len(group)} | {np.median(column['median']):.1f} "
            f"| {np.median(column['mask_plane']):.1f} | {column['seconds'].mean():.1f} |"
        )


if __name__ == "__main__":
    main()
