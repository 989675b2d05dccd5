"""Phase of gradient echoes: unwrapped, high-passed, and multiplied into the magnitude (susceptibility weighting, SWI).

Haacke et al., Magn Reson Med 2004 (52:612): the slow part of the phase is the scanner's and the air's; of the fast part
one sign belongs to deoxygenated blood, and a mask that falls from 1 to 0 over that sign, multiplied four times into the
magnitude, darkens veins and clots. Which sign it is differs between vendors: it is told, or found from the data.

Phase is in radians. Voxels outside a ``mask``, and values that are not finite, have no say in any neighbour.
"""

from dataclasses import replace
from math import floor, pi
from typing import Literal

import numpy as np
from scipy import fft, ndimage
from skimage.restoration import unwrap_phase

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.errors import GridMismatch
from adumbra.core.references import citations, cites
from adumbra.core.types import Mask, Volume
from adumbra.preprocessing.vein_sign import Sign, Spacing, VeinSign, local_mean, sign_of_veins, usable

HighPass = Literal["homodyne", "unwrapped", "laplacian"]

TURN = 2 * pi
SURE = 0.95  # Confidence in the sign of the veins, below which the report's reader is told.
_ROUNDS = 3  # Of unwrapping by transforms; as many again bring a masked one to the exact one, and take as long as it.


@cites("AbdulRahman2007")
def unwrapped(phase: Volume, *, mask: Mask | None = None) -> Volume:
    """The phase without its wraps: every voxel differs from ``phase`` by a multiple of 2π; zero outside ``mask``.

    The most reliable voxels are joined first (Abdul-Rahman et al., Applied Optics 2007, 46:6623). The median comes to
    lie within ±π; parts of the mask that do not touch keep unknown multiples of 2π between them.
    """
    inside, out = usable(mask, phase), np.zeros_like(phase)
    if not inside.any():
        return out
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    # One masked layer around it, as scikit-image warns of axes of length one. The seed only breaks ties.
    values, outside = np.pad(np.where(inside, phase, 0)[box], 1), np.pad(~inside[box], 1, constant_values=True)
    whole = unwrap_phase(np.ma.MaskedArray(values, outside), rng=0).data[1:-1, 1:-1, 1:-1][inside[box]]
    out[box][inside[box]] = whole - TURN * np.round(np.median(whole) / TURN)
    return out


@cites("Ghiglia1994")
def unwrapped_fast(phase: Volume, *, mask: Mask | None = None) -> Volume:
    """The phase without its wraps in the sense of least squares, to be high-passed; zero outside ``mask``.

    Poisson's equation for the wrapped steps between neighbours, by cosine transforms. Steps outside the mask start as
    their mean and are taken from the solution in further rounds (Ghiglia and Romero, J Opt Soc Am A 1994, 11:107).
    Where no step passes π it is exact, but for what the rounds leave at the mask's border: tenths of a radian.
    """
    inside = usable(mask, phase)
    held = np.where(inside, phase, np.nan)
    steps = [np.diff(held, axis=axis) for axis in range(3)]
    steps = [s - TURN * np.round(s / TURN) for s in steps]
    slopes = [np.nansum(s) / max(1, np.isfinite(s).sum()) for s in steps]
    i, j, k = np.ogrid[tuple(slice(0, n) for n in phase.shape)]
    whole = slopes[0] * i + slopes[1] * j + slopes[2] * k
    x, y, z = (2 * np.cos(np.pi * np.arange(n) / n) - 2 for n in phase.shape)
    laplacian = x[:, None, None] + y[:, None] + z
    laplacian[0, 0, 0] = 1.0  # The mean, which no difference tells, comes from the wrapped phase.
    for _ in range(1 if inside.all() else _ROUNDS):
        filled = [np.where(np.isnan(s), np.diff(whole, axis=axis), s) for axis, s in enumerate(steps)]
        divergence = sum(np.diff(s, axis=axis, prepend=0.0, append=0.0) for axis, s in enumerate(filled))
        whole = fft.idctn(fft.dctn(divergence) / laplacian)
    offset = np.angle(np.exp(1j * (phase - whole)[inside]).sum())
    return np.where(inside, whole + offset, 0).astype(np.float32)


