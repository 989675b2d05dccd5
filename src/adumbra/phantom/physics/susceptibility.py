"""Magnetic susceptibility: the field that matter makes in B0, the phase of a gradient echo, and its loss of signal.

Field      ΔB/B0 = (1/3 − N_bb) * χ, N the demagnetising tensor of a voxel, b the direction of B0, 1/3 Lorentz's sphere
Phase      φ = γ · B0 · ΔB/B0 · TE, positive where the field is raised
Dephasing  S = s · exp(iφ) · Π sinc(Δφ_i / 2), Δφ_i across a voxel along axis i; coarse voxels are the mean of fine ones

N is that of a uniformly magnetised cuboid, in closed form (Jenkinson et al., MRM 2004;52:471): no point dipole, and no
1/3 − cos²θ sampled in k-space. The volume is padded to twice its size: the convolution is linear, nothing wraps around.

A voxel's χ is the mean of what lies in it. A mean drawn as a block has smeared matter by d²/6 (second moment) along an
axis of spacing d. Smeared alike along all axes, matter makes the same field outside; what flat voxels smear more along
their long axes is taken back by a second difference. Without that, 1 × 1 × 3 mm would cost 4 % two voxels off a sphere.

First order in χ: what the field of one voxel does to the magnetisation of another, 10⁻⁵ of it, is left out.
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
"""γ/2π of the proton, without shielding (CODATA 2018)."""

DEOXYGENATION_PPM = 4 * np.pi * 0.27
"""Red cells without oxygen minus red cells full of it: 0.27 ppm in cgs (Spees et al. 2001), hence 4π times that in SI.

Weisskoff & Kiihne (1992) have 0.18 in cgs, which was long in use; Spees' value agrees with Pauling & Coryell's of 1936.
"""


@cites("Spees2001")
def blood_chi(oxygenation: float, haematocrit: float) -> float:
    """Susceptibility of blood in ppm (SI), relative to fully oxygenated blood: tissue water's to about 0.1 ppm.

    Both arguments are fractions: a cerebral vein has about (0.65, 0.4) and 0.5 ppm.
    """
    return DEOXYGENATION_PPM * haematocrit * (1 - oxygenation)


CHI_PPM: Mapping[str, float] = MappingProxyType(
    {
        "water": 0.0,
        "air": 9.4,  # +0.36 against water's −9.05 (Schenck, Med Phys 1996;23:815); +9.2 ± 1.3 in sinuses (Buch)
        "bone": -2.1,  # cortical: −2.1 ± 0.6 against tissue in vivo (Buch et al., MRM 2015;73:2185)
        "calcification": -2.0,  # about that of bone where dense, teeth −3.3 ± 1.2 (Buch); nearer 0 where sparse
        "vein": blood_chi(0.65, 0.4),
        # Clots by what they are made of: packed red cells that have given up their oxygen, or next to none. Red cells
        # with methaemoglobin, which follows in days, are about as paramagnetic, to within a fifth.
        "red_thrombus": blood_chi(0.05, 0.6),
        "white_thrombus": blood_chi(0.05, 0.05),
        # Iron, relative to the tissue around; about (Wharton & Bowtell, NeuroImage 2010;53:515). It grows with age, and
        # papers that refer to cerebrospinal fluid or correct otherwise report down to half of it.
        "pallidum": 0.19,
        "substantia_nigra": 0.17,
        "red_nucleus": 0.14,
        "putamen": 0.10,
        "caudate": 0.09,
        "thalamus": 0.045,
        "grey": 0.045,
    }
)
"""Susceptibilities in ppm (SI), relative to tissue water; the sources stand beside the numbers."""


def bore_direction(grid: Grid) -> tuple[float, float, float]:
    """The direction of the scanner's bore, patient's superior, along the axes of the grid: B0 for an oblique grid."""
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
    """ΔB/B0 in ppm at the voxels' centres, Lorentz-corrected: what a proton there feels.

    The mean field of a head is not taken out: subtract a constant, or the shim, where it matters.

    Args:
        chi_ppm: Mean susceptibility of each voxel in ppm (SI), relative to anything: a constant makes no field.
        spacing_mm: Length of a voxel along each axis; the field depends on the ratios alone.
        b0_direction: Along the array's axes, of any length, either way round; see ``bore_direction``.
        outside_ppm: Susceptibility of all that lies beyond the volume: for a head, air's.
        margin: For how many voxels the outermost values go on beyond the faces of each axis, before the outside begins:
            a neck, or a vessel that leaves the volume. Time and memory grow with it.

    Raises:
        InputRejected: A direction without length, or a spacing that is not positive.
    """
    if not min(spacing_mm) > 0:
        raise InputRejected("spacing_mm", expected="three lengths above 0", found=str(spacing_mm), do="give mm")
    direction = _unit(b0_direction)
    shape = chi_ppm.shape
    chi = chi_ppm.astype(np.float32) - np.float32(outside_ppm)
    chi = np.pad(chi, [(m, m) for m in margin], mode="edge")
    # A field depends on where the matter is, not on the unit: scaled, one kernel serves all sizes of the same shape.
    i, j, k = (float(s) / min(spacing_mm) for s in spacing_mm)
    field = _convolved(chi, (i, j, k), direction)
    inner = tuple(slice(m, m + n) for m, n in zip(margin, shape, strict=True))
    return np.ascontiguousarray(field[inner])


def _unit(direction: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """The direction at length 1."""
    given = np.asarray(direction, dtype=np.float64)
    length = np.linalg.norm(given)
    if given.shape != (3,) or not 0 < length < np.inf:
        raise InputRejected("b0_direction", expected="three numbers, not all 0", found=str(direction), do="correct it")
    x, y, z = given / length
    return float(x), float(y), float(z)


def _convolved(chi: Volume, spacing: tuple[float, float, float], direction: tuple[float, float, float]) -> Volume:
    """The kernel convolved with χ, linearly: padded to at least twice the size, axis by axis and no sooner than needed.

    Along y the transform is kept whole, along x it lives for one plane only: a third of the memory of a padded volume.
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
    """Half the padded length of an axis: all lags of ``count`` voxels and, for the second difference, one more."""
    return fft.next_fast_len(count + 1)


