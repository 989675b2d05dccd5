"""Magnetic susceptibility: the field perturbation in B0, the phase of a gradient echo, and its dephasing.

Field      ΔB/B0 = (1/3 − N_bb) * χ, N the demagnetising tensor of a voxel, b the direction of B0, 1/3 Lorentz's sphere
Phase      φ = γ · B0 · ΔB/B0 · TE, positive where the field is higher
Dephasing  S = s · exp(iφ) · Π sinc(Δφ_i / 2), Δφ_i across a voxel along axis i; coarse voxels average fine ones

N is that of a uniformly magnetised cuboid, in closed form (Jenkinson et al., MRM 2004;52:471), instead of a point
dipole or of 1/3 − cos²θ sampled in k-space. The volume is padded to twice its size, so that the convolution is linear.

The χ of a voxel is the mean over its content. Averaging over a block smears matter by d²/6 (second moment) along an
axis of spacing d. Matter smeared alike along all axes has the same field outside. A second difference corrects the
larger smearing along the long axes of anisotropic voxels; without it, the error two voxels from a sphere would be 4 %
at 1 × 1 × 3 mm.

The field is of first order in χ: the effect of one voxel's field on the magnetisation of another, 10⁻⁵, is neglected.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from jaxtyping import Float
from scipy import fft

from adumbra.core.errors import InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import cites
from adumbra.core.types import Volume

PROTON_MHZ_PER_T = 42.577478518
"""γ/2π of the unshielded proton (CODATA 2018)."""

DEOXYGENATION_PPM = 4 * np.pi * 0.27
"""Deoxygenated minus oxygenated red cells: 0.27 ppm in cgs (Spees et al. 2001), hence 4π times that in SI.

