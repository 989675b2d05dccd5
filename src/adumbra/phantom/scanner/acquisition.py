"""How a scanner samples a head: slices of any thickness and tilt, the head's movement, the warp of echo-planar imaging.

A voxel of the image at r shows the mean, over its slice's thickness, of the head at M(r − d(r)·e): M is where the head
has moved to, d the displacement along the phase-encoding direction e, and what is displaced is stacked up by the warp's
Jacobian (Jezzard & Balaban, MRM 1995;34:65). In the plane a Gaussian stands for the point spread of the matrix.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Affine, Volume

_ALIASING = 1.3  # times coarser than the head's grid: from here on a matrix must be low-passed before it is sampled
_LEAST_BLUR = 0.35  # in voxels, that does so


@dataclass(frozen=True)
class Stack:
    """Slices as they are planned.

    Attributes:
        in_plane_mm: Length of a voxel within the slice.
        thickness_mm: Of the slice's rectangular profile.
        gap_mm: Between slices.
        pitch_deg: Tilt of the slices about the axis from left to right; positive lifts the front.
        roll_deg: About the axis from back to front.
        blur: σ of the point spread in the plane, in voxels.
        cover_mm: Where along z slices lie, in the head's grid; None takes all of it.
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
    """Displacement in mm along the phase-encoding axis of the slices, on the head's grid, and the stacking factor."""

    shift_mm: Volume
    stacking: Volume


def rotation(pitch_deg: float, roll_deg: float, yaw_deg: float = 0.0) -> np.ndarray:
    """A rotation about x, then y, then z, (3, 3)."""
    (cx, cy, cz), (sx, sy, sz) = (f(np.radians([pitch_deg, roll_deg, yaw_deg])) for f in (np.cos, np.sin))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    return np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]]) @ about_y @ about_x


