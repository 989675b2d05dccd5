"""What a head has: an infarct of some age with its cause, and what earlier years left in it.

Confounders are drawn with it: cavities and scars of old infarcts, microbleeds, hyperintensities of age (``anatomy``).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.pathology.lesion import LesionShape, Pattern, Stage, infarcted, sample_pattern, stage
from adumbra.phantom.pathology.stroke import Stroke, Vasculature, stroke
from adumbra.phantom.physics import signal
from adumbra.phantom.presets import Preset

_USUAL = signal.Protocol(1000.0, 80.0, 115.0, 2500.0, 9000.0)  # a patient is the same at any scanner
_SEEN_ON_DWI = 1.35  # times as bright as its surroundings: what nobody can see nobody outlines


@dataclass(frozen=True, eq=False)
class Disease:
    """One patient's.

    Attributes:
        pattern: How the infarct came about.
        since: What time has made of it.
        amount: The share of each voxel's tissue that has died, in [0, 1].
        stroke: With the clot, where vessels are drawn.
        cavity: Of old infarcts: fluid.
        gliosis: Scars beside them: bright on T2, with raised ADC.
        bleeds: Share of each voxel that old blood of microbleeds takes.
        lesion_shape: Name of the real lesion whose shape it has; empty where it has none.
    """

    pattern: Pattern
    since: Stage
    amount: Volume
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
    plan: Preset,
    lesion_shape: LesionShape | None = None,
) -> Disease:
    """A stroke and what went before it.

    Args:
        rng: Source of everything random here.
        head: The subject.
        vessels: The subject's; None draws the infarct by its shape alone.
        plan: Gives the chance of each pattern, and the latest examination.
        lesion_shape: A real lesion in MNI space; half of the infarcts that get one take its shape.
    """
    pattern = sample_pattern(rng, chances=plan.patterns, lesion_shape=lesion_shape)
    since = _visible_stage(rng, plan.latest_h)
    happened = None
    if vessels is None:
        amount = infarcted(rng, head, pattern=pattern, lesion_shape=lesion_shape)
    else:
        happened = stroke(rng, head, vessels, pattern=pattern, hours=since.hours, lesion_shape=lesion_shape)
        amount = happened.amount
    cavity, gliosis = _old_damage(rng, head)
    taken = lesion_shape.name if lesion_shape is not None and pattern == "outline" else ""
    return Disease(pattern, since, amount, happened, cavity, gliosis, _bleeds(rng, head), taken)


def _visible_stage(rng: np.random.Generator, latest_h: float) -> Stage:
    while True:
        since = stage(rng)
        if (
            since.hours <= latest_h
            and signal.diffusion_contrast(_USUAL, adc=since.adc_factor, t2=since.t2_factor) > _SEEN_ON_DWI
        ):
            return since


def _old_damage(rng: np.random.Generator, h: Head) -> tuple[Volume, Volume]:
    """Cavities of old infarcts and T2 shine-through: bright on T2, some on DWI, with raised ADC; not the target."""
    cavity, gliosis = np.zeros(h.grid.shape, np.float32), np.zeros(h.grid.shape, np.float32)
    if rng.random() < 0.25:
        cavity = infarcted(rng, h, pattern="territorial" if rng.random() < 0.4 else "lacune")
        sigma = 3.0 / h.grid.spacing_mm[0]
        gliosis = np.clip(ndimage.gaussian_filter(cavity, sigma) * 2 - cavity, 0, 1)
    if rng.random() < 0.45:
        kinds: tuple[Pattern, ...] = ("territorial", "shower", "lacune")
        gliosis = np.maximum(gliosis, infarcted(rng, h, pattern=kinds[rng.integers(3)]))
    return cavity, gliosis


def _bleeds(rng: np.random.Generator, h: Head) -> Volume:
    """A few round spots of 1.4 to 3.2 mm; on gradient echoes they bloom beyond that."""
    share, spots = np.zeros(h.grid.shape, np.float32), np.argwhere(h.tissue > 0.5)
    for _ in range(rng.poisson(0.7)):
        centre, radius_mm = spots[rng.integers(len(spots))], rng.uniform(0.7, 1.6)
        reach = int(np.ceil((radius_mm + 1) / h.grid.spacing_mm[0]))
        block = tuple(slice(max(0, c - reach), c + reach + 1) for c in centre)
        lines = (np.arange(s.start, min(s.stop, n)) for s, n in zip(block, share.shape, strict=True))
        at = np.stack(np.meshgrid(*lines, indexing="ij"))
        away_mm = np.sqrt(((at - centre.reshape(3, 1, 1, 1)) ** 2).sum(axis=0)) * h.grid.spacing_mm[0]
        edge_mm = h.grid.spacing_mm[0]
        share[block] = np.maximum(share[block], np.clip((radius_mm - away_mm) / edge_mm + 0.5, 0, 1))
    return share