Weisskoff & Kiihne (1992) reported 0.18 in cgs; the value of Spees et al. agrees with that of Pauling & Coryell (1936).
"""


@cites("Spees2001")
def blood_chi(oxygenation: float, haematocrit: float) -> float:
    """Susceptibility of blood in ppm (SI), relative to fully oxygenated blood.

    The reference equals tissue water to about 0.1 ppm. A cerebral vein has about (0.65, 0.4) and 0.5 ppm.

    Args:
        oxygenation: Oxygenation of the haemoglobin, 0 to 1.
        haematocrit: Haematocrit, 0 to 1.
    """
    return DEOXYGENATION_PPM * haematocrit * (1 - oxygenation)


CHI_PPM: Mapping[str, float] = MappingProxyType(
    {
        "water": 0.0,
        "air": 9.4,  # +0.36 against water's −9.05 (Schenck, Med Phys 1996;23:815); +9.2 ± 1.3 in sinuses (Buch)
        "bone": -2.1,  # cortical: −2.1 ± 0.6 against tissue in vivo (Buch et al., MRM 2015;73:2185)
        "calcification": -2.0,  # about that of bone where dense, teeth −3.3 ± 1.2 (Buch); nearer 0 where sparse
        "vein": blood_chi(0.65, 0.4),
        # Clots by composition: packed deoxygenated red cells, or almost none. Red cells with methaemoglobin, which
        # forms within days, are equally paramagnetic to within a fifth.
        "red_thrombus": blood_chi(0.05, 0.6),
        "white_thrombus": blood_chi(0.05, 0.05),
        # Iron, relative to the surrounding tissue; about (Wharton & Bowtell, NeuroImage 2010;53:515). It increases with
        # age; papers with cerebrospinal fluid as reference, or with other corrections, report down to half of it.
        "pallidum": 0.19,
        "substantia_nigra": 0.17,
        "red_nucleus": 0.14,
        "putamen": 0.10,
        "caudate": 0.09,
        "thalamus": 0.045,
        "grey": 0.045,
    }
)
"""Susceptibilities in ppm (SI), relative to tissue water, with the sources beside the numbers."""


def bore_direction(grid: Grid) -> tuple[float, float, float]:
    """The direction of B0, which is the bore of the scanner towards superior, along the axes of a grid.

    Args:
        grid: The grid.
    """
    along = grid.affine[2, :3] / np.asarray(grid.spacing_mm)
    return float(along[0]), float(along[1]), float(along[2])


@cites("Jenkinson2004")
def relative_field(
    chi_ppm: Float[np.ndarray, "X Y Z"],
    spacing_mm: tuple[float, float, float],
    *,
    b0_direction: Sequence[float] | np.ndarray = (0.0, 0.0, 1.0),
    outside_ppm: float = 0.0,
    margin: tuple[int, int, int] = (0, 0, 0),
) -> Volume:
    """ΔB/B0 in ppm at the centres of the voxels, with the Lorentz correction, (X, Y, Z).

    The mean field is not removed; subtract a constant or the shim where it matters.

    Args:
        chi_ppm: (X, Y, Z), mean susceptibility of each voxel in ppm (SI); a constant offset makes no field.
        spacing_mm: Length of a voxel along each axis; the field depends on the ratios only.
        b0_direction: Direction of B0 along the axes of the array, of any length and either sign; see
            ``bore_direction``.
        outside_ppm: Susceptibility beyond the volume; that of air for a head.
        margin: Number of voxels along each axis by which the outermost values are continued, such as those of a neck or
            of a vessel that leaves the volume. Time and memory grow with it.

    Raises:
        InputRejected: The direction has no length, or a spacing is not positive.
    """
    if not min(spacing_mm) > 0:
        raise InputRejected("spacing_mm", expected="three lengths above 0", found=str(spacing_mm), do="give mm")
    direction = _unit(b0_direction)
    shape = chi_ppm.shape
    chi = chi_ppm.astype(np.float32) - np.float32(outside_ppm)
    chi = np.pad(chi, [(m, m) for m in margin], mode="edge")
    # The field does not depend on the unit of length; scaling lets one kernel serve all sizes of the same shape.
    i, j, k = (float(s) / min(spacing_mm) for s in spacing_mm)
    field = _convolved(chi, (i, j, k), direction)
    inner = tuple(slice(m, m + n) for m, n in zip(margin, shape, strict=True))
    return np.ascontiguousarray(field[inner])


def _unit(direction: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """The direction as a unit vector."""
    given = np.asarray(direction, dtype=np.float64)
    length = np.linalg.norm(given)
    if given.shape != (3,) or not 0 < length < np.inf:
        raise InputRejected("b0_direction", expected="three numbers, not all 0", found=str(direction), do="correct it")
    x, y, z = given / length
    return float(x), float(y), float(z)


def _convolved(chi: Volume, spacing: tuple[float, float, float], direction: tuple[float, float, float]) -> Volume:
    """The linear convolution of χ with the kernel; each axis is padded to twice its size when it is transformed.

    Only the transform along y is stored whole; that along x exists for one plane at a time. This needs a third of the
    memory of a padded volume.
    """
    nx, ny, nz = chi.shape
    hx, hy, hz = half = (_half(nx), _half(ny), _half(nz))
    even, odd_yz, odd_xz, odd_xy = _spectra(half, spacing, direction)
    planes = fft.fft(fft.rfft(chi, 2 * hz, axis=2), 2 * hy, axis=1)
    for j in range(2 * hy):
        row, sign = (j, 1) if j <= hy else (2 * hy - j, -1)
        straight = even[:, row] + sign * odd_yz[:, row]
        turned = odd_xz[:, row] + sign * odd_xy[:, row]
        plane = fft.fft(planes[:, j], 2 * hx, axis=0)
        plane[: hx + 1] *= straight + turned
        plane[hx + 1 :] *= (straight - turned)[hx - 1 : 0 : -1]
        planes[:, j] = fft.ifft(plane, axis=0, overwrite_x=True)[:nx]
    return fft.irfft(fft.ifft(planes, axis=1, overwrite_x=True)[:, :ny], 2 * hz, axis=2)[:, :, :nz]


def _half(count: int) -> int:
    """Half the padded length of an axis: all lags of ``count`` voxels, and one more for the second difference."""
    return fft.next_fast_len(count + 1)


@lru_cache(maxsize=2)
def _spectra(
    half: tuple[int, int, int], spacing: tuple[float, float, float], direction: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The real transform of the kernel on the octant of non-negative frequencies, (half + 1) along each axis.

    It has four parts: one even along all axes, from N_xx, N_yy, N_zz, and three odd along y and z, x and z, x and y,
    from N_yz, N_xz, N_xy. Signs give the other octants, so that cosine and sine transforms of one octant of lags
    suffice.
    """
    diagonal = sum(b * b * _lorentz_corrected(half, spacing, a, a) for a, b in enumerate(direction) if b)
    even = _unsmeared(fft.dctn(diagonal, type=1, overwrite_x=True).astype(np.float32), spacing)
    odd = [np.broadcast_to(np.float32(0), even.shape)] * 3  # needs no memory where B0 has no component along an axis
    for n, (a, b) in enumerate(((1, 2), (0, 2), (0, 1))):
        if weight := 2 * direction[a] * direction[b]:
            odd[n] = _unsmeared(_odd_spectrum(half, spacing, a, b) * np.float32(weight), spacing)
    return even, odd[0], odd[1], odd[2]


