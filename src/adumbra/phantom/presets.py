"""The examinations that a phantom can have: one scanner with all sequences, many scanners, or diffusion alone.

``monocentric`` and ``multicentric`` mirror the two situations of the literature on thrombi: one centre with its
protocol, and many centres with sequences missing. ``emergency`` is the latter on the day of the stroke, when most
arteries are still closed: seven in ten of its cases hold a clot, of the others three. ``diffusion`` is what a lesion's
outline needs, at 2 mm, in a second. Protocols are those that hospitals run; no two of a multicentric cohort are alike.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from adumbra.core.errors import InputRejected
from adumbra.core.phase_encodings import ADC_POWERS, PHASES
from adumbra.core.types import MODALITIES, Modality
from adumbra.phantom.pathology.lesion import Pattern
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.physics.signal import Protocol, sample_protocol
from adumbra.phantom.scanner.acquisition import Stack

ACUTE: Mapping[Pattern, float] = MappingProxyType({"none": 0.06, "territorial": 0.56, "shower": 0.22, "lacune": 0.16})
"""How infarcts of a stroke unit's patients come about, about; ``territorial`` is a clot in a named artery."""


@dataclass(frozen=True)
class Preset:
    """What examinations a cohort has.

    Attributes:
        spacing_mm: Of the isotropic grid on which heads are drawn.
        sequences: That are made; the phase belongs to the magnitude of ``swi``.
        vessels: Whether arteries and veins are grown, with clots in them; without, infarcts are drawn by their shape.
        patterns: Chance of each.
        varied: Whether every case has a scanner of its own.
        missing: Chance that a case lacks a sequence.
        latest_h: Hours after which nobody is examined any more.
    """

    spacing_mm: float
    sequences: tuple[Modality, ...]
    vessels: bool
    patterns: Mapping[Pattern, float]
    varied: bool
    missing: Mapping[Modality, float]
    latest_h: float = math.inf


_MANY_CENTRES = Preset(
    1.0, MODALITIES, True, ACUTE, True, {"b0": 0.2, "flair": 0.15, "swi": 0.2, "phase": 0.45, "tof": 0.25}
)  # fmt: skip

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "monocentric": Preset(1.0, MODALITIES, True, ACUTE, False, {}),
        "multicentric": _MANY_CENTRES,
        "emergency": replace(_MANY_CENTRES, patterns={"none": 0.1, "territorial": 0.9}, latest_h=24.0),
        "diffusion": Preset(
            2.0, ("dwi", "adc", "b0", "flair"), False,
            {"none": 0.15, "territorial": 0.37, "shower": 0.38, "lacune": 0.10}, True, {},
        ),
    }
)  # fmt: skip


def preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        InputRejected: There is none.
    """
    if name not in PRESETS:
        raise InputRejected("preset", expected=", ".join(PRESETS), found=repr(name), do="name one of them")
    return PRESETS[name]


@dataclass(frozen=True)
class GradientEcho:
    """A multi-echo gradient echo: the magnitude is the mean of the echoes, the phase that of the last."""

    tr_ms: float
    te_ms: tuple[float, ...]
    flip_deg: float
    phase_sign: int


@dataclass(frozen=True)
class Setup:
    """One scanner with its protocol.

    Attributes:
        tesla: Field strength.
        diffusion: Times of the diffusion-weighted images and of FLAIR.
        gradient_echo: Of SWI and its phase.
        angiography: Of TOF, its slabs in the head's z.
        stacks: Slices by sequence: ``dwi``, ``flair``, ``swi``, ``tof``.
        snr: Of normal white matter by sequence, before averaging; on the weighted image for ``dwi``.
        readout_s: Of echo-planar imaging.
        polarity: Of its blips.
        movement: Strength of the head's movement between sequences; 1 is about 0.6 mm.
        sequences: That were made.
        stored: How files hold ``adc`` and ``phase``, as ``adumbra.core.phase_encodings`` names it.
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


