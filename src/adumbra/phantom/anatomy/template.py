"""The MNI152 template: its tissue maps, looked up at template millimetres, and shapes put where it has them.

Template: Fonov et al. 2011, the symmetric 2009a maps that nilearn ships.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
from scipy import ndimage

from adumbra.core.types import Volume

_SLAB = 200_000  # voxels worked on at a time: what lies between two steps stays in the cache

Block = tuple[slice, slice, slice]
Deterministic = Sequence[float] | np.ndarray  # three numbers


@dataclass(frozen=True, eq=False)
class Template:
    """MNI152 maps at 1 mm: grey and white matter and T1 as 0–255, and the signed distance to the surface in mm."""

    grey: np.ndarray
    white: np.ndarray
    t1: np.ndarray
    depth_mm: np.ndarray
    affine: np.ndarray


@cache
def template() -> Template:
    """The MNI152 symmetric 2009a maps that nilearn ships, read once per process."""
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


def sampled(volume: np.ndarray, affine: np.ndarray, points_mm: np.ndarray) -> Volume:
    """Linear interpolation of a template volume at template millimetres (3, X, Y, Z); 0 outside."""
    inverse = np.linalg.inv(affine).astype(np.float32)
    out = np.zeros(points_mm.shape[1:], np.float32)
    occupied = volume != 0
    if not occupied.any():
        return out
    places = [np.flatnonzero(occupied.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    low, high = (np.array([p[end] for p in places], np.float32).reshape(3, 1) for end in (0, -1))
    for slab in slabs(out.shape):
        points = points_mm[:, slab].reshape(3, -1)
        index = inverse[:3, :3] @ points + inverse[:3, 3:]
        inside = np.flatnonzero(((index > low - 1) & (index < high + 1)).all(axis=0))  # elsewhere it is 0
        found = ndimage.map_coordinates(volume, index[:, inside], order=1, output=np.float32, mode="constant")
        out[slab].reshape(-1)[inside] = found
    return out


def looked_up(volumes: Sequence[np.ndarray], affine: np.ndarray, points_mm: np.ndarray) -> list[np.ndarray]:
    """Linear interpolation of template volumes on one grid at points (3, N); beyond, they go on as at their borders.

    The eight neighbours and their weights are found once for all volumes.
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
    """Slices along x that cut a volume into slabs of some planes each."""
    planes = max(1, _SLAB // (shape[1] * shape[2]))
    return (slice(start, min(start + planes, shape[0])) for start in range(0, shape[0], planes))


def block_around(mni_mm: np.ndarray, low_mm: Deterministic, high_mm: Deterministic) -> Block | None:
    """The smallest block that holds all voxels whose template millimetres (3, X, Y, Z) lie in a box; None if none do.

    It is looked for among every fourth voxel first, with a margin for what may lie between, and then exactly.
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
    centre_mm: Deterministic,
    radii_mm: Deterministic,
    *,
    axes: np.ndarray | None = None,
    edge_mm: float = 1.5,
    height: float = 1.0,
) -> None:
    """Raise ``amount`` to ``height`` inside an ellipsoid of the template, over an edge of about ``edge_mm``.

    Args:
        amount: Is changed, where it is lower.
        mni_mm: (3, X, Y, Z) template millimetres of each voxel.
        centre_mm: Of the ellipsoid.
        radii_mm: Along its axes.
        axes: (3, 3), its axes as orthonormal columns; without them those of the template.
        edge_mm: Over which it falls from 1 to 0, half of it inside.
        height: Inside, at most 1.
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
    # The distance to the surface, to first order: (1 − r) over the gradient of r.
    inside = np.clip((1 - from_centre) / np.maximum(steepness * np.float32(edge_mm), 1e-6) + np.float32(0.5), 0, 1)
    np.maximum(amount[block], np.float32(height) * inside.reshape(amount[block].shape), out=amount[block])
