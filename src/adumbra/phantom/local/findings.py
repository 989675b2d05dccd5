"""What a patch shows: a clot, or something that resembles one.

A finding is a change of the vessels of a kept head: clots, a lumen that is narrower, blood that flows slower, a
calcified wall, old blood beside a vessel. Hard negatives are findings without a clot, and plain places where vessels
are easily taken for one: a vein that touches an artery, or an artery beside air.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from scipy.spatial import cKDTree

from adumbra.phantom.pathology.clot import LEAST_LUMEN_MM, SITES, Clot, sample_clot
from adumbra.phantom.vasculature.vessels import Tree

_TOUCHING_MM = 2.5  # distance of the walls of an artery and a vein that look like one vessel
_HYPOPLASTIC = ("A1", "P1", "PCom", "vertebral")


@dataclass(frozen=True, eq=False)
class Plaque:
    """A calcified plaque in the wall of an artery.

    Attributes:
        points_mm: (K, 3), its centre line, beside that of the artery.
        radius_mm: (K,), its radius.
        density: Calcified share of its volume, 0 to 1.
    """

    points_mm: np.ndarray
    radius_mm: np.ndarray
    density: float


@dataclass(frozen=True, eq=False)
class Finding:
    """A change of the vessels of a head, and where it lies.

    Attributes:
        kind: A key of ``FINDINGS``.
        centre_mm: (3,), the middle of the finding, in millimetres of the head.
        clots: The clots; empty for a negative.
        radius_factor: (N,), factor on the radius of the arteries at each node; None leaves them as they are.
        flow_factor: (N,), factor on their flow; None leaves it as it is.
        plaques: Calcified plaques.
        bleeds: Centre (3,) and radius in mm of each ball of old blood.
    """

    kind: str
    centre_mm: np.ndarray
    clots: tuple[Clot, ...] = ()
    radius_factor: np.ndarray | None = None
    flow_factor: np.ndarray | None = None
    plaques: tuple[Plaque, ...] = ()
    bleeds: tuple[tuple[np.ndarray, float], ...] = ()


def clot_finding(rng: np.random.Generator, arteries: Tree, veins: Tree) -> Finding:
    """A clot in a named artery; the rarer distal sites are as likely as the others together."""
    del veins
    names = list(SITES)
    weights = np.sqrt(np.array([SITES[name] for name in names]))
    site = str(rng.choice(names, p=weights / weights.sum()))
    clot = sample_clot(rng, arteries, site=site)
    middle = clot.points_mm[rng.integers(len(clot.points_mm))]
    return Finding("clot", middle, (clot,))


def stenosis(rng: np.random.Generator, arteries: Tree, veins: Tree) -> Finding:
    """A stenosis of some millimetres in a visible artery; the flow through it is as before."""
    del veins
    node = _visible_node(rng, arteries)
    reach_mm, least = rng.uniform(1.5, 5.0), rng.uniform(0.3, 0.65)
    along_mm = np.linalg.norm(arteries.points_mm - arteries.points_mm[node], axis=1)
    same = arteries.segment == arteries.segment[node]
    factor = np.where(same, 1 - (1 - least) * np.exp(-0.5 * (along_mm / reach_mm) ** 2), 1.0)
    return Finding("stenosis", arteries.points_mm[node], radius_factor=factor)


def hypoplasia(rng: np.random.Generator, arteries: Tree, veins: Tree) -> Finding:
    """A segment that is thin from birth: A1, P1, the posterior communicating or a vertebral artery."""
    present = [
        (number, name)
        for number, name in enumerate(arteries.names)
        if name.split("_")[0] in _HYPOPLASTIC and (arteries.segment == number).any()
    ]
    if not present:
        return stenosis(rng, arteries, veins)
    number, _ = present[rng.integers(len(present))]
    inside = arteries.segment == number
    factor = np.where(inside, rng.uniform(0.3, 0.6), 1.0)
    nodes = np.flatnonzero(inside)
    return Finding("hypoplasia", arteries.points_mm[nodes[len(nodes) // 2]], radius_factor=factor)


def slow_flow(rng: np.random.Generator, arteries: Tree, veins: Tree) -> Finding:
    """Slow blood from a node on, as behind a stenosis in the neck: dark on TOF, without a clot."""
    del veins
    node = _visible_node(rng, arteries)
    start = np.zeros(len(arteries.parent), dtype=bool)
    start[node] = True
    factor = np.where(arteries.downstream(start), rng.uniform(0.02, 0.3), 1.0)
    return Finding("slow flow", arteries.points_mm[node], flow_factor=factor)


def calcified_wall(rng: np.random.Generator, arteries: Tree, veins: Tree) -> Finding:
    """One to three calcified plaques in the wall of a carotid, vertebral, basilar or middle cerebral artery."""
    del veins
    node = _visible_node(rng, arteries, names=("ICA", "vertebral", "basilar", "M1"))
    path = np.array(arteries.upstream(node)[: int(rng.integers(3, 9))])
    plaques = []
    for _ in range(int(rng.integers(1, 4))):
        first = int(rng.integers(0, max(1, len(path) - 2)))
        part = path[first : first + int(rng.integers(2, 5))]
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        thickness = rng.uniform(0.3, 0.9)
        offset = (arteries.radius_mm[part] + thickness / 2)[:, None] * direction
        radius = np.full(len(part), thickness)
        plaques.append(Plaque(arteries.points_mm[part] + offset, radius, float(rng.uniform(0.4, 1.0))))
    return Finding("calcified wall", arteries.points_mm[path[len(path) // 2]], plaques=tuple(plaques))


def microbleed(rng: np.random.Generator, arteries: Tree, veins: Tree) -> Finding:
    """Old blood in the tissue beside a visible artery."""
    del veins
    node = _visible_node(rng, arteries)
    away = rng.normal(size=3)
    radius = float(rng.uniform(0.7, 2.0))
    away *= (arteries.radius_mm[node] + radius + rng.uniform(0.5, 4.0)) / np.linalg.norm(away)
    centre = arteries.points_mm[node] + away
    return Finding("microbleed", centre, bleeds=((centre, radius),))


def touching_vein(rng: np.random.Generator, arteries: Tree, veins: Tree) -> Finding:
    """A place where a vein crosses or touches a visible artery."""
    visible = np.flatnonzero(arteries.radius_mm > LEAST_LUMEN_MM)
    large = np.flatnonzero(veins.radius_mm > LEAST_LUMEN_MM)
    distance, near = cKDTree(veins.points_mm[large]).query(arteries.points_mm[visible])
    touching = np.flatnonzero(distance < _TOUCHING_MM + arteries.radius_mm[visible] + veins.radius_mm[large[near]])
    place = touching[rng.integers(len(touching))] if len(touching) else int(distance.argmin())
    return Finding("touching vein", arteries.points_mm[visible[place]])


def open_artery(rng: np.random.Generator, arteries: Tree, veins: Tree) -> Finding:
    """A visible artery as it is, also where it has opened again or lies beside air at the skull base."""
    del veins
    return Finding("open artery", arteries.points_mm[_visible_node(rng, arteries)])


def vein(rng: np.random.Generator, arteries: Tree, veins: Tree) -> Finding:
    """A large vein."""
    del arteries
    large = np.flatnonzero(veins.radius_mm > LEAST_LUMEN_MM)
    return Finding("vein", veins.points_mm[large[rng.integers(len(large))]])


Sampler = Callable[[np.random.Generator, Tree, Tree], Finding]
"""Samples a finding from the arteries and the veins of a head."""

FINDINGS: Mapping[str, Sampler] = MappingProxyType(
    {
        "clot": clot_finding,
        "stenosis": stenosis,
        "hypoplasia": hypoplasia,
        "slow flow": slow_flow,
        "calcified wall": calcified_wall,
        "microbleed": microbleed,
        "touching vein": touching_vein,
        "open artery": open_artery,
        "vein": vein,
    }
)
"""The samplers of findings, by kind."""


def changed_arteries(arteries: Tree, finding: Finding) -> Tree:
    """The arteries with the radii of a finding.

    Args:
        arteries: The arteries of the head.
        finding: The finding.
    """
    if finding.radius_factor is None:
        return arteries
    return replace(arteries, radius_mm=arteries.radius_mm * finding.radius_factor)


def _visible_node(rng: np.random.Generator, arteries: Tree, *, names: tuple[str, ...] = ()) -> int:
    """A node of a visible artery; a segment is as likely as any other, whatever its length."""
    visible = (arteries.radius_mm > LEAST_LUMEN_MM) & (arteries.parent >= 0)
    if names:
        chosen = [n for n, name in enumerate(arteries.names) if name.split("_")[0] in names]
        visible &= np.isin(arteries.segment, chosen)
    segments = np.unique(arteries.segment[visible])
    nodes = np.flatnonzero(visible & (arteries.segment == segments[rng.integers(len(segments))]))
    return int(nodes[rng.integers(len(nodes))])
