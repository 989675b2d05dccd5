"""What an image cannot be, from its values, its name and its sidecar: a mask, an ADC map, a phase, a T1-weighted image.

**Fluid.** On an ADC map fluid has three to four times the value of tissue, on FLAIR, DWI and SWI it is dark. The share
of the middle of the head above ``BRIGHT`` times its median is 0.055 or more on the ADC maps of 24 phantoms and of one
patient, at most 0.0009 on FLAIR, 0 on SWI, 0.004 on TOF and 0.014 on DWI. Images without diffusion weighting (b0) and
T2-weighted ones have bright fluid too; they also have dark voxels, of which an ADC map has 0.2 % at most. A large
infarct is as bright on a DWI (0.054 on one of 21 further phantoms), so a DWI is never refused for it.

**Wraps.** On a phase image neighbours differ by the whole span of the values, which are spread over all of it.
"""

import re
from pathlib import Path

import numpy as np

from adumbra.cases.image_file import image_stem
from adumbra.cases.names import modality_in, words_of
from adumbra.cases.sidecar import Sidecar
from adumbra.cases.units import count_wraps
from adumbra.core.case import Conversion
from adumbra.core.errors import AmbiguousInput, ImplausibleValues
from adumbra.core.types import Modality

BRIGHT, MOST_BRIGHT = 2.5, 0.03
"""Multiple of the median, and the share of the middle of a head above it that only an ADC map or a T2-weighted image
exceeds."""
DARK, MOST_DARK = 0.3, 0.003
"""Multiple of the median, and the largest share of an ADC map's head below it."""
FEWEST_VALUES, FEWEST_VOXELS = 16, 1000
"""Number of different values up to which an image of at least so many voxels is one of labels."""
LEAST_NOT_ZERO = 0.05
"""Share of the voxels that are not zero in any image of a head: 0.2 in skull-stripped ones, 0.001 in masks."""
FEWEST_INNER = 300
"""Number of voxels in the middle of a head from which its contrast is evaluated."""
MOST_WRAPS = 1e-3
"""Share of the steps between neighbours over the whole span of the values that only a phase exceeds."""
_T1 = r"t1|t1w|t1wi|t1gd|mprage|mp2rage|spgr|fspgr|bravo|vibe"
_DARK_FLUID: tuple[Modality, ...] = ("flair", "swi", "tof", "dwi")
_SAMPLE = 2**17


