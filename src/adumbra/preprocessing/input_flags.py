"""Flags of inputs that differ from those of the training: the b-value, a missing ADC, contrast, voxels, noise.

A network gives an answer for any input. These flags say when the input is not one that it was trained for. They do not
change the result. The limits are those of phantoms (``tests/preprocessing/test_input_flags.py`` measures the share of
correct cases that are flagged), and a phantom is not a patient: an input without a flag may still be unusual.

Whether the brain mask can be that of a brain is checked in ``preprocessing.brain_plausibility``.
"""

from collections.abc import Collection, Mapping

import numpy as np

from adumbra.core.adc_range import usual_adc
from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.references import cites
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Mask, Modality, Target

STAGE = "preprocessing.input_flags"
TRAINED_B = (800.0, 1500.0)
"""b-values in s/mm² of most of the training of networks whose card does not state them."""
B_MARGIN = 100.0
"""Difference from the trained b-values, in s/mm², up to which no flag is raised."""
COARSEST_MM: Mapping[Target, tuple[float, float]] = {
    "lesion": (3.0, 8.5),
    "thrombus": (1.4, 4.5),
    "hypoperfusion": (3.0, 8.5),
}
"""Coarsest voxels, in plane and across slices. The coarsest of the training have 2.4 and 8.1 mm (DWI), 1.1 and 3.5
(SWI)."""
LEAST_BRAIN_L = 0.6
"""Least volume of brain in litres; the smallest of the 150 calibration phantoms of the lesion has 0.85."""
LEAST_SNR = 8.0
"""Least signal-to-noise ratio as ``signal_to_noise`` estimates it."""
FLUID_ADC, TISSUE_ADC = (2.0, 4.0), (0.5, 1.1)
"""ADC of fluid and of tissue, in 10⁻³ mm²/s."""
FLUID_TO_TISSUE: Mapping[Modality, tuple[float, float]] = {"dwi": (0.0, 1.3), "b0": (1.4, 20.0), "flair": (0.0, 1.6)}
"""Range of the signal of fluid over that of tissue."""
MOST_BRIGHT_TAIL = 0.7
"""Largest ``bright_tail`` of a DWI."""
_FEWEST_VOXELS = 50
_MOST_SLICES = 40  # Slices in which the noise is estimated; more cost time and change nothing.


@cites("Immerkaer1996")
def input_flags(
    case: Case,
    *,
    target: Target,
    modalities: Collection[Modality],
    b_range: tuple[float, float] | None = None,
) -> tuple[Conversion, ...]:
    """The flags of a case, for its provenance: warnings, and notes where only a modality of less weight is missing.

    Args:
        case: Aligned, with ``masks["brain"]``, before the intensities are normalised.
        target: The target to segment.
        modalities: The input modalities of the networks.
        b_range: Least and largest b-value of the training in s/mm²; None takes ``TRAINED_B``.
    """
    reference = next(m for m in TARGET_SPECS[target].reference_modalities if m in case.scans)
    used = {m: scan for m, scan in case.scans.items() if m in modalities}
    return (
        *_missing(case, target, modalities),
        *_unusual_b(used, b_range),
        *_unusual_adc(case, used),
        *_wrong_contrasts(case, used),
        *_partial(case),
        *_coarse(case.scans[reference], reference, target),
        *_noisy(case, reference),
    )


def _flag(subject: str, name: str, what: str, warning: bool = True, **values: object) -> Conversion:
    return Conversion(STAGE, subject, what, {"flag": name, **values}, warning=warning)


def _missing(case: Case, target: Target, modalities: Collection[Modality]) -> list[Conversion]:
    """A warning for the modality that a target depends on, and a note for the others."""
    consequences: Mapping[tuple[Target, Modality], str] = {
        ("lesion", "adc"): "T2 shine-through cannot be told from restricted diffusion",
        ("lesion", "dwi"): "the lesion is segmented without the image on which it is most conspicuous",
        ("thrombus", "swi"): "the susceptibility vessel sign cannot be assessed",
    }
    flags = []
    for modality in modalities:
        if modality in case.scans:
            continue
        consequence = consequences.get((target, modality))
        what = f"No {_title(modality)}" + (f": {consequence}" if consequence else "")
        flags.append(_flag("case", f"no_{modality}", what, consequence is not None))
    return flags


