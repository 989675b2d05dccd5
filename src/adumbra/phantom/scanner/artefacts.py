"""Artefacts of the acquisition: distortion by the field, eddy currents, coil sensitivity, ghosts, noise.

Echo-planar distortion: off-resonance displaces signal along the phase-encoding axis by ΔB · γ · T_readout voxels and
scales it by the Jacobian, 1 − ∂f/∂y (Jezzard & Balaban, MRM 1995;34:65). Near air, piled-up signal resembles a lesion
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

_COARSER, _REACH_MM = 3, 6.0  # downsampling and length scale of the continuation of the field beyond the signal
_FARTHEST_MM = 15.0  # largest displacement; signal displaced farther is spread too thin to be visible


@dataclass(frozen=True)
class Receiver:
    """The receiver of one acquisition.

    Attributes:
        noise: Standard deviation of the noise.
        ghost: Relative amplitude of the ghost.
        shading: Standard deviation of the log coil sensitivity.
    """

    noise: float
    ghost: float
    shading: float


def sample_receiver(rng: np.random.Generator, *, snr: float, signal: float) -> Receiver:
    """Samples a receiver.

    Args:
        rng: Source of ghost and shading.
        snr: Signal-to-noise ratio of ``signal``, which determines the noise.
        signal: The signal of normal white matter.
    """
    ghost = float(rng.choice([0.0, rng.uniform(0.005, 0.03)], p=[0.7, 0.3]))
    return Receiver(signal / snr, ghost, float(rng.uniform(0.03, 0.28)))


def shim(field_ppm: Volume, head: Head) -> Volume:
    """Shims a field: subtracts the polynomial of second order that fits it in the brain.

    Args:
        field_ppm: (X, Y, Z), the relative field in ppm.
        head: The anatomy.
    """
    every = (slice(None, None, 4),) * 3
    weight = np.clip(head.tissue + head.csf, 0, 1)
    inside = weight[every] > 0.5
    terms = [_terms(head.grid, every)[n][inside] for n in range(10)]
    gains = np.linalg.lstsq(np.stack(terms, axis=1), field_ppm[every][inside].astype(np.float64), rcond=None)[0]
    whole = _terms(head.grid, (slice(None),) * 3)
    return field_ppm - sum(np.float32(g) * term for g, term in zip(gains, whole, strict=True))


def _terms(grid: Grid, every: tuple[slice, slice, slice]) -> list[np.ndarray]:
    """1, x, y, z and their products of second order on every n-th voxel of the grid, each in [−1, 1]."""
    x, y, z = np.meshgrid(
        *(np.linspace(-1, 1, n, dtype=np.float32)[e] for n, e in zip(grid.shape, every, strict=True)),
        indexing="ij",
        sparse=True,
    )
    parts = [np.ones((1, 1, 1), np.float32), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z]
    return [np.broadcast_to(p, np.broadcast_shapes(x.shape, y.shape, z.shape)) for p in parts]


def extend_beyond_signal(field: Volume, head: Head) -> Volume:
    """The field where there is signal, continued smoothly beyond it from the nearest tissue.

    The field at its origin displaces the signal, but a warp needs the field at the destination. For a smooth field
    these are nearly the same. The field of air, which is not smooth, would displace brain into the air.

    Args:
        field: (X, Y, Z), the field.
        head: The anatomy.
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
    """The displacement along the phase-encoding axis due to a field, (X, Y, Z) in mm.

    Args:
        field_hz: (X, Y, Z), the field after the shim in Hz.
        readout_s: Time from the first to the last line of k-space, including the effect of parallel imaging.
        in_plane_mm: Length of a voxel along the phase-encoding axis.
        polarity: Polarity of the blips, 1 or -1.
    """
    shift = np.float32(polarity * readout_s * in_plane_mm) * field_hz
    return np.clip(shift, -_FARTHEST_MM, _FARTHEST_MM)


def sample_shift_mm(rng: np.random.Generator, head: Head) -> Volume:
    """Samples a displacement in mm like that near air sinuses and petrous bones, where no field is computed.

    Args:
        rng: Source of every random choice.
        head: The anatomy.
    """
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


def sample_warp(rng: np.random.Generator, head: Head, shift_mm: Volume) -> Warp:
    """Samples the warp of a displacement, with signal pile-up where the field varies on less than the grid's scale.

    Args:
        rng: Source of the pile-up.
        head: The anatomy.
        shift_mm: (X, Y, Z), the displacement in mm.
    """
    stacking = np.clip(1 - np.gradient(shift_mm, head.grid.spacing_mm[1], axis=1), 0.2, 4.0)
    stacking *= 1 + np.float32(rng.uniform(0.2, 1.3)) * _sample_pile_up(rng, head)
    return Warp(shift_mm, stacking.astype(np.float32))


