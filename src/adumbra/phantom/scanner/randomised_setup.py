"""Scanners of randomised examinations: wider than those in clinical use, and in part without any fault."""

from dataclasses import dataclass, replace

import numpy as np

from adumbra.core.phase_encodings import ADC_POWERS
from adumbra.core.types import Modality
from adumbra.phantom.physics.signal import Protocol
from adumbra.phantom.presets import Contrast, ExaminationPreset, Randomisation
from adumbra.phantom.scanner.acquisition import Stack
from adumbra.phantom.scanner.setup import ScannerSetup, sample_setup

_B_VALUES = (800.0, 900.0, 1000.0, 1200.0, 1500.0, 2000.0, 2500.0)
_B_SHARES = (0.12, 0.03, 0.60, 0.09, 0.06, 0.05, 0.05)
_SNR = {"dwi": (4.5, 45.0), "flair": (8.0, 60.0)}
_CLEAN_SNR = {"dwi": (25.0, 60.0), "flair": (30.0, 70.0)}
_THIN_MM = 3.5  # thinner slices are planned with voxels that are nearly isotropic


@dataclass(frozen=True)
class ExaminationQuality:
    """What is decided about a randomised examination before it is simulated.

    Attributes:
        contrast: The kind of contrast.
        clean: Whether it has a high signal-to-noise ratio, no artefact and all sequences.
    """

    contrast: Contrast
    clean: bool


def sample_quality(rng: np.random.Generator, randomised: Randomisation) -> ExaminationQuality:
    """Samples contrast and quality of an examination.

    Args:
        rng: Source of both.
        randomised: The probabilities.
    """
    kinds = list(randomised.contrasts)
    contrast = kinds[rng.choice(len(kinds), p=[randomised.contrasts[k] for k in kinds])]
    return ExaminationQuality(contrast, bool(rng.random() < randomised.clean))


def sample_randomised_setup(
    rng: np.random.Generator, preset: ExaminationPreset, quality: ExaminationQuality
) -> ScannerSetup:
    """Samples the scanner of a randomised examination.

    Args:
        rng: Source of every random choice.
        preset: The examination preset, with ``randomised``.
        quality: Contrast and quality.
    """
    assert preset.randomised is not None
    tesla = float(rng.choice([1.5, 3.0], p=[0.45, 0.55]))
    bounds = _CLEAN_SNR if quality.clean else _SNR
    factor = 1.0 if quality.clean else (tesla / 3.0) ** 0.5
    snr = {n: float(np.exp(rng.uniform(*np.log(b)))) * factor for n, b in bounds.items()}
    diffusion, stacks = _sample_protocol(rng), _sample_stacks(rng, clean=quality.clean)
    stored: dict[Modality, str] = {"adc": str(rng.choice(list(ADC_POWERS)))}
    sequences = preset.sequences if quality.clean else _sample_sequences(rng, preset, preset.randomised.dwi_alone)
    usual = sample_setup(rng, preset)  # the sequences that a randomised examination lacks
    return replace(
        usual, tesla=tesla, diffusion=diffusion, stacks={**usual.stacks, **stacks}, snr={**usual.snr, **snr},
        movement=0.3 if quality.clean else usual.movement, sequences=sequences, stored=stored,
    )  # fmt: skip


def _sample_protocol(rng: np.random.Generator) -> Protocol:
    """Samples b value and times; a strong diffusion weighting needs a long echo time."""
    b = float(rng.choice(_B_VALUES, p=_B_SHARES))
    te, tr = float(rng.uniform(52, 105)) + 12 * (b - 1000) / 1000, float(rng.uniform(6500, 11000))
    return Protocol(b, max(te, 50.0), float(rng.uniform(80, 145)), float(rng.uniform(0.25, 0.28) * tr), tr)


def _sample_sequences(rng: np.random.Generator, preset: ExaminationPreset, dwi_alone: float) -> tuple[Modality, ...]:
    """The acquired modalities; the DWI is always among them.

    A b0 image comes with an ADC map only: preprocessing would compute one, which random contrasts do not have.
    """
    if rng.random() < dwi_alone:
        return ("dwi",)
    acquired = tuple(m for m in preset.sequences if rng.random() >= preset.missing.get(m, 0.0))
    return acquired if "adc" in acquired else tuple(m for m in acquired if m != "b0")


def _sample_stacks(rng: np.random.Generator, *, clean: bool) -> dict[str, Stack]:
    """Samples the slices of DWI and FLAIR: 0.9 to 2.5 mm in plane, 2 to 6.5 mm thick, tilted in some."""
    thickness = rng.choice([2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 6.5], size=2, p=[0.26, 0.08, 0.16, 0.17, 0.20, 0.08, 0.05])
    gaps = rng.choice([0.0, 0.1, 0.2], size=2, p=[0.5, 0.3, 0.2]) * thickness
    gaps = np.minimum(gaps, np.maximum(6.5 - thickness, 0.0))
    finest = 1.5 if thickness[0] < _THIN_MM else 0.9
    pitch, roll = (float(np.clip(a, -18, 18)) for a in rng.normal(0, [8.0, 3.0]) * (rng.random() < 0.4))
    most_blur = 0.4 if clean else 0.75
    in_plane = (rng.uniform(finest, 2.5), rng.uniform(1.2, 2.0))
    return {
        name: Stack(float(mm), float(thick), float(gap), pitch, roll, float(rng.uniform(0.15, most_blur)))
        for name, mm, thick, gap in zip(("dwi", "flair"), in_plane, thickness, gaps, strict=True)
    }
