"""The channels of the context inputs. Training and prediction call this function, so that both see the same values."""

from collections.abc import Sequence

import numpy as np

from adumbra.core.atlas.deformation import CENTRE_MM, HALF_MM
from adumbra.core.atlas.head_context import CONTEXT_CHANNELS, ContextInput, HeadContext
from adumbra.core.atlas.template import interpolate_all, slabs
from adumbra.core.atlas.vessels import vessel_atlas
from adumbra.core.types import Affine

_FARTHEST = 1.5  # Largest value of a coordinate.


def context_channels(
    context: HeadContext, inputs: Sequence[ContextInput], affine: Affine, shape: tuple[int, int, int]
) -> np.ndarray:
    """The context inputs of each voxel of a volume.

    Args:
        context: The head.
        inputs: Names of the inputs, in the order of the result.
        affine: (4, 4), index of a voxel to subject mm.
        shape: Shape of the volume.

    Returns:
        float32 (K, X, Y, Z). ``coordinates`` are the x, y and z of MNI152 space relative to the centre of the brain, in
        units of 95 mm and limited to [-1.5, 1.5]; ``vessels`` the probability of an artery and of a vein; ``upstream``
        the two shares of ``HeadContext.upstream``, for the most probable artery. The last are 0 where no artery runs,
        and everywhere where no lesion was predicted.
    """
    mni_mm = context.deformation.of_voxels(affine, shape)
    out = np.empty((sum(CONTEXT_CHANNELS[name] for name in inputs), *shape), dtype=np.float32)
    first = 0
    for name in inputs:
        part = out[first : first + CONTEXT_CHANNELS[name]]
        first += len(part)
        if name == "coordinates":
            centre = CENTRE_MM.astype(np.float32)[:, None, None, None]
            np.clip((mni_mm - centre) / np.float32(HALF_MM), -_FARTHEST, _FARTHEST, out=part)
        elif name == "vessels":
            _fill_probabilities(part, mni_mm)
        else:
            _fill_shares(part, mni_mm, context.upstream)
    return out


def segments_at(mni_mm: np.ndarray) -> np.ndarray:
    """The most probable artery at points (3, ...) of MNI152 space, an index of ``vessels.SEGMENTS``; 0 is none."""
    atlas = vessel_atlas()
    to_index = np.linalg.inv(atlas.grid.affine).astype(np.float32)
    points = mni_mm.reshape(3, -1).astype(np.float32, copy=False)
    index = np.rint(to_index[:3, :3] @ points + to_index[:3, 3:]).astype(np.intp)
    size = np.array(atlas.grid.shape)[:, None]
    inside = ((index >= 0) & (index < size)).all(axis=0)
    labels = atlas.segments[tuple(np.clip(index, 0, size - 1))] * inside
    return np.asarray(labels.reshape(mni_mm.shape[1:]))


def _fill_probabilities(out: np.ndarray, mni_mm: np.ndarray) -> None:
    atlas = vessel_atlas()
    for slab in slabs(mni_mm.shape[1:]):
        points = mni_mm[:, slab]
        values = interpolate_all(tuple(atlas.probability), atlas.grid.affine, points.reshape(3, -1))
        out[:, slab] = np.stack(values).reshape(len(out), *points.shape[1:])


def _fill_shares(out: np.ndarray, mni_mm: np.ndarray, upstream: np.ndarray | None) -> None:
    if upstream is None:
        out[...] = 0
        return
    for slab in slabs(mni_mm.shape[1:]):
        out[:, slab] = np.moveaxis(upstream[segments_at(mni_mm[:, slab])], -1, 0)
