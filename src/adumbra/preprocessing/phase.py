"""Phase of gradient echoes: unwrapping, high-pass filtering, and susceptibility weighting of the magnitude (SWI).

Haacke et al., Magn Reson Med 2004 (52:612): the slowly varying phase comes from the scanner and from air. In the fast
part, one sign belongs to deoxygenated blood. A mask that falls from 1 to 0 over that sign, multiplied four times into
the magnitude, darkens veins and clots. The sign differs between vendors; it is given, or estimated from the data.

Phase is in radians. Voxels outside a ``mask``, and values that are not finite, do not influence their neighbours.
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
from adumbra.preprocessing.vein_sign import Sign, Spacing, VeinSign, estimate_vein_sign, finite_voxels, local_mean

HighPass = Literal["homodyne", "unwrapped", "laplacian"]

TURN = 2 * pi
SURE = 0.95
"""Confidence in the sign of the veins below which the provenance has a warning."""
_ROUNDS = 3  # Rounds of unwrapping by transforms; three more would be as exact, and as slow, as ``unwrap``.


@cites("AbdulRahman2007")
def unwrap(phase: Volume, *, mask: Mask | None = None) -> Volume:
    """Unwraps a phase: every voxel changes by a multiple of 2π; the result is zero outside ``mask``.

    The most reliable voxels are joined first (Abdul-Rahman et al., Applied Optics 2007, 46:6623). The median of the
    result lies within ±π. Parts of the mask that do not touch differ by unknown multiples of 2π.
    """
    inside, out = finite_voxels(mask, phase), np.zeros_like(phase)
    if not inside.any():
        return out
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    # scikit-image warns of axes of length one, hence one masked layer around the box. The seed only breaks ties.
    values, outside = np.pad(np.where(inside, phase, 0)[box], 1), np.pad(~inside[box], 1, constant_values=True)
    whole = unwrap_phase(np.ma.MaskedArray(values, outside), rng=0).data[1:-1, 1:-1, 1:-1][inside[box]]
    out[box][inside[box]] = whole - TURN * np.round(np.median(whole) / TURN)
    return out


@cites("Ghiglia1994")
def unwrap_least_squares(phase: Volume, *, mask: Mask | None = None) -> Volume:
    """Unwraps a phase by least squares, as input of a high-pass filter; the result is zero outside ``mask``.

    Cosine transforms solve Poisson's equation for the wrapped steps between neighbours. Steps outside the mask start as
    their mean and are taken from the solution in further rounds (Ghiglia and Romero, J Opt Soc Am A 1994, 11:107).
    Where no step exceeds π the result is exact, except for tenths of a radian at the border of the mask.
    """
    inside = finite_voxels(mask, phase)
    valid = np.where(inside, phase, np.nan)
    steps = [np.diff(valid, axis=axis) for axis in range(3)]
    steps = [s - TURN * np.round(s / TURN) for s in steps]
    slopes = [np.nansum(s) / max(1, np.isfinite(s).sum()) for s in steps]
    i, j, k = np.ogrid[tuple(slice(0, n) for n in phase.shape)]
    whole = slopes[0] * i + slopes[1] * j + slopes[2] * k
    x, y, z = (2 * np.cos(np.pi * np.arange(n) / n) - 2 for n in phase.shape)
    laplacian = x[:, None, None] + y[:, None] + z
    laplacian[0, 0, 0] = 1.0  # The mean is not determined by differences; it comes from the wrapped phase.
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
    """Homodyne high-pass filter: the phase, in [-π, π], of the complex image divided by its low-pass.

    A background that changes by more than about 0.4 rad/mm (near sinuses) remains in part; ``unwrap`` removes it.

    Args:
        phase: (X, Y, Z), wrapped or not.
        spacing_mm: Spacing of the voxels. The low-pass acts within slices, which lie across a voxel's longest side.
        magnitude: (X, Y, Z), weights of the low-pass, so that noise in dark voxels counts little; None is uniform.
        mask: (X, Y, Z), where the phase is not noise; None is everywhere. The result is zero outside.
        lowpass_mm: Field of view over the lines of the Hanning window in k-space: 240 mm / 64 lines = 3.75.
    """
    inside = finite_voxels(mask, phase, *(() if magnitude is None else (magnitude,)))
    turn = np.exp(1j * np.where(inside, phase, np.float32(0)))
    slow = np.where(inside, turn if magnitude is None else turn * np.where(inside, magnitude, 0), 0)
    for axis in {0, 1, 2} - {_slice_axis(spacing_mm)}:
        size, along = phase.shape[axis], [-1 if a == axis else 1 for a in range(3)]
        # Padding with zeros prevents wrap-around between opposite ends of the image.
        lines = fft.next_fast_len(size + floor(4 * lowpass_mm / spacing_mm[axis]))
        at = np.abs(fft.fftfreq(lines, spacing_mm[axis])) * 2 * lowpass_mm
        window = (0.5 + 0.5 * np.cos(np.pi * np.minimum(at, 1))).astype(np.float32).reshape(along)
        slow = fft.ifft(fft.fft(slow, lines, axis=axis) * window, axis=axis).take(range(size), axis=axis)
    return np.where(inside, np.angle(turn * np.conj(slow)), 0).astype(np.float32)


def subtract_gaussian_mean(
    phase: Volume, *, spacing_mm: Spacing, sigma_mm: float = 4.0, mask: Mask | None = None
) -> Volume:
    """High-pass filter: an unwrapped phase minus its Gaussian mean over the voxels of ``mask``; zero outside.

    A constant vanishes. A ramp vanishes deep inside, and leaves about 0.8σ times its slope at the border.
    """
    inside = finite_voxels(mask, phase)
    return np.where(inside, phase - local_mean(phase, inside, spacing_mm, sigma_mm), np.float32(0))


@cites("Haacke2004")
def phase_mask(high_pass: Volume, *, vein_sign: Sign) -> Volume:
    """Weights in [0, 1]: 1 at zero and at the sign opposite to the veins, falling linearly to 0 at a phase of π.

    The weight is 1 where the phase is not finite, so that invalid voxels do not darken the image.
    """
    towards = np.where(np.isfinite(high_pass), vein_sign * high_pass, np.float32(0))
    return np.clip(1 - towards / np.float32(pi), 0, 1)


@cites("Haacke2004")
def susceptibility_weighted(magnitude: Volume, high_pass: Volume, *, vein_sign: Sign, power: int = 4) -> Volume:
    """The SWI: the magnitude times the ``power`` of its phase mask; nowhere brighter than the magnitude."""
    return magnitude * phase_mask(high_pass, vein_sign=vein_sign) ** power


def minimum_projection(volume: Volume, *, spacing_mm: Spacing, slab_mm: float, mask: Mask | None = None) -> Volume:
    """Minimum intensity projection: the darkest value of a slab across the slices around every voxel, on the same grid.

    The slab has the number of slices that comes closest to ``slab_mm``, at least one. An odd number lies evenly around
    the voxel, an even one has one more slice below than above, and slabs are cut at the ends. Voxels outside ``mask``
    are ignored, as air would hide the surface of the brain; a slab without other voxels is zero.
    """
    axis = _slice_axis(spacing_mm)
    slices = max(1, floor(slab_mm / spacing_mm[axis] + 0.5))
    masked = np.where(finite_voxels(mask, volume), volume, np.float32(np.inf))
    darkest = ndimage.minimum_filter1d(masked, slices, axis=axis, mode="nearest")
    return np.where(np.isfinite(darkest), darkest, np.float32(0))


def high_pass_filter(phase: Scan, magnitude: Scan, *, brain: Mask | None = None, method: HighPass = "homodyne") -> Scan:
    """The high-pass filtered phase in radians; zero and not valid outside ``brain`` and where either scan is not valid.

    Args:
        phase: The phase image, wrapped or not.
        magnitude: The magnitude of the same acquisition.
        brain: The brain on their grid; None is everywhere.
        method: ``homodyne``; or ``subtract_gaussian_mean`` after ``unwrap`` (``"unwrapped"``) or after the faster
            ``unwrap_least_squares`` (``"laplacian"``).

    Raises:
        GridMismatch: The two images lie on different grids.
    """
    if not phase.grid.coincides(magnitude.grid):
        raise GridMismatch(
            f"{phase.source or 'phase'} and {magnitude.source or 'swi'}",
            expected="phase and magnitude of one acquisition, on one grid",
            found=f"grids {phase.grid.distance_mm(magnitude.grid):.3g} mm apart",
            do="give phase and magnitude of one series",
        )
    spacing_mm = phase.grid.spacing_mm
    inside = (
        finite_voxels(phase.valid_mask, phase.data)
        & finite_voxels(magnitude.valid_mask, magnitude.data)
        & finite_voxels(brain, phase.data)
    )
    if method == "homodyne":
        data = homodyne(phase.data, spacing_mm=spacing_mm, magnitude=magnitude.data, mask=inside)
    else:
        whole = (unwrap if method == "unwrapped" else unwrap_least_squares)(phase.data, mask=inside)
        data = subtract_gaussian_mean(whole, spacing_mm=spacing_mm, mask=inside)
    return replace(phase, data=data, valid_mask=None if inside.all() else inside)


@cites(*citations(unwrap, unwrap_least_squares, homodyne, susceptibility_weighted))
def with_swi(case: Case, *, method: HighPass = "homodyne", vein_sign: Sign | None = None, power: int = 4) -> Case:
    """The case with ``swi`` replaced by the SWI, and ``phase`` by its high-pass filtered form with positive veins.

    Call it before ``align``, because neither wraps nor thin veins survive a coarser grid. A case without both scans, or
    one that was processed here before, is returned as it is. If the two scans lie on different grids they are unchanged
    and the provenance has a warning. It also has one if the confidence in the sign of the veins is below ``SURE``.

    Args:
        case: The case as it was opened. A brain mask on the grid of ``swi`` excludes noise; outside it the magnitude is
            unchanged.
        method: See ``high_pass_filter``.
        vein_sign: Sign, -1 or +1, of veins in the phase as acquired; None estimates it by ``estimate_vein_sign``.
        power: Power of the phase mask.
    """
    done = any(note.stage == "preprocessing.phase" for note in case.provenance)
    if done or not {"swi", "phase"} <= case.scans.keys():
        return case
    swi, wrapped, brain = case.scan("swi"), case.scan("phase"), case.masks.get("brain")
    on_grid = brain.data if brain is not None and brain.grid.coincides(swi.grid) else None
    try:
        phase = high_pass_filter(wrapped, swi, brain=on_grid, method=method)
    except GridMismatch as problem:
        what = f"No SWI was computed: expected {problem.expected}, found {problem.found}"
        return case.updated(Conversion("preprocessing.phase", "swi", what, warning=True))
    given = None if vein_sign is None else VeinSign(vein_sign, 1.0, 0)
    veins = given or estimate_vein_sign(swi.data, phase.data, grid=swi.grid, mask=phase.valid_mask)
    product = replace(swi, data=susceptibility_weighted(swi.data, phase.data, vein_sign=veins.sign, power=power))
    phase = replace(phase, data=veins.sign * phase.data)
    filtered = f"High-pass filtered ({method}), veins positive"
    notes = (
        Conversion("preprocessing.phase", "phase", filtered, {"how": method}),
        _product_note(veins, power, is_given=given is not None),
    )
    return case.updated(*notes, scans={**case.scans, "swi": product, "phase": phase})


def _product_note(veins: VeinSign, power: int, *, is_given: bool) -> Conversion:
    origin = "as given" if is_given else f"found in {veins.parts} veins with confidence {veins.confidence:.2f}"
    what = f"Magnitude multiplied {power} times by the mask of the phase; sign of the veins {veins.sign:+d}, {origin}"
    values = {"vein_sign": veins.sign, "confidence": round(veins.confidence, 4), "parts": veins.parts, "power": power}
    return Conversion("preprocessing.phase", "swi", what, values, warning=veins.confidence < SURE)


def _slice_axis(spacing_mm: Spacing) -> int:
    """The axis across the slices: that of the longest side of a voxel, the last of those that are equal to 1 %."""
    return max(axis for axis in range(3) if spacing_mm[axis] >= 0.99 * max(spacing_mm))
