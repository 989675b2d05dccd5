"""What befell a brain: the clot that closed an artery, the tissue that blood no longer reaches in time, what has died.

The order of events: a clot lodges (``clot``), tissue behind it is fed late or not at all (``perfusion``), and dies from
the middle outwards until the artery opens again or the scan is made. The outline of a real lesion is explained
backwards: the clot lies in the smallest branch behind which most of the lesion lies.

Clots shed fragments, which close twigs behind them: there tissue dies soon, however good the collaterals are.

What is drawn is a stroke with an infarct, as series of patients have it: a clot that dissolves before anything has died
is a transient attack, and one behind which collaterals suffice is never noticed. Both are drawn anew.

Flow now: continuity. What reaches tissue behind a clot comes backwards through its branches; what leads to the clot
alone stands still, and what leads to it among others carries the less.
"""

from dataclasses import dataclass, replace

import numpy as np

from adumbra.core.types import Labels, Mask, Volume
from adumbra.phantom.anatomy.head import Head, in_subject
from adumbra.phantom.pathology.clot import LEAST_LUMEN_MM, Clot, clot_from, clots
from adumbra.phantom.pathology.lesion import LesionShape, Pattern, infarcted
from adumbra.phantom.pathology.perfusion import (
    HYPOPERFUSED_S,
    CollateralRoutes,
    Collaterals,
    closed_off,
    collateral_flow,
    collateral_routes,
    core,
    deadly_flow,
    perfused,
    plugging,
    rerouted,
    sample_collaterals,
    unevenness,
)
from adumbra.phantom.vasculature.arteries import arteries
from adumbra.phantom.vasculature.territories import labelled_territories, nearest_ends
from adumbra.phantom.vasculature.veins import veins
from adumbra.phantom.vasculature.vessels import Tree, towards_roots

_TISSUE = 0.5  # share of a voxel from which it counts as fed by an artery
_EXPLAINED = 0.85  # share of a real lesion that lies behind the clot which is held to have caused it
# An infarct of a named artery is larger than what counts as small, some 20 mm across; of the tree's millilitres.
_LEAST_INFARCT_ML = 8.0
_TRIES = 40  # after which a smaller one is taken: in its first hour a distal clot has killed no more
_TWIG_ML = (0.2, 2.0)  # of tissue, behind a twig that a fragment closes
# Half of the arteries open within about two days, some in the first hour, some never. Spontaneously 17 % opened within
# 6 to 8 hours; of all that were looked for 28 % were open after 6 hours and 50 % on the fourth day (Kassem-Moussa &
# Graffagnino, Arch Neurol 2002;59:1870). Treatment, which comes in the first hours, opens more.
_HALF_OPEN_H, _OPENING_SPREAD = 40.0, 2.3  # log-normal


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
    lesion_shape: LesionShape | None = None,
) -> Stroke:
    """A stroke of a given pattern.

    Args:
        rng: Source of everything random here.
        head: The subject.
        vessels: The subject's.
        pattern: ``"territorial"`` is a clot in a named artery; the others close branches that no image shows, or none.
        hours: From onset to the scan.
        lesion_shape: A real lesion in MNI space, for the pattern ``"lesion_shape"``.
    """
    tree, grid = vessels.arteries, head.grid
    known = None if pattern == "territorial" else infarcted(rng, head, pattern=pattern, lesion_shape=lesion_shape)
    lodged: tuple[Clot, ...] = ()
    if pattern == "territorial":
        lodged = clots(rng, tree)
    elif pattern == "outline" and known is not None:
        lodged = causal_clot(rng, vessels, known)
    plugged = fragments(rng, tree, lodged) if pattern == "territorial" else None
    course = _course(rng, tree, collateral_routes(tree, lodged, plugged=plugged), hours, grows=pattern == "territorial")
    perfusion = perfused(rng, grid, vessels.tissue, vessels.nearest, course.flow)
    amount = core(rng, grid, perfusion, hours=course.hours_closed) if known is None else known
    late = perfusion.tmax_s
    if course.is_open:
        late = perfused(rng, grid, vessels.tissue, vessels.nearest, np.ones_like(course.flow)).tmax_s
    elif lodged:  # what has died was not fed in time, whatever the tree says
        late = np.where((amount > 0.5) & vessels.tissue, np.maximum(late, HYPOPERFUSED_S + 1), late).astype(np.float32)
    left = () if course.is_open else lodged
    return Stroke(pattern, left, course.collaterals, course.hours_closed, course.is_open, late, amount)


