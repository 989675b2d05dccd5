"""Trees of vessels: a named skeleton that grows into what it must supply, with radii by Murray's law.

Growth: points on the brain's surface and in its tissue are joined to their neighbours by edges that cost more in tissue
than on the surface; the cheapest paths from the skeleton to every point that needs blood are a tree (Dijkstra, Numer
Math 1959;1:269). A cost that grows faster than length makes paths run along each other and part late, as vessels do.

Radii: r³ = Σ r³ over the children (Murray, PNAS 1926;12:207), that is r = c·Q^⅓ with Q the tissue supplied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

STEP_MM = 1.5  # between the nodes of a skeleton
_NEIGHBOURS, _ROOTS = 12, 3  # of a point among the points, and among the skeleton's nodes
_BUNDLING = 1.4  # cost of an edge = length to this power: hops are cheaper than leaps
_REACH_MM = 12.0  # of a sprout
_LARGEST_END_ML = 5.0  # more than any node supplies itself; less than what flows where two vessels meet


@dataclass(frozen=True)
class Segment:
    """A named stretch of a skeleton.

    Attributes:
        name: Such as ``"M1_R"``.
        parent: The segment that it leaves, at that one's nearest node; empty for a root.
        points_mm: Control points of a smooth curve, from its beginning.
        offshoots: The name of what grows from it; empty where nothing does.
        reluctance: Cost, in the edges' unit, of growing from here: less makes its territory larger.
        midline: Whether what grows from it may go to either side; else it keeps to its own.
    """

    name: str
    parent: str
    points_mm: tuple[tuple[float, float, float], ...]
    offshoots: str = ""
    reluctance: float = 0.0
    midline: bool = False

    @property
    def side(self) -> int:
        """1 on the right, -1 on the left, 0 where it belongs to both."""
        return 0 if self.midline else 1 if np.mean(self.points_mm, axis=0)[0] >= 0 else -1


@dataclass(frozen=True, eq=False)
class Supply:
    """Where vessels may run and what they must reach.

    Attributes:
        points_mm: (P, 3).
        cost: (P,), of running there: 1 on the surface, more in tissue.
        demand_ml: (P,), tissue that the vessel ending here supplies; 0 where none need end.
    """

    points_mm: np.ndarray
    cost: np.ndarray
    demand_ml: np.ndarray


@dataclass(frozen=True, eq=False)
class Tree:
    """Vessels as nodes, every parent before its children.

    Attributes:
        points_mm: (N, 3).
        parent: (N,), index of the node upstream; -1 for a root.
        radius_mm: (N,), of the vessel between a node and its parent.
        supplied_ml: (N,), tissue downstream of the node, its own included.
        segment: (N,), index into ``names``.
        names: Of the segments.
    """

    points_mm: np.ndarray
    parent: np.ndarray
    radius_mm: np.ndarray
    supplied_ml: np.ndarray
    segment: np.ndarray
    names: tuple[str, ...]

    def named(self, name: str) -> np.ndarray:
        """Which nodes belong to a segment, (N,) bool."""
        return self.segment == self.names.index(name)

    def nodes(self, name: str) -> np.ndarray:
        """The indices of a segment's nodes, from its beginning."""
        return np.flatnonzero(self.named(name))

    @property
    def own_ml(self) -> np.ndarray:
        """The tissue that each node supplies itself, (N,); 0 where two vessels meet, for there it is their flow."""
        own = self.supplied_ml.copy()
        inner = self.parent >= 0
        np.subtract.at(own, self.parent[inner], self.supplied_ml[inner])
        return np.where(np.abs(own) < _LARGEST_END_ML, np.maximum(own, 0.0), 0.0)

    @property
    def ends(self) -> np.ndarray:
        """The indices of the nodes that supply tissue themselves, (L,)."""
        return np.flatnonzero(self.own_ml > 1e-9)

    def upstream(self, node: int) -> list[int]:
        """The path from a node to its root, itself included."""
        path = [node]
        while self.parent[path[-1]] >= 0:
            path.append(int(self.parent[path[-1]]))
        return path

    def downstream(self, nodes: np.ndarray) -> np.ndarray:
        """Which nodes the blood of the given ones reaches, themselves included; (N,) bool from (N,) bool."""
        reached = nodes.copy()
        for node in np.flatnonzero(self.parent >= 0):  # parents come first
            reached[node] |= reached[self.parent[node]]
        return reached


