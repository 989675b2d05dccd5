"""What befell a brain: the clot that closed an artery, the tissue that blood no longer reaches in time, what has died.

The order of events: a clot lodges (``clot``), tissue behind it is fed late or not at all (``perfusion``), and dies from
the middle outwards until the artery opens again or the scan is made. The outline of a real lesion is explained
backwards: the clot lies in the smallest branch behind which most of the lesion lies.
"""

from dataclasses import dataclass, replace

import numpy as np

from adumbra.phantom.anatomy import Head, in_subject
from adumbra.phantom.arteries import arteries
from adumbra.phantom.clot import LEAST_LUMEN_MM, Clot, clot_from, clots
from adumbra.phantom.lesion import Outline, Pattern, infarcted
from adumbra.phantom.perfusion import HYPOPERFUSED_S, Collaterals, core, delay, drawn_collaterals, tmax
from adumbra.phantom.territories import labelled_territories, nearest_ends
from adumbra.phantom.veins import veins
from adumbra.phantom.vessels import Tree
from adumbra.shapes import Labels, Mask, Volume

_TISSUE = 0.5  # share of a voxel from which it counts as fed by an artery
_EXPLAINED = 0.85  # share of a real lesion that lies behind the clot which is held to have caused it
_STAYS_CLOSED = 0.45  # chance that an artery is still closed a day after onset, treated or not


@dataclass(frozen=True, eq=False)
class Vasculature:
    """The vessels of one subject, in the subject's millimetres.

    Attributes:
        arteries: Parents upstream.
        veins: Parents downstream.
        variants: Of the circle of Willis, by side.
        tissue: (X, Y, Z), the voxels that arteries feed.
        nearest: For each of them, in their order, its place among the ends of the arteries.
    """

    arteries: Tree
    veins: Tree
    variants: dict[str, str]
    tissue: Mask
    nearest: np.ndarray

    @property
    def territories(self) -> Labels:
        """The arterial territory of each voxel, as ``territories.LABELS`` numbers them."""
        return labelled_territories(self.arteries, self.tissue, self.nearest)


@dataclass(frozen=True, eq=False)
class Stroke:
    """What has happened until the scan.

    Attributes:
        pattern: How it came about.
        clots: That still close an artery, or lie in one.
        collaterals: Of the subject.
        hours_closed: How long the artery was closed.
        is_open: Whether it has opened again.
        tmax_s: At the scan.
        amount: The share of each voxel's tissue that has died.
    """

    pattern: Pattern
    clots: tuple[Clot, ...]
    collaterals: Collaterals
    hours_closed: float
    is_open: bool
    tmax_s: Volume
    amount: Volume

    @property
    def hypoperfused(self) -> Mask:
        """Tmax > 6 s at the scan."""
        return self.tmax_s > HYPOPERFUSED_S


def vasculature(rng: np.random.Generator, head: Head) -> Vasculature:
    """A subject's vessels: grown in the template, carried through the subject's deformation."""
    tree, variants = arteries(rng)
    tree = replace(tree, points_mm=in_subject(head, tree.points_mm))
    drained = veins(rng)
    drained = replace(drained, points_mm=in_subject(head, drained.points_mm))
    tissue = head.tissue > _TISSUE
    nearest = nearest_ends(tree, head.grid.world_mm(np.argwhere(tissue)))
    return Vasculature(tree, drained, variants, tissue, nearest)


def stroke(
    rng: np.random.Generator,
    head: Head,
    vessels: Vasculature,
    *,
    pattern: Pattern,
    hours: float,
    outline: Outline | None = None,
) -> Stroke:
    """A stroke of a given pattern.

    Args:
        rng: Source of everything random here.
        head: The subject.
        vessels: The subject's.
        pattern: ``"territorial"`` is a clot in a named artery; the others close branches that no image shows, or none.
        hours: From onset to the scan.
        outline: A real lesion in MNI space, for the pattern ``"outline"``.
    """
    collaterals = drawn_collaterals(rng)
    hours_closed, is_open = _closure(rng, hours)
    tree, grid = vessels.arteries, head.grid
    amount = None if pattern == "territorial" else infarcted(rng, head, pattern=pattern, outline=outline)
    lodged = clots(rng, tree) if pattern == "territorial" else ()
    if pattern == "outline" and amount is not None:
        lodged = explaining(rng, vessels, amount)
    late = tmax(grid, vessels.tissue, vessels.nearest, delay(rng, tree, lodged, collaterals))
    if amount is None:
        amount = core(rng, grid, late, collaterals, hours=hours_closed)
    if is_open:
        late = tmax(grid, vessels.tissue, vessels.nearest, delay(rng, tree, (), collaterals))
    elif lodged:  # what has died was not fed in time, whatever the tree says
        late = np.where((amount > 0.5) & vessels.tissue, np.maximum(late, HYPOPERFUSED_S + 1), late).astype(np.float32)
    return Stroke(pattern, () if is_open else lodged, collaterals, hours_closed, is_open, late, amount)


def _closure(rng: np.random.Generator, hours: float) -> tuple[float, bool]:
    """How long the artery was closed, and whether it is open at the scan: the later the scan, the likelier."""
    opens_after = rng.exponential(24 / -np.log(_STAYS_CLOSED))
    return float(min(hours, opens_after)), bool(opens_after < hours)


def explaining(rng: np.random.Generator, vessels: Vasculature, amount: Volume) -> tuple[Clot, ...]:
    """The clot behind which most of a lesion lies, where the smallest such branch is wide enough to be seen; else none.

    Args:
        rng: Of the clot's length and composition.
        vessels: Of the subject.
        amount: The lesion's share of each voxel.
    """
    tree = vessels.arteries
    dead = np.zeros(len(tree.parent))
    np.add.at(dead, tree.ends[vessels.nearest], amount[vessels.tissue])
    for node in range(len(dead) - 1, -1, -1):  # children come after their parents
        if tree.parent[node] >= 0:
            dead[tree.parent[node]] += dead[node]
    total = dead[tree.parent < 0].sum()
    holding = np.flatnonzero((dead >= _EXPLAINED * total) & (tree.radius_mm > LEAST_LUMEN_MM) & (tree.parent >= 0))
    if not total or not len(holding):
        return ()
    smallest = int(holding[tree.supplied_ml[holding].argmin()])
    return (clot_from(rng, tree, smallest),)
