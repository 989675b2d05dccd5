"""What a clot does to the tissue behind it: flow, delay, hypoperfusion, and the core that grows in it.

Flow: blood comes round through leptomeningeal anastomoses from the nearest artery that is still open, and is given off
along the way, so that of the normal flow there arrives, x mm from that artery's tissue,

f = e^(−(x + x₀)/λ)

with x₀ what the anastomosis takes: more between branches of one artery, for anastomoses join above all the territories
of the three cerebral arteries (Brozici et al., Stroke 2003;34:2750). The better the collaterals are, the longer is λ,
which differs from place to place. Perforators are end arteries: behind them hardly anything comes round.

Delay: the mean transit time is the volume of the vessels over the flow (central volume theorem), hence 1/f times as
long in vessels as wide as before; Tmax, when the residue function of tissue is highest, is late by about T·(1/f − 1).

Hypoperfusion: Tmax > 6 s, as in DEFUSE (Olivot et al., Stroke 2009;40:469); here f < 0.51.

Core: which flow kills depends on how long it lasts. In awake monkeys it was one below 10 to 12 ml/100 g/min for 2 to 3
hours or below 17 to 18 for good, 15 to 30 minutes left microscopic foci, and below 23 began paralysis (Jones et al., J
Neurosurg 1981;54:773). Infarcts of patients grow with the logarithm of time (González et al., Sci Rep 2020), and so
does the deadly flow here, f†(t) = f∞·ln(1 + t/t₀)/ln(1 + t∞/t₀). How fast a core grows is the collaterals' doing.

x₀, λ, t₀ and f∞ are those with which the cores of large-vessel occlusions, their share of the hypoperfused tissue and
their growth come out as measured in patients: docs/concepts/phantom-statistics.md.
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
_TRANSIT_S = 5.0  # T: a normal mean transit time, about
_SLOWEST_S = 30.0  # beyond it perfusion imaging, which lasts about a minute, does not tell delays apart
_BETWEEN_MM, _WITHIN_MM = 12.0, 24.0  # x₀ of anastomoses between large arteries, and within one
_FARTHEST_MM = 92.0
_REACH_MM = 30.0  # λ of a grade of one half
_UNEVEN, _UNEVEN_MM = 0.4, 22.0  # of ln λ, and the distance at which it differs: about that of pial branches
_END_ARTERY_FLOW = 0.05  # what the capillaries' neighbours let through
_BLEND_MM, _MAP_MM = 1.2, 2.0  # how far neighbouring arterioles share, and how far perfusion maps blur
_KILLS_AT_LAST = 0.42  # f∞: 21 of a normal 50 ml/100 g/min, between what kills monkeys and what paralyses them
_FIRST_H, _LAST_H = 1.0, 72.0  # t₀ and t∞: infarcts grow for some days
_TOLERANCE = 0.12  # of ln f†, from place to place
_END_ARTERIES = ("M1 perforators", "P1 perforators", "A1 perforators", "basilar", "AChA", "vertebral")
# What the circle of Willis opens again: the artery, the way blood takes to it, and where that way must come from.
_DETOURS = tuple(
    (artery.format(s=s, o=o), way.format(s=s), source.format(s=s, o=o))
    for s, o in (("R", "L"), ("L", "R"))
    for artery, way, source in (("A2_{s}", "ACom", "A1_{o}"), ("P2_{s}", "PCom_{s}", "ICA_{s}"))
)


@dataclass(frozen=True)
class Collaterals:
    """How well blood comes round: 0 is not at all, 1 is as well as through the artery itself."""

    grade: float

    @property
    def reach_mm(self) -> float:
        """λ: the distance over which all but 1/e of the blood is given off."""
        return _REACH_MM * max(self.grade, 1e-3) / max(1.0 - self.grade, 1e-3)


def sample_collaterals(rng: np.random.Generator) -> Collaterals:
    """A grade as patients have them: moderate to good in most, poor in a quarter."""
    return Collaterals(float(rng.beta(4.0, 2.6)))


@dataclass(frozen=True, eq=False)
class CollateralRoutes:
    """How far blood that comes round has to go, at every end of an arterial tree.

    Attributes:
        points_mm: (L, 3), where arteries end.
        behind: (L,) bool, which of them lie behind a clot.
        away_mm: (L,), x + x₀; 0 where open.
        terminal: (L,) bool, those that no anastomosis reaches.
    """

    points_mm: np.ndarray
    behind: np.ndarray
    away_mm: np.ndarray
    terminal: np.ndarray


@dataclass(frozen=True, eq=False)
class Perfusion:
    """What blood brings to tissue.

    Attributes:
        flow: (X, Y, Z), share of the normal flow; 0 outside tissue.
        tmax_s: (X, Y, Z), in s; 0 outside tissue.
    """

    flow: Volume
    tmax_s: Volume


def collateral_routes(tree: Tree, clots: Sequence[Clot], *, plugged: np.ndarray | None = None) -> CollateralRoutes:
    """The ways round some clots.

    Args:
        tree: Arteries in the subject's space.
        clots: None leaves nothing to go round.
        plugged: (N,) bool, twigs behind them that fragments close: arterioles beyond are end arteries.
    """
    ends = tree.ends
    points, behind, kinds = tree.points_mm[ends], closed_off(tree, clots)[ends], tree.segment[ends]
    perforating = np.array([name.startswith(_END_ARTERIES) for name in tree.names])[kinds]
    away = np.zeros(len(ends))
    if behind.any():
        large = np.array([territory(name) for name in tree.names])[kinds]
        away = np.where(behind, _away_mm(points, behind, ~behind & ~perforating, large), 0.0)
    return CollateralRoutes(points, behind, away, perforating if plugged is None else perforating | plugged[ends])


def _away_mm(points: np.ndarray, behind: np.ndarray, giving: np.ndarray, large: np.ndarray) -> np.ndarray:
    """From each end behind a clot the shortest way to a giving one of the same hemisphere, (L,) in mm."""
    away, right = np.full(len(points), _FARTHEST_MM), points[:, 0] >= 0
    for here in (behind & right, behind & ~right):
        for one in np.unique(large[here]):
            wanting, near = here & (large == one), giving & (right == right[here][0])
            for sources, passage_mm in ((near & (large != one), _BETWEEN_MM), (near & (large == one), _WITHIN_MM)):
                if sources.any():
                    distance = cKDTree(points[sources]).query(points[wanting])[0]
                    away[wanting] = np.minimum(away[wanting], distance + passage_mm)
    return away


def unevenness(rng: np.random.Generator, points_mm: np.ndarray) -> np.ndarray:
    """How anastomoses differ from place to place, (L,), as a factor about 1 on their reach."""
    low, spacing = points_mm.min(axis=0), 4.0
    x, y, z = (int(n) for n in np.ceil(np.ptp(points_mm, axis=0) / spacing) + 1)
    field = smooth_field(rng, (x, y, z), spacing_mm=(spacing,) * 3, scale_mm=_UNEVEN_MM)
    return np.exp(_UNEVEN * field[tuple(np.rint((points_mm - low) / spacing).astype(int).T)])


def collateral_flow(
    ways: CollateralRoutes, collaterals: Collaterals, *, uneven: np.ndarray | float = 1.0
) -> np.ndarray:
    """The share of its normal flow that each end of the tree gets, (L,): 1 where it is open.

    Args:
        ways: Round the clots.
        collaterals: Of the subject.
        uneven: (L,), factor on their reach.
    """
    share = np.exp(-ways.away_mm / (collaterals.reach_mm * uneven))
    share = np.where(ways.terminal, np.minimum(share, _END_ARTERY_FLOW), share)
    return np.where(ways.behind, share, 1.0)


def rerouted(tree: Tree, clots: Sequence[Clot]) -> Tree:
    """The tree as blood takes it now: what the circle of Willis opens again hangs from where it is fed.

    Behind a clot of the carotid artery the anterior cerebral artery is fed from the other side, behind one of the
    basilar artery the posterior from the carotid, where the subject has those ways. Nodes keep their numbers, and their
    ``supplied_ml`` and radii; parents come first.
    """
    filled = plugging(tree, clots)
    closed, parent = tree.downstream(filled), tree.parent.copy()
    for artery, way, source in _DETOURS:
        if not {artery, way, source} <= set(tree.names) or not len(tree.nodes(way)):
            continue
        gate, last = int(tree.nodes(artery)[0]), int(tree.nodes(source)[-1])
        if closed[gate] and not filled[gate] and not closed[last]:
            parent[gate] = last if way == "ACom" else tree.parent[tree.nodes(way)[0]]
    return replace(tree, parent=parent)


def closed_off(tree: Tree, clots: Sequence[Clot]) -> np.ndarray:
    """Which nodes no blood reaches but through leptomeningeal collaterals, (N,) bool."""
    return rerouted(tree, clots).downstream(plugging(tree, clots))


def plugging(tree: Tree, clots: Sequence[Clot]) -> np.ndarray:
    """Which nodes clots fill, (N,) bool."""
    filled = np.zeros(len(tree.parent), dtype=bool)
    for clot in clots:
        filled[clot.nodes] = True
    return filled


def perfused(rng: np.random.Generator, grid: Grid, tissue: Mask, nearest: np.ndarray, flow: np.ndarray) -> Perfusion:
    """The perfusion of every voxel of tissue.

    Args:
        rng: Of a healthy brain's delays.
        grid: Of the volumes.
        tissue: Where there is tissue.
        nearest: As ``territories.nearest_ends`` gives it for the voxels of ``tissue``, in their order.
        flow: (L,), at the ends of the arteries, as ``collateral_flow`` gives it.
    """
    healthy_s = np.clip(rng.normal(_HEALTHY_S, 0.35, len(flow)), 0.2, 3.0)
    late_s = np.minimum(healthy_s + _TRANSIT_S * (1 / np.maximum(flow, 1e-3) - 1), _SLOWEST_S)
    return Perfusion(_blurred(grid, tissue, flow[nearest], _BLEND_MM), _blurred(grid, tissue, late_s[nearest], _MAP_MM))


def _blurred(grid: Grid, tissue: Mask, values: np.ndarray, sigma_mm: float) -> Volume:
    """The values of the tissue's voxels as a volume, blurred within the tissue; 0 outside."""
    volume, sigma = np.zeros(grid.shape, np.float32), [sigma_mm / spacing for spacing in grid.spacing_mm]
    volume[tissue] = values
    weight = np.maximum(ndimage.gaussian_filter(tissue.astype(np.float32), sigma), 1e-3)
    return np.where(tissue, ndimage.gaussian_filter(volume, sigma) / weight, 0).astype(np.float32)


def deadly_flow(hours: float) -> float:
    """f†: the share of its normal flow that tissue does not survive for so long."""
    return float(_KILLS_AT_LAST * min(np.log1p(hours / _FIRST_H) / np.log1p(_LAST_H / _FIRST_H), 1.0))


def core(rng: np.random.Generator, grid: Grid, perfusion: Perfusion, *, hours: float) -> Volume:
    """The share of each voxel that has died, in [0, 1]; inside Tmax > 6 s.

    Args:
        rng: Of the tissue's uneven tolerance.
        grid: Of the volumes.
        perfusion: While the artery was closed.
        hours: For how long it was.
    """
    tolerance = _TOLERANCE * smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=9)
    lacking = np.log(np.float32(deadly_flow(hours)) / np.maximum(perfusion.flow, 1e-3)) - tolerance
    dead = np.clip(lacking / 0.15 + 0.5, 0, 1)
    return (dead * (perfusion.tmax_s > HYPOPERFUSED_S)).astype(np.float32)
