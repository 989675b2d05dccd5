"""The field of view of each sequence, as a technologist plans it.

Diffusion imaging, FLAIR and SWI cover the head, from its base to the vertex. In some examinations one of them begins
inside the brain, because its slices were set too high; the others are complete then. TOF covers the circle of Willis in
every examination: its slabs are moved to it where the protocol would miss it.

How often a sequence is incomplete, and by how much, is an assumption.
"""

from dataclasses import replace

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.phantom.pathology.clot import TERMINUS_MM
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.scanner.setup import ScannerSetup
from adumbra.phantom.vasculature.vessels import STEP_MM, Tree

INCOMPLETE = 0.06
"""Probability that a sequence begins inside the brain; of DWI, FLAIR and SWI at least one does in 17 % of cases."""
RAISED_MM = (20.0, 60.0)
"""Range of the height at which an incomplete sequence begins, above the base of the head."""
MARGIN_MM = 5.0
"""Least distance of the circle of Willis from the ends of the slabs.

The flip angle rises over the outermost 3 mm of a slab at most, and the head moves by a millimetre or two.
"""
_WHOLE_HEAD = ("dwi", "flair", "swi")
_CIRCLE = ("A1", "M1", "P1")
_UP_TO = {"ICA": int(TERMINUS_MM / STEP_MM), "basilar": 1}  # nodes at the end of a segment that belong to the circle


def plan_fields_of_view(rng: np.random.Generator, setup: ScannerSetup, head: Grid, arteries: Tree) -> ScannerSetup:
    """The setup with the field of view of each sequence on a head.

    Args:
        rng: Source of the incomplete sequences; each sequence consumes the same number of random values.
        setup: The setup, whose slabs are given by the protocol.
        head: Grid of the head.
        arteries: Arteries in millimetres of the head.
    """
    base, top = (float(head.world_mm((0, 0, k - 0.5))[2]) for k in (0, head.shape[2]))
    stacks = dict(setup.stacks)
    for name in _WHOLE_HEAD:
        incomplete, raised_mm = rng.random() < INCOMPLETE, float(rng.uniform(*RAISED_MM))
        if incomplete:
            stacks[name] = replace(stacks[name], cover_mm=(base + raised_mm, top))
    slabs = moved_to_cover(setup.angiography, *circle_of_willis_mm(arteries))
    stacks["tof"] = replace(stacks["tof"], cover_mm=(slabs.lower_mm, slabs.upper_mm))
    return replace(setup, stacks=stacks, angiography=slabs)


def circle_of_willis_mm(arteries: Tree) -> tuple[float, float]:
    """The lowest and the highest point of the circle of Willis along z in mm.

    It consists of the carotid termini, the first segments of the anterior, middle and posterior cerebral arteries, and
    the tip of the basilar artery.

    Args:
        arteries: Arteries in any space.
    """
    circle = []
    for name in arteries.names:
        stem = name.split("_")[0]
        if stem in _CIRCLE:
            circle.append(_course(arteries, name))
        elif stem in _UP_TO:
            circle.append(_course(arteries, name)[-_UP_TO[stem] :])
    z_mm = arteries.points_mm[np.concatenate(circle), 2]
    return float(z_mm.min()), float(z_mm.max())


def _course(arteries: Tree, name: str) -> np.ndarray:
    """The nodes of a segment without its branches, which may have its name; they follow those of the whole skeleton."""
    nodes = arteries.nodes(name)
    return nodes[: 1 + int(np.argmax(np.diff(nodes, append=nodes[-1] + 2) > 1))]


def moved_to_cover(slabs: TimeOfFlight, low_mm: float, high_mm: float) -> TimeOfFlight:
    """The slabs, moved as little as possible so that they cover a range with a margin of ``MARGIN_MM``.

    Args:
        slabs: The slabs of the protocol.
        low_mm: Lower end of the range, along z in the space of the slabs.
        high_mm: Upper end of the range.

    Returns:
        The same slabs where they cover the range already; slabs that are too thin for it lie around its middle.
    """
    least, most = high_mm + MARGIN_MM - slabs.upper_mm, low_mm - MARGIN_MM - slabs.lower_mm
    shift_mm = float(np.clip(0.0, least, most)) if least <= most else (least + most) / 2
    if shift_mm == 0:
        return slabs
    return replace(slabs, lower_mm=slabs.lower_mm + shift_mm, upper_mm=slabs.upper_mm + shift_mm)
