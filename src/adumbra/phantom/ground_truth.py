"""Ground truth of a phantom on the grid of its head, and in the geometry of each acquired sequence."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import cKDTree

from adumbra.core.case import scan_from_array
from adumbra.core.geometry.grid import Grid
from adumbra.core.ground_truth import GroundTruth, Kind, Space
from adumbra.core.types import Mask, Volume
from adumbra.phantom.annotator import CONVENTIONS, AnnotatorConvention, annotate, annotate_by, lumen_mask
from adumbra.phantom.clot_contour import ClotAnnotator, contour, sample_annotator
from adumbra.phantom.clot_views import clot_views
from adumbra.phantom.patient import SimulatedPatient
from adumbra.phantom.physics import signal
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner.examination import Acquisition
from adumbra.phantom.vasculature.territories import LABELS
from adumbra.phantom.vasculature.vessels import Tree

_BRAIN_SURFACE_MM = 1.0  # distance outside the surface of the tissue up to which the fluid belongs to the brain
ANNOTATOR = "annotator"
"""Beginning of the name of each annotator's mask of the lesion; a number follows."""
OTHER_EXPERT = "thrombusSecond"
"""Name of the second expert's mask of the clots."""
_LABELLED_FROM = 0.05  # fraction of a voxel from which a vessel is labelled
_COVERED = 0.5  # share of a clot within the field of view from which an image is expected to show it
_SPACES: dict[str, Space] = {"dwi": "dwi", "flair": "flair", "swi": "swi", "tof": "tof"}


def ground_truths(
    patient: SimulatedPatient, *, level: float, annotators: tuple[AnnotatorConvention, ...] = ()
) -> tuple[GroundTruth, ...]:
    """All ground truth of a phantom.

    Args:
        patient: The simulated patient.
        level: Share of the local maximum from which the rater of the infarct includes a voxel. Randomised examinations
            have an average annotator instead.
        annotators: Conventions of further annotators, whose masks on the DWI are named ``annotator1`` and so on.
    """
    acquired = (t for space, a in patient.acquisitions.items() for t in _in_acquisition(patient, space, a, level))
    return (*acquired, *_annotations(patient, annotators), *_at_rest(patient))


def _in_acquisition(
    patient: SimulatedPatient, space: str, acquisition: Acquisition, level: float
) -> Iterator[GroundTruth]:
    """Ground truth in the geometry of one sequence: moved, distorted and sliced."""
    affine = acquisition.sampler.grid.affine
    if space == "dwi":
        volumes = _diffusion_volumes(patient, acquisition, level)
    elif space in ("swi", "tof"):
        volumes = _vessel_volumes(patient, space, acquisition)
    else:
        return
    for name, kind, volume, description in volumes:
        yield GroundTruth(name, _SPACES[space], kind, scan_from_array(volume, affine), description=description)


def _diffusion_volumes(
    patient: SimulatedPatient, acquisition: Acquisition, level: float
) -> Iterator[tuple[str, Kind, np.ndarray, str]]:
    """Name, kind, volume and description of the truth on the diffusion-weighted image."""
    disease, sampler = patient.disease, acquisition.sampler
    fraction = sampler.sample(disease.infarct * patient.head.tissue, stacks=False) * acquisition.retained
    if patient.infarct_contrast is None:
        stage, protocol = disease.stage, patient.setup.diffusion
        contrast = signal.diffusion_contrast(protocol, adc=stage.adc_factor, t2=stage.t2_factor)
        mask = annotate(fraction, contrast=contrast, noise=acquisition.noise, level=level)
    else:
        mask = _annotation(patient, acquisition, fraction, CONVENTIONS["average"], 0)
    yield "lesion", "mask", mask, "Infarct as a simulated rater segments it on this DWI"
    yield "lesion", "probseg", fraction, "Infarcted fraction of each voxel, 0 to 1"
    if disease.stroke is not None:
        hypoperfused = sampler.sample(disease.stroke.hypoperfused.astype(np.float32), stacks=False) >= 0.5
        yield "hypoperfusion", "mask", hypoperfused, "Tmax above 6 s"


def _annotations(patient: SimulatedPatient, annotators: tuple[AnnotatorConvention, ...]) -> Iterator[GroundTruth]:
    """The masks of further annotators on the DWI, and of the brain."""
    if not annotators:
        return
    acquisition = patient.acquisitions["dwi"]
    sampler = acquisition.sampler
    fraction = sampler.sample(patient.disease.infarct * patient.head.tissue, stacks=False) * acquisition.retained
    for number, convention in enumerate(annotators, start=1):
        mask = _annotation(patient, acquisition, fraction, convention, number)
        text = f"Infarct as simulated annotator {number} segments it on this DWI, {convention.name}"
        scan = scan_from_array(mask, sampler.grid.affine)
        yield GroundTruth(f"{ANNOTATOR}{number}", "dwi", "mask", scan, description=text)
    inside = (patient.head.depth_mm < _BRAIN_SURFACE_MM).astype(np.float32)
    brain = sampler.sample(inside, stacks=False, blur=False) >= 0.5
    scan = scan_from_array(brain, sampler.grid.affine)
    yield GroundTruth("brain", "dwi", "mask", scan, description="Brain with ventricles and sulci")


def _annotation(
    patient: SimulatedPatient, acquisition: Acquisition, fraction: np.ndarray, convention: AnnotatorConvention,
    number: int,
) -> np.ndarray:  # fmt: skip
    """The mask of one annotator of a randomised examination, bool."""
    assert patient.infarct_contrast is not None
    spacing = acquisition.sampler.grid.spacing_mm
    rng = stream(patient.examined.seed, f"annotator {number}")
    return annotate_by(
        convention, rng, fraction, spacing_mm=spacing, contrast=patient.infarct_contrast, noise=acquisition.noise
    )


