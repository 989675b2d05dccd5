"""The clot: where it lodges, how long it is, what it is made of.

Sites: about, after series that disagree; of clots in the middle cerebral artery its first segment held 57.6 % in one
(doi:10.1186/s43055-021-00649-0). Within a site an embolus goes where the blood goes: the larger a branch's flow, the
likelier it is caught there. Several clots at once: in 24 of 324 patients (PMC7965260). Length: log-normal about 10 mm.
Composition: red clots hold packed, deoxygenated red cells and are as paramagnetic as their haemoglobin; white ones are
fibrin and platelets and hardly differ from tissue, which is why the susceptibility vessel sign is absent in a fifth
(Kang et al., Stroke 2017;48:1554: present in 78 %).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.phantom.vasculature.vessels import STEP_MM, Tree

# Chance of each site where there is a clot in a named artery.
SITES: Mapping[str, float] = {
    "ICA": 0.14, "M1": 0.40, "M2": 0.20, "M3+": 0.09, "ACA": 0.03, "PCA": 0.07, "basilar": 0.07,
}  # fmt: skip
SEVERAL = 0.074
_SEGMENTS: Mapping[str, tuple[str, ...]] = {
    "ICA": ("ICA_{}",),
    "M1": ("M1_{}",),
    "M2": ("M2 superior_{}", "M2 inferior_{}"),
    "M3+": ("M3 frontal_{}", "M3 central_{}", "M3 parietal_{}", "M3 temporal_{}", "M4_{}"),
    "ACA": ("A1_{}", "A2_{}", "A3_{}"),
    "PCA": ("P1_{}", "P2_{}", "P3_{}"),
    "basilar": ("basilar",),
}
LEAST_LUMEN_MM = 0.35  # radius; a clot in a narrower branch is one of a shower, and shows on no image of the vessels
_TERMINUS_MM = 14.0  # of the internal carotid artery, measured from its end: where its clots lodge
_PACKED_CELLS = 0.75  # haematocrit of a red clot
_SEEN_FROM = 0.30  # share of red cells from which a clot darkens susceptibility-weighted images


@dataclass(frozen=True, eq=False)
class Clot:
    """One thrombus.

    Attributes:
        site: A name of ``SITES``.
        nodes: Of the arterial tree, from its proximal end on; each is the child of the one before.
        points_mm: (K, 3), its middle line: the nodes, the last one drawn back to where it ends.
        radius_mm: (K,), of the lumen that it fills.
        red: Share of red cells in its volume, 0 to 1.
        layered: Whether its rim is redder than its core, which gives the two-layered sign.
        oxygenation: Of the haemoglobin in it.
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
        """Along its middle line."""
        return float(np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1).sum())

    @property
    def volume_ml(self) -> float:
        """Of the lumen that it fills."""
        lengths = np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1)
        between = (self.radius_mm[1:] + self.radius_mm[:-1]) / 2
        return float((np.pi * between**2 * lengths).sum()) / 1000

    @property
    def haematocrit(self) -> float:
        """Of the clot as a whole."""
        return _PACKED_CELLS * self.red

    @property
    def has_vessel_sign(self) -> bool:
        """Whether it is red enough to be seen on susceptibility-weighted images."""
        return self.red >= _SEEN_FROM


def clots(rng: np.random.Generator, tree: Tree) -> tuple[Clot, ...]:
    """One clot in a named artery, or in a fourteenth of the cases a second and a third one downstream of it.

    Args:
        rng: Source of everything random here.
        tree: Arteries, in any space.
    """
    first = sample_clot(rng, tree, site=str(rng.choice(list(SITES), p=list(SITES.values()))))
    if rng.random() >= SEVERAL:
        return (first,)
    beyond = tree.downstream(_only(tree, int(first.nodes[-1]))) & (tree.radius_mm > LEAST_LUMEN_MM)
    beyond[first.nodes] = False
    places = np.flatnonzero(beyond)
    count = min(int(rng.integers(1, 3)), len(places))
    more = (_lodged(rng, tree, int(start), "M3+") for start in rng.choice(places, count, replace=False))
    return (first, *more)


def sample_clot(rng: np.random.Generator, tree: Tree, *, site: str) -> Clot:
    """A clot at a site of ``SITES``, on either side alike; where in it, goes by the flow."""
    sides = [_places(tree, site, side) for side in rng.permutation(["R", "L"])]
    places = sides[0] if len(sides[0]) else sides[1]  # a variant may lack the artery on one side
    carried = tree.supplied_ml[places]
    return _lodged(rng, tree, int(rng.choice(places, p=carried / carried.sum())), site)


def _places(tree: Tree, site: str, side: str) -> np.ndarray:
    """The nodes of a side in which a clot of this site may begin."""
    names = [name.format(side) for name in _SEGMENTS[site]]
    named = np.isin(tree.segment, [tree.names.index(n) for n in names if n in tree.names])
    places = np.flatnonzero(named & (tree.radius_mm > LEAST_LUMEN_MM))
    return places[-int(_TERMINUS_MM / STEP_MM) :] if site == "ICA" else places


def clot_from(rng: np.random.Generator, tree: Tree, start: int) -> Clot:
    """A clot that begins at a given node, its site named after the artery there."""
    name = tree.names[tree.segment[start]].split("_")[0]
    site = next((s for s, names in _SEGMENTS.items() if any(n.split("_")[0] == name for n in names)), "M3+")
    return _lodged(rng, tree, start, site)


def _lodged(rng: np.random.Generator, tree: Tree, start: int, site: str) -> Clot:
    """A clot that begins at a node and fills the artery along its largest branches."""
    wanted = float(np.clip(np.exp(rng.normal(np.log(10.5), 0.50)), 2.0, 60.0))
    nodes = _course(tree, start, wanted)
    points, radius = _cut(tree.points_mm[nodes], tree.radius_mm[nodes], wanted)
    red = float(rng.beta(2.1, 1.5))
    layered = bool(red > 0.45 and rng.random() < 0.35)
    return Clot(site, nodes, points, radius, red, layered, float(rng.uniform(0.0, 0.35)))


def _cut(points_mm: np.ndarray, radius_mm: np.ndarray, length_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """The line up to a length, its last point interpolated; the whole of a line that is shorter."""
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(points_mm, axis=0), axis=1))]
    end = min(length_mm, along[-1])
    kept = along < end - 1e-9
    last = [np.interp(end, along, axis) for axis in (*points_mm.T, radius_mm)]
    return np.vstack([points_mm[kept], last[:3]]), np.r_[radius_mm[kept], last[3]]


def _course(tree: Tree, start: int, length_mm: float) -> np.ndarray:
    """Nodes from ``start`` along the widest children, and back towards the root where the artery ends too early."""
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
    return float(np.linalg.norm(tree.points_mm[node] - tree.points_mm[tree.parent[node]]))


def _only(tree: Tree, node: int) -> np.ndarray:
    chosen = np.zeros(len(tree.parent), dtype=bool)
    chosen[node] = True
    return chosen