def refuse_labels(where: str, modality: str, values: np.ndarray) -> None:
    """Refuses an image of a few values, and one that is a mask with fractional values at its edge.

    Args:
        where: Name of the file, for errors.
        modality: What the file was given as; ``"head"`` for an image of any modality.
        values: (X, Y, Z), finite.

    Raises:
        ImplausibleValues: It is a mask or an image of labels.
    """
    if values.size < FEWEST_VOXELS:
        return
    flat = values.ravel()
    do = f"give the {modality} image itself; give a mask with --truth or --brain-mask"
    if len(np.unique(flat[:: max(1, flat.size // _SAMPLE)])) <= FEWEST_VALUES:
        distinct = np.unique(flat)
        if len(distinct) <= FEWEST_VALUES:
            listed = ", ".join(f"{value:g}" for value in distinct)
            raise ImplausibleValues(
                where,
                expected=f"an image of the {modality} with more than {FEWEST_VALUES} values",
                found=f"{len(distinct)} values, as of labels: {listed}",
                do=do,
            )
    share = float(np.count_nonzero(flat)) / flat.size
    low, high = float(flat.min()), float(flat.max())
    if share < LEAST_NOT_ZERO and low >= 0 and high <= 1 + 1e-6 and modality not in ("adc", "phase"):
        raise ImplausibleValues(
            where,
            expected=f"an image of the {modality}, of which {LEAST_NOT_ZERO:.0%} or more is not zero",
            found=f"values from {low:g} to {high:g} in {share:.2%} of the voxels and 0 elsewhere, as of a mask",
            do=do,
        )


def contrast_notes(where: str, modality: Modality, values: np.ndarray) -> tuple[Conversion, ...]:
    """A warning where the contrast is not that of the modality; empty where it may be.

    Args:
        where: Name of the file, for errors.
        modality: What the file was given as.
        values: (X, Y, Z), finite, in any unit.

    Raises:
        ImplausibleValues: The image is an ADC map (bright fluid, no dark voxel) and not given as a DWI, or a phase
            (wraps).
    """
    if modality in (*_DARK_FLUID, "b0"):
        _refuse_phase(where, modality, values)
    inner = _middle_of_head(values)
    if len(inner) < FEWEST_INNER or modality in ("b0", "phase"):
        return ()
    median = float(np.median(inner))
    bright, dark = float((inner > BRIGHT * median).mean()), float((inner < DARK * median).mean())
    if modality == "adc":
        what = (
            f"The contrast may not be that of an ADC map: {bright:.1%} of the head is above {BRIGHT:g} times its median"
        )
        return (_warning("adc", f"{what}, where fluid of an ADC map fills 5 % or more", bright),) if not bright else ()
    if bright <= MOST_BRIGHT or (modality == "dwi" and dark > MOST_DARK):
        return ()
    if dark <= MOST_DARK and modality != "dwi":
        raise ImplausibleValues(
            where,
            expected=f"the contrast of {modality}: at most {MOST_BRIGHT:.0%} of the head above {BRIGHT:g} times its"
            " median",
            found=f"{bright:.1%} above it and {dark:.2%} below {DARK:g} times the median, as of an ADC map",
            do=f"give the {modality} image; if it is an ADC map, give it with --adc",
        )
    what = f"The contrast may not be that of {modality}: {bright:.1%} of the head is above {BRIGHT:g} times its median"
    kind = "an ADC map" if modality == "dwi" else "an image without diffusion weighting or a T2-weighted one"
    return (_warning(modality, f"{what}, as on {kind}", bright),)


def _warning(modality: Modality, what: str, bright: float) -> Conversion:
    return Conversion("cases.contrast", modality, what, {"bright_share": round(bright, 4)}, warning=True)


def _refuse_phase(where: str, modality: Modality, values: np.ndarray) -> None:
    """Refuses an image whose values fill their span on both sides of its middle and jump over the whole of it.

    A magnitude image has such jumps at a sharp edge of the head, but its values crowd at the lower end.
    """
    thin = values[:, :, :: max(1, values.shape[2] // 8)].astype(np.float32)
    low, middle, high = (float(q) for q in np.percentile(thin, (5, 50, 95)))
    least, span = float(thin.min()), float(np.ptp(thin))
    if span <= 0 or values.size < FEWEST_VOXELS or high - low < 0.7 * span or not 0.35 < (middle - least) / span < 0.65:
        return
    wraps, steps = count_wraps(thin, span)
    if wraps > MOST_WRAPS * steps:
        raise ImplausibleValues(
            where,
            expected=f"a magnitude image for {modality}",
            found=f"{wraps:,} of {steps:,} steps between neighbours over the whole span of the values ({span:.4g}), as"
            " of a phase",
            do="give the magnitude image; give a phase image with --phase",
        )


def _middle_of_head(values: np.ndarray) -> np.ndarray:
    """The positive values in the middle half of what is positive, along each axis; (N,)."""
    positive = [np.flatnonzero((values > 0).any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
    if not all(len(along) for along in positive):
        return np.empty(0)
    bounds = [(int(along[0]), int(along[-1]) + 1) for along in positive]
    inner = values[tuple(slice(a + (b - a) // 4, b - (b - a) // 4) for a, b in bounds)]
    return np.asarray(inner[inner > 0], dtype=np.float64)


def refuse_other_sequence(path: Path, modality: Modality, sidecar: Sidecar) -> None:
    """Refuses an image that its sidecar or its name calls a map or a sequence other than the modality.

    The numbers of nnU-Net's channels (``dwi_case7_0001``) say what a file holds; names that end so are not read.

    Raises:
        AmbiguousInput: The sidecar calls it an ADC map, a phase, or a T1-weighted image, or its name does.
    """
    stem = image_stem(path)
    named = None if re.search(r"_\d{4}$", stem) else modality_in(stem)
    stated = _stated_by(sidecar, modality) or (named if "adc" in (named, modality) else None)
    if stated is None and named is None and _is_t1(re.sub(r"space-[a-z0-9]+", "", stem.lower())):
        stated = "T1-weighted"
    if stated is None or stated == modality:
        return
    raise AmbiguousInput(
        path.name,
        expected=f"the {modality} image",
        found=f"a file that its name or sidecar calls {stated}",
        do=f"give it as {stated}, or rename it if the name is wrong"
        if stated != "T1-weighted"
        else f"give the {modality} image; T1-weighted images are not used",
    )


def _stated_by(sidecar: Sidecar, modality: Modality) -> str | None:
    """What a sidecar says of an image that is none of the modality; None where it says nothing of the kind."""
    kinds = sidecar.fields.get("ImageType")
    words = {str(kind).upper() for kind in kinds} if isinstance(kinds, list) else set()
    if sidecar.is_adc:
        return "adc"
    if words & {"PHASE", "PHASE MAP"} or ("P" in words and "M" not in words):
        return "phase"
    texts = " ".join(str(sidecar.fields.get(key, "")) for key in ("SeriesDescription", "ProtocolName"))
    if modality_in(texts) is None and _is_t1(texts):
        return "T1-weighted"
    inversion_s = sidecar.fields.get("InversionTime")
    if modality in ("swi", "tof") and isinstance(inversion_s, int | float) and 0.1 < inversion_s < 10:
        return "T1-weighted"  # Inversion recovery with an inversion of 0.1 to 10 s: MPRAGE, or FLAIR
    return None


def _is_t1(text: str) -> bool:
    return any(re.fullmatch(_T1, word) for word in words_of(text))
