"""The MNI152 template: interpolation of its tissue maps, and shapes placed in template coordinates.

Template: Fonov et al. 2011, the symmetric 2009a maps included in nilearn.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from adumbra.core.types import Volume

_SLAB = 200_000  # voxels processed at a time, so that intermediate results stay in the cache

Block = tuple[slice, slice, slice]
Point = Sequence[float] | np.ndarray  # three numbers


@dataclass(frozen=True, eq=False)
class Template:
    """MNI152 maps at 1 mm.

    Attributes:
        grey: (X, Y, Z), grey matter, 0 to 255.
        white: (X, Y, Z), white matter, 0 to 255.
        t1: (X, Y, Z), T1-weighted intensity, 0 to 255.
        depth_mm: (X, Y, Z), signed distance to the surface of the brain in mm, negative inside.
        affine: (4, 4), voxel index to MNI152 millimetres.
    """

    grey: np.ndarray
    white: np.ndarray
    t1: np.ndarray
    depth_mm: np.ndarray
    affine: np.ndarray


@cache
def template() -> Template:
    """The MNI152 symmetric 2009a maps of nilearn, read once per process."""
    import nilearn.datasets

    folder = Path(nilearn.datasets.__file__).parent / "data"
    stem = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
    images = [nib.Nifti1Image.from_filename(folder / stem.format(kind)) for kind in ("gm", "wm", "t1")]
    grey, white, t1 = (np.ascontiguousarray(image.dataobj) for image in images)
    inside = ndimage.binary_fill_holes(t1[::2, ::2, ::2] > 40)
    depth = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    depth_mm = ndimage.zoom(np.float32(2.0 * depth), 2, order=1)[tuple(slice(n) for n in t1.shape)]
    pad = [(0, n - m) for n, m in zip(t1.shape, depth_mm.shape, strict=True)]
    return Template(grey, white, t1, np.pad(depth_mm, pad, mode="edge"), np.asarray(images[0].affine, np.float64))


def interpolate(volume: np.ndarray, affine: np.ndarray, points_mm: np.ndarray) -> Volume:
    """Interpolates a template volume linearly; 0 outside.

    Args:
        volume: The volume.
        affine: (4, 4), its voxel index to template millimetres.
        points_mm: (3, X, Y, Z), the points in template millimetres.
    """
    inverse = np.linalg.inv(affine).astype(np.float32)
    out = np.zeros(points_mm.shape[1:], np.float32)
    nonzero = volume != 0
    if not nonzero.any():
        return out
    places = [np.flatnonzero(nonzero.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    low, high = (np.array([p[end] for p in places], np.float32).reshape(3, 1) for end in (0, -1))
    for slab in slabs(out.shape):
        points = points_mm[:, slab].reshape(3, -1)
        index = inverse[:3, :3] @ points + inverse[:3, 3:]
        inside = np.flatnonzero(((index > low - 1) & (index < high + 1)).all(axis=0))  # the result is 0 elsewhere
        values = ndimage.map_coordinates(volume, index[:, inside], order=1, output=np.float32, mode="constant")
        out[slab].reshape(-1)[inside] = values
    return out


def interpolate_all(volumes: Sequence[np.ndarray], affine: np.ndarray, points_mm: np.ndarray) -> list[np.ndarray]:
    """Interpolates several template volumes on one grid linearly; beyond the grid they keep their border values.

    The eight neighbours and their weights are computed once for all volumes.

    Args:
        volumes: The volumes, of one shape.
        affine: (4, 4), their voxel index to template millimetres.
        points_mm: (3, N), the points in template millimetres.
    """
    inverse = np.linalg.inv(affine).astype(np.float32)
    shape = volumes[0].shape
    last = np.array(shape, np.float32).reshape(3, 1) - np.float32(1.001)
    index = np.clip(inverse[:3, :3] @ points_mm + inverse[:3, 3:], 0, last)
    whole = index.astype(np.intp)
    part = index - whole.astype(np.float32)
    at = (whole[0] * shape[1] + whole[1]) * shape[2] + whole[2]
    totals = [np.zeros(at.shape, np.float32) for _ in volumes]
    for i, j, k in np.ndindex(2, 2, 2):
        weight = (part[0] if i else 1 - part[0]) * (part[1] if j else 1 - part[1])
        weight *= part[2] if k else 1 - part[2]
        neighbour = at + ((i * shape[1] + j) * shape[2] + k)
        for volume, total in zip(volumes, totals, strict=True):
            total += weight * volume.reshape(-1)[neighbour]
    return totals


def slabs(shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices along x that divide a volume into slabs of a few planes.

    Args:
        shape: Shape of the volume.
    """
    planes = max(1, _SLAB // (shape[1] * shape[2]))
    return (slice(start, min(start + planes, shape[0])) for start in range(0, shape[0], planes))


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
