"""The units of an ADC map and of a phase image, recognised from their values.

**ADC.** Healthy brain has 0.7 to 0.9 · 10⁻³ mm²/s, an infarct down to 0.3, free water at body temperature 3.0 (Le Bihan
et al., J Magn Reson Imaging 13:534, 2001); so the median over a head lies well within ``PLAUSIBLE``, in the right unit
only. Files come in 10⁻³, 10⁻⁶ or plain mm²/s. Other powers of ten are not guessed: raw diffusion-weighted intensities
would pass as some of them. They are read where the user states the unit.

**Phase.** Values that span radians are radians. All others are recognised by their wraps: where neighbours differ by
the whole span of the values, that span is one turn. If it is that of a known encoding (``adumbra.core.phase_encodings``, 1/TE of a
frequency in Hz), so are its turn and zero, which no voxel need reach; else the span is the turn, its middle zero. An
image without wraps may be a frequency map, a vendor's filtered phase, or too small: nothing tells what it means.
"""

import re
from collections.abc import Mapping

import numpy as np

from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, ImplausibleValues
from adumbra.core.phase_encodings import ADC_POWERS, PHASES, PhaseEncoding, hertz, radians_of

PLAUSIBLE = (0.4, 2.0)
GUESSED: Mapping[int, str] = {power: f"{name} mm²/s" if power else name for name, power in ADC_POWERS.items()}
_ABOVE_WATER = 10.0
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RADIANS = (0.1 * np.pi, 1.001 * np.pi)  # What reaches so far is in radians, which may pass π by their rounding.
_WRAP, _LEAST_WRAPS = 0.9, 1e-4  # A step of this share of the whole span is a wrap; so many of all steps must be.
_LEAST_SPAN, _ROUNDING = 0.9, 0.01  # Of a turn: what values span at least, and by how much they may leave it.
_NAMED = {"mm2/s": 0, "um2/s": -6, "µm2/s": -6, "μm2/s": -6, "um2/ms": -3, "µm2/ms": -3, "μm2/ms": -3}


def adc_in_1e3_mm2_s(
    values: np.ndarray, *, where: str, unit: str | None = None
) -> tuple[np.ndarray, tuple[Conversion, ...]]:
    """ADC values in 10⁻³ mm²/s, from those of a file; negative voxels are kept.

    Args:
        values: (X, Y, Z), finite.
        where: The file's name, for errors.
        unit: What the user says it is: ``"1e-6 mm2/s"``, ``"10⁻³ mm²/s"``, ``"um2/s"``, ``"mm2/s"``.

    Raises:
        ImplausibleValues: In no unit (or not in the stated one) is the median of the head plausible.
        AmbiguousInput: The stated unit cannot be understood.
    """
    median = head_median(values, where=where)
    powers = list(GUESSED) if unit is None else [power_of(unit, where=where)]
    fitting = [power for power in powers if PLAUSIBLE[0] <= median * 10.0 ** (power + 3) <= PLAUSIBLE[1]]
    if len(fitting) != 1:
        raise _implausible(where, median, unit)
    factor = 10.0 ** (fitting[0] + 3)
    converted = values.astype(np.float64) * factor
    return converted, _notes(converted, median * factor, fitting[0], stated=unit is not None)


class PhaseUnitUnknown(AmbiguousInput):
    """A phase image whose values do not tell their unit. A case is opened without it: see ``files.opened``."""


def phase_in_radians(
    values: np.ndarray, *, where: str, valid_mask: np.ndarray | None = None, echo_time_s: float | None = None
) -> tuple[np.ndarray, tuple[Conversion, ...]]:
    """A wrapped phase in radians, from the values of a file; zero where it is not valid.

    Args:
        values: (X, Y, Z), finite.
        where: The file's name, for errors.
        valid_mask: (X, Y, Z), False where the values tell nothing; None is everywhere.
        echo_time_s: What the side-car says; tells a frequency in Hz.

    Raises:
        PhaseUnitUnknown: Neither radians nor wraps: a frequency map, a filtered phase, or too small a piece.
    """
    held = values.astype(np.float32) if valid_mask is None else np.where(valid_mask, values, np.nan).astype(np.float32)
    low, high = float(np.nanmin(held)), float(np.nanmax(held))
    if _RADIANS[0] < max(-low, high) <= _RADIANS[1]:
        what = "Phase values taken as they are (file in radians)"
        return values, (Conversion("cases.units", "phase", what, {"unit": "rad", "turn": 2 * np.pi, "zero": 0.0}),)
    wraps, steps = _wraps(held, high - low)
    if wraps <= _LEAST_WRAPS * steps:
        raise PhaseUnitUnknown(
            where,
            expected="a phase image in radians, or one that shows its unit by its wraps",
            found=f"values of {low:.4g} to {high:.4g}, and {wraps:,} wraps in {steps:,} steps",
            do="convert it to radians; give the phase as measured, no frequency map and no filtered phase",
        )
    unit, encoding = _encoding(low, high, echo_time_s)
    what = f"Phase converted to radians (file in {unit}, a turn being {encoding.turn:.5g} around {encoding.zero:.5g}, "
    numbers = {"unit": unit, "turn": encoding.turn, "zero": encoding.zero, "wraps": wraps}
    note = Conversion("cases.units", "phase", what + f"recognised by {wraps:,} wraps)", numbers)
    return np.nan_to_num(radians_of(held, encoding)), (note,)