def add_eddy_currents(rng: np.random.Generator, field: Warp, head: Head) -> Warp:
    """Adds the distortion of eddy currents to a warp: shift, shear and scaling along y in the diffusion-weighted image.

    b0 and DWI are then misaligned, and the ADC, their ratio, is falsely low along one edge of the brain and falsely
    high along the other (Haselgrove & Moore, MRM 1996;36:960).

    Args:
        rng: Source of every random choice.
        field: The warp of b0.
        head: The anatomy.
    """
    lines = [np.linspace(-1, 1, n, dtype=np.float32) for n in head.grid.shape]
    shift, along_x, along_y, along_z = rng.normal(0, [0.36, 0.3, 0.4, 0.24]) * rng.uniform(0, 1.5)
    x, y, z = lines[0][:, None, None], lines[1][None, :, None], lines[2][None, None, :]
    extra = (shift + along_x * x + along_y * y + along_z * z).astype(np.float32)
    share = np.float32(rng.uniform(0, 0.4)) * _sample_pole_bands(
        rng, head
    )  # pile-up at edges across y differs from that of b0
    return Warp(field.shift_mm + extra, field.stacking * (1 + share))


def _sample_patches(rng: np.random.Generator, head: Head) -> Volume:
    """Samples where along a surface signal piles up, 0 to 2."""
    scale_mm = rng.uniform(8, 16)
    field = smooth_field(rng, head.grid.shape, spacing_mm=head.grid.spacing_mm, scale_mm=scale_mm)
    return np.clip(field + 0.1, 0, 2)


def _sample_pole_bands(rng: np.random.Generator, head: Head) -> Volume:
    """Samples thin bands at the frontal and occipital poles, where the brain's edge crosses the phase-encoding axis."""
    band = np.exp(-(((head.depth_mm + 1) / rng.uniform(2, 5)) ** 2))
    return np.clip((np.abs(head.mni_mm[1] + 18) - 55) / 20, 0, 1) * band * _sample_patches(rng, head)


def _sample_pile_up(rng: np.random.Generator, head: Head) -> Volume:
    """Samples the pile-up due to steep fields that the smooth displacement lacks, relative to the signal.

    It consists of bands of some millimetres to two centimetres along the skull base and at the petrous bones, near air,
    and of thin bands at the poles.
    """
    mni, depth = head.mni_mm, head.depth_mm
    patches = _sample_patches(rng, head)
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
    return (
        np.float32(rng.uniform(0, 2.2)) * base + near + np.float32(rng.uniform(0, 1.2)) * _sample_pole_bands(rng, head)
    )


def sample_sensitivity(rng: np.random.Generator, grid: Grid, receiver: Receiver) -> Volume:
    """Samples the smooth sensitivity of the coils, about 1; it is higher near the coils, mostly at the back and below.

    Args:
        rng: Source of the sensitivity.
        grid: Grid of the image.
        receiver: Gives the strength of the variation.
    """
    field = smooth_field(rng, grid.shape, spacing_mm=grid.spacing_mm, scale_mm=70)
    for axis, slope in enumerate(rng.normal([0, -0.5, -0.5], [0.4, 0.8, 0.8])):
        line = np.linspace(-1, 1, grid.shape[axis], dtype=np.float32)
        field += np.float32(slope) * np.expand_dims(line, [c for c in range(3) if c != axis])
    return np.exp(receiver.shading * field)


def sample_slice_gain(rng: np.random.Generator, count: int) -> np.ndarray:
    """Samples the gain of each slice, (slices,): the outermost lack saturation by neighbours, and may be brighter.

    In a real stack of 2 mm slices the first was 1.5 times as bright as the others, and the gain fell over five slices.

    Args:
        rng: Source of the gain.
        count: Number of slices.
    """
    gain, place = np.ones(count), np.arange(count)
    for probability, from_end in ((0.45, place), (0.15, place[::-1])):
        if rng.random() < probability:
            gain *= 1 + rng.uniform(0, 1.2) * np.exp(-from_end / rng.uniform(0.4, 5.0))
    return gain.astype(np.float32)


def magnitude_image(rng: np.random.Generator, volume: Volume, receiver: Receiver, *, averages: int = 1) -> Volume:
    """Samples the magnitude image of a volume, with a ghost at half the field of view and Rician noise.

    Args:
        rng: Source of the noise.
        volume: (X, Y, slices), the noise-free signal.
        receiver: Noise and ghost.
        averages: Number of averaged repetitions.
    """
    ghosted = volume + np.float32(receiver.ghost) * np.roll(volume, volume.shape[1] // 2, axis=1)
    sigma = np.float32(receiver.noise / np.sqrt(averages))
    real = ghosted + sigma * rng.standard_normal(volume.shape, dtype=np.float32)
    return np.hypot(real, sigma * rng.standard_normal(volume.shape, dtype=np.float32))


def add_complex_noise(rng: np.random.Generator, image: np.ndarray, receiver: Receiver) -> np.ndarray:
    """Adds noise to both channels of a complex image, complex64.

    Args:
        rng: Source of the noise.
        image: (X, Y, slices), the complex signal.
        receiver: Gives the standard deviation of the noise.
    """
    real, imaginary = (rng.standard_normal(image.shape, dtype=np.float32) for _ in range(2))
    return np.asarray(image + np.float32(receiver.noise) * (real + 1j * imaginary), np.complex64)