def _unusual_b(used: Mapping[Modality, Scan], b_range: tuple[float, float] | None) -> list[Conversion]:
    """The only check of the size of a b-value: readers only compare what the files state with each other."""
    b = used["dwi"].b_value if "dwi" in used else None
    low, high = b_range or TRAINED_B
    if b is None or low - B_MARGIN <= b <= high + B_MARGIN:
        return []
    training = "the training" if b_range else "most of the training"
    what = f"b = {b:g} s/mm² lies outside {low:g} to {high:g} s/mm², the b-values of {training} of the networks"
    return [_flag("dwi", "b_value", what, b_value=b, trained=[low, high])]


def _unusual_adc(case: Case, used: Mapping[Modality, Scan]) -> list[Conversion]:
    """A flag where the ADC of a file is unusual; a computed one is checked where it is computed."""
    if "adc" not in used or any(c.stage == "preprocessing.adc" and c.subject == "adc" for c in case.provenance):
        return []
    values = _inside(used["adc"], case.masks["brain"].data)
    low, high = usual_adc(case.scans["dwi"].b_value if "dwi" in case.scans else None)
    if values.size < _FEWEST_VOXELS or low <= (median := float(np.median(values))) <= high:
        return []
    what = f"The median ADC of the brain is {median:.2f}·10⁻³ mm²/s, outside the usual {low:g} to {high:g}: check the"
    return [_flag("adc", "adc", f"{what} map and its unit", median=round(median, 4))]


def _wrong_contrasts(case: Case, used: Mapping[Modality, Scan]) -> list[Conversion]:
    """A flag for each image whose fluid is too bright or too dark for its modality."""
    flags = []
    for modality, (low, high) in FLUID_TO_TISSUE.items():
        ratio = fluid_to_tissue(case, modality) if modality in used else None
        if ratio is None or low <= ratio <= high:
            continue
        what = f"The contrast is not that of {_title(modality)}: fluid has {ratio:.1f} times the signal of tissue"
        flags.append(_flag(modality, "contrast", what, fluid_to_tissue=round(ratio, 3)))
    if "dwi" in used and "adc" not in case.scans:
        tail = bright_tail(_inside(used["dwi"], case.masks["brain"].data))
        if tail is not None and tail > MOST_BRIGHT_TAIL:
            what = "The contrast may not be that of DWI: a large share of the brain is much brighter than the rest"
            flags.append(_flag("dwi", "contrast", what, bright_tail=round(tail, 3)))
    return flags


def bright_tail(values: np.ndarray) -> float | None:
    """The share of values above 1.5 times their median, times the skewness of their quantiles.

    Fluid makes both large on an image without diffusion weighting and on an ADC map. On a DWI only a large infarct
    does. Without an ADC nothing better was found: three in four images of b = 0 are told from a DWI, see the tests.

    Args:
        values: (N,), the values of the brain.

    Returns:
        Its skewness is (q95 - median) / (median - q5). None for fewer than 50 values, or a median that is not above
        the quantile q5 and 0.
    """
    if values.size < _FEWEST_VOXELS:
        return None
    low, median, high = np.percentile(values, (5, 50, 95))
    if median <= max(float(low), 0.0):
        return None
    return float((values > 1.5 * median).mean() * (high - median) / (median - low))


