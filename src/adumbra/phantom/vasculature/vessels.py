"""Vessel trees: a named skeleton whose branches grow into the tissue that they supply, with radii by Murray's law.

Growth: points on the brain's surface and in its tissue are connected to their neighbours by edges, which cost more in
tissue than on the surface. The cheapest paths from the skeleton to every point with a demand form a tree (Dijkstra,
Numer Math 1959;1:269). A cost that grows faster than length makes paths share their course and separate late, as
vessels do.

Radii: r³ = Σ r³ over the children (Murray, PNAS 1926;12:207), that is r = c·Q^⅓ with Q the tissue supplied.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

STEP_MM = 1.5  # distance between the nodes of a skeleton
_NEIGHBOURS, _ROOTS = 12, 3  # edges of a point to other points, and to nodes of the skeleton
_BUNDLING = 1.4  # exponent of length in the cost of an edge; several short edges cost less than a long one
_REACH_MM = 12.0  # longest edge between skeleton and point
_LARGEST_END_ML = 5.0  # above the supply of any single node, below the flow at a confluence


@dataclass(frozen=True)
class Segment:
    """A named segment of a skeleton.

    Attributes:
        name: Its name, such as ``"M1_R"``.
        parent: The segment from which it branches, at the nearest node; empty for a root.
        points_mm: Control points of a smooth curve, from its beginning.
        offshoots: The name of the branches that grow from it; empty where none do.
        reluctance: Cost of growth from this segment, in the unit of the edges; a lower cost gives a larger territory.
        midline: Whether its branches may grow to either side; otherwise they stay on its own.
    """

    name: str
    parent: str
    points_mm: tuple[tuple[float, float, float], ...]
    offshoots: str = ""
    reluctance: float = 0.0
    midline: bool = False

    @property
    def side(self) -> int:
        """1 on the right, -1 on the left, 0 for both."""
        return 0 if self.midline else 1 if np.mean(self.points_mm, axis=0)[0] >= 0 else -1


@dataclass(frozen=True, eq=False)
class Supply:
    """The points that vessels can reach, and their demand.

    Attributes:
        points_mm: (P, 3), positions.
        cost: (P,), cost of a course through the point: 1 on the surface, more in tissue.
        demand_ml: (P,), tissue that a vessel ending at the point supplies; 0 where none needs to end.
    """

    points_mm: np.ndarray
    cost: np.ndarray
    demand_ml: np.ndarray


@dataclass(frozen=True, eq=False)
class Tree:
    """A vessel tree as nodes; every parent precedes its children.

    Attributes:
        points_mm: (N, 3), positions.
        parent: (N,), index of the node upstream; -1 for a root.
        radius_mm: (N,), radius of the vessel between a node and its parent.
        supplied_ml: (N,), volume of the tissue that the node and all nodes downstream supply.
        segment: (N,), index into ``names``.
        names: Names of the segments.
    """

    points_mm: np.ndarray
    parent: np.ndarray
    radius_mm: np.ndarray
    supplied_ml: np.ndarray
    segment: np.ndarray
    names: tuple[str, ...]

    def named(self, name: str) -> np.ndarray:
        """The nodes of a segment as a mask, (N,) bool."""
        return self.segment == self.names.index(name)

    def nodes(self, name: str) -> np.ndarray:
        """The indices of a segment's nodes, from its beginning."""
        return np.flatnonzero(self.named(name))

    @property
    def own_ml(self) -> np.ndarray:
        """The tissue that each node supplies itself, (N,) in ml; 0 at a confluence, where the difference is flow."""
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
        """The given nodes and all nodes downstream of them, (N,) bool.

        Args:
            nodes: (N,) bool.
        """
        reached = nodes.copy()
        for nodes_of_depth in self.generations[1:]:
            reached[nodes_of_depth] |= reached[self.parent[nodes_of_depth]]
        return reached

    @cached_property
    def generations(self) -> tuple[np.ndarray, ...]:
        """The nodes by their number of ancestors: the roots, their children, and so on."""
        return generations(self.parent)


def line_tree(points_mm: np.ndarray, radius_mm: np.ndarray) -> Tree:
    """A line as a vessel tree of one branch, so that a clot or a plaque can be painted like a vessel.

    Args:
        points_mm: (K, 3), its points from the root.
        radius_mm: (K,), its radius.
    """
    order = np.arange(len(points_mm))
    return Tree(points_mm, order - 1, radius_mm, np.ones(len(order)), np.zeros(len(order), np.intp), ("line",))


