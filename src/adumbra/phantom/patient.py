"""The simulation steps of a phantom in causal order: scanner, anatomy, vessels, disease, tissue composition, images.

Each step has its own random stream of the seed. The same seed therefore gives the same bytes, and the same patient when
only the scanner differs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from adumbra.phantom.anatomy.head import Head, sample_head
from adumbra.phantom.body import Body, build_body
from adumbra.phantom.pathology.clot import Clot, add_distant_clots
from adumbra.phantom.pathology.disease import Disease, sample_disease, sample_varied_disease
from adumbra.phantom.pathology.lesion import LesionShape
from adumbra.phantom.pathology.perfusion import reroute
from adumbra.phantom.pathology.stroke import flow_shares
from adumbra.phantom.presets import ExaminationPreset
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner import artefacts, sequences
from adumbra.phantom.scanner.examination import SEQUENCES, Acquisition, ExaminedPatient
from adumbra.phantom.scanner.field_of_view import plan_fields_of_view
from adumbra.phantom.scanner.randomised_examination import examine
from adumbra.phantom.scanner.randomised_setup import ExaminationQuality, sample_quality, sample_randomised_setup
from adumbra.phantom.scanner.setup import ScannerSetup, sample_setup
from adumbra.phantom.vasculature.subject import Vasculature, sample_vasculature


@dataclass(frozen=True, eq=False)
class SimulatedPatient:
    """The result of every simulation step of one phantom.

    Attributes:
        preset: The examination preset.
        setup: The scanner with its protocol.
        head: The anatomy.
        vessels: Arteries and veins; None where the preset has none.
        disease: Infarct, clots and older damage.
        body: Tissue fractions, relaxation constants and susceptibility on the grid of the head.
        examined: The input of the sequences.
        acquisitions: The acquired images, by the name of their slice stack.
        head_parameters: Sampled parameters of the head, by name.
        quality: Contrast and quality of a randomised examination; None for the others.
        infarct_contrast: Signal of the infarct over that of normal tissue on the DWI of a randomised examination; None
            for the others, where it follows from the protocol.
    """

    preset: ExaminationPreset
    setup: ScannerSetup
    head: Head
    vessels: Vasculature | None
    disease: Disease
    body: Body
    examined: ExaminedPatient
    acquisitions: Mapping[str, Acquisition]
    head_parameters: Mapping[str, float]
    quality: ExaminationQuality | None = None
    infarct_contrast: float | None = None


def simulate_patient(
    seed: int,
    *,
    preset: ExaminationPreset,
    lesion_shape: LesionShape | None = None,
    clots: Callable[[Vasculature], tuple[Clot, ...]] | None = None,
) -> SimulatedPatient:
    """Simulates the patient of a seed and the examination of that patient.

    Args:
        seed: Seed of every random choice.
        preset: The examination.
        lesion_shape: A real lesion in MNI space. Half of the infarcts take its shape where one is given.
        clots: Gives the clots that are present at the scan, in place of those of the stroke. The infarct stays.
    """
    quality = _sample_quality(seed, preset)
    setup, head, head_parameters, vessels, disease = _sample_patient(seed, preset, lesion_shape)
    if clots is not None and vessels is not None and disease.stroke is not None:
        disease = replace(disease, stroke=replace(disease.stroke, clots=clots(vessels)))
    magnetic = bool({"swi", "tof"} & set(preset.sequences))
    body = build_body(stream(seed, "body"), head, vessels, disease, b0_tesla=setup.tesla, magnetic=magnetic)
    stroke, arteries, flow = disease.stroke, None, None
    if vessels is not None and stroke is not None:
        flow = flow_shares(vessels.arteries, stroke.clots, stroke.collaterals)
        arteries = reroute(vessels.arteries, stroke.clots)
    examined = ExaminedPatient(
        seed,
        head,
        body,
        sequences.sample_texture(stream(seed, "texture"), head, body),
        arteries,
        flow,
        artefacts.shim(body.field_ppm, head) if body.field_ppm is not None else None,
    )
    if quality is not None:
        acquired, contrast = examine(examined, setup, quality, disease.stage)
        return SimulatedPatient(
            preset, setup, head, vessels, disease, body, examined, acquired, head_parameters, quality, contrast
        )
    wanted = {n: f for n, (modalities, f) in SEQUENCES.items() if set(modalities) & set(setup.sequences)}
    acquisitions = {name: acquire(examined, setup) for name, acquire in wanted.items()}
    return SimulatedPatient(preset, setup, head, vessels, disease, body, examined, acquisitions, head_parameters)


def has_clot(seed: int, *, preset: ExaminationPreset, lesion_shape: LesionShape | None = None) -> bool:
    """Whether the patient of a seed has a clot at the scan; no images are simulated, which saves three quarters.

    Args:
        seed: Seed of every random choice.
        preset: The examination.
        lesion_shape: As for ``simulate_patient``; the answer depends on it.
    """
    stroke = _sample_patient(seed, preset, lesion_shape)[-1].stroke
    return stroke is not None and bool(stroke.clots)


def _sample_patient(
    seed: int, preset: ExaminationPreset, lesion_shape: LesionShape | None
) -> tuple[ScannerSetup, Head, Mapping[str, float], Vasculature | None, Disease]:
    """Scanner, head, parameters of the head, vessels and disease of a seed."""
    quality = _sample_quality(seed, preset)
    head, head_parameters = sample_head(stream(seed, "head"), spacing_mm=preset.spacing_mm, cut=not preset.vessels)
    if quality is not None:
        setup = sample_randomised_setup(stream(seed, "setup"), preset, quality)
        disease = sample_varied_disease(
            stream(seed, "disease"), head, patterns=preset.patterns, lesion_shape=lesion_shape
        )
        return setup, head, head_parameters, None, disease
    setup = sample_setup(stream(seed, "setup"), preset)
    vessels = sample_vasculature(stream(seed, "vessels"), head) if preset.vessels else None
    if vessels is not None:
        setup = plan_fields_of_view(stream(seed, "field of view"), setup, head.grid, vessels.arteries)
    disease = sample_disease(
        stream(seed, "disease"),
        head,
        vessels,
        patterns=preset.patterns,
        latest_h=preset.latest_h,
        lesion_shape=lesion_shape,
    )
    if preset.clots is not None and vessels is not None and disease.stroke is not None:
        rng, (fewest, most) = stream(seed, "several clots"), preset.clots
        count = int(rng.integers(fewest, most + 1))
        several = add_distant_clots(rng, vessels.arteries, disease.stroke.clots, count=count)
        disease = replace(disease, stroke=replace(disease.stroke, clots=several))
    return setup, head, head_parameters, vessels, disease


def _sample_quality(seed: int, preset: ExaminationPreset) -> ExaminationQuality | None:
    """Contrast and quality of a randomised examination; None for the others."""
    return None if preset.randomised is None else sample_quality(stream(seed, "quality"), preset.randomised)