def fluid_to_tissue(case: Case, modality: Modality) -> float | None:
    """Median signal of fluid over that of tissue, which the ADC tells apart; None without an ADC or without fluid.

    Fluid is dark on DWI and FLAIR and bright on an image without diffusion weighting.

    Args:
        case: Aligned, with ``masks["brain"]``.
        modality: A modality of the case.
    """
    if "adc" not in case.scans:
        return None
    adc, scan = case.scans["adc"], case.scans[modality]
    valid = case.masks["brain"].data & _valid(adc) & _valid(scan)
    fluid, tissue = (valid & (adc.data > low) & (adc.data < high) for low, high in (FLUID_ADC, TISSUE_ADC))
    if min(int(fluid.sum()), int(tissue.sum())) < _FEWEST_VOXELS:
        return None
    signal = float(np.median(scan.data[tissue]))
    return float(np.median(scan.data[fluid])) / signal if signal > 0 else None


def _partial(case: Case) -> list[Conversion]:
    """A flag where little brain is in view; an empty brain mask is reported elsewhere."""
    brain = case.masks["brain"]
    litres = float(np.count_nonzero(brain.data)) * brain.grid.voxel_ml / 1000.0
    if litres >= LEAST_BRAIN_L or not litres:
        return []
    what = f"The images show {litres:.2f} l of brain: intervals and case scores were calibrated on whole heads"
    return [_flag("case", "partial", what, brain_l=round(litres, 3))]


def _coarse(scan: Scan, modality: Modality, target: Target) -> list[Conversion]:
    in_plane_mm, across_mm = sorted(scan.native.spacing_mm)[1:]
    limits = COARSEST_MM[target]
    if in_plane_mm <= limits[0] and across_mm <= limits[1]:
        return []
    size = " × ".join(f"{s:.1f}" for s in sorted(scan.native.spacing_mm))
    what = f"Voxels of {size} mm are coarser than those of the training (up to {limits[0]:g} mm in plane and"
    return [_flag(modality, "voxels", f"{what} {limits[1]:g} mm across slices): small lesions may be missed")]


def _noisy(case: Case, modality: Modality) -> list[Conversion]:
    ratio = signal_to_noise(case.scans[modality], case.masks["brain"].data)
    if ratio is None or ratio >= LEAST_SNR:
        return []
    what = f"The signal-to-noise ratio is about {ratio:.1f}; fewer than 1 % of simulated images are below {LEAST_SNR:g}"
    return [_flag(modality, "noise", what, snr=round(ratio, 2))]


def signal_to_noise(scan: Scan, brain: Mask) -> float | None:
    """Median signal of the brain over the standard deviation of the noise; None where too little brain is measured.

    The noise is estimated from the second differences along both axes of the slices (Immerkaer, Computer Vision and
    Image Understanding 64:300, 1996), with a median in place of the mean, so that edges count little. An image that
    was interpolated has smoother noise, and a ratio that is too high.

    Args:
        scan: An image on its own slices.
        brain: (X, Y, Z), the brain mask.
    """
    axis = int(np.argmax(scan.grid.spacing_mm))
    values, inside = np.moveaxis(scan.data, axis, -1), np.moveaxis(brain & _valid(scan), axis, -1)
    chosen = np.flatnonzero(inside.any(axis=(0, 1)))
    chosen = chosen[:: max(1, len(chosen) // _MOST_SLICES)]
    if not chosen.size or min(inside.shape[:2]) < 3:
        return None
    values, inside = values[..., chosen].astype(np.float64), inside[..., chosen]
    across = values[2:] - 2 * values[1:-1] + values[:-2]
    residual = across[:, 2:] - 2 * across[:, 1:-1] + across[:, :-2]
    whole = np.lib.stride_tricks.sliding_window_view(inside, (3, 3), axis=(0, 1)).all(axis=(-2, -1))
    if int(whole.sum()) < _FEWEST_VOXELS:
        return None
    noise = float(np.median(np.abs(residual[whole]))) / (6.0 * 0.6745)
    return float(np.median(values[inside])) / noise if noise > 0 else None


def _title(modality: Modality) -> str:
    return modality if modality in ("b0", "phase") else modality.upper()


def _inside(scan: Scan, brain: Mask) -> np.ndarray:
    return scan.data[brain & _valid(scan)]


def _valid(scan: Scan) -> Mask:
    return np.ones(scan.data.shape, dtype=bool) if scan.valid_mask is None else scan.valid_mask