@dataclass(frozen=True, eq=False)
class _Course:
    """How an occlusion went on: (L,) shares of the normal flow at the ends of the arteries, while it lasted."""

    collaterals: Collaterals
    hours_closed: float
    is_open: bool
    flow: np.ndarray


def _course(rng: np.random.Generator, tree: Tree, ways: CollateralRoutes, hours: float, *, grows: bool) -> _Course:
    """The course until the scan; where a core grows, one of those by which there is an infarct."""
    own_ml, course = tree.own_ml[tree.ends], _drawn_course(rng, ways, hours)
    for _ in range(_TRIES if grows else 0):
        if own_ml[course.flow < deadly_flow(course.hours_closed)].sum() >= _LEAST_INFARCT_ML:
            break
        course = _drawn_course(rng, ways, hours)
    return course


def _drawn_course(rng: np.random.Generator, ways: CollateralRoutes, hours: float) -> _Course:
    opens_after_h = float(np.exp(rng.normal(np.log(_HALF_OPEN_H), _OPENING_SPREAD)))
    collaterals = sample_collaterals(rng)
    flow = collateral_flow(ways, collaterals, uneven=unevenness(rng, ways.points_mm))
    return _Course(collaterals, min(hours, opens_after_h), opens_after_h < hours, flow)


def fragments(rng: np.random.Generator, tree: Tree, lodged: tuple[Clot, ...]) -> np.ndarray:
    """What fragments of clots close behind them, one to some twigs and all beyond, (N,) bool."""
    least, most = _TWIG_ML
    twigs = np.flatnonzero(closed_off(tree, lodged) & (tree.supplied_ml > least) & (tree.supplied_ml < most))
    plugged = np.zeros(len(tree.parent), dtype=bool)
    plugged[rng.permutation(twigs)[: 1 + rng.poisson(2.0)]] = True
    return tree.downstream(plugged)


def flow_shares(tree: Tree, lodged: tuple[Clot, ...], collaterals: Collaterals) -> np.ndarray:
    """The share of its normal flow that each node carries now, in either direction, (N,) float in [0, 1].

    Nothing in a clot, nor in the stump before it down to the last branch that still takes blood; behind it what comes
    round. An artery that feeds another territory too, through the circle of Willis, is given no more than its own.
    For ``inflow.blood_signal`` together with ``perfusion.rerouted``, the tree as blood takes it now.

    Args:
        tree: Arteries.
        lodged: The clots that close some of them.
        collaterals: Of the subject.
    """
    filled, brought = plugging(tree, lodged), tree.own_ml
    brought[tree.ends] *= collateral_flow(collateral_routes(tree, lodged), collaterals)
    passing = np.where(filled, -1, rerouted(tree, lodged).parent)  # through a clot nothing passes
    carried = np.where(filled, 0.0, towards_roots(passing, brought))
    carried += _second_way(tree, carried)
    return np.clip(np.divide(carried, tree.supplied_ml, out=np.ones(len(carried)), where=tree.supplied_ml > 0), 0, 1)


def _second_way(tree: Tree, carried: np.ndarray) -> np.ndarray:
    """What goes the second way to a common vessel, (N,) in ml, negative on the first: a node has one parent only.

    The basilar artery hangs from one vertebral artery and takes blood from both (``vessels.shared``).
    """
    other = tree.supplied_ml - towards_roots(tree.parent, tree.own_ml)
    other[np.abs(other) < 1e-6] = 0.0
    if "basilar" not in tree.names or not len(tree.nodes("basilar")):
        return np.zeros(len(carried))
    junction = tree.nodes("basilar")[0]
    return other * carried[junction] / tree.supplied_ml[junction]


def causal_clot(rng: np.random.Generator, vessels: Vasculature, amount: Volume) -> tuple[Clot, ...]:
    """The clot behind which most of a lesion lies, where the smallest such branch is wide enough to be seen; else none.

    Args:
        rng: Of the clot's length and composition.
        vessels: Of the subject.
        amount: The lesion's share of each voxel.
    """
    tree = vessels.arteries
    dead = np.zeros(len(tree.parent))
    np.add.at(dead, tree.ends[vessels.nearest], amount[vessels.tissue])
    dead = towards_roots(tree.parent, dead)
    total = dead[tree.parent < 0].sum()
    holding = np.flatnonzero((dead >= _EXPLAINED * total) & (tree.radius_mm > LEAST_LUMEN_MM) & (tree.parent >= 0))
    if not total or not len(holding):
        return ()
    smallest = int(holding[tree.supplied_ml[holding].argmin()])
    return (clot_from(rng, tree, smallest),)