def _wraps(held: np.ndarray, span: float) -> tuple[int, int]:
    """How many steps between neighbours go over nearly the whole span, and how many steps there are."""
    wraps = count = 0
    for axis in range(3):
        steps = np.abs(np.diff(held, axis=axis))
        wraps += int(np.count_nonzero(steps > _WRAP * span))
        count += int(np.count_nonzero(np.isfinite(steps)))
    return wraps, count


def _encoding(low: float, high: float, echo_time_s: float | None) -> tuple[str, PhaseEncoding]:
    """The encoding whose turn the values fill, or one made for them where none is known."""
    encodings = dict(PHASES) | ({"Hz": hertz(echo_time_s)} if echo_time_s else {})
    for unit, encoding in encodings.items():
        below, above = ((value - encoding.zero) / encoding.turn for value in (low, high))
        if max(-below, above) <= 0.5 + _ROUNDING and above - below >= _LEAST_SPAN:
            return unit, encoding
    return "an unknown unit", PhaseEncoding(high - low, (low + high) / 2)


def head_median(values: np.ndarray, *, where: str) -> float:
    """Median of the positive voxels in the middle of what is not zero: brain, with or without a skull around it.

    Air outside the head holds zeros or noise, and lies outside the middle half of the field of view.

    Raises:
        ImplausibleValues: No voxel is above zero.
    """
    where_any = [np.flatnonzero((values > 0).any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not all(len(along) for along in where_any):
        raise ImplausibleValues(where, expected="an ADC map", found="no voxel above zero", do="export it again")
    middle = tuple(_middle_half(int(along[0]), int(along[-1]) + 1) for along in where_any)
    inner = values[middle]
    chosen = inner[inner > 0] if np.count_nonzero(inner > 0) else values[values > 0]
    return float(np.median(chosen))


def power_of(unit: str, *, where: str) -> int:
    """The power of ten of a unit in mm²/s: -6 of ``"10⁻⁶ mm²/s"``.

    Raises:
        AmbiguousInput: It cannot be understood.
    """
    plain = unit.translate(_SUPERSCRIPTS).lower().replace("^", "").replace("**", "").replace(" ", "").replace("*", "")
    plain = plain.replace("·", "").replace("x", "")
    if plain in _NAMED:
        return _NAMED[plain]
    told = re.fullmatch(r"(?:1?e|10)([+-]?\d{1,2})(?:mm2/s|mm2s-1|mm2/sec)?", plain)
    if told is None:
        raise AmbiguousInput(
            where, expected="an ADC unit such as 1e-3 mm2/s, 1e-6 mm2/s or mm2/s", found=repr(unit), do="state one"
        )
    return int(told[1])


def _middle_half(start: int, stop: int) -> slice:
    quarter = (stop - start) // 4
    return slice(start + quarter, stop - quarter)


def _notes(converted: np.ndarray, median: float, power: int, *, stated: bool) -> tuple[Conversion, ...]:
    unit, factor = GUESSED.get(power, f"1e{power} mm²/s"), 10.0 ** (power + 3)
    negative, high = int((converted < 0).sum()), int((converted > _ABOVE_WATER).sum())
    did = "ADC values taken as they are" if factor == 1 else f"ADC values multiplied by {factor:g}"
    how = "stated" if stated else "recognised from the values"
    what = f"{did} (file in {unit}, {how}); {negative:,} negative voxels kept"
    values = {"factor": factor, "median": round(median, 4), "negative_voxels": negative, "stated": stated}
    notes = (Conversion("cases.units", "adc", what, values),)
    if not high:
        return notes
    what = f"{high:,} voxels are above {_ABOVE_WATER:g}·10⁻³ mm²/s, where free water has 3: noise, or wrapped negatives"
    return (*notes, Conversion("cases.units", "adc", what, {"voxels": high}, warning=True))


def _implausible(where: str, median: float, unit: str | None) -> ImplausibleValues:
    low, high = PLAUSIBLE
    powers = [power for power in range(-9, 1) if low <= median * 10.0 ** (power + 3) <= high]
    hint = f"state the unit (it would fit 1e{powers[0]} mm2/s)" if powers else "give the ADC map, not another image"
    do = f"{hint}, for example in a manifest's column adc_unit, if this is an ADC map" if unit is None else hint
    return ImplausibleValues(
        where,
        expected=f"an ADC map whose median over the head is {low:g} to {high:g}·10⁻³ mm²/s, in "
        + (unit or ", ".join(GUESSED.values())),
        found=f"median {median:.4g}",
        do=do,
    )
