"""Cost of the context inputs, and how well the atlas of vessels covers those of phantoms that it was not made from.

The places are those that a prediction would use: the alignment is estimated from the images. An artery counts where its
radius is at least that of the atlas.

Run: ``python benchmarks/context_inputs.py [--cases 5] [--seed 97]``
"""

import argparse
import time
from importlib import resources

import numpy as np

from adumbra.core.atlas.context_channels import context_channels, segments_at
from adumbra.core.atlas.head_context import CONTEXT_CHANNELS
from adumbra.core.atlas.template import interpolate_all
from adumbra.core.atlas.vessels import SEGMENTS, SIDES, artery_numbers, on_side, vessel_atlas
from adumbra.core.geometry.grid import respaced
from adumbra.phantom.generate import phantom_from
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.phantom.vasculature.vessel_atlas import LEAST_RADIUS_MM, node_arteries
from adumbra.posterior.upstream import with_upstream_prior
from adumbra.preprocessing.pipeline import align_case
from adumbra.simulation.cohort import case_seed

MODALITIES = ("swi", "phase", "tof", "dwi")
INPUTS = tuple(CONTEXT_CHANNELS)
SIDE, LEVELS = 48, (0.0, 0.1, 0.3)
WIDE_MM = 0.6  # radius of the arteries from which M3 branches, or more


def measured(seed: int, number: int) -> dict[str, float]:
    """The measures of one phantom."""
    own = case_seed(seed, number)
    patient = simulate_patient(own, preset=preset_named("emergency"))
    case = phantom_from(patient, own, "emergency").case
    options = {"target": "thrombus", "modalities": MODALITIES, "registration": "never"}
    started = time.process_time()
    align_case(case, **options)
    plain = time.process_time() - started
    started = time.process_time()
    aligned = align_case(case, **options, in_atlas=True)
    row = {"alignment, CPU-s": time.process_time() - started - plain}
    started = time.process_time()
    placed = with_upstream_prior(aligned)
    row["upstream prior, CPU-s"] = time.process_time() - started
    grid = respaced(placed.grid, (1.0,) * 3)
    started = time.process_time()
    context_channels(placed.context, INPUTS, grid.affine, grid.shape)
    row["maps of the whole case at 1 mm, CPU-s"] = time.process_time() - started
    started = time.process_time()
    for _ in range(10):
        context_channels(placed.context, INPUTS, grid.affine, (SIDE,) * 3)
    row[f"maps of a patch of {SIDE}³, CPU-ms"] = 100 * (time.process_time() - started)
    return row | coverage(patient, placed)


def coverage(patient, placed) -> dict[str, float]:
    """Where the vessels of a phantom lie in the atlas, and which share of its brain the atlas fills."""
    head, place, row = patient.head, placed.context.deformation, {}
    inside = head.grid.world_mm(np.argwhere(head.depth_mm < 0)).T
    true_mm = head.mni_mm[:, head.depth_mm < 0]
    row["error of the place in the brain, mm"] = float(np.median(np.linalg.norm(place(inside) - true_mm, axis=0)))
    of_brain = probabilities(place, inside)
    for channel, (name, tree) in enumerate((("artery", patient.vessels.arteries), ("vein", patient.vessels.veins))):
        at = head.grid.index(tree.points_mm)
        in_head = ((at > 0) & (at < np.array(head.grid.shape) - 1)).all(axis=1)
        own = probabilities(place, tree.points_mm[in_head & (tree.radius_mm >= LEAST_RADIUS_MM)].T)[channel]
        for level in LEVELS:
            row[f"{name}: share above {level:g}"] = float((own > level).mean())
            row[f"{name}: share of the brain above {level:g}"] = float((of_brain[channel] > level).mean())
    tree = patient.vessels.arteries
    arteries, right = node_arteries(tree)
    row["label: share of the brain"] = float((segments_at(place(inside)) > 0).mean())
    for least_mm in (LEAST_RADIUS_MM, WIDE_MM):
        wide = (tree.radius_mm >= least_mm) & (arteries != "")
        sides = (SIDES[0 if r else 1] for r in right[wide])
        true = np.array([SEGMENTS.index(on_side(str(a), s)) for a, s in zip(arteries[wide], sides, strict=True)])
        labels = artery_numbers()[segments_at(place(tree.points_mm[wide].T))]
        row[f"artery of {least_mm:g} mm or more: share at its own label"] = float((labels == true).mean())
        row[f"artery of {least_mm:g} mm or more: share at no label"] = float((labels == 0).mean())
    return row


def probabilities(place, points_mm: np.ndarray) -> np.ndarray:
    """The probability of an artery and of a vein at points (3, N), (2, N)."""
    atlas = vessel_atlas()
    return np.stack(interpolate_all(tuple(atlas.probability), atlas.grid.affine, place(points_mm).astype(np.float32)))


def main() -> None:
    """Measures the phantoms and prints the mean of each measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=5)
    parser.add_argument("--seed", type=int, default=97)
    options = parser.parse_args()
    for name in ("vessels.nii.gz", "supply.nii.gz"):
        print(f"{name}: {len((resources.files('adumbra.core.atlas') / name).read_bytes()) / 1000:.0f} kB")
    rows = [measured(options.seed, number) for number in range(options.cases)]
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name}: {np.mean(values):.3g} ({min(values):.3g} to {max(values):.3g})")


if __name__ == "__main__":
    main()
