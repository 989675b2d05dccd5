"""The scanner of a case with its protocol: field strength, sequence times, slice stacks, signal-to-noise ratios."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from adumbra.core.phase_encodings import ADC_POWERS, PHASES
from adumbra.core.types import MODALITIES, Modality
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.physics.signal import GradientEcho, Protocol, sample_protocol
from adumbra.phantom.presets import ExaminationPreset
from adumbra.phantom.scanner.acquisition import Stack


@dataclass(frozen=True)
class ScannerSetup:
    """One scanner with its protocol.

    Attributes:
        tesla: Field strength.
        diffusion: Times of the diffusion-weighted images and of FLAIR.
        gradient_echo: Times of SWI and its phase.
        angiography: Slabs and times of TOF; the slabs are given along z of the head.
        stacks: Slice stack of each sequence: ``dwi``, ``flair``, ``swi``, ``tof``.
        snr: Signal-to-noise ratio of normal white matter in each sequence, before averaging; for ``dwi`` that of the
            diffusion-weighted image.
        readout_s: Total readout time of echo-planar imaging.
        polarity: Polarity of the phase-encoding blips of echo-planar imaging, 1 or -1.
        movement: Strength of the head's movement between sequences; 1 is about 0.6 mm.
        sequences: The acquired modalities.
        stored: Encoding of ``adc`` and ``phase`` in files, as ``adumbra.core.phase_encodings`` names it.
    """

    tesla: float
    diffusion: Protocol
    gradient_echo: GradientEcho
    angiography: TimeOfFlight
    stacks: Mapping[str, Stack]
    snr: Mapping[str, float]
    readout_s: float
    polarity: int
    movement: float
    sequences: tuple[Modality, ...]
    stored: Mapping[Modality, str]


# The scanner of the monocentric preset, at 3 T.
_MONOCENTRIC = ScannerSetup(
    tesla=3.0,
    diffusion=Protocol(1000.0, 78.0, 118.0, 2500.0, 9000.0),
    gradient_echo=GradientEcho(45.0, (12.0, 21.0, 30.0), 15.0, 1),
    angiography=TimeOfFlight(-45.0, 45.0, slabs=3, overlap=0.2, ramp=0.25, edge_mm=4.0),
    stacks={
        "dwi": Stack(2.0, 3.0, 0.3, blur=0.35),
        "flair": Stack(1.0, 4.0, 0.4, blur=0.4),
        "swi": Stack(1.0, 2.0, blur=0.3),
        "tof": Stack(1.0, 1.0, blur=0.3),
    },
    snr={"dwi": 22.0, "flair": 30.0, "swi": 22.0, "tof": 16.0},
    readout_s=0.030,
    polarity=1,
    movement=1.0,
    sequences=MODALITIES,
    stored={"adc": "10⁻⁶", "phase": "±4096"},
)


def sample_setup(rng: np.random.Generator, preset: ExaminationPreset) -> ScannerSetup:
    """Samples the setup of one case: the centre's scanner with stacks planned on this head, or a scanner of its own.

    Args:
        rng: Source of every random choice.
        preset: The examination preset.
    """
    setup = _sample_scanner(rng, preset) if preset.varied else _MONOCENTRIC
    stacks = dict(setup.stacks)
    pitch, roll = (float(np.clip(a, -15, 15)) for a in rng.normal(0, [7.0, 2.0] if preset.varied else [4.0, 1.0]))
    if preset.vessels:  # TOF is planned without tilt, like its slabs; the others follow the base of the brain
        stacks = {n: s if n == "tof" else replace(s, pitch_deg=pitch, roll_deg=roll) for n, s in stacks.items()}
    slabs = setup.angiography
    stacks["tof"] = replace(stacks["tof"], cover_mm=(slabs.lower_mm, slabs.upper_mm))
    spacing = {n: replace(s, in_plane_mm=max(s.in_plane_mm, preset.spacing_mm)) for n, s in stacks.items()}
    return replace(setup, stacks=spacing, sequences=_sample_sequences(rng, preset))


def _sample_sequences(rng: np.random.Generator, preset: ExaminationPreset) -> tuple[Modality, ...]:
    """The acquired modalities; SWI or TOF is always among them where there are vessels, for only these show a clot."""
    acquired = {m for m in preset.sequences if rng.random() >= preset.missing.get(m, 0.0)}
    if preset.vessels and not {"swi", "tof"} & acquired:
        acquired.add("swi")
    return tuple(m for m in preset.sequences if m in acquired and (m != "phase" or "swi" in acquired))


def _sample_scanner(rng: np.random.Generator, preset: ExaminationPreset) -> ScannerSetup:
    """Samples a scanner with a protocol of the clinical range."""
    tesla = float(rng.choice([1.5, 3.0], p=[0.45, 0.55])) if preset.vessels else 3.0
    relative = tesla / 3.0
    lower = float(rng.uniform(-60, -30))
    slabs = int(rng.integers(1, 5))
    angiography = TimeOfFlight(
        lower, lower + float(rng.uniform(60, 105)), slabs=slabs, overlap=float(rng.uniform(0.15, 0.3)),
        tr_ms=float(rng.uniform(19, 28)), te_ms=float(rng.uniform(3.0, 7.0)), flip_deg=float(rng.uniform(15, 25)),
        ramp=float(rng.choice([0.0, 0.25, 0.4])), edge_mm=float(rng.uniform(2, 6)),
    )  # fmt: skip
    longest = float(rng.uniform(18, 28) / relative)
    echoes = tuple(float(e) for e in np.linspace(longest / 3, longest, 3)) if rng.random() < 0.5 else (longest,)
    echo = GradientEcho(longest + float(rng.uniform(5, 22)), echoes, float(rng.uniform(12, 20)),
                        int(rng.choice([1, -1])))  # fmt: skip
    stacks = _sample_stacks(rng)
    bounds = {"dwi": (7, 45), "flair": (12, 60), "swi": (8, 30), "tof": (8, 24)}
    snr = {n: float(np.exp(rng.uniform(*np.log(b)))) * relative**0.5 for n, b in bounds.items()}
    stored: dict[Modality, str] = {"adc": str(rng.choice(list(ADC_POWERS))), "phase": str(rng.choice([*PHASES, "Hz"]))}
    return ScannerSetup(
        tesla, sample_protocol(rng), echo, angiography, stacks, snr,
        readout_s=float(rng.uniform(0.018, 0.050)), polarity=int(rng.choice([1, -1])),
        movement=float(rng.uniform(0.5, 2)), sequences=preset.sequences,
        stored=stored if preset.vessels else {},
    )  # fmt: skip


def _sample_stacks(rng: np.random.Generator) -> dict[str, Stack]:
    """Samples the slice stack of each sequence."""
    thickness = rng.choice([2.0, 3.0, 4.0, 5.0, 6.0, 6.5], size=2, p=[0.44, 0.12, 0.14, 0.20, 0.06, 0.04])
    gaps = rng.choice([0.0, 0.1, 0.25], size=2, p=[0.5, 0.3, 0.2]) * thickness
    return {
        "dwi": Stack(float(rng.uniform(1.2, 2.4)), float(thickness[0]), float(gaps[0]), blur=_sample_blur(rng)),
        "flair": Stack(float(rng.uniform(0.9, 1.2)), float(thickness[1]), float(gaps[1]), blur=_sample_blur(rng)),
        "swi": Stack(float(rng.uniform(0.8, 1.1)), float(rng.uniform(1.0, 3.5)), blur=_sample_blur(rng)),
        "tof": Stack(float(rng.uniform(0.8, 1.1)), float(rng.uniform(0.8, 1.4)), blur=_sample_blur(rng)),
    }


def _sample_blur(rng: np.random.Generator) -> float:
    """The standard deviation of an in-plane point spread, in voxels."""
    return float(rng.uniform(0.15, 0.7))
