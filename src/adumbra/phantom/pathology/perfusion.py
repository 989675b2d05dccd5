"""Perfusion behind a clot: collateral flow, delay, hypoperfusion and infarct core.

Flow: collateral blood arrives through leptomeningeal anastomoses from the nearest open artery and is consumed along the
way. At a distance of x mm from that artery's tissue the share of the normal flow is

f = e^(−(x + x₀)/λ)

with x₀ the loss in the anastomosis. It is larger between branches of one artery, because anastomoses mainly connect the
territories of the three cerebral arteries (Brozici et al., Stroke 2003;34:2750). λ is longer the better the collaterals
are, and varies from place to place. Perforators are end arteries, with almost no collateral flow.

Delay: the mean transit time is the volume of the vessels over the flow (central volume theorem), hence 1/f times as
long in vessels of unchanged width. Tmax, the time of the maximum of the residue function, increases by about T·(1/f −
1).

Hypoperfusion: Tmax > 6 s, as in DEFUSE (Olivot et al., Stroke 2009;40:469); here f < 0.51.

Core: the critical flow depends on the duration. In awake monkeys infarction occurred below 10 to 12 ml/100 g/min within
2 to 3 hours and below 17 to 18 with permanent occlusion; 15 to 30 minutes left microscopic foci, and paralysis began
below 23 (Jones et al., J Neurosurg 1981;54:773). Infarcts of patients grow with the logarithm of time (González et al.,
Sci Rep 2020), and so does the critical flow here, f†(t) = f∞·ln(1 + t/t₀)/ln(1 + t∞/t₀). The collaterals determine the
speed of growth.

x₀, λ, t₀ and f∞ were chosen so that core volumes of large-vessel occlusions, their share of the hypoperfused tissue and
their growth agree with measurements in patients: docs/results/phantom-statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Volume
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.pathology.clot import Clot
from adumbra.phantom.vasculature.arteries import territory
from adumbra.phantom.vasculature.vessels import Tree

HYPOPERFUSED_S = 6.0
_HEALTHY_S = 1.2  # Tmax of a healthy brain
_TRANSIT_S = 5.0  # T, a normal mean transit time, approximately
_SLOWEST_S = 30.0  # longest delay that perfusion imaging of about a minute can measure
_BETWEEN_MM, _WITHIN_MM = 12.0, 24.0  # x₀ of anastomoses between large arteries, and within one
_FARTHEST_MM = 92.0
_REACH_MM = 30.0  # λ at a grade of one half
_VARIATION, _VARIATION_MM = 0.4, 22.0  # standard deviation of ln λ, and its length scale: about that of pial branches
_END_ARTERY_FLOW = 0.05  # flow through neighbouring capillaries
_BLEND_MM, _MAP_MM = 1.2, 2.0  # blur by the overlap of neighbouring arterioles, and by perfusion imaging
_CRITICAL_AT_LAST = 0.42  # f∞: 21 of a normal 50 ml/100 g/min, between infarction and paralysis in monkeys
_FIRST_H, _LAST_H = 1.0, 72.0  # t₀ and t∞: infarcts grow for some days
_TOLERANCE = 0.12  # standard deviation of ln f† between places
_END_ARTERIES = ("M1 perforators", "P1 perforators", "A1 perforators", "basilar", "AChA", "vertebral")
# Routes through the circle of Willis: the artery that is supplied, the communicating artery, the supplying artery.
_WILLIS_ROUTES = tuple(
    (artery.format(s=s, o=o), communicating.format(s=s), source.format(s=s, o=o))
    for s, o in (("R", "L"), ("L", "R"))
    for artery, communicating, source in (("A2_{s}", "ACom", "A1_{o}"), ("P2_{s}", "PCom_{s}", "ICA_{s}"))
)


@dataclass(frozen=True)
class Collaterals:
    """The collateral supply of a subject.

    Attributes:
        grade: From 0, no collateral flow, to 1, normal flow in spite of an occlusion.
    """

    grade: float

    @property
    def reach_mm(self) -> float:
        """λ: the distance over which the collateral flow falls to 1/e."""
        return _REACH_MM * max(self.grade, 1e-3) / max(1.0 - self.grade, 1e-3)


def sample_collaterals(rng: np.random.Generator) -> Collaterals:
    """Samples a grade with the distribution of patients: moderate to good in most, poor in a quarter.

    Args:
        rng: Source of the grade.
    """
    return Collaterals(float(rng.beta(4.0, 2.6)))


@dataclass(frozen=True, eq=False)
class CollateralRoutes:
    """The collateral routes to every end of an arterial tree.

    Attributes:
        points_mm: (L, 3), positions of the ends.
        behind: (L,) bool, the ends that lie behind a clot.
        away_mm: (L,), x + x₀, the length of the route; 0 where the artery is open.
        terminal: (L,) bool, end arteries, which no anastomosis reaches.
    """

    points_mm: np.ndarray
    behind: np.ndarray
    away_mm: np.ndarray
    terminal: np.ndarray


@dataclass(frozen=True, eq=False)
class Perfusion:
    """Perfusion maps.

    Attributes:
        flow: (X, Y, Z), share of the normal flow; 0 outside tissue.
        tmax_s: (X, Y, Z), Tmax in s; 0 outside tissue.
    """

    flow: Volume
    tmax_s: Volume


def collateral_routes(tree: Tree, clots: Sequence[Clot], *, plugged: np.ndarray | None = None) -> CollateralRoutes:
    """The collateral routes around some clots.

    Args:
        tree: Arteries in the subject's space.
        clots: The clots; without any, all ends are open.
        plugged: (N,) bool, nodes behind the clots that fragments occlude; they become end arteries.
    """
    ends = tree.ends
    points, behind, segments = tree.points_mm[ends], closed_off(tree, clots)[ends], tree.segment[ends]
    perforating = np.array([name.startswith(_END_ARTERIES) for name in tree.names])[segments]
    away = np.zeros(len(ends))
    if behind.any():
        large = np.array([territory(name) for name in tree.names])[segments]
        away = np.where(behind, _away_mm(points, behind, ~behind & ~perforating, large), 0.0)
    return CollateralRoutes(points, behind, away, perforating if plugged is None else perforating | plugged[ends])


def _away_mm(points: np.ndarray, behind: np.ndarray, donor: np.ndarray, large: np.ndarray) -> np.ndarray:
    """The shortest route from each end behind a clot to a donor end of the same hemisphere, (L,) in mm.

    Args:
        points: (L, 3), positions of the ends in mm.
        behind: (L,) bool, the ends behind a clot.
        donor: (L,) bool, the ends that can supply others.
        large: (L,), the large territory of each end.
    """
    away, right = np.full(len(points), _FARTHEST_MM), points[:, 0] >= 0
    for side in (behind & right, behind & ~right):
        for own in np.unique(large[side]):
            supplied, near = side & (large == own), donor & (right == right[side][0])
            for sources, passage_mm in ((near & (large != own), _BETWEEN_MM), (near & (large == own), _WITHIN_MM)):
                if sources.any():
                    distance = cKDTree(points[sources]).query(points[supplied])[0]
                    away[supplied] = np.minimum(away[supplied], distance + passage_mm)
    return away


def sample_collateral_variation(rng: np.random.Generator, points_mm: np.ndarray) -> np.ndarray:
    """Samples the regional variation of the anastomoses, as a factor on their reach λ, (L,).

    Args:
        rng: Source of the variation.
        points_mm: (L, 3), positions of the ends.
    """
    low, spacing = points_mm.min(axis=0), 4.0
    x, y, z = (int(n) for n in np.ceil(np.ptp(points_mm, axis=0) / spacing) + 1)
    field = smooth_field(rng, (x, y, z), spacing_mm=(spacing,) * 3, scale_mm=_VARIATION_MM)
    return np.exp(_VARIATION * field[tuple(np.rint((points_mm - low) / spacing).astype(int).T)])


def collateral_flow(
    routes: CollateralRoutes, collaterals: Collaterals, *, variation: np.ndarray | float = 1.0
) -> np.ndarray:
    """The flow at each end of the tree as a share of its normal flow, (L,); 1 where the artery is open.

    Args:
        routes: The routes around the clots.
        collaterals: Collateral supply of the subject.
        variation: (L,), factor on the reach λ.
    """
    share = np.exp(-routes.away_mm / (collaterals.reach_mm * variation))
    share = np.where(routes.terminal, np.minimum(share, _END_ARTERY_FLOW), share)
    return np.where(routes.behind, share, 1.0)


def reroute(tree: Tree, clots: Sequence[Clot]) -> Tree:
    """The tree with the present directions of flow: arteries that the circle of Willis supplies get a new parent.

    With a clot in the carotid artery the anterior cerebral artery is supplied from the other side. With one in the
    basilar artery the posterior cerebral artery is supplied from the carotid artery. Both need the communicating
    artery, which some subjects lack. Nodes keep their numbers, ``supplied_ml`` and radii; every parent precedes its
    children.

    Args:
        tree: Arteries.
        clots: The clots that occlude some of them.
    """
    filled = occluded_nodes(tree, clots)
    closed, parent = tree.downstream(filled), tree.parent.copy()
    for artery, communicating, source in _WILLIS_ROUTES:
        if not {artery, communicating, source} <= set(tree.names) or not len(tree.nodes(communicating)):
            continue
        first, last = int(tree.nodes(artery)[0]), int(tree.nodes(source)[-1])
        if closed[first] and not filled[first] and not closed[last]:
            parent[first] = last if communicating == "ACom" else tree.parent[tree.nodes(communicating)[0]]
    return replace(tree, parent=parent)


def closed_off(tree: Tree, clots: Sequence[Clot]) -> np.ndarray:
    """The nodes that only leptomeningeal collaterals can supply, (N,) bool.

    Args:
        tree: Arteries.
        clots: The clots that occlude some of them.
    """
    return reroute(tree, clots).downstream(occluded_nodes(tree, clots))


def occluded_nodes(tree: Tree, clots: Sequence[Clot]) -> np.ndarray:
    """The nodes that clots fill, (N,) bool.

    Args:
        tree: Arteries.
        clots: The clots in them.
    """
    filled = np.zeros(len(tree.parent), dtype=bool)
    for clot in clots:
        filled[clot.nodes] = True
    return filled


def perfusion_maps(
    rng: np.random.Generator, grid: Grid, tissue: Mask, nearest: np.ndarray, flow: np.ndarray
) -> Perfusion:
    """The perfusion of every voxel of tissue.

    Args:
        rng: Source of the delays of healthy tissue.
        grid: Grid of the maps.
        tissue: (X, Y, Z), the voxels with tissue.
        nearest: (M,), for each voxel of ``tissue``, the index of its supplying end (``territories.nearest_ends``).
        flow: (L,), share of the normal flow at the ends of the arteries (``collateral_flow``).
    """
    healthy_s = np.clip(rng.normal(_HEALTHY_S, 0.35, len(flow)), 0.2, 3.0)
    delay_s = np.minimum(healthy_s + _TRANSIT_S * (1 / np.maximum(flow, 1e-3) - 1), _SLOWEST_S)
    return Perfusion(
        _blurred(grid, tissue, flow[nearest], _BLEND_MM), _blurred(grid, tissue, delay_s[nearest], _MAP_MM)
    )


def _blurred(grid: Grid, tissue: Mask, values: np.ndarray, sigma_mm: float) -> Volume:
    """A volume from the values of the tissue voxels, blurred within the tissue; 0 outside."""
    volume, sigma = np.zeros(grid.shape, np.float32), [sigma_mm / spacing for spacing in grid.spacing_mm]
    volume[tissue] = values
    weight = np.maximum(ndimage.gaussian_filter(tissue.astype(np.float32), sigma), 1e-3)
    return np.where(tissue, ndimage.gaussian_filter(volume, sigma) / weight, 0).astype(np.float32)


def critical_flow(hours: float) -> float:
    """f†: the share of the normal flow below which tissue dies within a given time.

    Args:
        hours: Duration of the occlusion in hours.
    """
    return float(_CRITICAL_AT_LAST * min(np.log1p(hours / _FIRST_H) / np.log1p(_LAST_H / _FIRST_H), 1.0))


def infarct_core(rng: np.random.Generator, grid: Grid, perfusion: Perfusion, *, hours: float) -> Volume:
    """The infarcted fraction of each voxel, (X, Y, Z) in [0, 1]; 0 outside Tmax > 6 s.

    Args:
        rng: Source of the regional tolerance of tissue.
        grid: Grid of the maps.
        perfusion: Perfusion during the occlusion.
        hours: Duration of the occlusion in hours.
    """
    tolerance = _TOLERANCE * smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=9)
    deficit = np.log(np.float32(critical_flow(hours)) / np.maximum(perfusion.flow, 1e-3)) - tolerance
    fraction = np.clip(deficit / 0.15 + 0.5, 0, 1)
    return (fraction * (perfusion.tmax_s > HYPOPERFUSED_S)).astype(np.float32)