def grow_tree(segments: Sequence[Segment], supply: Supply, *, radius_of_a_litre_mm: float) -> Tree:
    """Grows a tree from a skeleton until it reaches every point with a demand.

    Args:
        segments: The skeleton, each segment after its parent.
        supply: The points that the tree can reach.
        radius_of_a_litre_mm: Murray's constant as the radius of a vessel that supplies 1000 ml of tissue.
    """
    skeleton, parent, owner = _skeleton(segments)
    predecessor, cost = _cheapest_paths(skeleton, segments, owner, supply)
    count, names, lookup = len(skeleton), *_names(segments)
    order = count + np.argsort(cost, kind="stable")
    order = order[np.isfinite(cost[order - count])]
    parents = np.concatenate([parent, predecessor])
    segment = np.concatenate([lookup[owner, 0], np.zeros(len(cost), np.intp)])
    offshoot = np.concatenate([lookup[owner, 1], np.zeros(len(cost), np.intp)])
    for node in order:  # by cost, so that a parent has its name before its children
        segment[node] = offshoot[node] = offshoot[parents[node]]
    reached = np.concatenate([np.arange(count), order])
    place = np.full(count + len(cost) + 1, -1)
    place[reached] = np.arange(len(reached))
    flow = towards_roots(place[parents[reached]], np.concatenate([np.zeros(count), supply.demand_ml])[reached])
    needed = (reached < count) | (flow > 0)
    grown, flow = reached[needed], flow[needed]
    place[:] = -1
    place[grown] = np.arange(len(grown))
    radius = radius_of_a_litre_mm * np.cbrt(flow / 1000)
    points = np.concatenate([skeleton, supply.points_mm])[grown]
    return Tree(points, place[parents[grown]], radius, flow, segment[grown], names)


def generations(parent: np.ndarray) -> tuple[np.ndarray, ...]:
    """The nodes of a tree by their number of ancestors, each in ascending order.

    Args:
        parent: (N,), index of each parent; -1 for a root.
    """
    ancestor = np.where(parent >= 0, parent, np.arange(len(parent)))
    depth = (parent >= 0).astype(np.intp)
    while (step := depth[ancestor]).any():  # each round doubles the number of ancestors that are counted
        depth += step
        ancestor = ancestor[ancestor]
    order = np.argsort(depth, kind="stable")
    return tuple(np.split(order, np.cumsum(np.bincount(depth))[:-1]))


