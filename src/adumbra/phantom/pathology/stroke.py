"""Simulation of an ischemic stroke: arterial occlusion, delayed perfusion, infarct core.

A clot lodges (``clot``). The tissue behind it is perfused late or not at all (``perfusion``), and dies from the centre
outwards until the artery opens again or the scan is acquired. A given lesion shape is explained in reverse: the causal
clot lies in the smallest branch whose territory contains most of the lesion.

Clots shed fragments, which occlude small branches behind them. The tissue of such a branch dies early, however good the
collaterals are.

Only strokes with an infarct are simulated, as in clinical series. A clot that dissolves before tissue dies causes a
transient ischemic attack, and one with sufficient collaterals remains undetected; both are sampled again.

Flow at the scan follows from continuity. Tissue behind a clot is supplied through collaterals, in reverse direction. An
artery that leads only to the clot has no flow, and one that also leads elsewhere has less.
"""

from dataclasses import dataclass

import numpy as np

from adumbra.core.types import Mask, Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.pathology.clot import LEAST_LUMEN_MM, Clot, sample_clot_at, sample_clots
from adumbra.phantom.pathology.lesion import LesionShape, Pattern, sample_infarct
from adumbra.phantom.pathology.perfusion import (
    HYPOPERFUSED_S,
    CollateralRoutes,
    Collaterals,
    closed_off,
    collateral_flow,
    collateral_routes,
    critical_flow,
    infarct_core,
    occluded_nodes,
    perfusion_maps,
    reroute,
    sample_collateral_variation,
    sample_collaterals,
)
from adumbra.phantom.vasculature.subject import Vasculature
from adumbra.phantom.vasculature.vessels import Tree, towards_roots

_CAUSAL_SHARE = 0.85  # share of a given lesion that lies in the territory of its causal clot
# An infarct of a named artery is larger than a small infarct of about 20 mm; in millilitres of the tree's tissue.
_LEAST_INFARCT_ML = 8.0
_MAX_ATTEMPTS = 40  # then a smaller infarct is accepted, since a distal clot of less than an hour causes no larger one
_TWIG_ML = (0.2, 2.0)  # tissue supplied by a small branch that a fragment occludes
# Half of the arteries open within about two days, some in the first hour, some never. Spontaneously 17 % opened within
# 6 to 8 hours; of all occlusions with follow-up 28 % were open after 6 hours and 50 % on the fourth day (Kassem-Moussa
# & Graffagnino, Arch Neurol 2002;59:1870). Treatment, which comes in the first hours, opens more.
_HALF_OPEN_H, _OPENING_SPREAD = 40.0, 2.3  # log-normal


@dataclass(frozen=True, eq=False)
class Stroke:
    """A stroke at the time of the scan.

    Attributes:
        pattern: The infarct pattern.
        clots: The clots that are present.
        collaterals: Collateral supply of the subject.
        hours_closed: Duration of the occlusion in hours.
        is_open: Whether the artery has opened again.
        tmax_s: (X, Y, Z), Tmax at the scan in s.
        infarct: (X, Y, Z), the infarcted fraction of each voxel's tissue.
    """

    pattern: Pattern
    clots: tuple[Clot, ...]
    collaterals: Collaterals
    hours_closed: float
    is_open: bool
    tmax_s: Volume
    infarct: Volume

    @property
    def hypoperfused(self) -> Mask:
        """Tmax > 6 s at the scan."""
        return self.tmax_s > HYPOPERFUSED_S


def sample_stroke(
    rng: np.random.Generator,
    head: Head,
    vessels: Vasculature,
    *,
    pattern: Pattern,
    hours: float,
    lesion_shape: LesionShape | None = None,
) -> Stroke:
    """Samples a stroke of a given pattern.

    Args:
        rng: Source of every random choice.
        head: The subject's anatomy.
        vessels: The subject's vessels.
        pattern: ``"territorial"`` is a clot in a named artery. The other patterns occlude branches too small for any
            image, or none.
        hours: Time from onset to the scan in hours.
        lesion_shape: A real lesion in MNI space, for the pattern ``"lesion-mask"``.
    """
    tree, grid, territorial = vessels.arteries, head.grid, pattern == "territorial"
    given = None if territorial else sample_infarct(rng, head, pattern=pattern, lesion_shape=lesion_shape)
    clots: tuple[Clot, ...] = ()
    if territorial:
        clots = sample_clots(rng, tree)
    elif pattern == "lesion-mask" and given is not None:
        clots = causal_clot(rng, vessels, given)
    plugged = sample_fragments(rng, tree, clots) if territorial else None
    routes = collateral_routes(tree, clots, plugged=plugged)
    course = _sample_infarcting_course(rng, tree, routes, hours) if territorial else _sample_course(rng, routes, hours)
    perfusion = perfusion_maps(rng, grid, vessels.tissue, vessels.nearest, course.flow)
    infarct = infarct_core(rng, grid, perfusion, hours=course.hours_closed) if given is None else given
    tmax_s = perfusion.tmax_s
    if course.is_open:
        tmax_s = perfusion_maps(rng, grid, vessels.tissue, vessels.nearest, np.ones_like(course.flow)).tmax_s
    elif clots:  # a given infarct is hypoperfused by definition, even where the vessel tree would supply it
        raised = np.maximum(tmax_s, HYPOPERFUSED_S + 1)
        tmax_s = np.where((infarct > 0.5) & vessels.tissue, raised, tmax_s).astype(np.float32)
    present = () if course.is_open else clots
    return Stroke(pattern, present, course.collaterals, course.hours_closed, course.is_open, tmax_s, infarct)