@cites("Haacke2004")
def homodyne(
    phase: Volume,
    *,
    spacing_mm: Spacing,
    magnitude: Volume | None = None,
    mask: Mask | None = None,
    lowpass_mm: float = 3.75,
) -> Volume:
    """The high-passed phase in [-π, π]: of the complex image divided by its own low-pass; zero outside ``mask``.

    A background that turns by more than about 0.4 rad/mm (near sinuses) stays in part: ``unwrapped`` deals with that.

    Args:
        phase: Wrapped or not.
        spacing_mm: Of its voxels; the low-pass acts within the slices, which lie across a voxel's longest side.
        magnitude: Weights the low-pass, so that noise in dark voxels has little say; None weights all alike.
        mask: What is phase and not noise; None is everywhere.
        lowpass_mm: Field of view over the lines of the Hanning window in k-space: 240 mm / 64 lines = 3.75.
    """
    inside = usable(mask, phase, *(() if magnitude is None else (magnitude,)))
    turn = np.exp(1j * np.where(inside, phase, np.float32(0)))
    slow = np.where(inside, turn if magnitude is None else turn * np.where(inside, magnitude, 0), 0)
    for axis in {0, 1, 2} - {_slice_axis(spacing_mm)}:
        size, along = phase.shape[axis], [-1 if a == axis else 1 for a in range(3)]
        # Zeros behind the image keep its far ends from meeting around the circle.
        lines = fft.next_fast_len(size + floor(4 * lowpass_mm / spacing_mm[axis]))
        at = np.abs(fft.fftfreq(lines, spacing_mm[axis])) * 2 * lowpass_mm
        window = (0.5 + 0.5 * np.cos(np.pi * np.minimum(at, 1))).astype(np.float32).reshape(along)
        slow = fft.ifft(fft.fft(slow, lines, axis=axis) * window, axis=axis).take(range(size), axis=axis)
    return np.where(inside, np.angle(turn * np.conj(slow)), 0).astype(np.float32)


def less_gaussian(phase: Volume, *, spacing_mm: Spacing, sigma_mm: float = 4.0, mask: Mask | None = None) -> Volume:
    """The high-passed phase: unwrapped ``phase`` less its Gaussian mean over the voxels of ``mask``; zero outside.

    Of a constant nothing is left; of a ramp nothing deep inside, and about 0.8σ times its slope at the border.
    """
    inside = usable(mask, phase)
    return np.where(inside, phase - local_mean(phase, inside, spacing_mm, sigma_mm), np.float32(0))


@cites("Haacke2004")
def phase_mask(high_pass: Volume, *, vein_sign: Sign) -> Volume:
    """Weights in [0, 1]: 1 at zero and at the other sign than the veins', falling linearly to 0 at a phase of π.

    1 where the phase is not finite: what is not valid darkens nothing.
    """
    towards = np.where(np.isfinite(high_pass), vein_sign * high_pass, np.float32(0))
    return np.clip(1 - towards / np.float32(pi), 0, 1)


@cites("Haacke2004")
def weighted(magnitude: Volume, high_pass: Volume, *, vein_sign: Sign, power: int = 4) -> Volume:
    """The SWI: the magnitude times its phase mask, ``power`` times over; nowhere brighter than the magnitude."""
    return magnitude * phase_mask(high_pass, vein_sign=vein_sign) ** power


def minimum_projection(volume: Volume, *, spacing_mm: Spacing, slab_mm: float, mask: Mask | None = None) -> Volume:
    """The darkest value of a slab around every voxel, across the slices, on the same grid.

    The slab has as many slices as come closest to ``slab_mm``, at least one: an odd number evenly around its voxel, an
    even one with one more below than above; at the ends, those that are there. Voxels outside ``mask`` are not looked
    at, as air would hide the brain's surface; a slab of nothing else is zero.
    """
    axis = _slice_axis(spacing_mm)
    slices = max(1, floor(slab_mm / spacing_mm[axis] + 0.5))
    seen = np.where(usable(mask, volume), volume, np.float32(np.inf))
    darkest = ndimage.minimum_filter1d(seen, slices, axis=axis, mode="nearest")
    return np.where(np.isfinite(darkest), darkest, np.float32(0))


