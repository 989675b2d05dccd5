"""Intensities in the units that networks are fed.

Magnitude images have arbitrary units, so each is measured against its own brain. The ADC is a physical quantity whose
absolute value tells dead tissue from living (620·10⁻⁶ mm²/s means the same on every scanner), and to measure it against
the brain would throw that away: a brain with a large infarct would look normal. It gets one scale for everybody.
"""

from dataclasses import replace

import numpy as np

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.errors import ImplausibleValues, MissingInput
from adumbra.core.types import Mask, Modality, Volume

LOW, HIGH = -4.0, 12.0  # Clipping in network units; an infarct on b = 1000 reaches about 8.
ADC_CENTRE, ADC_SCALE = 0.8, 0.3  # Normal brain and a wide spread around it, 10⁻³ mm²/s.
_IQR_OF_NORMAL = 1.349  # Interquartile range of a Gaussian with unit standard deviation.


def normalised(case: Case) -> Case:
    """The case with every scan in network units: float32, zero where not valid, [-4, 12] (phase: [-1, 1]).

    dwi, b0, flair, swi and tof are (x - median) / (IQR / 1.349), measured in the brain; adc is (x - 0.8) / 0.3;
    phase is in half turns. What lies outside the brain is scaled alike and stays visible.

    Raises:
        MissingInput: The case has no brain mask.
        ImplausibleValues: An image is constant in the brain.
    """
    if "brain" not in case.masks:
        raise MissingInput(
            case.name, expected="a brain mask", found="none", do="call adumbra.preprocessing.alignment.align first"
        )
    brain = case.masks["brain"].data
    scans, notes = {}, []
    for modality, scan in case.scans.items():
        centre, scale = _scale(modality, scan, brain, case.name)
        scans[modality] = replace(scan, data=_scaled(scan, centre, scale))
        numbers = {"centre": round(centre, 6), "scale": round(scale, 6)}
        notes.append(Conversion("preprocessing.normalisation", modality, "Scaled to network units", numbers))
    return case.updated(*notes, scans=scans)


def _scale(modality: Modality, scan: Scan, brain: Mask, name: str) -> tuple[float, float]:
    """What is subtracted from a modality, and what it is divided by."""
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
            found=f"{inside.size} known brain voxels, half of them exactly {median:g}",
            do="look at the image: is it empty, a mask, or not of this head?",
        )
    return float(median), float((high - low) / _IQR_OF_NORMAL)


def _scaled(scan: Scan, centre: float, scale: float) -> Volume:
    values = np.clip((scan.data - np.float32(centre)) * np.float32(1.0 / scale), LOW, HIGH).astype(np.float32)
    return values if scan.valid_mask is None else np.where(scan.valid_mask, values, np.float32(0.0))