# The one scanner of the monocentric preset, at 3 T.
_ONE = Setup(
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


def sample_setup(rng: np.random.Generator, plan: Preset) -> Setup:
    """The scanner of one case: the one of the centre, planned on this head; or one of its own."""
    made = _varied(rng, plan) if plan.varied else _ONE
    planned = dict(made.stacks)
    pitch, roll = (float(np.clip(a, -15, 15)) for a in rng.normal(0, [7.0, 2.0] if plan.varied else [4.0, 1.0]))
    if plan.vessels:  # TOF is planned straight, for slabs are; the others along the base of the brain
        planned = {n: s if n == "tof" else replace(s, pitch_deg=pitch, roll_deg=roll) for n, s in planned.items()}
    covered = made.angiography
    planned["tof"] = replace(planned["tof"], cover_mm=(covered.lower_mm, covered.upper_mm))
    kept = tuple(m for m in plan.sequences if rng.random() >= plan.missing.get(m, 0.0))
    if plan.vessels and not {"swi", "tof"} & set(kept):
        kept = (*kept, "swi")  # one of the two that show a clot: without, nobody could outline it
    kept = tuple(m for m in plan.sequences if m in kept and (m != "phase" or "swi" in kept))
    spacing = {n: replace(s, in_plane_mm=max(s.in_plane_mm, plan.spacing_mm)) for n, s in planned.items()}
    return replace(made, stacks=spacing, sequences=kept)


def _varied(rng: np.random.Generator, plan: Preset) -> Setup:
    """Any scanner of any centre."""
    tesla = float(rng.choice([1.5, 3.0], p=[0.45, 0.55])) if plan.vessels else 3.0
    weaker = tesla / 3.0
    lower = float(rng.uniform(-60, -30))
    slabs = int(rng.integers(1, 5))
    angiography = TimeOfFlight(
        lower, lower + float(rng.uniform(60, 105)), slabs=slabs, overlap=float(rng.uniform(0.15, 0.3)),
        tr_ms=float(rng.uniform(19, 28)), te_ms=float(rng.uniform(3.0, 7.0)), flip_deg=float(rng.uniform(15, 25)),
        ramp=float(rng.choice([0.0, 0.25, 0.4])), edge_mm=float(rng.uniform(2, 6)),
    )  # fmt: skip
    longest = float(rng.uniform(18, 28) / weaker)
    echoes = tuple(float(e) for e in np.linspace(longest / 3, longest, 3)) if rng.random() < 0.5 else (longest,)
    echo = GradientEcho(longest + float(rng.uniform(5, 22)), echoes, float(rng.uniform(12, 20)),
                        int(rng.choice([1, -1])))  # fmt: skip
    thickness = rng.choice([2.0, 3.0, 4.0, 5.0, 6.0, 6.5], size=2, p=[0.44, 0.12, 0.14, 0.20, 0.06, 0.04])
    gaps = rng.choice([0.0, 0.1, 0.25], size=2, p=[0.5, 0.3, 0.2]) * thickness
    stacks = {
        "dwi": Stack(float(rng.uniform(1.2, 2.4)), float(thickness[0]), float(gaps[0]), blur=_blur(rng)),
        "flair": Stack(float(rng.uniform(0.9, 1.2)), float(thickness[1]), float(gaps[1]), blur=_blur(rng)),
        "swi": Stack(float(rng.uniform(0.8, 1.1)), float(rng.uniform(1.0, 3.5)), blur=_blur(rng)),
        "tof": Stack(float(rng.uniform(0.8, 1.1)), float(rng.uniform(0.8, 1.4)), blur=_blur(rng)),
    }
    bounds = {"dwi": (7, 45), "flair": (12, 60), "swi": (8, 30), "tof": (8, 24)}
    snr = {n: float(np.exp(rng.uniform(*np.log(b)))) * weaker**0.5 for n, b in bounds.items()}
    stored: dict[Modality, str] = {"adc": str(rng.choice(list(ADC_POWERS))), "phase": str(rng.choice([*PHASES, "Hz"]))}
    return Setup(
        tesla, sample_protocol(rng), echo, angiography, stacks, snr,
        readout_s=float(rng.uniform(0.018, 0.050)), polarity=int(rng.choice([1, -1])),
        movement=float(rng.uniform(0.5, 2)), sequences=plan.sequences,
        stored=stored if plan.vessels else {},
    )  # fmt: skip


def _blur(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.15, 0.7))