def towards_roots(parent: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The sum of the values of each node and all nodes downstream of it, (N,).

    Args:
        parent: (N,), index of each parent, which precedes its children; -1 for a root.
        values: (N,), the values to sum.
    """
    sums = values.astype(np.float64)
    for nodes in generations(parent)[:0:-1]:
        np.add.at(sums, parent[nodes[::-1]], sums[nodes[::-1]])
    return sums


def share_flow(tree: Tree, *, junction: int, other: int, share: float) -> Tree:
    """Distributes the flow of a common vessel over the two vessels that form it.

    A node has one parent only. The second vessel therefore ends at the junction without being its parent; flows and
    radii account for both.

    Args:
        tree: The tree, with the whole flow through the first vessel.
        junction: The first node of the common vessel; its parent belongs to the first vessel.
        other: The last node of the second vessel.
        share: Share of the junction's flow through the second vessel, in [0, 1].
    """
    constant = tree.radius_mm[junction] / np.cbrt(tree.supplied_ml[junction])
    supplied, moved = tree.supplied_ml.copy(), share * tree.supplied_ml[junction]
    supplied[tree.upstream(int(tree.parent[junction]))] -= moved
    supplied[tree.upstream(other)] += moved
    return replace(tree, supplied_ml=supplied, radius_mm=constant * np.cbrt(supplied))


def _names(segments: Sequence[Segment]) -> tuple[tuple[str, ...], np.ndarray]:
    """All names, and the index of each segment's own name and of its branches' name, (S, 2)."""
    pairs = [(s.name, s.offshoots or s.name) for s in segments]
    names = tuple(dict.fromkeys(name for pair in pairs for name in pair))
    return names, np.array([[names.index(name) for name in pair] for pair in pairs])


def _skeleton(segments: Sequence[Segment]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes (N, 3) every ``STEP_MM``, the index of each node's parent (N,), and of its segment (N,)."""
    nodes, parents, owners = np.zeros((0, 3)), np.zeros(0, np.intp), np.zeros(0, np.intp)
    index = {s.name: i for i, s in enumerate(segments)}
    for number, segment in enumerate(segments):
        first, curve = len(nodes), curve_through(np.array(segment.points_mm))
        junction = -1
        if segment.parent:
            upstream = np.flatnonzero(owners == index[segment.parent])
            junction = upstream[((nodes[upstream] - curve[0]) ** 2).sum(axis=1).argmin()]
        nodes = np.concatenate([nodes, curve])
        parents = np.concatenate([parents, [junction], np.arange(first, first + len(curve) - 1)])
        owners = np.concatenate([owners, np.full(len(curve), number)])
    return nodes, parents, owners


def curve_through(points_mm: np.ndarray, *, step_mm: float = STEP_MM) -> np.ndarray:
    """Points on the natural cubic spline through control points, (N, 3), including the ends.

    Args:
        points_mm: (K, 3), control points; with fewer than three the curve is straight.
        step_mm: Approximate distance between neighbouring points.
    """
    lengths = np.r_[0, np.cumsum(np.linalg.norm(np.diff(points_mm, axis=0), axis=1))]
    along = np.linspace(0, lengths[-1], max(2, round(lengths[-1] / step_mm) + 1))
    if len(points_mm) < 3:
        return np.stack([np.interp(along, lengths, axis) for axis in points_mm.T], axis=1)
    return np.asarray(CubicSpline(lengths, points_mm, bc_type="natural")(along))


def _cheapest_paths(
    skeleton: np.ndarray, segments: Sequence[Segment], owner: np.ndarray, supply: Supply
) -> tuple[np.ndarray, np.ndarray]:
    """The predecessor of each point on its cheapest path, and the cost of that path, infinite if there is none."""
    branching = np.flatnonzero(np.array([bool(s.offshoots) for s in segments])[owner])
    edges = _edges(supply)
    sides = np.array([s.side for s in segments])[owner[branching]]
    root, point, price = _root_edges(skeleton[branching], sides, supply)
    count = len(skeleton)
    source = count + len(
        supply.cost
    )  # one source is connected to every node that can branch, at the cost of its reluctance
    entry = np.maximum(np.array([s.reluctance for s in segments])[owner[branching]], 1e-3)
    rows = np.concatenate([edges.row + count, branching[root], np.full(len(branching), source)])
    columns = np.concatenate([edges.col + count, point + count, branching])
    prices = np.concatenate([edges.data, price, entry])
    graph = coo_matrix((prices, (rows, columns)), shape=(source + 1, source + 1)).tocsr()
    cost, predecessor = dijkstra(graph, indices=source, return_predecessors=True)
    return predecessor[count:source], cost[count:source]


def _edges(supply: Supply) -> coo_matrix:
    """The cost of the edges between neighbouring points, (P, P), symmetric; no edge crosses the falx."""
    points = supply.points_mm
    count = min(_NEIGHBOURS, len(points) - 1)
    distance, neighbour = cKDTree(points).query(points, count + 1)
    start, end = np.repeat(np.arange(len(points)), count), neighbour[:, 1:].ravel()
    price = distance[:, 1:].ravel() ** _BUNDLING * (supply.cost[start] + supply.cost[end]) / 2
    same_side = _side(points[start]) == _side(points[end])
    entries = price[same_side], (start[same_side], end[same_side])
    directed = coo_matrix(entries, shape=(len(points),) * 2).tocsr()
    return directed.maximum(directed.T).tocoo()


def _root_edges(nodes: np.ndarray, sides: np.ndarray, supply: Supply) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges from the nearest branching nodes to each point within reach: index of the node, of the point, and cost."""
    distance, near = cKDTree(nodes).query(supply.points_mm, min(_ROOTS, len(nodes)))
    distance, near = distance.reshape(len(supply.cost), -1), near.reshape(len(supply.cost), -1)
    point, rank = np.nonzero(distance < _REACH_MM)
    root, length = near[point, rank], distance[point, rank]
    allowed = (sides[root] == 0) | (sides[root] == _side(supply.points_mm[point]))
    price = length**_BUNDLING * supply.cost[point] + 1e-6
    return root[allowed], point[allowed], price[allowed]


def _side(points_mm: np.ndarray) -> np.ndarray:
    """1 for points on the right, -1 on the left."""
    return np.where(points_mm[:, 0] >= 0, 1, -1)
