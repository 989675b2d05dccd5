"""Sampling of a head by slices: thickness and tilt, movement of the head, distortion of echo-planar images.

A voxel of the image at r is the mean, over the thickness of its slice, of the head at M(r − d(r)·e). M is the movement
of the head and d the displacement along the phase-encoding direction e; displaced signal is scaled by the Jacobian of
the warp (Jezzard & Balaban, MRM 1995;34:65). A Gaussian models the in-plane point spread of the acquisition matrix.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Affine, Volume

_ALIASING = 1.3  # in-plane voxel size over that of the head's grid from which low-pass filtering precedes sampling
_LEAST_BLUR = 0.35  # standard deviation of that filter in voxels


@dataclass(frozen=True)
class Stack:
    """A stack of slices as planned.

    Attributes:
        in_plane_mm: Length of a voxel within the slice.
        thickness_mm: Thickness of the rectangular slice profile.
        gap_mm: Gap between slices.
        pitch_deg: Tilt of the slices about the axis from left to right; positive lifts the front.
        roll_deg: Tilt about the axis from back to front.
        blur: Standard deviation of the in-plane point spread, in voxels.
        cover_mm: Range of the slices along z of the head; None for the whole head.
    """

    in_plane_mm: float
    thickness_mm: float
    gap_mm: float = 0.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    blur: float = 0.3
    cover_mm: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Warp:
    """Distortion of echo-planar images, on the grid of the head.

    Attributes:
        shift_mm: (X, Y, Z), displacement along the phase-encoding axis of the slices in mm.
        stacking: (X, Y, Z), factor on the signal by the Jacobian of the warp.
    """

    shift_mm: Volume
    stacking: Volume


def rotation(pitch_deg: float, roll_deg: float, yaw_deg: float = 0.0) -> np.ndarray:
    """The matrix of a rotation about x, then y, then z, (3, 3).

    Args:
        pitch_deg: Angle about x.
        roll_deg: Angle about y.
        yaw_deg: Angle about z.
    """
    (cx, cy, cz), (sx, sy, sz) = (f(np.radians([pitch_deg, roll_deg, yaw_deg])) for f in (np.cos, np.sin))
    rotation_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    rotation_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ rotation_y @ rotation_x


def stack_grid(grid: Grid, stack: Stack) -> Grid:
    """The grid of the slices, as large as that of the head and tilted about its centre.

    Args:
        grid: Grid of the head.
        stack: The slices.
    """
    spacing = np.array([stack.in_plane_mm, stack.in_plane_mm, stack.thickness_mm + stack.gap_mm])
    low, high = grid.world_mm((-0.5,) * 3), grid.world_mm(np.array(grid.shape) - 0.5)
    if stack.cover_mm is not None:
        low[2], high[2] = max(low[2], stack.cover_mm[0]), min(high[2], stack.cover_mm[1])
    shape = np.maximum(1, ((high - low) / spacing + 1e-6).astype(int))
    affine = np.eye(4)
    affine[:3, :3] = rotation(stack.pitch_deg, stack.roll_deg) * spacing
    affine[:3, 3] = (low + high) / 2 - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def sample_movement(rng: np.random.Generator, *, centre_mm: np.ndarray, strength: float) -> Affine:
    """Samples a small rigid movement of the head, as an affine map in mm.

    Args:
        rng: Source of the movement.
        centre_mm: Centre of the rotation.
        strength: Standard deviation in units of 0.6 mm and 0.6 degrees.
    """
    turned = rotation(*(strength * rng.normal(0, 0.6, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turned
    affine[:3, 3] = centre_mm - turned @ centre_mm + strength * rng.normal(0, 0.6, 3)
    return affine


@dataclass(frozen=True, eq=False)
class SliceSampler:
    """Samples volumes of the head on the slices of an acquisition.

    Attributes:
        head: Grid of the head.
        stack: The slices.
        moved: (4, 4), millimetres of the scanner to those of the head, which is the movement of the head.
        warp: Distortion of echo-planar imaging; None for undistorted images.
        slices: Grid of the slices; None plans it on the head.
    """

    head: Grid
    stack: Stack
    moved: Affine
    warp: Warp | None = None
    slices: Grid | None = None

    @cached_property
    def grid(self) -> Grid:
        """Grid of the slices, as in the header."""
        return stack_grid(self.head, self.stack) if self.slices is None else self.slices

    def covers(self, points_mm: np.ndarray) -> np.ndarray:
        """Whether points lie within the field of view, (N,) bool, without the warp.

        Args:
            points_mm: (N, 3), points in millimetres of the head.
        """
        to_scanner = np.linalg.inv(self.moved)
        at = self.grid.index(points_mm @ to_scanner[:3, :3].T + to_scanner[:3, 3])
        return np.asarray(((at >= -0.5) & (at <= np.array(self.grid.shape) - 0.5)).all(axis=1))

    @cached_property
    def _to_head(self) -> np.ndarray:
        """Voxel indices of the slices to those of the head, (4, 4)."""
        return np.asarray(np.linalg.inv(self.head.affine) @ self.moved @ self.grid.affine)

    @cached_property
    def _depths(self) -> np.ndarray:
        """Positions within a slice at which a warped head is sampled, (S,) in slices, at the resolution of the head."""
        count = max(1, round(self.stack.thickness_mm / self.head.spacing_mm[2]))
        share = self.stack.thickness_mm / (self.stack.thickness_mm + self.stack.gap_mm)
        return share * ((np.arange(count) + 0.5) / count - 0.5)

    @cached_property
    def _warped(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """Indices of the head (3, X, Y, slices) after the warp and the stacking factor, for each depth."""
        assert self.warp is not None
        unit_mm = self.moved[:3, :3] @ self.grid.affine[:3, 1] / self.grid.spacing_mm[1]
        along = (np.linalg.inv(self.head.affine[:3, :3]) @ unit_mm).astype(np.float32)[:, None, None, None]
        fields = (self.warp.shift_mm, self.warp.stacking)
        at_depths = ((d, *(self._straight(f, d) for f in fields)) for d in self._depths)
        return tuple((self._indices(d) - along * shift, stacking) for d, shift, stacking in at_depths)

    def _offset(self, depth: float) -> np.ndarray:
        """Index of the head at voxel 0 of the slices, at a depth within the slice."""
        return np.asarray(self._to_head[:3, 3] + self._to_head[:3, 2] * depth)

    def _indices(self, depth: float) -> np.ndarray:
        """Indices of the head (3, X, Y, slices) at a depth within each slice, without the warp."""
        lines = [np.arange(n, dtype=np.float32) for n in self.grid.shape]
        parts = [self._to_head[:3, a].astype(np.float32)[:, None] * lines[a] for a in range(3)]
        start = self._offset(depth).astype(np.float32)[:, None, None, None]
        in_plane = parts[0][:, :, None, None] + parts[1][:, None, :, None] + start
        return np.asarray(in_plane + parts[2][:, None, None, :])

    def _straight(self, volume: Volume, depth: float = 0.0) -> np.ndarray:
        """The volume at a depth within each slice, without the warp."""
        matrix, straight = self._to_head[:3, :3], np.diag(np.diag(self._to_head[:3, :3]))
        transform = (
            np.diag(matrix) if np.allclose(matrix, straight, atol=1e-9) else matrix
        )  # SciPy is faster for a diagonal
        return ndimage.affine_transform(
            volume, transform, self._offset(depth), self.grid.shape, np.float32, order=1, mode="nearest"
        )

    def _sliced(self, volume: Volume) -> np.ndarray:
        """The mean over each slice, without the warp; slices are nearly axial, so the box lies along z of the head."""
        reach = self.stack.thickness_mm / self.head.spacing_mm[2] / 2
        voxels = np.arange(-np.ceil(reach), np.ceil(reach) + 1)
        overlap = np.clip(np.minimum(voxels + 0.5, reach) - np.maximum(voxels - 0.5, -reach), 0, None)
        if reach > 0.5:
            volume = ndimage.correlate1d(volume, overlap / overlap.sum(), axis=2, mode="nearest")
        return self._straight(volume)

    def _through_warp(self, volume: Volume, *, stacks: bool) -> np.ndarray:
        """The mean over each slice of the warped volume."""
        total = np.zeros(self.grid.shape, np.float32)
        for indices, stacking in self._warped:
            layer = ndimage.map_coordinates(volume, indices, np.float32, order=1, mode="nearest")
            total += layer * stacking if stacks else layer
        return total / np.float32(len(self._depths))

    def sample(self, volume: Volume, *, stacks: bool = True, blur: bool = True) -> np.ndarray:
        """A volume of the head on the slices, (X, Y, slices), without noise.

        Args:
            volume: (X, Y, Z), on the grid of the head.
            stacks: Whether the warp scales the signal by its Jacobian; masks and fractions are only displaced.
            blur: Whether the point spread applies; the brain mask of a tool is not blurred.
        """
        coarser = self.stack.in_plane_mm / self.head.spacing_mm[0]
        if aliased := coarser > _ALIASING:
            volume = _blurred(volume, coarser * max(self.stack.blur if blur else 0.0, _LEAST_BLUR))
        sliced = self._sliced(volume) if self.warp is None else self._through_warp(volume, stacks=stacks)
        return sliced if aliased or not blur else _blurred(sliced, self.stack.blur)


def _blurred(volume: Volume, sigma: float) -> Volume:
    """The volume blurred along x and y, with a standard deviation in voxels."""
    for axis in (0, 1):
        volume = ndimage.gaussian_filter1d(volume, sigma, axis=axis, truncate=3.0)
    return volume