def _vessel_volumes(
    patient: SimulatedPatient, space: str, acquisition: Acquisition
) -> Iterator[tuple[str, Kind, np.ndarray, str]]:
    """Name, kind, volume and description of the truth on SWI or TOF; nothing where no vessels were grown."""
    blood, sampler = patient.body.blood, acquisition.sampler
    if blood is None:
        return
    clot = sampler.sample(blood.clot)
    expert, other = contours_of(patient, space)
    name, vessels = ("veins", blood.veins) if space == "swi" else ("arteries", blood.arteries)
    yield "thrombus", "mask", expert.mask, "Clots as an expert contours them on this image; invisible ones are left out"
    yield OTHER_EXPERT, "mask", other.mask, "The same by another expert"
    yield "lumen", "mask", lumen_mask(clot), "Lumen filled by clots; blooming, which is wider, is not included"
    yield "lumen", "probseg", clot, "Fraction of each voxel filled by clots"
    yield name, "probseg", sampler.sample(vessels), f"Fraction of each voxel filled by {name}"


@dataclass(frozen=True, eq=False)
class ClotContours:
    """The clots of a patient as an expert contours them on one image.

    Attributes:
        mask: (X, Y, S), the contours.
        visible_on: Where each clot is visible: ``"SWI"``, ``"TOF"``, or ``""`` where nothing shows it.
        covered: Whether at least half of each clot lies within the field of view of the image.
    """

    mask: Mask
    visible_on: tuple[str, ...]
    covered: tuple[bool, ...]


@lru_cache(maxsize=2)
def contours_of(patient: SimulatedPatient, space: str) -> tuple[ClotContours, ClotContours]:
    """The contours of two experts on one image.

    Args:
        patient: The patient.
        space: ``"swi"`` or ``"tof"``.
    """
    acquisition = patient.acquisitions[space]
    second = sample_annotator(stream(patient.examined.seed, "second expert"))
    views, spacing_mm = clot_views(patient, space), acquisition.sampler.grid.spacing_mm
    clots = () if patient.disease.stroke is None else patient.disease.stroke.clots
    covered = tuple(bool(acquisition.sampler.covers(clot.points_mm).mean() >= _COVERED) for clot in clots)
    contours = []
    for annotator in (ClotAnnotator(), second):
        mask, visible = np.zeros(acquisition.sampler.grid.shape, dtype=bool), []
        for view in views:
            if view is None:
                visible.append("")
                continue
            own, where = contour(
                annotator,
                lost=view.lost,
                lumen=view.lumen,
                without_flow=view.without_flow,
                noise=acquisition.noise,
                spacing_mm=spacing_mm,
            )
            mask[view.box] |= own
            visible.append(where)
        contours.append(ClotContours(mask, tuple(visible), covered))
    return contours[0], contours[1]


def _at_rest(patient: SimulatedPatient) -> Iterator[GroundTruth]:
    """Ground truth on the grid of the head, at rest and undistorted."""
    grid, stroke, body = patient.head.grid, patient.disease.stroke, patient.body

    def truth(
        name: str,
        kind: Kind,
        volume: np.ndarray,
        description: str,
        unit: str = "",
        labels: Mapping[int, str] | None = None,
    ) -> GroundTruth:
        return GroundTruth(
            name, "phantom", kind, scan_from_array(volume, grid.affine), unit, labels or {}, description=description
        )

    infarct = (patient.disease.infarct * patient.head.tissue).astype(np.float32)
    yield truth("lesion", "probseg", infarct, "Infarcted fraction of each voxel, 0 to 1")
    if patient.vessels is None or stroke is None or body.blood is None:
        return
    yield truth("lumen", "probseg", body.blood.clot, "Fraction of each voxel filled by clots")
    yield truth("hypoperfusion", "mask", stroke.hypoperfused, "Tmax above 6 s")
    yield truth("tmax", "map", stroke.tmax_s, "Time to the maximum of the residue function", "s")
    large = {number: name for name, number in LABELS.items()}
    yield truth("territories", "dseg", patient.vessels.territories, "Arterial territory", labels=large)
    for name, tree, fraction in (
        ("arteries", patient.vessels.arteries, body.blood.arteries + body.blood.clot),
        ("veins", patient.vessels.veins, body.blood.veins),
    ):
        segments = {n + 1: segment for n, segment in enumerate(tree.names)}
        labels = _segment_labels(tree, grid, fraction)
        yield truth(name, "dseg", labels, f"{name.capitalize()} by segment", labels=segments)
    if body.chi_ppm is not None and body.field_ppm is not None:
        yield truth("chi", "map", body.chi_ppm, "Magnetic susceptibility (SI) relative to water", "ppm")
        yield truth("field", "map", body.field_ppm, "Relative field, before the shim", "ppm")


def _segment_labels(tree: Tree, grid: Grid, fraction: Volume) -> np.ndarray:
    """The vessel segment of each voxel inside a vessel, 1 + its index in ``tree.names``, int16; 0 elsewhere."""
    inside, labels = fraction > _LABELLED_FROM, np.zeros(grid.shape, np.int16)
    if inside.any():
        nearest = cKDTree(tree.points_mm).query(grid.world_mm(np.argwhere(inside)))[1]
        labels[inside] = tree.segment[nearest] + 1
    return labels
