"""Random shapes by a level set: advection by a random flow, growth, smoothing, and a level that gives the volume.

A shape is {x : φ(x) < c} with φ a signed distance in millimetres. It is deformed by transport, ∂φ/∂t + v·∇φ = 0, with a
smooth random velocity v. The solution is φ(x, T) = φ(X(x), 0), where X(x) is the start of the path that ends in x, so
that only the flow map is computed, on a coarse lattice, and no detail of φ is lost. Growth with a random speed adds a
smooth field to φ, and diffusion blurs φ. The level c is a quantile of φ and therefore gives any volume exactly.
"""

import numpy as np
from scipy import ndimage

from adumbra.core.references import cites
from adumbra.core.types import Mask, Volume
from adumbra.phantom.anatomy.random_fields import smooth_field

_STEPS = 4  # Euler steps of the flow
_NODES = 2.5  # lattice nodes of the flow for each length scale


def signed_distance_mm(inside: Mask, spacing_mm: tuple[float, float, float]) -> Volume:
    """Distance to the border of a mask in mm, negative inside, float32.

    Args:
        inside: (X, Y, Z), the mask, neither empty nor full.
        spacing_mm: Spacing of its voxels.
    """
    outer = ndimage.distance_transform_edt(~inside, sampling=spacing_mm)
    inner = ndimage.distance_transform_edt(inside, sampling=spacing_mm)
    return np.asarray(outer - inner, np.float32)


@cites("Liu2025")
def sample_flow_mm(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    *,
    spacing_mm: tuple[float, float, float],
    scale_mm: float,
    reach_mm: float,
) -> np.ndarray:
    """Samples the displacement X(x) − x of a random flow, (3, X, Y, Z) in mm, float32; the flow map has no folds.

    Args:
        rng: Source of the velocity.
        shape: Shape of the grid.
        spacing_mm: Spacing of its voxels.
        scale_mm: Length scale of the velocity.
        reach_mm: Standard deviation of the velocity times the duration, about that of the displacement.
    """
    step = [max(1, int(scale_mm / _NODES / h)) for h in spacing_mm]
    nodes = tuple(-(-(n - 1) // s) + 1 for n, s in zip(shape, step, strict=True))
    lattice = (nodes[0], nodes[1], nodes[2])
    node_mm = (step[0] * spacing_mm[0], step[1] * spacing_mm[1], step[2] * spacing_mm[2])
    velocity = np.stack([smooth_field(rng, lattice, spacing_mm=node_mm, scale_mm=scale_mm) for _ in range(3)])
    velocity *= np.float32(reach_mm / _STEPS)
    at = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in lattice), indexing="ij"))
    per_node = np.array(node_mm, np.float32).reshape(3, 1, 1, 1)
    displacement = np.zeros_like(velocity)
    for _ in range(_STEPS):
        moved = at - displacement / per_node
        displacement = displacement + np.stack([_interpolated(c, moved) for c in velocity])
    stride = np.array([1 / s for s in step])
    return np.stack([
        -ndimage.affine_transform(c, stride, output_shape=shape, output=np.float32, order=1, mode="nearest")
        for c in displacement
    ])  # fmt: skip


def _interpolated(component: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A component of the velocity at points of the lattice, linearly."""
    return np.asarray(ndimage.map_coordinates(component, at, np.float32, order=1, mode="nearest"))


def level_of_volume(phi: Volume, room_ml: Volume, volume_ml: float) -> float:
    """The level c at which {φ < c} has a volume.

    Args:
        phi: (X, Y, Z), the level-set function in mm.
        room_ml: (X, Y, Z), the volume that the shape takes of each voxel where it fills it.
        volume_ml: The volume; all of the room where it is larger than that.
    """
    inside = room_ml > 0
    values, room = phi[inside], room_ml[inside]
    if not len(values):
        return 0.0
    order = np.argsort(values)
    place = int(np.searchsorted(np.cumsum(room[order]), volume_ml))
    return float(values[order[min(place, len(order) - 1)]])


def filled(phi: Volume, *, level: float, edge_mm: float) -> Volume:
    """The fraction of each voxel inside the shape: 1/2 at the level, linear over the edge.

    Args:
        phi: (X, Y, Z), the level-set function in mm.
        level: The level of the shape's border.
        edge_mm: Width of the edge, half of which lies inside.
    """
    return np.clip(np.float32(0.5) - (phi - np.float32(level)) / np.float32(edge_mm), 0, 1)
