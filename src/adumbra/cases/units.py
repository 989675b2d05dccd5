"""Recognises the units of an ADC map and of a phase image from their values.

**ADC.** Healthy brain has 0.7 to 0.9 · 10⁻³ mm²/s, an infarct down to 0.3, free water at body temperature 3.0 (Le Bihan
et al., J Magn Reson Imaging 13:534, 2001). The median over a head therefore lies within ``PLAUSIBLE`` in the right unit
only. Files come in 10⁻³, 10⁻⁶ or plain mm²/s. Other powers of ten are not guessed, because raw diffusion-weighted
intensities would pass as some of them; they are read where the user states the unit.

**Phase.** Values that span radians are radians. All others are recognised by their wraps: where neighbours differ by
the whole span of the values, that span is one turn. If the span fits a known encoding
(``adumbra.core.phase_encodings``, or 1/TE for a frequency in Hz), turn and zero are those of the encoding, even if no
voxel reaches them. Otherwise the span is the turn and its middle is zero. An image without wraps may be a frequency
map, a vendor's filtered phase, or too small a crop; its unit cannot be recognised.
"""

import re
from collections.abc import Mapping

import numpy as np

from adumbra.core.adc_range import PLAUSIBLE_ADC
from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, ImplausibleValues
from adumbra.core.phase_encodings import ADC_POWERS, PHASES, PhaseEncoding, hertz, radians_of

PLAUSIBLE = PLAUSIBLE_ADC
"""Range of the median ADC over a head, in 10⁻³ mm²/s; that of a computed ADC too."""
GUESSED: Mapping[int, str] = {power: f"{name} mm²/s" if power else name for name, power in ADC_POWERS.items()}
_ABOVE_WATER = 10.0
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RADIANS = (0.1 * np.pi, 1.001 * np.pi)  # Range of the largest absolute value of an image in radians.
_WRAP = 0.9  # A step between neighbours of this share of the whole span is a wrap.
_LEAST_WRAPS = 1e-4  # Least share of the steps that are wraps.
_LEAST_SPAN, _ROUNDING = 0.9, 0.01  # Shares of a turn: least span of the values, and how far they may exceed it.
_NAMED = {"mm2/s": 0, "um2/s": -6, "µm2/s": -6, "μm2/s": -6, "um2/ms": -3, "µm2/ms": -3, "μm2/ms": -3}


