"""Clots: location, length and composition.

Sites: approximate frequencies, since published series disagree; of clots in the middle cerebral artery its first
segment had 57.6 % in one (doi:10.1186/s43055-021-00649-0). Within a site an embolus follows the blood: the probability
of a branch is proportional to its flow. Several clots at once occurred in 24 of 324 patients (PMC7965260). The length
is log-normal with a median of about 10 mm.

Composition: red clots consist of packed, deoxygenated red cells and are as paramagnetic as their haemoglobin. White
clots are fibrin and platelets and hardly differ from tissue, which is why the susceptibility vessel sign is absent in a
fifth (Kang et al., Stroke 2017;48:1554: present in 78 %).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.phantom.vasculature.vessels import STEP_MM, Tree

# Probability of each site, given a clot in a named artery.
SITES: Mapping[str, float] = {
    "ICA": 0.14, "M1": 0.40, "M2": 0.20, "M3+": 0.09, "ACA": 0.03, "PCA": 0.07, "basilar": 0.07,
}  # fmt: skip
SEVERAL_CLOTS = 0.074  # probability of more than one clot
_SEGMENTS: Mapping[str, tuple[str, ...]] = {
    "ICA": ("ICA_{}",),
    "M1": ("M1_{}",),
    "M2": ("M2 superior_{}", "M2 inferior_{}"),
    "M3+": ("M3 frontal_{}", "M3 central_{}", "M3 parietal_{}", "M3 temporal_{}", "M4_{}"),
    "ACA": ("A1_{}", "A2_{}", "A3_{}"),
    "PCA": ("P1_{}", "P2_{}", "P3_{}"),
    "basilar": ("basilar",),
}
_SITE_OF: Mapping[str, str] = {
    **{name.split("_")[0].split(" ")[0]: site for site, names in _SEGMENTS.items() for name in names},
    "ACom": "ACA", "PCom": "PCA", "AChA": "AChA", "vertebral": "vertebral",
    "SCA": "cerebellar", "AICA": "cerebellar", "PICA": "cerebellar",
}  # fmt: skip
"""Site of a clot that begins in an artery, by the first word of its name. Only further clots of a patient lie at a site
that ``SITES`` lacks."""
LEAST_LUMEN_MM = 0.35  # radius; a clot in a narrower branch is an embolus of a shower, invisible on vessel images
_APART_MM, _ATTEMPTS = 20.0, 60  # least distance of several clots, and clots that are sampled to find distant ones
TERMINUS_MM = 14.0
"""Length of the carotid terminus, where clots of the internal carotid artery lodge."""
_PACKED_CELLS = 0.75  # haematocrit of a red clot
_VESSEL_SIGN_FROM = 0.30  # fraction of red cells from which a clot darkens susceptibility-weighted images


@dataclass(frozen=True, eq=False)
class Clot:
    """One thrombus.

    Attributes:
        site: A key of ``SITES``, or ``"AChA"``, ``"vertebral"`` or ``"cerebellar"``: the artery of its proximal end.
        nodes: (K,), nodes of the arterial tree from the proximal end; each is the child of the previous one.
        points_mm: (K, 3), the centre line: the positions of the nodes, the last one moved back to the clot's end.
        radius_mm: (K,), radius of the lumen that the clot fills.
        red: Fraction of red cells in its volume, 0 to 1.
        layered: Whether the rim has more red cells than the core, which gives the two-layered sign.
        oxygenation: Oxygenation of its haemoglobin, 0 to 1.
    """

    site: str
    nodes: np.ndarray
    points_mm: np.ndarray
    radius_mm: np.ndarray
    red: float
    layered: bool
    oxygenation: float

    @property
    def length_mm(self) -> float:
        """The length along its centre line."""
        return float(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum())

    @property
    def volume_ml(self) -> float:
        """The volume of the lumen that it fills."""
        lengths = np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1)
        between = (self.radius_mm[1:] + self.radius_mm[:-1]) / 2
        return float((np.pi * between**2 * lengths).sum()) / 1000

    @property
    def haematocrit(self) -> float:
        """The mean haematocrit of the clot."""
        return _PACKED_CELLS * self.red

    @property
    def has_vessel_sign(self) -> bool:
        """Whether it has enough red cells for the susceptibility vessel sign."""
        return self.red >= _VESSEL_SIGN_FROM


def sample_clots(rng: np.random.Generator, tree: Tree) -> tuple[Clot, ...]:
    """Samples a clot in a named artery, and in a fourteenth of the cases one or two more downstream of it.

    Args:
        rng: Source of every random choice.
        tree: Arteries, in any space.
    """
    first = sample_clot(rng, tree, site=str(rng.choice(list(SITES), p=list(SITES.values()))))
    if rng.random() >= SEVERAL_CLOTS:
        return (first,)
    beyond = tree.downstream(_node_mask(tree, int(first.nodes[-1]))) & (tree.radius_mm > LEAST_LUMEN_MM)
    beyond[first.nodes] = False
    candidates = np.flatnonzero(beyond)
    count = min(int(rng.integers(1, 3)), len(candidates))
    more = (_fill_artery(rng, tree, int(start)) for start in rng.choice(candidates, count, replace=False))
    return (first, *more)


def sample_clot(rng: np.random.Generator, tree: Tree, *, site: str) -> Clot:
    """Samples a clot at a site; both sides are equally likely, and within the site the flow gives the probability.

    Args:
        rng: Source of every random choice.
        tree: Arteries, in any space.
        site: A key of ``SITES``.
    """
    sides = [_candidate_nodes(tree, site, side) for side in rng.permutation(["R", "L"])]
    candidates = sides[0] if len(sides[0]) else sides[1]  # a variant may lack the artery on one side
    flow = tree.supplied_ml[candidates]
    return _fill_artery(rng, tree, int(rng.choice(candidates, p=flow / flow.sum())), site)


def add_distant_clots(rng: np.random.Generator, tree: Tree, clots: tuple[Clot, ...], *, count: int) -> tuple[Clot, ...]:
    """The clots with further ones, as far from each other as a patch is wide, or fewer where there is no room.

    Args:
        rng: Source of every random choice.
        tree: Arteries, in any space.
        clots: The clots that are present.
        count: Number of clots in the result.
    """
    sites = np.sqrt(list(SITES.values()))
    for _ in range(_ATTEMPTS):
        if len(clots) >= count:
            break
        clot = sample_clot(rng, tree, site=str(rng.choice(list(SITES), p=sites / sites.sum())))
        if all(_distance_mm(clot, other) >= _APART_MM for other in clots):
            clots = (*clots, clot)
    return clots


def _distance_mm(clot: Clot, other: Clot) -> float:
    """The least distance between two clots."""
    return float(np.linalg.norm(clot.points_mm[:, None] - other.points_mm[None], axis=2).min())


def _candidate_nodes(tree: Tree, site: str, side: str) -> np.ndarray:
    """The nodes of a side at which a clot of this site may begin."""
    names = [name.format(side) for name in _SEGMENTS[site]]
    named = np.isin(tree.segment, [tree.names.index(n) for n in names if n in tree.names])
    candidates = np.flatnonzero(named & (tree.radius_mm > LEAST_LUMEN_MM))
    return candidates[-int(TERMINUS_MM / STEP_MM) :] if site == "ICA" else candidates


def sample_clot_at(rng: np.random.Generator, tree: Tree, start: int) -> Clot:
    """Samples a clot that begins at a given node; the artery there gives its site.

    Args:
        rng: Source of its length and composition.
        tree: Arteries, in any space.
        start: Index of the node.
    """
    return _fill_artery(rng, tree, start)


def _site_at(tree: Tree, node: int) -> str:
    """The site of a clot whose proximal end is a node."""
    return _SITE_OF[tree.names[tree.segment[node]].split("_")[0].split(" ")[0]]


def _fill_artery(rng: np.random.Generator, tree: Tree, start: int, site: str = "") -> Clot:
    """Samples a clot that begins at a node and fills the artery along its largest branches; its artery is its site."""
    length = float(np.clip(np.exp(rng.normal(np.log(10.5), 0.50)), 2.0, 60.0))
    nodes = _nodes_along(tree, start, length)
    points, radius = _truncate(tree.points_mm[nodes], tree.radius_mm[nodes], length)
    nodes = nodes[: len(points)]  # an extension towards the root may leave the last nodes beyond the clot's end
    red = float(rng.beta(2.1, 1.5))
    layered = bool(red > 0.45 and rng.random() < 0.35)
    site = site or _site_at(tree, int(nodes[0]))
    return Clot(site, nodes, points, radius, red, layered, float(rng.uniform(0.0, 0.35)))


def _truncate(points_mm: np.ndarray, radius_mm: np.ndarray, length_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """The line up to a length, its last point interpolated; a shorter line is returned whole."""
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(points_mm, axis=0), axis=1))]
    end = min(length_mm, along[-1])
    within = along < end - 1e-9
    last = [np.interp(end, along, axis) for axis in (*points_mm.T, radius_mm)]
    return np.vstack([points_mm[within], last[:3]]), np.r_[radius_mm[within], last[3]]


def _nodes_along(tree: Tree, start: int, length_mm: float) -> np.ndarray:
    """Nodes from ``start`` along the largest branches, extended towards the root where the artery ends too early."""
    nodes, length = [start], 0.0
    while length < length_mm:
        children = np.flatnonzero(tree.parent == nodes[-1])
        children = children[tree.radius_mm[children] > LEAST_LUMEN_MM * 0.6]
        if not len(children):
            break
        nodes.append(int(children[tree.supplied_ml[children].argmax()]))
        length += _step_mm(tree, nodes[-1])
    while length < length_mm and tree.parent[nodes[0]] >= 0:
        length += _step_mm(tree, nodes[0])
        nodes.insert(0, int(tree.parent[nodes[0]]))
    return np.array(nodes)


def _step_mm(tree: Tree, node: int) -> float:
    """The distance of a node from its parent."""
    return float(np.linalg.norm(tree.points_mm[node] - tree.points_mm[tree.parent[node]]))


def _node_mask(tree: Tree, node: int) -> np.ndarray:
    """One node as a mask over all nodes, (N,) bool."""
    chosen = np.zeros(len(tree.parent), dtype=bool)
    chosen[node] = True
    return chosen
