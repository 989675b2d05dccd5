"""What a clot does to the tissue behind it: delay, hypoperfusion, and the core that grows in it.

Delay: blood that must come round through leptomeningeal collaterals arrives late, the later the farther the tissue lies
from a territory that is still open and the poorer the collaterals are; Tmax, the time at which the tissue's residue
function is highest, measures it. Perforators are end arteries: behind them nothing comes round.

Hypoperfusion: Tmax > 6 s, as in DEFUSE (Olivot et al., Stroke 2009;40:469).

Core: tissue dies at a delay that falls with time since onset towards that of hypoperfusion,
θ(t) = 6 s + (θ₀ − 6 s)·e^(−t/τ), so that the core grows like 1 − e^(−t/τ) inside the hypoperfused tissue, fast where
collaterals are poor and slowly where they are good (González et al., Sci Rep 2020: infarcts of untreated occlusions
grow logarithmically).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from adumbra.phantom.clot import Clot
from adumbra.phantom.random_fields import smooth_field
from adumbra.phantom.vessels import Tree
from adumbra.shapes import Mask, Volume
from adumbra.space.grid import Grid

HYPOPERFUSED_S = 6.0
_END_ARTERIES = ("M1 perforators", "P1 perforators", "A1 perforators", "basilar", "AChA", "vertebral")
_DEADLY_AT_ONSET_S = 22.0  # a delay that kills at once
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
    def hours_to_grow(self) -> float:
        """τ of the core's growth: from about one hour with poor to a day with good collaterals."""
        return float(1.5 * np.exp(3.6 * self.grade))


def drawn_collaterals(rng: np.random.Generator) -> Collaterals:
    """A grade as patients have them: moderate to good in most."""
    return Collaterals(float(rng.beta(2.8, 1.8)))


@dataclass(frozen=True, eq=False)
class Delay:
    """Tmax in s at the ends of an arterial tree, and which of them lie behind a clot.

    Attributes:
        points_mm: (L, 3), where arteries end.
        seconds: (L,), Tmax there.
        behind: (L,) bool.
    """

    points_mm: np.ndarray
    seconds: np.ndarray
    behind: np.ndarray


def delay(rng: np.random.Generator, tree: Tree, clots: Sequence[Clot], collaterals: Collaterals) -> Delay:
    """The delay that clots cause, at every end of the tree.

    Args:
        rng: Source of everything random here.
        tree: Arteries in the subject's space.
        clots: None of them leaves the delay of a healthy brain.
        collaterals: Of the subject.
    """
    ends = tree.ends
    points, names = tree.points_mm[ends], np.array(tree.names)[tree.segment[ends]]
    behind = closed_off(tree, clots)[ends]
    seconds = np.clip(rng.normal(1.2, 0.35, len(ends)), 0.2, 3.0)
    if behind.any() and not behind.all():
        away = _away_mm(points, behind)
        terminal = np.array([name.startswith(_END_ARTERIES) for name in names[behind]])
        slowness = (1.0 - collaterals.grade) ** 0.8
        reach_mm = 6.0 + 26.0 * collaterals.grade  # how far collaterals carry blood before it is late
        late = 1.0 - np.exp(-np.where(terminal, away + 12.0, away) / reach_mm)
        seconds[behind] += (6.0 + 26.0 * slowness) * late
    return Delay(points, seconds, behind)


def closed_off(tree: Tree, clots: Sequence[Clot]) -> np.ndarray:
    """Which nodes no blood reaches but through leptomeningeal collaterals, (N,) bool.

    The circle of Willis is made for this: behind a clot of the carotid artery the anterior cerebral artery is fed from
    the other side, behind one of the basilar artery the posterior from the carotid, where the subject has those ways.
    """
    filled = np.zeros(len(tree.parent), dtype=bool)
    for clot in clots:
        filled[clot.nodes] = True
    closed = tree.downstream(filled)
    for artery, way, source in _DETOURS:
        if not {artery, way, source} <= set(tree.names) or not len(tree.nodes(way)):
            continue
        gate = int(tree.nodes(artery)[0])
        if closed[gate] and not filled[gate] and not closed[tree.nodes(source)[-1]]:
            reopened = np.zeros_like(closed)
            reopened[gate] = True
            closed &= ~tree.downstream(reopened) | tree.downstream(filled & tree.downstream(reopened))
    return closed


def _away_mm(points: np.ndarray, behind: np.ndarray) -> np.ndarray:
    """From each end behind the clot to the nearest open one of the same hemisphere, in mm."""
    away = np.full(len(points), np.inf)
    for side in (True, False):
        same = (points[:, 0] >= 0) == side
        if (same & behind).any() and (same & ~behind).any():
            away[same & behind] = cKDTree(points[same & ~behind]).query(points[same & behind])[0]
    return np.minimum(away[behind], 80.0)


def tmax(grid: Grid, tissue: Mask, nearest: np.ndarray, delays: Delay) -> Volume:
    """Tmax in s of every voxel of tissue, smoothed by 2 mm as perfusion maps are; 0 outside.

    Args:
        grid: Of the volumes.
        tissue: Where there is tissue.
        nearest: As ``territories.nearest_ends`` gives it for the voxels of ``tissue``, in their order.
        delays: At the ends.
    """
    seconds, inside = np.zeros(grid.shape, np.float32), tissue.astype(np.float32)
    seconds[tissue] = delays.seconds[nearest]
    sigma = [2.0 / spacing for spacing in grid.spacing_mm]
    smooth = ndimage.gaussian_filter(seconds, sigma) / np.maximum(ndimage.gaussian_filter(inside, sigma), 1e-3)
    return np.where(tissue, smooth, 0).astype(np.float32)


def core(rng: np.random.Generator, grid: Grid, tmax_s: Volume, collaterals: Collaterals, *, hours: float) -> Volume:
    """The share of each voxel that has died, in [0, 1]; inside Tmax > 6 s.

    Args:
        rng: Of the tissue's uneven tolerance.
        grid: Of the volume.
        tmax_s: Since the artery closed.
        collaterals: Of the subject.
        hours: Since onset.
    """
    grown = np.exp(-hours / collaterals.hours_to_grow)
    deadly = HYPOPERFUSED_S + 0.6 + (_DEADLY_AT_ONSET_S - HYPOPERFUSED_S) * grown
    tolerance = np.exp(0.12 * smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=9))
    dead = np.clip((tmax_s / tolerance - deadly) / 1.2 + 0.5, 0, 1)
    return (dead * (tmax_s > HYPOPERFUSED_S)).astype(np.float32)