def high_passed(phase: Scan, magnitude: Scan, *, brain: Mask | None = None, how: HighPass = "homodyne") -> Scan:
    """The high-passed phase in radians; zero and not valid outside ``brain`` and where either scan is not valid.

    Args:
        phase: Wrapped or not.
        magnitude: Of the same acquisition.
        brain: On their grid; None is everywhere.
        how: ``homodyne``; or exactly ``unwrapped``, or fast by a ``laplacian``, and then ``less_gaussian``.

    Raises:
        GridMismatch: The two images lie on different grids.
    """
    if not phase.grid.coincides(magnitude.grid):
        raise GridMismatch(
            f"{phase.source or 'phase'} and {magnitude.source or 'swi'}",
            expected="phase and magnitude of one acquisition, on one grid",
            found=f"grids {phase.grid.distance_mm(magnitude.grid):.3g} mm apart",
            do="give the two images of one series",
        )
    spacing_mm = phase.grid.spacing_mm
    inside = (
        usable(phase.valid_mask, phase.data) & usable(magnitude.valid_mask, magnitude.data) & usable(brain, phase.data)
    )
    if how == "homodyne":
        data = homodyne(phase.data, spacing_mm=spacing_mm, magnitude=magnitude.data, mask=inside)
    else:
        whole = (unwrapped if how == "unwrapped" else unwrapped_fast)(phase.data, mask=inside)
        data = less_gaussian(whole, spacing_mm=spacing_mm, mask=inside)
    return replace(phase, data=data, valid_mask=None if inside.all() else inside)


@cites(*citations(unwrapped, unwrapped_fast, homodyne, weighted))
def with_swi(case: Case, *, how: HighPass = "homodyne", vein_sign: Sign | None = None, power: int = 4) -> Case:
    """The case with ``swi`` replaced by the SWI, and ``phase`` by its high-passed form, in which veins are positive.

    To be called before ``align``: neither wraps nor thin veins survive a coarser grid. A case without both scans, or
    one that went through here before, comes back as it is. Where the two lie on different grids they stay and the
    provenance gains a warning; so it does where the sign of the veins is less sure than ``SURE``.

    Args:
        case: The brain, where it is known on the grid of ``swi``, keeps noise out; outside it the magnitude stays.
        how: See ``high_passed``.
        vein_sign: -1 or +1, that of veins in the phase as it came, where the scanner's convention is known; None asks
            ``sign_of_veins``.
        power: How many times the phase mask is multiplied.
    """
    done = any(note.station == "preprocessing.phase" for note in case.provenance)
    if done or not {"swi", "phase"} <= case.scans.keys():
        return case
    swi, wrapped, brain = case.scan("swi"), case.scan("phase"), case.masks.get("brain")
    on_grid = brain.data if brain is not None and brain.grid.coincides(swi.grid) else None
    try:
        phase = high_passed(wrapped, swi, brain=on_grid, how=how)
    except GridMismatch as problem:
        what = f"No SWI was made: expected {problem.expected}, found {problem.found}"
        return case.updated(Conversion("preprocessing.phase", "swi", what, warning=True))
    told = None if vein_sign is None else VeinSign(vein_sign, 1.0, 0)
    found = told or sign_of_veins(swi.data, phase.data, grid=swi.grid, mask=phase.valid_mask)
    product = replace(swi, data=weighted(swi.data, phase.data, vein_sign=found.sign, power=power))
    phase = replace(phase, data=found.sign * phase.data)
    filtered = Conversion("preprocessing.phase", "phase", f"High-passed ({how}), veins positive", {"how": how})
    noted = _product_note(found, power, is_told=told is not None)
    return case.updated(filtered, noted, scans={**case.scans, "swi": product, "phase": phase})


def _product_note(found: VeinSign, power: int, *, is_told: bool) -> Conversion:
    origin = "as told" if is_told else f"found in {found.parts} veins with confidence {found.confidence:.2f}"
    what = f"Magnitude multiplied {power} times by the mask of the phase; sign of the veins {found.sign:+d}, {origin}"
    values = {"vein_sign": found.sign, "confidence": round(found.confidence, 4), "parts": found.parts, "power": power}
    return Conversion("preprocessing.phase", "swi", what, values, warning=found.confidence < SURE)


def _slice_axis(spacing_mm: Spacing) -> int:
    """The axis across the slices: of the longest side of a voxel, the last where sides are equal to 1 %."""
    return max(axis for axis in range(3) if spacing_mm[axis] >= 0.99 * max(spacing_mm))