def adc_in_1e3_mm2_s(
    values: np.ndarray, *, where: str, unit: str | None = None
) -> tuple[np.ndarray, tuple[Conversion, ...]]:
    """ADC values of a file in 10⁻³ mm²/s; negative voxels are preserved.

    Args:
        values: (X, Y, Z), finite.
        where: Name of the file, for errors.
        unit: The user's unit: ``"1e-6 mm2/s"``, ``"10⁻³ mm²/s"``, ``"um2/s"``, ``"mm2/s"``; None recognises it.

    Returns:
        The values, and what was done to them.

    Raises:
        ImplausibleValues: The median of the head is plausible in no unit, or not in the stated one.
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
    """The unit of a phase image cannot be recognised. A case is opened without that image: see ``files.read_case``."""


def phase_in_radians(
    values: np.ndarray, *, where: str, valid_mask: np.ndarray | None = None, echo_time_s: float | None = None
) -> tuple[np.ndarray, tuple[Conversion, ...]]:
    """Phase values of a file in radians, wrapped; zero where they are not valid.

    Args:
        values: (X, Y, Z), finite.
        where: Name of the file, for errors.
        valid_mask: (X, Y, Z), False where nothing was measured; None is everywhere.
        echo_time_s: Echo time that the sidecar states, which allows a frequency in Hz to be recognised.

    Returns:
        The values, and what was done to them.

    Raises:
        PhaseUnitUnknown: Neither radians nor wraps: a frequency map, a filtered phase, or too small a crop.
    """
    valid = values.astype(np.float32) if valid_mask is None else np.where(valid_mask, values, np.nan).astype(np.float32)
    low, high = float(np.nanmin(valid)), float(np.nanmax(valid))
    if _RADIANS[0] < max(-low, high) <= _RADIANS[1]:
        what = "Phase values taken as they are (file in radians)"
        return values, (Conversion("cases.units", "phase", what, {"unit": "rad", "turn": 2 * np.pi, "zero": 0.0}),)
    wraps, steps = count_wraps(valid, high - low)
    if wraps <= _LEAST_WRAPS * steps:
        raise PhaseUnitUnknown(
            where,
            expected="a phase image in radians, or one whose wraps show its unit",
            found=f"values of {low:.4g} to {high:.4g}, and {wraps:,} wraps in {steps:,} steps",
            do="convert it to radians; give the measured phase, not a frequency map or a filtered phase",
        )
    unit, encoding = _encoding(low, high, echo_time_s)
    what = f"Phase converted to radians (file in {unit}, one turn is {encoding.turn:.5g} around {encoding.zero:.5g}, "
    numbers = {"unit": unit, "turn": encoding.turn, "zero": encoding.zero, "wraps": wraps}
    note = Conversion("cases.units", "phase", what + f"recognised by {wraps:,} wraps)", numbers)
    return np.nan_to_num(radians_of(valid, encoding)), (note,)


def count_wraps(values: np.ndarray, span: float) -> tuple[int, int]:
    """The number of steps between neighbours over nearly the whole span, and the number of all steps.

    Args:
        values: (X, Y, Z); steps from or to NaN are not counted.
        span: Difference of the largest and the least value.
    """
    wraps = count = 0
    for axis in range(3):
        steps = np.abs(np.diff(values, axis=axis))
        wraps += int(np.count_nonzero(steps > _WRAP * span))
        count += int(np.count_nonzero(np.isfinite(steps)))
    return wraps, count


def _encoding(low: float, high: float, echo_time_s: float | None) -> tuple[str, PhaseEncoding]:
    """Name and encoding whose turn the values fill; where no known one fits, the encoding with their span as turn."""
    encodings = dict(PHASES) | ({"Hz": hertz(echo_time_s)} if echo_time_s else {})
    for unit, encoding in encodings.items():
        below, above = ((value - encoding.zero) / encoding.turn for value in (low, high))
        if max(-below, above) <= 0.5 + _ROUNDING and above - below >= _LEAST_SPAN:
            return unit, encoding
    return "an unknown unit", PhaseEncoding(high - low, (low + high) / 2)


def head_median(values: np.ndarray, *, where: str) -> float:
    """Median of the positive voxels in the middle half of what is above zero, along each axis.

    These are brain, with or without a skull around it. Air holds zeros or noise, and lies outside the middle half.

    Args:
        values: (X, Y, Z), finite.
        where: Name of the file, for errors.

    Raises:
        ImplausibleValues: No voxel is above zero.
    """
    positive = [np.flatnonzero((values > 0).any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not all(len(along) for along in positive):
        raise ImplausibleValues(
            where, expected="an ADC map", found=f"no voxel above zero, of {values.size:,}", do="export it again"
        )
    middle = tuple(_middle_half(int(along[0]), int(along[-1]) + 1) for along in positive)
    inner = values[middle]
    chosen = inner[inner > 0] if np.count_nonzero(inner > 0) else values[values > 0]
    return float(np.median(chosen))


def power_of(unit: str, *, where: str) -> int:
    """The power of ten of a unit in mm²/s: -6 for ``"10⁻⁶ mm²/s"``.

    Args:
        unit: The unit as the user wrote it.
        where: Name of the file, for errors.

    Raises:
        AmbiguousInput: The unit cannot be understood.
    """
    plain = unit.translate(_SUPERSCRIPTS).lower().replace("^", "").replace("**", "").replace(" ", "").replace("*", "")
    plain = plain.replace("·", "").replace("x", "")
    if plain in _NAMED:
        return _NAMED[plain]
    match = re.fullmatch(r"(?:1?e|10)([+-]?\d{1,2})(?:mm2/s|mm2s-1|mm2/sec)?", plain)
    if match is None:
        raise AmbiguousInput(
            where,
            expected="an ADC unit such as 1e-3 mm2/s, 1e-6 mm2/s or mm2/s",
            found=repr(unit),
            do="state the unit in this form",
        )
    return int(match[1])


def _middle_half(start: int, stop: int) -> slice:
    quarter = (stop - start) // 4
    return slice(start + quarter, stop - quarter)


def _notes(converted: np.ndarray, median: float, power: int, *, stated: bool) -> tuple[Conversion, ...]:
    unit, factor = GUESSED.get(power, f"1e{power} mm²/s"), 10.0 ** (power + 3)
    negative, high = int((converted < 0).sum()), int((converted > _ABOVE_WATER).sum())
    done = "ADC values taken as they are" if factor == 1 else f"ADC values multiplied by {factor:g}"
    source = "stated" if stated else "recognised from the values"
    what = f"{done} (file in {unit}, {source}); {negative:,} negative voxels kept"
    values = {"factor": factor, "median": round(median, 4), "negative_voxels": negative, "stated": stated}
    notes = (Conversion("cases.units", "adc", what, values),)
    if not high:
        return notes
    what = f"{high:,} voxels are above {_ABOVE_WATER:g}·10⁻³ mm²/s, where free water has 3: noise, or wrapped negatives"
    return (*notes, Conversion("cases.units", "adc", what, {"voxels": high}, warning=True))


def _implausible(where: str, median: float, unit: str | None) -> ImplausibleValues:
    low, high = PLAUSIBLE
    powers = [power for power in range(-9, 1) if low <= median * 10.0 ** (power + 3) <= high]
    do = "give the ADC map; these values fit one in no unit"
    if powers:
        do = f"if this is an ADC map, state its unit with --adc-unit or in a manifest (1e{powers[0]} mm2/s would fit)"
    return ImplausibleValues(
        where,
        expected=f"an ADC map whose median over the head is {low:g} to {high:g}·10⁻³ mm²/s, in "
        + (unit or ", ".join(GUESSED.values())),
        found=f"median {median:.4g}",
        do=do,
    )
