"""What is known of a phantom: truth on the grid of its head, and as each sequence sees it."""

from collections.abc import Iterator

import numpy as np
from scipy.spatial import cKDTree

from adumbra.core.case import scan_from
from adumbra.core.geometry.grid import Grid
from adumbra.core.ground_truth import GroundTruth, Kind, Space
from adumbra.core.types import Volume
from adumbra.phantom.annotator import annotate, lumen_mask
from adumbra.phantom.patient import SimulatedPatient
from adumbra.phantom.physics import signal
from adumbra.phantom.scanner.examination import Acquired
from adumbra.phantom.vasculature.territories import LABELS
from adumbra.phantom.vasculature.vessels import Tree

_SEEN_LUMEN = 0.05  # share of a voxel that a vessel must take to be labelled


def ground_truths(made: SimulatedPatient, *, level: float) -> tuple[GroundTruth, ...]:
    """All truths of a phantom.

    Args:
        made: The phantom.
        level: Share of the local maximum from which the rater of the infarct draws.
    """
    seen = (t for space, sequence in made.acquired.items() for t in _on_slices(made, space, sequence, level))
    return (*seen, *_on_head(made))


def _on_slices(made: SimulatedPatient, space: str, sequence: Acquired, level: float) -> Iterator[GroundTruth]:
    """Truth as one sequence sees it: moved, warped, sliced."""
    blood, affine = made.body.blood, sequence.sampler.grid.affine

    def truth(name: str, kind: Kind, volume: np.ndarray, about: str) -> GroundTruth:
        return GroundTruth(name, _SPACES[space], kind, scan_from(volume, affine), about=about)

    if space == "dwi":
        share = sequence.sampler.of(made.disease.amount * made.head.tissue, stacks=False) * sequence.seen
        since, protocol = made.disease.since, made.setup.diffusion
        contrast = signal.diffusion_contrast(protocol, adc=since.adc_factor, t2=since.t2_factor)
        mask = annotate(share, contrast=contrast, noise=sequence.noise, level=level)
        yield truth("lesion", "mask", mask, "Infarct as a rater outlines it on this DWI")
        yield truth("lesion", "probseg", share, "Infarcted share of each voxel, 0 to 1")
        if made.disease.stroke is not None:
            late = sequence.sampler.of(made.disease.stroke.hypoperfused.astype(np.float32), stacks=False) >= 0.5
            yield truth("hypoperfusion", "mask", late, "Tmax above 6 s")
    if space in ("swi", "tof") and blood is not None:
        clot = sequence.sampler.of(blood.clot)
        name, vessels = ("veins", blood.veins) if space == "swi" else ("arteries", blood.arteries)
        yield truth(
            "thrombus", "mask", lumen_mask(clot), "Lumen that clots fill; blooming, which is wider, is not in it"
        )
        yield truth("thrombus", "probseg", clot, "Share of each voxel that clots fill")
        yield truth(name, "probseg", sequence.sampler.of(vessels), f"Share of each voxel that {name} take")


_SPACES: dict[str, Space] = {"dwi": "dwi", "flair": "flair", "swi": "swi", "tof": "tof"}


def _on_head(made: SimulatedPatient) -> Iterator[GroundTruth]:
    """Truth on the grid of the head, at rest and undistorted."""
    grid, stroke, body = made.head.grid, made.disease.stroke, made.body

    def truth(
        name: str, kind: Kind, volume: np.ndarray, about: str, unit: str = "", labels: dict[int, str] | None = None
    ) -> GroundTruth:
        return GroundTruth(name, "phantom", kind, scan_from(volume, grid.affine), unit, labels or {}, about)

    dead = (made.disease.amount * made.head.tissue).astype(np.float32)
    yield truth("lesion", "probseg", dead, "Infarcted share of each voxel, 0 to 1")
    if made.vessels is None or stroke is None or body.blood is None:
        return
    yield truth("thrombus", "probseg", body.blood.clot, "Share of each voxel that clots fill")
    yield truth("hypoperfusion", "mask", stroke.hypoperfused, "Tmax above 6 s")
    yield truth("tmax", "map", stroke.tmax_s, "Time to the maximum of the residue function", "s")
    large = {number: name for name, number in LABELS.items()}
    yield truth("territories", "dseg", made.vessels.territories, "Arterial territory", labels=large)
    for name, tree, share in (
        ("arteries", made.vessels.arteries, body.blood.arteries + body.blood.clot),
        ("veins", made.vessels.veins, body.blood.veins),
    ):
        segments = {n + 1: segment for n, segment in enumerate(tree.names)}
        yield truth(name, "dseg", _named(tree, grid, share), f"{name.capitalize()} by segment", labels=segments)
    if body.chi_ppm is not None and body.field_ppm is not None:
        yield truth("chi", "map", body.chi_ppm, "Magnetic susceptibility (SI) relative to water", "ppm")
        yield truth("field", "map", body.field_ppm, "Relative field, before the shim", "ppm")


def _named(tree: Tree, grid: Grid, share: Volume) -> np.ndarray:
    """The segment of each voxel in which a vessel can be, 1 + its index; int16, 0 elsewhere."""
    inside, labels = share > _SEEN_LUMEN, np.zeros(grid.shape, np.int16)
    if inside.any():
        nearest = cKDTree(tree.points_mm).query(grid.world_mm(np.argwhere(inside)))[1]
        labels[inside] = tree.segment[nearest] + 1
    return labels