@dataclass(frozen=True, eq=False)
class _OcclusionCourse:
    """The course of an occlusion.

    Attributes:
        collaterals: Collateral supply of the subject.
        hours_closed: Duration of the occlusion in hours.
        is_open: Whether the artery has opened before the scan.
        flow: (L,), share of the normal flow at each end of the arterial tree during the occlusion.
    """

    collaterals: Collaterals
    hours_closed: float
    is_open: bool
    flow: np.ndarray


def _sample_infarcting_course(
    rng: np.random.Generator, tree: Tree, routes: CollateralRoutes, hours: float
) -> _OcclusionCourse:
    """Samples courses until one of them causes an infarct of sufficient size, or the last attempt."""
    own_ml, course = tree.own_ml[tree.ends], _sample_course(rng, routes, hours)
    for _ in range(_MAX_ATTEMPTS):
        if own_ml[course.flow < critical_flow(course.hours_closed)].sum() >= _LEAST_INFARCT_ML:
            break
        course = _sample_course(rng, routes, hours)
    return course


def _sample_course(rng: np.random.Generator, routes: CollateralRoutes, hours: float) -> _OcclusionCourse:
    """Samples the time of reopening, the collateral grade and its regional variation."""
    opens_after_h = float(np.exp(rng.normal(np.log(_HALF_OPEN_H), _OPENING_SPREAD)))
    collaterals = sample_collaterals(rng)
    flow = collateral_flow(routes, collaterals, variation=sample_collateral_variation(rng, routes.points_mm))
    return _OcclusionCourse(collaterals, min(hours, opens_after_h), opens_after_h < hours, flow)


def sample_fragments(rng: np.random.Generator, tree: Tree, clots: tuple[Clot, ...]) -> np.ndarray:
    """Samples one or more small branches behind the clots that fragments occlude.

    Args:
        rng: Source of every random choice.
        tree: Arteries.
        clots: The clots that shed fragments.

    Returns:
        (N,) bool, the nodes of these branches and all nodes downstream of them.
    """
    least, most = _TWIG_ML
    twigs = np.flatnonzero(closed_off(tree, clots) & (tree.supplied_ml > least) & (tree.supplied_ml < most))
    plugged = np.zeros(len(tree.parent), dtype=bool)
    plugged[rng.permutation(twigs)[: 1 + rng.poisson(2.0)]] = True
    return tree.downstream(plugged)


def flow_shares(tree: Tree, clots: tuple[Clot, ...], collaterals: Collaterals) -> np.ndarray:
    """The flow at the scan through each node, in either direction, as a share of its normal flow, (N,) in [0, 1].

    There is no flow in a clot, nor between it and the last open branch before it; behind it there is collateral flow.
    An artery that supplies another territory through the circle of Willis has at most its own normal flow. The shares
    belong to ``perfusion.reroute``, which gives the tree with the present directions of flow.

    Args:
        tree: Arteries.
        clots: The clots that occlude some of them.
        collaterals: Collateral supply of the subject.
    """
    filled, delivered = occluded_nodes(tree, clots), tree.own_ml
    delivered[tree.ends] *= collateral_flow(collateral_routes(tree, clots), collaterals)
    open_parent = np.where(filled, -1, reroute(tree, clots).parent)  # a clot passes nothing on
    carried = np.where(filled, 0.0, towards_roots(open_parent, delivered))
    carried += _second_inflow(tree, carried)
    return np.clip(np.divide(carried, tree.supplied_ml, out=np.ones(len(carried)), where=tree.supplied_ml > 0), 0, 1)


def _second_inflow(tree: Tree, carried: np.ndarray) -> np.ndarray:
    """Correction for a vessel with two inflows, (N,) in ml: positive on the second path, negative on the first.

    A node has one parent only. The basilar artery is the child of one vertebral artery but is supplied by both
    (``vessels.share_flow``).
    """
    other = tree.supplied_ml - towards_roots(tree.parent, tree.own_ml)
    other[np.abs(other) < 1e-6] = 0.0
    if "basilar" not in tree.names or not len(tree.nodes("basilar")):
        return np.zeros(len(carried))
    junction = tree.nodes("basilar")[0]
    return other * carried[junction] / tree.supplied_ml[junction]


def causal_clot(rng: np.random.Generator, vessels: Vasculature, infarct: Volume) -> tuple[Clot, ...]:
    """The clot that explains a given lesion, in the smallest branch whose territory contains most of it.

    Args:
        rng: Source of the clot's length and composition.
        vessels: The subject's vessels.
        infarct: (X, Y, Z), the infarcted fraction of each voxel.

    Returns:
        One clot; none where the lesion is empty, or every such branch is too narrow to be visible.
    """
    tree = vessels.arteries
    infarcted = np.zeros(len(tree.parent))
    np.add.at(infarcted, tree.ends[vessels.nearest], infarct[vessels.tissue])
    infarcted = towards_roots(tree.parent, infarcted)
    total = infarcted[tree.parent < 0].sum()
    containing = (infarcted >= _CAUSAL_SHARE * total) & (tree.radius_mm > LEAST_LUMEN_MM) & (tree.parent >= 0)
    candidates = np.flatnonzero(containing)
    if not total or not len(candidates):
        return ()
    smallest = int(candidates[tree.supplied_ml[candidates].argmin()])
    return (sample_clot_at(rng, tree, smallest),)
