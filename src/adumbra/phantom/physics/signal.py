"""Signals: one equation per sequence, tissue constants with their sources.

Diffusion-weighted spin echo   S(b) = ρ · exp(−TE/T2) · exp(−b·ADC)             (Stejskal & Tanner 1965)
Inversion recovery (FLAIR)     S    = ρ · |1 − 2·exp(−TI/T1) + exp(−TR/T1)| · exp(−TE/T2)
Spoiled gradient echo          S    = ρ · sinα · (1 − E1)/(1 − cosα·E1) · exp(−TE/T2*)    (Ernst & Anderson 1966)
Apparent diffusion coefficient ADC  = ln(S(0)/S(b)) / b, the fit that the scanner makes

with E1 = exp(−TR/T1). What the field does to a gradient echo, its phase and its loss across a voxel, is
``susceptibility.in_phase``; what moving blood does, ``inflow``.

A voxel's signal is the sum over its tissues' fractions: partial volume is summed as signal, never as constants.
Constants at 3 T: T1 and T2 after Wansapura et al. 1999 and Stanisz et al. 2005; ADC after Helenius et al. 2002. Those
of blood, clots and nuclei, at 1.5 T, and T2*, are in ``relaxation``.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from adumbra.core.references import cites
from adumbra.core.types import Volume
from adumbra.phantom.physics.relaxation import TISSUES, Relaxation


@dataclass(frozen=True)
class Protocol:
    """Times in ms, b in s/mm²."""

    b_value: float
    te_dwi_ms: float
    te_flair_ms: float
    ti_flair_ms: float
    tr_flair_ms: float


_NORMAL = ("grey", "white", "csf", "vitreous", "soft")


def sample_tissues(rng: np.random.Generator, *, b0_tesla: float) -> dict[str, Relaxation]:
    """The constants of one subject's normal tissues at one scanner: the table, varied by some percent each."""

    def varied(t: Relaxation) -> Relaxation:
        d, t1, t2, adc = np.exp(rng.normal(0, [0.05, 0.06, 0.09, 0.055]))
        return Relaxation(t.density * d, t.t1_ms * t1, t.t2_ms * t2, t.t2_star_ms * t2, t.adc * adc)

    drawn = {name: varied(TISSUES[b0_tesla][name]) for name in _NORMAL}
    # Gradients are calibrated to some per cent, and cold water or a fever does the rest: all tissues alike.
    calibration = float(np.exp(rng.normal(0, 0.05)))
    drawn = {name: replace(t, adc=t.adc * calibration) for name, t in drawn.items()}
    # Fat suppression works or it does not: from nothing of the scalp to a bright rim.
    return drawn | {"soft": replace(drawn["soft"], density=float(0.55 * rng.beta(1.2, 2.0) * 1.6))}


def sample_protocol(rng: np.random.Generator) -> Protocol:
    """A protocol as hospitals run it; b is 1000 in most, 800 to 1200 in the rest."""
    b = float(rng.choice([800.0, 1000.0, 1200.0], p=[0.25, 0.60, 0.15]))
    tr = float(rng.uniform(7000, 11000))
    return Protocol(b, float(rng.uniform(52, 105)), float(rng.uniform(85, 140)), float(0.265 * tr), tr)


def spin_echo(tissue: Relaxation, *, te_ms: float, b_value: float) -> float:
    """Signal of a diffusion-weighted spin echo, relative to water's density."""
    return float(tissue.density * np.exp(-te_ms / tissue.t2_ms) * np.exp(-b_value * 1e-3 * tissue.adc))


def altered(tissue: Relaxation, *, adc: float, t2: float, t1: float = 1.0) -> Relaxation:
    """The tissue with its constants multiplied by these factors; T2* changes as T2 does."""
    relaxed = {"t1_ms": tissue.t1_ms * t1, "t2_ms": tissue.t2_ms * t2, "t2_star_ms": tissue.t2_star_ms * t2}
    return replace(tissue, adc=tissue.adc * adc, **relaxed)


def diffusion_contrast(protocol: Protocol, *, adc: float, t2: float) -> float:
    """How many times brighter on DWI white matter becomes when its ADC and T2 are multiplied by these factors."""
    normal = TISSUES[3.0]["white"]
    sick = altered(normal, adc=adc, t2=t2)
    return spin_echo(sick, te_ms=protocol.te_dwi_ms, b_value=protocol.b_value) / spin_echo(
        normal, te_ms=protocol.te_dwi_ms, b_value=protocol.b_value
    )


def inversion_recovery(tissue: Relaxation, *, te_ms: float, ti_ms: float, tr_ms: float) -> float:
    """Magnitude signal of an inversion-recovery spin echo, relative to water's density."""
    longitudinal = 1 - 2 * np.exp(-ti_ms / tissue.t1_ms) + np.exp(-tr_ms / tissue.t1_ms)
    return float(tissue.density * abs(longitudinal) * np.exp(-te_ms / tissue.t2_ms))


def steady_magnetisation(flip_deg: Float[np.ndarray, "..."], *, tr_ms: float, t1_ms: float) -> Float[np.ndarray, "..."]:
    """Longitudinal magnetisation, of equilibrium = 1, before each of endless pulses: (1 − E1)/(1 − cosα·E1)."""
    e1 = np.exp(-tr_ms / t1_ms)
    return np.asarray((1 - e1) / (1 - np.cos(np.radians(flip_deg)) * e1))


@cites("Ernst1966")
def gradient_echo(tissue: Relaxation, *, tr_ms: float, te_ms: float, flip_deg: float) -> float:
    """Magnitude signal of a spoiled gradient echo in its steady state, relative to water's density.

    For tissue at rest; blood that flows in has seen few pulses and is brighter (``inflow``).
    """
    steady = steady_magnetisation(np.array(flip_deg, np.float64), tr_ms=tr_ms, t1_ms=tissue.t1_ms)
    return float(tissue.density * np.sin(np.radians(flip_deg)) * steady * np.exp(-te_ms / tissue.t2_star_ms))


@cites("Ernst1966")
def ernst_angle_deg(tissue: Relaxation, *, tr_ms: float) -> float:
    """The flip angle at which a spoiled gradient echo is brightest: arccos E1, in degrees."""
    return float(np.degrees(np.arccos(np.exp(-tr_ms / tissue.t1_ms))))


def adc_fit(baseline: Volume, weighted: Volume, *, b_value: float) -> Volume:
    """ADC in 10⁻³ mm²/s of two magnitude images; where either has no signal, 0. Noise can make it negative."""
    measurable = (baseline > 0) & (weighted > 0)
    ratio = np.divide(baseline, weighted, out=np.ones_like(baseline), where=measurable)
    return np.float32(1000.0 / b_value) * np.log(ratio)
