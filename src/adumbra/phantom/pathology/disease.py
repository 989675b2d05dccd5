"""The disease of one subject: an infarct of some age with its cause, and older damage.

Confounders are cavities and scars of old infarcts, microbleeds, and the white-matter hyperintensities of age
(``anatomy``).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.pathology.lesion import LesionShape, Pattern, Stage, sample_infarct, sample_pattern, sample_stage
from adumbra.phantom.pathology.stroke import Stroke, sample_stroke
from adumbra.phantom.pathology.varied_infarct import sample_varied_infarct, sample_varied_pattern
from adumbra.phantom.physics import signal
from adumbra.phantom.vasculature.subject import Vasculature

# A fixed protocol decides about visibility, so that a patient is the same at any scanner.
_REFERENCE_PROTOCOL = signal.Protocol(1000.0, 80.0, 115.0, 2500.0, 9000.0)
_VISIBLE_CONTRAST = 1.35  # least DWI signal relative to the surrounding tissue; raters cannot segment fainter infarcts


@dataclass(frozen=True, eq=False)
class Disease:
    """The disease of one patient.

    Attributes:
        pattern: The infarct pattern.
        stage: The age of the infarct and its effect on tissue constants.
        infarct: (X, Y, Z), the infarcted fraction of each voxel's tissue, in [0, 1].
        stroke: The stroke with its clots; None where no vessels were grown.
        cavity: (X, Y, Z), fluid-filled fraction of old infarcts.
        gliosis: (X, Y, Z), fraction of scars beside them: bright on T2, with raised ADC.
        bleeds: (X, Y, Z), fraction of each voxel filled by old blood of microbleeds.
        lesion_shape: Name of the real lesion whose shape the infarct has; empty where it has none.
    """

    pattern: Pattern
    stage: Stage
    infarct: Volume
    stroke: Stroke | None
    cavity: Volume
    gliosis: Volume
    bleeds: Volume
    lesion_shape: str


def sample_disease(
    rng: np.random.Generator,
    head: Head,
    vessels: Vasculature | None,
    *,
    patterns: Mapping[Pattern, float],
    latest_h: float,
    lesion_shape: LesionShape | None = None,
) -> Disease:
    """Samples a stroke and the older damage of a subject.

    Args:
        rng: Source of every random choice.
        head: The subject's anatomy.
        vessels: The subject's vessels; None samples the infarct by its shape alone.
        patterns: Probability of each infarct pattern.
        latest_h: The latest time of the scan, in hours from onset.
        lesion_shape: A real lesion in MNI space. Half of the infarcts take its shape where one is given.
    """
    pattern = sample_pattern(rng, probabilities=patterns, lesion_shape=lesion_shape)
    stage = _sample_visible_stage(rng, latest_h)
    stroke = None
    if vessels is None:
        infarct = sample_infarct(rng, head, pattern=pattern, lesion_shape=lesion_shape)
    else:
        stroke = sample_stroke(rng, head, vessels, pattern=pattern, hours=stage.hours, lesion_shape=lesion_shape)
        infarct = stroke.infarct
    cavity, gliosis = _sample_old_damage(rng, head)
    shape_name = lesion_shape.name if lesion_shape is not None and pattern == "lesion-mask" else ""
    return Disease(pattern, stage, infarct, stroke, cavity, gliosis, _sample_microbleeds(rng, head), shape_name)


def sample_varied_disease(
    rng: np.random.Generator,
    head: Head,
    *,
    patterns: Mapping[Pattern, float],
    lesion_shape: LesionShape | None = None,
) -> Disease:
    """Samples an infarct of unlimited shape, or none, and the older damage of a subject without vessels.

    Args:
        rng: Source of every random choice.
        head: The subject's anatomy.
        patterns: Probability of each infarct pattern.
        lesion_shape: A real lesion in MNI space. Half of the supratentorial infarcts take its shape where one is given.
    """
    pattern = sample_varied_pattern(rng, probabilities=patterns, lesion_shape=lesion_shape)
    stage = _sample_visible_stage(rng, np.inf)
    infarct = sample_varied_infarct(rng, head, pattern=pattern, lesion_shape=lesion_shape)
    cavity, gliosis = _sample_old_damage(rng, head)
    shape_name = lesion_shape.name if lesion_shape is not None and pattern == "lesion-mask" else ""
    return Disease(pattern, stage, infarct, None, cavity, gliosis, _sample_microbleeds(rng, head), shape_name)


def _sample_visible_stage(rng: np.random.Generator, latest_h: float) -> Stage:
    """Samples stages until one is early enough and visible on DWI."""
    while True:
        stage = sample_stage(rng)
        contrast = signal.diffusion_contrast(_REFERENCE_PROTOCOL, adc=stage.adc_factor, t2=stage.t2_factor)
        if stage.hours <= latest_h and contrast > _VISIBLE_CONTRAST:
            return stage


def _sample_old_damage(rng: np.random.Generator, head: Head) -> tuple[Volume, Volume]:
    """Samples cavities of old infarcts, and gliosis with T2 shine-through; neither belongs to the target."""
    cavity, gliosis = np.zeros(head.grid.shape, np.float32), np.zeros(head.grid.shape, np.float32)
    if rng.random() < 0.25:
        cavity = sample_infarct(rng, head, pattern="territorial" if rng.random() < 0.4 else "lacune")
        sigma = 3.0 / head.grid.spacing_mm[0]
        gliosis = np.clip(ndimage.gaussian_filter(cavity, sigma) * 2 - cavity, 0, 1)
    if rng.random() < 0.45:
        kinds: tuple[Pattern, ...] = ("territorial", "shower", "lacune")
        gliosis = np.maximum(gliosis, sample_infarct(rng, head, pattern=kinds[rng.integers(3)]))
    return cavity, gliosis


def _sample_microbleeds(rng: np.random.Generator, head: Head) -> Volume:
    """Samples a few spheres of 1.4 to 3.2 mm diameter; gradient echoes show them larger, by blooming."""
    fraction, tissue = np.zeros(head.grid.shape, np.float32), np.argwhere(head.tissue > 0.5)
    for _ in range(rng.poisson(0.7)):
        centre, radius_mm = tissue[rng.integers(len(tissue))], rng.uniform(0.7, 1.6)
        reach = int(np.ceil((radius_mm + 1) / head.grid.spacing_mm[0]))
        block = tuple(slice(max(0, c - reach), c + reach + 1) for c in centre)
        lines = (np.arange(s.start, min(s.stop, n)) for s, n in zip(block, fraction.shape, strict=True))
        at = np.stack(np.meshgrid(*lines, indexing="ij"))
        away_mm = np.sqrt(((at - centre.reshape(3, 1, 1, 1)) ** 2).sum(axis=0)) * head.grid.spacing_mm[0]
        edge_mm = head.grid.spacing_mm[0]
        fraction[block] = np.maximum(fraction[block], np.clip((radius_mm - away_mm) / edge_mm + 0.5, 0, 1))
    return fraction
