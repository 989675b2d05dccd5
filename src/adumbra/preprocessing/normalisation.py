"""Scales intensities to network units.

Magnitude images have arbitrary units, so each is scaled by the median and the interquartile range of its own brain. The
ADC is a physical quantity whose absolute value separates dead tissue from living (620·10⁻⁶ mm²/s means the same on
every scanner). Scaling it by the brain would lose that, and a brain with a large infarct would look normal. The ADC
therefore has one scale for all cases.
"""

from dataclasses import replace

import numpy as np

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.errors import ImplausibleValues, MissingInput
from adumbra.core.types import Mask, Modality, Volume

LOW, HIGH = -4.0, 12.0
"""Range to which network units are clipped; an infarct on b = 1000 reaches about 8."""
ADC_CENTRE, ADC_SCALE = 0.8, 0.3
"""Value of normal brain and a wide spread around it, in 10⁻³ mm²/s."""
_NORMAL_IQR = 1.349  # Interquartile range of a Gaussian with unit standard deviation.


def normalise(case: Case) -> Case:
    """Scales every scan of a case to network units: float32 in [-4, 12] (phase: [-1, 1]), zero where not valid.

    dwi, b0, flair, swi and tof are (x - median) / (IQR / 1.349), with both statistics from the brain; adc is
    (x - 0.8) / 0.3; phase is in half turns. Voxels outside the brain are scaled in the same way and stay visible.

    Raises:
        MissingInput: The case has no brain mask.
        ImplausibleValues: An image is constant in the brain.
    """
    scans, notes = {}, []
    for modality, (centre, scale) in network_scales(case).items():
        scan = case.scans[modality]
        scans[modality] = in_network_units(scan, centre, scale)
        numbers = {"centre": round(centre, 6), "scale": round(scale, 6)}
        notes.append(Conversion("preprocessing.normalisation", modality, "Scaled to network units", numbers))
    return case.updated(*notes, scans=scans)


def network_scales(case: Case) -> dict[Modality, tuple[float, float]]:
    """The constant that is subtracted from each scan, and the one that it is divided by; see ``normalise``."""
    if "brain" not in case.masks:
        raise MissingInput(
            case.name, expected="a brain mask", found="none", do="call adumbra.preprocessing.alignment.align first"
        )
    brain = case.masks["brain"].data
    return {modality: _scale(modality, scan, brain, case.name) for modality, scan in case.scans.items()}


def in_network_units(scan: Scan, centre: float, scale: float) -> Scan:
    """A scan in network units, by the constants of ``network_scales``."""
    return replace(scan, data=_scaled(scan, centre, scale))


def _scale(modality: Modality, scan: Scan, brain: Mask, name: str) -> tuple[float, float]:
    """The constant that is subtracted from a modality, and the one that it is divided by."""
    if modality == "adc":
        return ADC_CENTRE, ADC_SCALE
    if modality == "phase":
        return 0.0, float(np.pi)
    inside = scan.data[brain if scan.valid_mask is None else brain & scan.valid_mask]
    low, median, high = np.percentile(inside, (25, 50, 75)) if inside.size else (0.0, 0.0, 0.0)
    if high <= low:
        raise ImplausibleValues(
            scan.source or f"{name} {modality}",
            expected=f"{modality} values that vary in the brain",
            found=f"{inside.size} valid brain voxels, half of them exactly {median:g}",
            do="check the image: it may be empty, a mask, or of another head",
        )
    return float(median), float((high - low) / _NORMAL_IQR)


def _scaled(scan: Scan, centre: float, scale: float) -> Volume:
    values = np.clip((scan.data - np.float32(centre)) * np.float32(1.0 / scale), LOW, HIGH).astype(np.float32)
    return values if scan.valid_mask is None else np.where(scan.valid_mask, values, np.float32(0.0))
