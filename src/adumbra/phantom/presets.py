"""Examination presets: one scanner with all sequences, many scanners, emergencies, or diffusion alone.

``monocentric`` and ``multicentric`` mirror the two settings of the literature on thrombi: one centre with its protocol,
and many centres with missing sequences. ``emergency`` is the latter on the day of the stroke, when most arteries are
still occluded: seven in ten of its cases have a clot, of the others three. ``clots`` has three to eight clots at once,
as no patient has, so that few heads show many. ``diffusion`` simulates what lesion
segmentation needs at 2 mm, in about one second a case. The protocols are in clinical use; no two cases of a
multicentric cohort have the same one.

``lesion-physics``, ``lesion-mixture`` and ``lesion-both`` randomise the domain of lesion segmentation: infarcts of
unlimited shape, every scanner, missing sequences, several annotators. They differ in the contrasts alone.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from adumbra.core.errors import InputRejected
from adumbra.core.types import MODALITIES, Modality
from adumbra.phantom.pathology.lesion import Pattern

ACUTE: Mapping[Pattern, float] = MappingProxyType({"none": 0.06, "territorial": 0.56, "shower": 0.22, "lacune": 0.16})
"""Approximate probability of each infarct pattern in a stroke unit; ``territorial`` is a clot in a named artery."""


Contrast = Literal["physics", "clustered", "mixture"]
"""The signal equations; the same with sub-divided tissue; or random intensities for each cluster of tissue."""


@dataclass(frozen=True)
class Randomisation:
    """What a randomised examination varies beyond ``ExaminationPreset``.

    Attributes:
        contrasts: Probability of each kind of contrast.
        clean: Share of examinations with a high signal-to-noise ratio, no artefact and all sequences.
        dwi_alone: Probability that one of the others has the DWI alone.
        annotators: Number of simulated annotators of the lesion.
    """

    contrasts: Mapping[Contrast, float]
    clean: float = 0.2
    dwi_alone: float = 0.1
    annotators: int = 4


@dataclass(frozen=True)
class ExaminationPreset:
    """The examinations of a cohort.

    Attributes:
        spacing_mm: Spacing of the isotropic grid on which heads are simulated.
        sequences: The acquired modalities; the phase belongs to the magnitude of ``swi``.
        vessels: Whether arteries and veins are grown, with clots in them. Without them infarcts are sampled by shape.
        patterns: Probability of each infarct pattern.
        varied: Whether every case has a scanner of its own.
        missing: Probability that a case lacks a modality.
        latest_h: The latest time of an examination, in hours from onset.
        randomised: Randomises contrasts, scanner, infarct shapes and annotators; None for the other presets.
        clots: Fewest and most clots at once, far from each other; None has them as in nature.
    """

    spacing_mm: float
    sequences: tuple[Modality, ...]
    vessels: bool
    patterns: Mapping[Pattern, float]
    varied: bool
    missing: Mapping[Modality, float]
    latest_h: float = math.inf
    randomised: Randomisation | None = None
    clots: tuple[int, int] | None = None


_MANY_CENTRES = ExaminationPreset(
    1.0, MODALITIES, True, ACUTE, True, {"b0": 0.2, "flair": 0.15, "swi": 0.2, "phase": 0.45, "tof": 0.25}
)  # fmt: skip

_RANDOMISED_PATTERNS: Mapping[Pattern, float] = {
    "none": 0.17, "territorial": 0.20, "large": 0.13, "cortical": 0.06, "shower": 0.16, "lacune": 0.10,
    "brainstem": 0.08, "cerebellum": 0.10,
}  # fmt: skip
# With the clean share and the DWI alone, ADC lacks in about 20 %, b0 in half and FLAIR in 35 % of all cases.
_RANDOMISED = ExaminationPreset(
    2.0, ("dwi", "adc", "b0", "flair"), False, _RANDOMISED_PATTERNS, True, {"adc": 0.165, "b0": 0.58, "flair": 0.375},
    randomised=Randomisation({"physics": 1.0}),
)  # fmt: skip

PRESETS: Mapping[str, ExaminationPreset] = MappingProxyType(
    {
        "monocentric": ExaminationPreset(1.0, MODALITIES, True, ACUTE, False, {}),
        "multicentric": _MANY_CENTRES,
        "emergency": replace(_MANY_CENTRES, patterns={"none": 0.1, "territorial": 0.9}, latest_h=24.0),
        "clots": replace(
            _MANY_CENTRES, patterns={"none": 0.1, "territorial": 0.9}, latest_h=24.0,
            missing={name: share / 2 for name, share in _MANY_CENTRES.missing.items()}, clots=(3, 8),
        ),
        "diffusion": ExaminationPreset(
            2.0, ("dwi", "adc", "b0", "flair"), False,
            {"none": 0.15, "territorial": 0.37, "shower": 0.38, "lacune": 0.10}, True, {},
        ),
        "lesion-physics": _RANDOMISED,
        "lesion-mixture": replace(_RANDOMISED, randomised=Randomisation({"mixture": 1.0})),
        "lesion-both": replace(
            _RANDOMISED, randomised=Randomisation({"physics": 0.4, "clustered": 0.2, "mixture": 0.4})
        ),
    }
)  # fmt: skip
"""The presets, by name."""


def preset_named(name: str) -> ExaminationPreset:
    """The preset of a name.

    Args:
        name: A key of ``PRESETS``.

    Raises:
        InputRejected: There is no such preset.
    """
    if name not in PRESETS:
        raise InputRejected("preset", expected=", ".join(PRESETS), found=repr(name), do="name one of them")
    return PRESETS[name]
