"""The stages of a phantom, in the order of nature: scanner, anatomy, vessels, disease, matter, images.

Each draws from its own stream of the seed, so that the same seed gives the same bytes, and the same patient at another
scanner.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from adumbra.phantom.anatomy.head import Head, head
from adumbra.phantom.body import Body, body_of
from adumbra.phantom.pathology.disease import Disease, sample_disease
from adumbra.phantom.pathology.lesion import LesionShape
from adumbra.phantom.pathology.perfusion import rerouted
from adumbra.phantom.pathology.stroke import Vasculature, flow_shares, vasculature
from adumbra.phantom.presets import Preset, Setup, sample_setup
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner import artefacts, sequences
from adumbra.phantom.scanner.examination import SEQUENCES, Acquired, ExaminedPatient


@dataclass(frozen=True, eq=False)
class SimulatedPatient:
    """The stages of one phantom, for whoever wants to look at them.

    Attributes:
        plan: The preset.
        setup: The scanner.
        head: The anatomy.
        vessels: None where none are drawn.
        disease: What befell it.
        body: The anatomy as matter.
        subject: All that the sequences are told.
        acquired: By the name of their slices.
        about_head: What was drawn for it.
    """

    plan: Preset
    setup: Setup
    head: Head
    vessels: Vasculature | None
    disease: Disease
    body: Body
    subject: ExaminedPatient
    acquired: Mapping[str, Acquired]
    about_head: Mapping[str, float]


def simulate_patient(seed: int, *, plan: Preset, lesion_shape: LesionShape | None = None) -> SimulatedPatient:
    """The phantom of a seed, stage by stage.

    Args:
        seed: Of every random choice.
        plan: What examination it has.
        lesion_shape: A real lesion in MNI space; half of the infarcts that get one take its shape.
    """
    setup, anatomy, about_head, vessels, disease = _befallen(seed, plan, lesion_shape)
    magnetic = bool({"swi", "tof"} & set(plan.sequences))
    body = body_of(stream(seed, "body"), anatomy, vessels, disease, b0_tesla=setup.tesla, magnetic=magnetic)
    happened, arteries, flow = disease.stroke, None, None
    if vessels is not None and happened is not None:
        flow = flow_shares(vessels.arteries, happened.clots, happened.collaterals)
        arteries = rerouted(vessels.arteries, happened.clots)  # blood takes the ways that it finds
    subject = ExaminedPatient(
        seed,
        anatomy,
        body,
        sequences.sample_texture(stream(seed, "texture"), anatomy, body),
        arteries,
        flow,
        artefacts.shimmed(body.field_ppm, anatomy) if body.field_ppm is not None else None,
    )
    wanted = {n: f for n, (modalities, f) in SEQUENCES.items() if set(modalities) & set(setup.sequences)}
    acquired = {name: acquire(subject, setup) for name, acquire in wanted.items()}
    return SimulatedPatient(plan, setup, anatomy, vessels, disease, body, subject, acquired, about_head)


def has_clot(seed: int, *, plan: Preset, lesion_shape: LesionShape | None = None) -> bool:
    """Whether the case of a seed has a clot; a quarter of the work of drawing it whole."""
    happened = _befallen(seed, plan, lesion_shape)[-1].stroke
    return happened is not None and bool(happened.clots)


def _befallen(
    seed: int, plan: Preset, lesion_shape: LesionShape | None
) -> tuple[Setup, Head, Mapping[str, float], Vasculature | None, Disease]:
    """Scanner, anatomy and what was drawn for it, vessels, disease."""
    setup = sample_setup(stream(seed, "setup"), plan)
    anatomy, about_head = head(stream(seed, "head"), spacing_mm=plan.spacing_mm)
    vessels = vasculature(stream(seed, "vessels"), anatomy) if plan.vessels else None
    disease = sample_disease(stream(seed, "disease"), anatomy, vessels, plan=plan, lesion_shape=lesion_shape)
    return setup, anatomy, about_head, vessels, disease
