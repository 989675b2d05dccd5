"""Shapes placed in the coordinates of the MNI152 template, see ``core.atlas.template``."""

from collections.abc import Sequence

import numpy as np

from adumbra.core.atlas.template import Template, interpolate, interpolate_all, slabs, template
from adumbra.core.types import Volume

__all__ = [
    "Block",
    "Point",
    "Template",
    "block_around",
    "interpolate",
    "interpolate_all",
    "put_ellipsoid",
    "slabs",
    "template",
]

Block = tuple[slice, slice, slice]
Point = Sequence[float] | np.ndarray  # three numbers


def block_around(mni_mm: np.ndarray, low_mm: Point, high_mm: Point) -> Block | None:
    """The smallest block that contains all voxels within a box of template millimetres; None where there are none.

    A search over every fourth voxel, with a margin for the voxels between, precedes the exact search.

    Args:
        mni_mm: (3, X, Y, Z), template millimetres of each voxel.
        low_mm: Lower corner of the box.
        high_mm: Upper corner of the box.
    """
    block = [slice(0, n) for n in mni_mm.shape[1:]]
    for step in (4, 1):
        points = mni_mm[(slice(None), *block)][:, ::step, ::step, ::step]
        near = np.ones(points.shape[1:], bool)
        for component, low, high in zip(points, low_mm, high_mm, strict=True):
            values, between = np.ascontiguousarray(component), 0.0
            if step > 1:
                between = sum(float(np.abs(np.diff(values, axis=axis)).max(initial=0)) for axis in range(3))
            near &= (values >= low - between) & (values <= high + between)
        if not near.any():
            return None
        for axis, part in enumerate(block):
            places = step * np.flatnonzero(near.any(axis=tuple(a for a in range(3) if a != axis)))
            first, last = int(places[0]) - step + 1, int(places[-1]) + step
            block[axis] = slice(max(part.start + first, part.start), min(part.start + last, part.stop))
    return block[0], block[1], block[2]


def put_ellipsoid(
    amount: Volume,
    mni_mm: np.ndarray,
    centre_mm: Point,
    radii_mm: Point,
    *,
    axes: np.ndarray | None = None,
    edge_mm: float = 1.5,
    height: float = 1.0,
) -> None:
    """Raises ``amount`` to ``height`` inside an ellipsoid of the template, with a soft edge.

    Args:
        amount: (X, Y, Z), changed in place where it is lower.
        mni_mm: (3, X, Y, Z), template millimetres of each voxel.
        centre_mm: Centre of the ellipsoid.
        radii_mm: Radii along its axes.
        axes: (3, 3), its axes as orthonormal columns; those of the template by default.
        edge_mm: Width of the edge, half of which lies inside.
        height: Value inside, at most 1.
    """
    axes = np.eye(3) if axes is None else axes
    centre, radii = np.asarray(centre_mm, float), np.asarray(radii_mm, float)
    reach = np.sqrt(((axes * radii) ** 2).sum(axis=1)) + edge_mm
    block = block_around(mni_mm, centre - reach, centre + reach)
    if block is None:
        return
    scaled = (axes / radii).T.astype(np.float32)  # to the unit ball
    points = mni_mm[(slice(None), *block)]
    unit = (scaled @ points.reshape(3, -1)) - (scaled @ centre.astype(np.float32))[:, None]
    from_centre = np.sqrt((unit**2).sum(axis=0))
    steepness = np.sqrt(((unit / radii.astype(np.float32)[:, None]) ** 2).sum(axis=0)) / np.maximum(from_centre, 1e-6)
    # To first order the distance to the surface is (1 − r) over the gradient of r.
    inside = np.clip((1 - from_centre) / np.maximum(steepness * np.float32(edge_mm), 1e-6) + np.float32(0.5), 0, 1)
    np.maximum(amount[block], np.float32(height) * inside.reshape(amount[block].shape), out=amount[block])
