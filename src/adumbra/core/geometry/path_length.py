"""Length of an elongated mask, such as a clot, along its own course.

The length is that of the longest of the shortest paths between its voxels. A path runs through voxels that share a
corner. For an ideal line this is its length; a tube of radius r is up to 2 r longer, because the path begins and ends
at its rim.
"""

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask

_HALF = [(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1) if (i, j, k) > (0, 0, 0)]


def path_length_mm(mask: Mask, grid: Grid) -> float:
    """The sum over the components of a mask of their length along their course, in mm.

    Args:
        mask: (X, Y, Z).
        grid: Its grid.

    Returns:
        The length between the centres of the outermost voxels, plus the length of one voxel for each component; 0 for
        an empty mask.
    """
    labels, count = label_components(mask)
    return sum(_component_length_mm(labels == number, grid) for number in range(1, count + 1))


def _component_length_mm(component: Mask, grid: Grid) -> float:
    index = np.argwhere(component)
    number = np.full(tuple(np.asarray(component.shape) + 2), -1)
    number[tuple((index + 1).T)] = np.arange(len(index))
    rows, columns, lengths = [], [], []
    for step in _HALF:
        neighbour = number[tuple((index + 1 + step).T)]
        here = np.flatnonzero(neighbour >= 0)
        rows.append(here)
        columns.append(neighbour[here])
        lengths.append(np.full(len(here), np.linalg.norm(grid.affine[:3, :3] @ step)))
    entries = (np.concatenate(lengths), (np.concatenate(rows), np.concatenate(columns)))
    graph = csr_array(entries, shape=(len(index),) * 2)
    # Twice: the farthest voxel from any voxel is one end, and the farthest from that one the other.
    one_end = int(dijkstra(graph, directed=False, indices=0).argmax())
    longest = float(dijkstra(graph, directed=False, indices=one_end).max())
    return longest + float(np.mean(grid.spacing_mm))