def _unsmeared(spectrum: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Multiplies a spectrum by that of 1 − (d² − d_min²)/12d² · (second difference) along each axis, in place."""
    for axis, d in enumerate(spacing):
        steps = 1 - np.cos(np.linspace(0, np.pi, spectrum.shape[axis]))
        gain = 1 + (1 - (min(spacing) / d) ** 2) / 6 * steps
        spectrum *= np.expand_dims(gain, [c for c in range(3) if c != axis]).astype(np.float32)
    return spectrum


def _lorentz_corrected(half: tuple[int, int, int], spacing: tuple[float, float, float], a: int, b: int) -> np.ndarray:
    """δ_ab/3 at lag 0 minus N_ab of a voxel, for lags 0 to ``half`` along each axis, float64.

    N_zz is 1/4π times the sum over the voxel's corners, with their signs, of atan(xy / zr), and −N_xy that of
    asinh(z / √(x² + y²)). Neighbours share corners, so that the sum is three differences of one array.
    """
    edges = [(np.arange(n + 2) - 0.5) * d for n, d in zip(half, spacing, strict=True)]
    at = np.meshgrid(*edges, indexing="ij", sparse=True)
    if a == b:
        first, second = (at[c] for c in range(3) if c != a)
        corners = -np.arctan(first * second / (at[a] * np.sqrt(at[0] ** 2 + at[1] ** 2 + at[2] ** 2)))
    else:
        corners = np.arcsinh(at[3 - a - b] / np.hypot(at[a], at[b]))
    for axis in range(3):
        corners = np.diff(corners, axis=axis)
    corners /= 4 * np.pi
    corners[0, 0, 0] += (a == b) / 3
    return corners


def _odd_spectrum(half: tuple[int, int, int], spacing: tuple[float, float, float], a: int, b: int) -> np.ndarray:
    """The transform of −N_ab, a ≠ b: sines along a and b, each with a factor −i, and cosines along the third axis."""
    part = fft.dct(_lorentz_corrected(half, spacing, a, b).astype(np.float32), type=1, axis=3 - a - b)
    for axis in (a, b):
        inner = tuple(slice(1, -1) if c == axis else slice(None) for c in range(3))
        turned = np.zeros_like(part)
        turned[inner] = fft.dst(part[inner], type=1, axis=axis)
        part = turned
    return -part


def radians_per_ppm(*, b0_tesla: float, te_ms: float) -> float:
    """Phase due to a relative field of 1 ppm at the echo time, in radians.

    Args:
        b0_tesla: Field strength.
        te_ms: Echo time.
    """
    return 2 * np.pi * PROTON_MHZ_PER_T * b0_tesla * te_ms * 1e-3


def phase_rad(field_ppm: np.ndarray, *, b0_tesla: float, te_ms: float) -> np.ndarray:
    """Unwrapped phase φ of a gradient echo in radians, of the field's shape and dtype; the signal is s · exp(iφ).

    It is positive where the field is higher, as in a vein along B0. Scanners differ in this sign (that of GE is
    reported to be opposite to that of Siemens). In a real file, determine it from a vein, not from the manufacturer.

    Args:
        field_ppm: Relative field in ppm.
        b0_tesla: Field strength.
        te_ms: Echo time.
    """
    return field_ppm * radians_per_ppm(b0_tesla=b0_tesla, te_ms=te_ms)


def in_phase(field_ppm: Float[np.ndarray, "X Y Z"], *, b0_tesla: float, te_ms: float) -> Volume:
    """The share of each voxel's signal that remains in phase at the echo time, (X, Y, Z), from 1 to about −0.2.

    It is exact where the field is linear within the voxel. Differences between voxels cause further loss when slices
    average them (``acquisition``). Diffusion of water in the field is neglected.

    Args:
        field_ppm: (X, Y, Z), relative field in ppm.
        b0_tesla: Field strength.
        te_ms: Echo time.
    """
    radians = radians_per_ppm(b0_tesla=b0_tesla, te_ms=te_ms)
    share = np.ones(field_ppm.shape, np.float32)
    for axis in range(3):
        if field_ppm.shape[axis] > 1:  # np.sinc(x) is sin(πx)/(πx)
            share *= np.sinc(np.gradient(field_ppm, axis=axis) * np.float32(radians / (2 * np.pi)))
    return share
