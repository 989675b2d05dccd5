"""The MNI152 template: its tissue maps, and their interpolation.

The phantom is made of these maps, and the registration to the atlas aligns a head with them. Template: Fonov et al.
2011, the symmetric 2009a maps included in nilearn.
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
