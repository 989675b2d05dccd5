"""How files store quantities that have one unit inside: phase in radians, ADC in 10⁻³ mm²/s.

A phase image stores ``value = angle · turn / 2π + zero``. Scanners differ in ``turn`` and ``zero``: twelve bits from 0
on, or rescaled to ±4096 (Siemens), milliradians by a rescale slope (Philips: 4096 steps from -3142 to 3142), a
frequency (one turn is 1/TE), or an undocumented scale (a turn of 0.00735 is that of a public multi-echo series). Files
are read (``cases.units``) and written (``report.dataset``) by this one table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import tau

import numpy as np


@dataclass(frozen=True)
class PhaseEncoding:
    """How a file stores a phase.

    Attributes:
        turn: Difference between the scaled values of an angle and of the same angle one turn later.
        zero: Scaled value of an angle of zero.
        dtype: Type of the stored values.
        slope: Factor from stored to scaled values, before ``intercept`` is added.
        intercept: Constant that is added to the stored value times ``slope``.
    """

    turn: float
    zero: float = 0.0
    dtype: str = "float32"
    slope: float = 1.0
    intercept: float = 0.0


PHASES: Mapping[str, PhaseEncoding] = {
    "rad": PhaseEncoding(tau),
    "0…4095": PhaseEncoding(4096.0, 2048.0, "uint16"),
    "±4096": PhaseEncoding(8192.0, 0.0, "int16"),
    "mrad": PhaseEncoding(1000 * tau, 0.0, "int16", 6284 / 4095, -3142.0),
    "±0.0037": PhaseEncoding(2 * 0.003674377),
}
"""Known encodings by the name of their unit."""
ADC_POWERS: Mapping[str, int] = {"10⁻³": -3, "10⁻⁶": -6, "mm²/s": 0}
"""Units in which files store an ADC, with their power of ten in mm²/s."""


def hertz(echo_time_s: float) -> PhaseEncoding:
    """Encoding of a phase as the frequency that accumulates it until the echo: one turn is 1/TE."""
    return PhaseEncoding(1 / echo_time_s)


def radians_of(values: np.ndarray, encoding: PhaseEncoding) -> np.ndarray:
    """Angles in radians of scaled values, float32."""
    return (values.astype(np.float32) - np.float32(encoding.zero)) * np.float32(tau / encoding.turn)


def stored_of(angles: np.ndarray, encoding: PhaseEncoding) -> np.ndarray:
    """Stored values of angles in [-π, π], rounded to the nearest where the type is an integer."""
    scale, offset = encoding.turn / (tau * encoding.slope), (encoding.zero - encoding.intercept) / encoding.slope
    values = angles.astype(np.float32) * np.float32(scale) + np.float32(offset)
    if encoding.dtype == "float32":
        return values
    whole = np.rint(values).astype(np.int32)
    twelve_bits = whole & 4095 if encoding.dtype == "uint16" else whole  # A whole turn, 4096, is 0 again.
    return twelve_bits.astype(encoding.dtype)