@lru_cache(maxsize=2)
def _spectra(
    half: tuple[int, int, int], spacing: tuple[float, float, float], direction: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The kernel's transform, which is real, on the octant of frequencies ≥ 0, (half + 1) each.

    In four parts: even along all axes, from N_xx, N_yy, N_zz; and odd along y and z, x and z, x and y, from N_yz, N_xz,
    N_xy. The other octants follow by their signs, and cosine and sine transforms of one octant of lags are enough.
    """
    diagonal = sum(b * b * _lorentz_corrected(half, spacing, a, a) for a, b in enumerate(direction) if b)
    even = _unsmeared(fft.dctn(diagonal, type=1, overwrite_x=True).astype(np.float32), spacing)
    odd = [np.broadcast_to(np.float32(0), even.shape)] * 3  # takes no memory where B0 has no part along an axis
    for n, (a, b) in enumerate(((1, 2), (0, 2), (0, 1))):
        if weight := 2 * direction[a] * direction[b]:
            odd[n] = _unsmeared(_odd_spectrum(half, spacing, a, b) * np.float32(weight), spacing)
    return even, odd[0], odd[1], odd[2]


def _unsmeared(spectrum: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """The spectrum times that of 1 − (d² − d_min²)/12d² · (second difference) along each axis, in place."""
    for axis, d in enumerate(spacing):
        steps = 1 - np.cos(np.linspace(0, np.pi, spectrum.shape[axis]))
        gain = 1 + (1 - (min(spacing) / d) ** 2) / 6 * steps
        spectrum *= np.expand_dims(gain, [c for c in range(3) if c != axis]).astype(np.float32)
    return spectrum


def _lorentz_corrected(half: tuple[int, int, int], spacing: tuple[float, float, float], a: int, b: int) -> np.ndarray:
    """δ_ab/3 inside minus N_ab of a voxel, for lags 0 to ``half`` along each axis, float64.

    N_zz is 1/4π times the sum over the voxel's corners, with their signs, of atan(xy / zr), and −N_xy that of
    asinh(z / √(x² + y²)): neighbours share corners, so the sum is three differences of one array.
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
    """The transform of −N_ab, a ≠ b: sines along a and b, each with a factor −i, cosines along the third axis."""
    part = fft.dct(_lorentz_corrected(half, spacing, a, b).astype(np.float32), type=1, axis=3 - a - b)
    for axis in (a, b):
        inner = tuple(slice(1, -1) if c == axis else slice(None) for c in range(3))
        turned = np.zeros_like(part)
        turned[inner] = fft.dst(part[inner], type=1, axis=axis)
        part = turned
    return -part


def radians_per_ppm(*, b0_tesla: float, te_ms: float) -> float:
    """Phase that a relative field of 1 ppm makes by the echo time."""
    return 2 * np.pi * PROTON_MHZ_PER_T * b0_tesla * te_ms * 1e-3


def phase_rad(field_ppm: np.ndarray, *, b0_tesla: float, te_ms: float) -> np.ndarray:
    """Phase of a gradient echo in radians, not wrapped, of the field's shape and dtype: s · exp(iφ) is the signal.

    Positive where the field is raised, as in a vein along B0. Scanners differ in this sign (GE's is reported opposite
    to Siemens'): in a real file a vein tells it, not the maker's name.
    """
    return field_ppm * radians_per_ppm(b0_tesla=b0_tesla, te_ms=te_ms)


def in_phase(field_ppm: Float[np.ndarray, "X Y Z"], *, b0_tesla: float, te_ms: float) -> Volume:
    """The share of each voxel's signal that is still in phase at the echo time, from 1 to about −0.2.

    Exact where the field is linear within the voxel. What differs from one voxel to the next is lost when slices are
    averaged of them (``acquisition``). Diffusion is not in it: water is taken to stay where it is.
    """
    radians = radians_per_ppm(b0_tesla=b0_tesla, te_ms=te_ms)
    kept = np.ones(field_ppm.shape, np.float32)
    for axis in range(3):
        if field_ppm.shape[axis] > 1:  # np.sinc(x) is sin(πx)/(πx)
            kept *= np.sinc(np.gradient(field_ppm, axis=axis) * np.float32(radians / (2 * np.pi)))
    return kept
