"""What the scanner does to a signal: distortion, point spread, slices, coils, ghosts, noise.

Echo-planar distortion: off-resonance moves signal along the phase-encoding axis y by f(y) and stacks it up by the
Jacobian, I'(y) = I(y − f(y)) · (1 − ∂f/∂y) (Jezzard & Balaban, MRM 1995;34:65): near air, signal piles up and looks
like a lesion on DWI, while the ADC, a ratio, stays normal.
Noise: the magnitude of a complex signal with Gaussian noise, M = |S + n₁ + i·n₂| (Gudbjartsson & Patz 1995).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.phantom.anatomy import AIR_MM, Head
from adumbra.phantom.random_fields import smooth_field
from adumbra.shapes import Volume
from adumbra.space.grid import Grid


@dataclass(frozen=True, eq=False)
class Distortion:
    """Shift along y in voxels, and the factor by which signal is stacked up."""

    shift: Volume
    stacking: Volume


@dataclass(frozen=True)
class Receiver:
    """One acquisition: in-plane blur (σ in voxels), slices in mm, noise σ, ghost share, depth of the coil's shading."""

    blur: float
    thickness_mm: float
    noise: float
    ghost: float
    shading: float


def drawn_receiver(rng: np.random.Generator, *, snr: float, signal: float) -> Receiver:
    """A receiver whose noise gives ``signal`` the wanted signal-to-noise ratio."""
    thickness = float(rng.choice([2.0, 3.0, 4.0, 5.0, 6.0], p=[0.50, 0.10, 0.12, 0.20, 0.08]))
    ghost = float(rng.choice([0.0, rng.uniform(0.005, 0.03)], p=[0.7, 0.3]))
    return Receiver(float(rng.uniform(0.15, 0.7)), thickness, signal / snr, ghost, float(rng.uniform(0.03, 0.28)))


def distortion(rng: np.random.Generator, head: Head) -> Distortion:
    """The field of the air sinuses and the petrous bones, as a shift along y and its stacking."""
    grid, mni = head.grid, head.mni_mm
    shift_mm = 0.4 * smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=40)
    ripple = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=10)
    strength = rng.uniform(0.2, 1.3)
    for air in AIR_MM:
        width, height = rng.uniform(7, 17), strength * rng.normal(0, 6)
        centre = np.array(air) + rng.normal(0, 5, 3)
        squared = sum((mni[i] - np.float32(c)) ** 2 for i, c in enumerate(centre))
        shift_mm += np.float32(height) * np.exp(-squared / np.float32(2 * width**2)) * (1 + 0.35 * ripple)
    stacking = np.clip(1 - np.gradient(shift_mm, grid.spacing_mm[1], axis=1), 0.2, 4.0)
    stacking = stacking * (1 + np.float32(strength) * _pile_up(rng, head))
    return Distortion((shift_mm / np.float32(grid.spacing_mm[1])).astype(np.float32), stacking.astype(np.float32))


def eddy_currents(rng: np.random.Generator, field: Distortion, head: Head) -> Distortion:
    """The field as the diffusion-weighted image sees it: eddy currents shift, shear and stretch it along y.

    b0 and DWI then do not quite fit, and the ADC, their ratio, is falsely low along one edge of the brain and falsely
    high along the other (Haselgrove & Moore, MRM 1996;36:960).
    """
    lines = [np.linspace(-1, 1, n, dtype=np.float32) for n in head.grid.shape]
    shift, along_x, along_y, along_z = rng.normal(0, [0.18, 0.15, 0.2, 0.12]) * rng.uniform(0, 1.5)
    x, y, z = lines[0][:, None, None], lines[1][None, :, None], lines[2][None, None, :]
    extra = shift + along_x * x + along_y * y + along_z * z
    share = np.float32(rng.uniform(0, 0.4)) * _poles(rng, head)  # the edges across y stack up unlike those of b0
    return Distortion((field.shift + extra).astype(np.float32), field.stacking * (1 + share))


def _patches(rng: np.random.Generator, head: Head) -> Volume:
    """Where along a surface signal stacks up: here and there, 0 to 2."""
    scale_mm = rng.uniform(8, 16)
    field = smooth_field(rng, head.grid.shape, spacing_mm=head.grid.spacing_mm, scale_mm=scale_mm)
    return np.clip(field + 0.1, 0, 2)


def _poles(rng: np.random.Generator, head: Head) -> Volume:
    """Thin bands at the frontal and occipital poles, where the brain's edge lies across the phase-encoding axis."""
    band = np.exp(-(((head.depth_mm + 1) / rng.uniform(2, 5)) ** 2))
    return np.clip((np.abs(head.mni_mm[1] + 18) - 55) / 20, 0, 1) * band * _patches(rng, head)


