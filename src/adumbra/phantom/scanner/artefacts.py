"""What a scanner adds to what it samples: distortion by the field, eddy currents, coils, ghosts, noise.

Echo-planar distortion: off-resonance moves signal along the phase-encoding axis by ΔB · γ · T_readout voxels and stacks
it up by the Jacobian, 1 − ∂f/∂y (Jezzard & Balaban, MRM 1995;34:65): near air, signal piles up and looks like a lesion
on DWI, while the ADC, a ratio, stays normal.
Noise: the magnitude of a complex signal with Gaussian noise, M = |S + n₁ + i·n₂| (Gudbjartsson & Patz 1995).
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import AIR_MM, Head
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.scanner.acquisition import Warp

_COARSER, _REACH_MM = 3, 6.0  # of the grid on which the field is carried beyond the signal, and over which length
_FARTHEST_MM = 15.0  # of a displacement: what lies beyond is spread out until nothing is seen of it


@dataclass(frozen=True)
class Receiver:
    """One acquisition: noise σ, ghost share, depth of the coil's shading."""

    noise: float
    ghost: float
    shading: float


def sample_receiver(rng: np.random.Generator, *, snr: float, signal: float) -> Receiver:
    """A receiver whose noise gives ``signal`` the wanted signal-to-noise ratio."""
    ghost = float(rng.choice([0.0, rng.uniform(0.005, 0.03)], p=[0.7, 0.3]))
    return Receiver(signal / snr, ghost, float(rng.uniform(0.03, 0.28)))


def shimmed(field_ppm: Volume, head: Head) -> Volume:
    """The field without what the shim coils take away: the polynomial of second order that fits it in the brain."""
    every = (slice(None, None, 4),) * 3
    weight = np.clip(head.tissue + head.csf, 0, 1)
    inside = weight[every] > 0.5
    terms = [_terms(head.grid, every)[n][inside] for n in range(10)]
    gains = np.linalg.lstsq(np.stack(terms, axis=1), field_ppm[every][inside].astype(np.float64), rcond=None)[0]
    whole = _terms(head.grid, (slice(None),) * 3)
    return field_ppm - sum(np.float32(g) * term for g, term in zip(gains, whole, strict=True))


def _terms(grid: Grid, every: tuple[slice, slice, slice]) -> list[np.ndarray]:
    """1, x, y, z and their products of second order over the grid, each in [−1, 1]."""
    x, y, z = np.meshgrid(
        *(np.linspace(-1, 1, n, dtype=np.float32)[e] for n, e in zip(grid.shape, every, strict=True)),
        indexing="ij",
        sparse=True,
    )
    parts = [np.ones((1, 1, 1), np.float32), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z]
    return [np.broadcast_to(p, np.broadcast_shapes(x.shape, y.shape, z.shape)) for p in parts]


def within_signal(field: Volume, head: Head) -> Volume:
    """The field where there is signal, and beyond what it is in the nearest tissue, smoothly.

    Signal is displaced by the field at the place that it comes from. A warp asks for the field at the place where it is
    seen, which is nearly the same as long as the field is smooth: that of air would fetch brain into the air.
    """
    every = (slice(None, None, _COARSER),) * 3
    signal = (head.air + head.bone < 0.5).astype(np.float32)
    sigma = _REACH_MM / (_COARSER * head.grid.spacing_mm[0])
    weight = ndimage.gaussian_filter(signal[every], sigma)
    smooth = ndimage.gaussian_filter(field[every] * signal[every], sigma) / np.maximum(weight, np.float32(1e-3))
    beyond = ndimage.affine_transform(smooth, np.full(3, 1 / _COARSER), output_shape=field.shape, order=1,
                                      mode="nearest")  # fmt: skip
    return np.where(signal > 0, field, beyond).astype(np.float32)


def echo_planar_shift_mm(field_hz: Volume, *, readout_s: float, in_plane_mm: float, polarity: int) -> Volume:
    """The displacement along the phase-encoding axis that a field in Hz makes.

    Args:
        field_hz: After the shim.
        readout_s: From the first to the last line of k-space, as parallel imaging shortens it.
        in_plane_mm: Length of a voxel along the phase-encoding axis.
        polarity: 1 or -1, of the blips.
    """
    shift = np.float32(polarity * readout_s * in_plane_mm) * field_hz
    return np.clip(shift, -_FARTHEST_MM, _FARTHEST_MM)


def sample_shift_mm(rng: np.random.Generator, head: Head) -> Volume:
    """A displacement like that of the air sinuses' and petrous bones' field, where no field is computed."""
    grid, mni = head.grid, head.mni_mm
    shift_mm = 0.4 * smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=40)
    ripple = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=10)
    strength = rng.uniform(0.2, 1.3)
    for air in AIR_MM:
        width, height = rng.uniform(7, 17), strength * rng.normal(0, 6)
        centre = np.array(air) + rng.normal(0, 5, 3)
        squared = sum((mni[i] - np.float32(c)) ** 2 for i, c in enumerate(centre))
        shift_mm += np.float32(height) * np.exp(-squared / np.float32(2 * width**2)) * (1 + 0.35 * ripple)
    return shift_mm.astype(np.float32)


def warp(rng: np.random.Generator, head: Head, shift_mm: Volume) -> Warp:
    """The warp that a displacement makes, with what stacks up where the field is steeper than the grid can hold."""
    stacking = np.clip(1 - np.gradient(shift_mm, head.grid.spacing_mm[1], axis=1), 0.2, 4.0)
    stacking *= 1 + np.float32(rng.uniform(0.2, 1.3)) * _pile_up(rng, head)
    return Warp(shift_mm, stacking.astype(np.float32))


def eddy_currents(rng: np.random.Generator, field: Warp, head: Head) -> Warp:
    """The field as the diffusion-weighted image sees it: eddy currents shift, shear and stretch it along y.

    b0 and DWI then do not quite fit, and the ADC, their ratio, is falsely low along one edge of the brain and falsely
    high along the other (Haselgrove & Moore, MRM 1996;36:960).
    """
    lines = [np.linspace(-1, 1, n, dtype=np.float32) for n in head.grid.shape]
    shift, along_x, along_y, along_z = rng.normal(0, [0.36, 0.3, 0.4, 0.24]) * rng.uniform(0, 1.5)
    x, y, z = lines[0][:, None, None], lines[1][None, :, None], lines[2][None, None, :]
    extra = (shift + along_x * x + along_y * y + along_z * z).astype(np.float32)
    share = np.float32(rng.uniform(0, 0.4)) * _poles(rng, head)  # the edges across y stack up unlike those of b0
    return Warp(field.shift_mm + extra, field.stacking * (1 + share))


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


def with_noise(rng: np.random.Generator, image: np.ndarray, receiver: Receiver) -> np.ndarray:
    """A complex image with the noise of both channels, complex64."""
    real, imaginary = (rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    return np.asarray(image + np.float32(receiver.noise) * (real + 1j * imaginary), np.complex64)