def grown(segments: Sequence[Segment], supply: Supply, *, radius_of_a_litre_mm: float) -> Tree:
    """The tree that grows from a skeleton until it reaches every point with a demand.

    Args:
        segments: Each after its parent.
        supply: Where it may grow.
        radius_of_a_litre_mm: Murray's constant: the radius of a vessel that supplies 1000 ml of tissue.
    """
    skeleton, parent, owner = _skeleton(segments)
    predecessor, cost = _cheapest_paths(skeleton, segments, owner, supply)
    count, names, lookup = len(skeleton), *_names(segments)
    order = count + np.argsort(cost, kind="stable")
    order = order[np.isfinite(cost[order - count])]
    parents = np.concatenate([parent, predecessor])
    segment = np.concatenate([lookup[owner, 0], np.zeros(len(cost), np.intp)])
    offshoot = np.concatenate([lookup[owner, 1], np.zeros(len(cost), np.intp)])
    for node in order:  # cheapest first: a parent has its name before its children ask for it
        segment[node] = offshoot[node] = offshoot[parents[node]]
    reached = np.concatenate([np.arange(count), order])
    place = np.full(count + len(cost) + 1, -1)
    place[reached] = np.arange(len(reached))
    flow = towards_roots(place[parents[reached]], np.concatenate([np.zeros(count), supply.demand_ml])[reached])
    needed = (reached < count) | (flow > 0)
    kept, flow = reached[needed], flow[needed]
    place[:] = -1
    place[kept] = np.arange(len(kept))
    radius = radius_of_a_litre_mm * np.cbrt(flow / 1000)
    points = np.concatenate([skeleton, supply.points_mm])[kept]
    return Tree(points, place[parents[kept]], radius, flow, segment[kept], names)


def towards_roots(parent: np.ndarray, values: np.ndarray) -> np.ndarray:
    """For each node the sum of the values of all nodes that its blood reaches, its own included; (N,) from (N,).

    Args:
        parent: (N,), every parent before its children; -1 for a root.
        values: (N,).
    """
    before, sums = parent.tolist(), values.astype(np.float64).tolist()
    for node in range(len(sums) - 1, -1, -1):
        if before[node] >= 0:
            sums[before[node]] += sums[node]
    return np.array(sums)


def shared(tree: Tree, *, junction: int, other: int, share: float) -> Tree:
    """The tree in which part of what flows through a node goes another way, where two vessels meet in one.

    A node has one parent only, so the course of the second way ends at the junction without being its parent; flows and
    radii are those of both.

    Args:
        tree: Before.
        junction: The first node of the common vessel; its parent keeps what is not shared.
        other: The node in which the second way ends.
        share: Of the junction's flow, in [0, 1].
    """
    constant = tree.radius_mm[junction] / np.cbrt(tree.supplied_ml[junction])
    supplied, moved = tree.supplied_ml.copy(), share * tree.supplied_ml[junction]
    supplied[tree.upstream(int(tree.parent[junction]))] -= moved
    supplied[tree.upstream(other)] += moved
    return replace(tree, supplied_ml=supplied, radius_mm=constant * np.cbrt(supplied))


def _names(segments: Sequence[Segment]) -> tuple[tuple[str, ...], np.ndarray]:
    """All names, and for each segment the index of its own and of its offshoots' name, (S, 2)."""
    pairs = [(s.name, s.offshoots or s.name) for s in segments]
    names = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    return names, np.array([[names.index(name) for name in pair] for pair in pairs])