def stack_grid(grid: Grid, stack: Stack) -> Grid:
    """The grid of the slices: as large as the head's, tilted about its centre."""
    spacing = np.array([stack.in_plane_mm, stack.in_plane_mm, stack.thickness_mm + stack.gap_mm])
    low, high = grid.world_mm((-0.5,) * 3), grid.world_mm(np.array(grid.shape) - 0.5)
    if stack.cover_mm is not None:
        low[2], high[2] = max(low[2], stack.cover_mm[0]), min(high[2], stack.cover_mm[1])
    shape = np.maximum(1, ((high - low) / spacing + 1e-6).astype(int))
    affine = np.eye(4)
    affine[:3, :3] = rotation(stack.pitch_deg, stack.roll_deg) * spacing
    affine[:3, 3] = (low + high) / 2 - affine[:3, :3] @ ((shape - 1) / 2)
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def movement(rng: np.random.Generator, *, centre_mm: np.ndarray, strength: float) -> Affine:
    """A small rigid movement of the head about its centre, as an affine in mm; ``strength`` 1 is about 0.6 mm and °."""
    turned = rotation(*(strength * rng.normal(0, 0.6, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turned
    affine[:3, 3] = centre_mm - turned @ centre_mm + strength * rng.normal(0, 0.6, 3)
    return affine


@dataclass(frozen=True, eq=False)
class Sampler:
    """Slices of a head.

    Attributes:
        head: The grid on which the head is drawn.
        stack: The slices.
        moved: Where the scanner's millimetres lie in the head's: the movement since the head was drawn.
        warp: Of echo-planar imaging; None where lines are straight.
    """

    head: Grid
    stack: Stack
    moved: Affine
    warp: Warp | None = None

    @cached_property
    def grid(self) -> Grid:
        """Of the slices, as the header states it."""
        return stack_grid(self.head, self.stack)

    @cached_property
    def _to_head(self) -> np.ndarray:
        """Voxel indices of the slices to those of the head's grid, (4, 4)."""
        return np.asarray(np.linalg.inv(self.head.affine) @ self.moved @ self.grid.affine)

    @cached_property
    def _depths(self) -> np.ndarray:
        """Where within a slice a warped head is sampled, in slices, (S,): as finely as it is drawn."""
        count = max(1, round(self.stack.thickness_mm / self.head.spacing_mm[2]))
        share = self.stack.thickness_mm / (self.stack.thickness_mm + self.stack.gap_mm)
        return share * ((np.arange(count) + 0.5) / count - 0.5)

    @cached_property
    def _warped(self) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
        """For each depth the head's indices (3, X, Y, slices) after the warp, and the stacking there."""
        assert self.warp is not None
        unit_mm = self.moved[:3, :3] @ self.grid.affine[:3, 1] / self.grid.spacing_mm[1]
        along = (np.linalg.inv(self.head.affine[:3, :3]) @ unit_mm).astype(np.float32)[:, None, None, None]
        fields = (self.warp.shift_mm, self.warp.stacking)
        at_depths = ((d, *(self._straight(f, d) for f in fields)) for d in self._depths)
        return tuple((self._indices(d) - along * shift, stacking) for d, shift, stacking in at_depths)

    def _offset(self, depth: float) -> np.ndarray:
        return np.asarray(self._to_head[:3, 3] + self._to_head[:3, 2] * depth)

    def _indices(self, depth: float) -> np.ndarray:
        lines = [np.arange(n, dtype=np.float32) for n in self.grid.shape]
        parts = [self._to_head[:3, a].astype(np.float32)[:, None] * lines[a] for a in range(3)]
        start = self._offset(depth).astype(np.float32)[:, None, None, None]
        in_plane = parts[0][:, :, None, None] + parts[1][:, None, :, None] + start
        return np.asarray(in_plane + parts[2][:, None, None, :])

    def _straight(self, volume: Volume, depth: float = 0.0) -> np.ndarray:
        matrix, straight = self._to_head[:3, :3], np.diag(np.diag(self._to_head[:3, :3]))
        given = np.diag(matrix) if np.allclose(matrix, straight, atol=1e-9) else matrix  # SciPy has a quicker way then
        return ndimage.affine_transform(
            volume, given, self._offset(depth), self.grid.shape, np.float32, order=1, mode="nearest"
        )

    def _sliced(self, volume: Volume) -> np.ndarray:
        """The mean over each slice, unwarped: over the box along the head's z, for slices lie nearly across it."""
        reach = self.stack.thickness_mm / self.head.spacing_mm[2] / 2
        voxels = np.arange(-np.ceil(reach), np.ceil(reach) + 1)
        overlap = np.clip(np.minimum(voxels + 0.5, reach) - np.maximum(voxels - 0.5, -reach), 0, None)
        if reach > 0.5:
            volume = ndimage.correlate1d(volume, overlap / overlap.sum(), axis=2, mode="nearest")
        return self._straight(volume)

    def _through_warp(self, volume: Volume, *, stacks: bool) -> np.ndarray:
        total = np.zeros(self.grid.shape, np.float32)
        for indices, stacking in self._warped:
            layer = ndimage.map_coordinates(volume, indices, np.float32, order=1, mode="nearest")
            total += layer * stacking if stacks else layer
        return total / np.float32(len(self._depths))

    def of(self, volume: Volume, *, stacks: bool = True, blur: bool = True) -> np.ndarray:
        """The head's volume as the slices show it, (X, Y, slices): noise-free, blurred in the plane, sliced.

        Args:
            volume: On the head's grid.
            stacks: Whether the warp brightens what it compresses; labels are moved only.
            blur: Whether the matrix blurs; a mask of the brain that a tool has made is not blurred.
        """
        coarser = self.stack.in_plane_mm / self.head.spacing_mm[0]
        if aliased := coarser > _ALIASING:
            volume = _blurred(volume, coarser * max(self.stack.blur if blur else 0.0, _LEAST_BLUR))
        made = self._sliced(volume) if self.warp is None else self._through_warp(volume, stacks=stacks)
        return made if aliased or not blur else _blurred(made, self.stack.blur)


def _blurred(volume: Volume, sigma: float) -> Volume:
    """Blurred along x and y, σ in voxels."""
    for axis in (0, 1):
        volume = ndimage.gaussian_filter1d(volume, sigma, axis=axis, truncate=3.0)
    return volume
