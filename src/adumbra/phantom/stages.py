"""The stages of a phantom, in the order of nature: scanner, anatomy, vessels, disease, matter, images.

Each draws from its own stream of the seed, so that the same seed gives the same bytes, and the same patient at another
scanner.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from adumbra.phantom import scanner, sequences
from adumbra.phantom.anatomy import Head, head
from adumbra.phantom.body import Body, body_of
from adumbra.phantom.disease import Disease, befallen
from adumbra.phantom.examination import SEQUENCES, Acquired, Subject
from adumbra.phantom.lesion import Outline
from adumbra.phantom.perfusion import rerouted
from adumbra.phantom.presets import Preset, Setup, drawn_setup
from adumbra.phantom.streams import stream
from adumbra.phantom.stroke import Vasculature, flow_shares, vasculature


@dataclass(frozen=True, eq=False)
class Drawn:
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
    subject: Subject
    acquired: Mapping[str, Acquired]
    about_head: Mapping[str, float]


def drawn(seed: int, *, plan: Preset, outline: Outline | None = None) -> Drawn:
    """The phantom of a seed, stage by stage.

    Args:
        seed: Of every random choice.
        plan: What examination it has.
        outline: A real lesion in MNI space; half of the infarcts that get one take its shape.
    """
    setup, anatomy, about_head, vessels, disease = _befallen(seed, plan, outline)
    magnetic = bool({"swi", "tof"} & set(plan.sequences))
    body = body_of(stream(seed, "body"), anatomy, vessels, disease, b0_tesla=setup.tesla, magnetic=magnetic)
    happened, arteries, flow = disease.stroke, None, None
    if vessels is not None and happened is not None:
        flow = flow_shares(vessels.arteries, happened.clots, happened.collaterals)
        arteries = rerouted(vessels.arteries, happened.clots)  # blood takes the ways that it finds
    subject = Subject(
        seed,
        anatomy,
        body,
        sequences.drawn_texture(stream(seed, "texture"), anatomy, body),
        arteries,
        flow,
        scanner.shimmed(body.field_ppm, anatomy) if body.field_ppm is not None else None,
    )
    wanted = {n: f for n, (modalities, f) in SEQUENCES.items() if set(modalities) & set(setup.sequences)}
    acquired = {name: acquire(subject, setup) for name, acquire in wanted.items()}
    return Drawn(plan, setup, anatomy, vessels, disease, body, subject, acquired, about_head)


def struck(seed: int, *, plan: Preset, outline: Outline | None = None) -> bool:
    """Whether the case of a seed has a clot; a quarter of the work of drawing it whole."""
    happened = _befallen(seed, plan, outline)[-1].stroke
    return happened is not None and bool(happened.clots)


def _befallen(
    seed: int, plan: Preset, outline: Outline | None
) -> tuple[Setup, Head, Mapping[str, float], Vasculature | None, Disease]:
    """Scanner, anatomy and what was drawn for it, vessels, disease."""
    setup = drawn_setup(stream(seed, "setup"), plan)
    anatomy, about_head = head(stream(seed, "head"), spacing_mm=plan.spacing_mm)
    vessels = vasculature(stream(seed, "vessels"), anatomy) if plan.vessels else None
    disease = befallen(stream(seed, "disease"), anatomy, vessels, plan=plan, outline=outline)
    return setup, anatomy, about_head, vessels, disease