def _skeleton(segments: Sequence[Segment]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes (N, 3) every ``STEP_MM``, the index of each one's parent, and of each one's segment."""
    nodes, parents, owners = np.zeros((0, 3)), np.zeros(0, np.intp), np.zeros(0, np.intp)
    index = {s.name: i for i, s in enumerate(segments)}
    for number, segment in enumerate(segments):
        first, curve = len(nodes), curve_through(np.array(segment.points_mm))
        before = -1
        if segment.parent:
            upstream = np.flatnonzero(owners == index[segment.parent])
            before = upstream[((nodes[upstream] - curve[0]) ** 2).sum(axis=1).argmin()]
        nodes = np.concatenate([nodes, curve])
        parents = np.concatenate([parents, [before], np.arange(first, first + len(curve) - 1)])
        owners = np.concatenate([owners, np.full(len(curve), number)])
    return nodes, parents, owners


def curve_through(points_mm: np.ndarray, *, step_mm: float = STEP_MM) -> np.ndarray:
    """Points (N, 3) about every ``step_mm`` on the natural cubic spline through the given ones, the ends included."""
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points_mm, axis=0), axis=1))]
    along = np.linspace(0, lengths[-1], max(2, round(lengths[-1] / step_mm) + 1))
    if len(points_mm) < 3:
        return np.stack([np.interp(along, lengths, axis) for axis in points_mm.T], axis=1)
    return np.asarray(CubicSpline(lengths, points_mm, bc_type="natural")(along))


def _cheapest_paths(
    skeleton: np.ndarray, segments: Sequence[Segment], owner: np.ndarray, supply: Supply
) -> tuple[np.ndarray, np.ndarray]:
    """For each point of the supply the node before it on its cheapest path, and what the path costs (inf: none)."""
    fertile = np.flatnonzero(np.array([bool(s.offshoots) for s in segments])[owner])
    edges = _edges(supply)
    sides = np.array([s.side for s in segments])[owner[fertile]]
    root, sprout, sprouting = _sprouts(skeleton[fertile], sides, supply)
    count = len(skeleton)
    source = count + len(supply.cost)  # before every fertile node stands one source, as far as its reluctance
    entry = np.maximum(np.array([s.reluctance for s in segments])[owner[fertile]], 1e-3)
    rows = np.concatenate([edges.row + count, fertile[root], np.full(len(fertile), source)])
    columns = np.concatenate([edges.col + count, sprout + count, fertile])
    prices = np.concatenate([edges.data, sprouting, entry])
    graph = coo_matrix((prices, (rows, columns)), shape=(source + 1, source + 1)).tocsr()
    cost, before = dijkstra(graph, indices=source, return_predecessors=True)
    return before[count:source], cost[count:source]


def _edges(supply: Supply) -> coo_matrix:
    """The price (P, P) of going between neighbouring points, the same both ways; none crosses the falx."""
    points = supply.points_mm
    count = min(_NEIGHBOURS, len(points) - 1)
    distance, neighbour = cKDTree(points).query(points, count + 1)
    start, end = np.repeat(np.arange(len(points)), count), neighbour[:, 1:].ravel()
    price = distance[:, 1:].ravel() ** _BUNDLING * (supply.cost[start] + supply.cost[end]) / 2
    ways = _side(points[start]) == _side(points[end])
    one_way = coo_matrix((price[ways], (start[ways], end[ways])), shape=(len(points),) * 2).tocsr()
    return one_way.maximum(one_way.T).tocoo()


def _sprouts(nodes: np.ndarray, sides: np.ndarray, supply: Supply) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From the nearest fertile nodes to each point within reach: node, point, price."""
    distance, near = cKDTree(nodes).query(supply.points_mm, min(_ROOTS, len(nodes)))
    distance, near = distance.reshape(len(supply.cost), -1), near.reshape(len(supply.cost), -1)
    sprout, place = np.nonzero(distance < _REACH_MM)
    root, length = near[sprout, place], distance[sprout, place]
    ways = (sides[root] == 0) | (sides[root] == _side(supply.points_mm[sprout]))
    price = length**_BUNDLING * supply.cost[sprout] + 1e-6
    return root[ways], sprout[ways], price[ways]


def _side(points_mm: np.ndarray) -> np.ndarray:
    return np.where(points_mm[:, 0] >= 0, 1, -1)