def _pile_up(rng: np.random.Generator, head: Head) -> Volume:
    """Signal stacked up where the field is steeper than the smooth part can make it, as a share of the signal.

    Bands of some millimetres to two centimetres along the skull base and at the petrous bones, where air is near, and
    thin ones at the poles.
    """
    mni, depth = head.mni_mm, head.depth_mm
    patches = _patches(rng, head)
    base = np.clip((4 - mni[2]) / 14, 0, 1) * np.exp(-(((depth + 1) / rng.uniform(2.5, 8)) ** 2)) * patches
    near = np.zeros_like(base)
    for air in AIR_MM:
        height, reach = rng.uniform(0, 2.2) * rng.integers(0, 2), rng.uniform(6, 13)
        centre = np.array(air) + np.array([-np.sign(air[0]) * 4, 0, 8]) + rng.normal(0, 3, 3)
        stretch = (1.0, rng.uniform(0.6, 1.2), rng.uniform(0.8, 1.6))
        squared = sum(
            ((mni[i] - np.float32(c)) / np.float32(reach * f)) ** 2
            for i, (c, f) in enumerate(zip(centre, stretch, strict=True))
        )
        near += np.float32(height) * np.exp(-(squared**2)) * (0.6 + 0.6 * patches)
    return np.float32(rng.uniform(0, 2.2)) * base + near + np.float32(rng.uniform(0, 1.2)) * _poles(rng, head)


def distorted(volume: Volume, field: Distortion, *, stacks: bool = True) -> Volume:
    """The volume as echo-planar imaging draws it; ``stacks=False`` moves a label without brightening it."""
    count = volume.shape[1]
    position = np.clip(np.arange(count, dtype=np.float32)[None, :, None] - field.shift, 0, count - 1.001)
    below = position.astype(np.intp)
    share = position - below
    moved = np.take_along_axis(volume, below, 1) * (1 - share) + np.take_along_axis(volume, below + 1, 1) * share
    return (moved * field.stacking if stacks else moved).astype(np.float32)


def slice_grid(grid: Grid, thickness_mm: float) -> Grid:
    """The grid of slices of the given thickness that tile the volume from below."""
    ratio = thickness_mm / grid.spacing_mm[2]
    affine = grid.affine.copy()
    affine[:3, 2] *= ratio
    affine[:3, 3] += grid.affine[:3, 2] * (ratio - 1) / 2
    return Grid((grid.shape[0], grid.shape[1], int(grid.shape[2] / ratio)), affine)


def sliced(volume: Volume, grid: Grid, thickness_mm: float) -> np.ndarray:
    """The mean over each slice of ``slice_grid``, (X, Y, slices): a rectangular slice profile without a gap."""
    edges = np.arange(slice_grid(grid, thickness_mm).shape[2] + 1) * thickness_mm / grid.spacing_mm[2]
    lower, upper = edges[:-1, None], edges[1:, None]
    voxel = np.arange(grid.shape[2])[None, :]
    overlap = np.clip(np.minimum(upper, voxel + 1) - np.maximum(lower, voxel), 0, None)
    weights = (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.ascontiguousarray(np.einsum("xyz,sz->xys", volume, weights, optimize=True))


def resolved(volume: Volume, grid: Grid, receiver: Receiver) -> np.ndarray:
    """The volume at the receiver's resolution, (X, Y, slices): blurred in the plane, averaged over slices, no noise."""
    for axis in (0, 1):
        volume = ndimage.gaussian_filter1d(volume, receiver.blur, axis=axis)
    return volume if receiver.thickness_mm == grid.spacing_mm[2] else sliced(volume, grid, receiver.thickness_mm)


def shading(rng: np.random.Generator, grid: Grid, receiver: Receiver) -> Volume:
    """The coils' smooth sensitivity, about 1: uneven, and higher where they lie close, mostly back and below."""
    field = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=70)
    for axis, slope in enumerate(rng.normal([0, -0.5, -0.5], [0.4, 0.8, 0.8])):
        line = np.linspace(-1, 1, grid.shape[axis], dtype=np.float32)
        field += np.float32(slope) * np.expand_dims(line, [c for c in range(3) if c != axis])
    return np.exp(receiver.shading * field)


def edge_slices(rng: np.random.Generator, count: int) -> np.ndarray:
    """The gain of each slice, (slices,): the outermost lack neighbours that saturate them, and may be brighter.

    A real stack of 2 mm slices began 1.5 times as bright as it went on, and took five slices to fall to that.
    """
    gain, place = np.ones(count), np.arange(count)
    for likely, from_end in ((0.45, place), (0.15, place[::-1])):
        if rng.random() < likely:
            gain *= 1 + rng.uniform(0, 1.2) * np.exp(-from_end / rng.uniform(0.4, 5.0))
    return gain.astype(np.float32)


def received(rng: np.random.Generator, volume: Volume, receiver: Receiver, *, averages: int = 1) -> Volume:
    """The magnitude image: ghost of half the field of view, then Rician noise, averaged over ``averages`` repeats."""
    ghosted = volume + np.float32(receiver.ghost) * np.roll(volume, volume.shape[1] // 2, axis=1)
    sigma = np.float32(receiver.noise / np.sqrt(averages))
    real = ghosted + sigma * rng.standard_normal(volume.shape, dtype=np.float32)
    return np.hypot(real, sigma * rng.standard_normal(volume.shape, dtype=np.float32))
