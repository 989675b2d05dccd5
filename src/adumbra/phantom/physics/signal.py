"""Signal equations, one for each sequence, and the sampled constants of normal tissue.

Diffusion-weighted spin echo   S(b) = ρ · exp(−TE/T2) · exp(−b·ADC)             (Stejskal & Tanner 1965)
Inversion recovery (FLAIR)     S    = ρ · |1 − 2·exp(−TI/T1) + exp(−TR/T1)| · exp(−TE/T2)
Spoiled gradient echo          S    = ρ · sinα · (1 − E1)/(1 − cosα·E1) · exp(−TE/T2*)    (Ernst & Anderson 1966)
Apparent diffusion coefficient ADC  = ln(S(0)/S(b)) / b, as fitted by the scanner

with E1 = exp(−TR/T1). ``susceptibility`` gives the phase and the dephasing of a gradient echo in an uneven field;
``inflow`` gives the signal of moving blood.

The signal of a voxel is the sum over its tissue fractions. Partial volume averages signals, never constants.
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
    """A protocol of diffusion-weighted imaging and FLAIR.

    Attributes:
        b_value: b value in s/mm².
        te_dwi_ms: Echo time of the diffusion-weighted images.
        te_flair_ms: Echo time of FLAIR.
        ti_flair_ms: Inversion time of FLAIR.
        tr_flair_ms: Repetition time of FLAIR.
    """

    b_value: float
    te_dwi_ms: float
    te_flair_ms: float
    ti_flair_ms: float
    tr_flair_ms: float


@dataclass(frozen=True)
class GradientEcho:
    """A protocol of a multi-echo gradient echo: the magnitude is the mean of the echoes, the phase that of the last.

    Attributes:
        tr_ms: Repetition time.
        te_ms: Echo times.
        flip_deg: Flip angle.
        phase_sign: 1 where a raised field gives a positive phase, otherwise -1.
    """

    tr_ms: float
    te_ms: tuple[float, ...]
    flip_deg: float
    phase_sign: int


_NORMAL = ("grey", "white", "csf", "vitreous", "soft")


def sample_tissues(rng: np.random.Generator, *, b0_tesla: float) -> dict[str, Relaxation]:
    """Samples the constants of a subject's normal tissues at one scanner, some per cent around the table.

    Args:
        rng: Source of the variation.
        b0_tesla: Field strength, 1.5 or 3.0.
    """

    def varied(t: Relaxation) -> Relaxation:
        d, t1, t2, adc = np.exp(rng.normal(0, [0.05, 0.06, 0.09, 0.055]))
        return Relaxation(t.density * d, t.t1_ms * t1, t.t2_ms * t2, t.t2_star_ms * t2, t.adc * adc)

    tissues = {name: varied(TISSUES[b0_tesla][name]) for name in _NORMAL}
    # Gradient calibration and temperature change the ADC of all tissues alike, by some per cent.
    calibration = float(np.exp(rng.normal(0, 0.05)))
    tissues = {name: replace(t, adc=t.adc * calibration) for name, t in tissues.items()}
    # The quality of fat suppression varies, from an invisible scalp to a bright rim.
    return tissues | {"soft": replace(tissues["soft"], density=float(0.55 * rng.beta(1.2, 2.0) * 1.6))}


def sample_protocol(rng: np.random.Generator) -> Protocol:
    """Samples a protocol of clinical routine; b is 1000 in most, 800 or 1200 in the others.

    Args:
        rng: Source of the protocol.
    """
    b = float(rng.choice([800.0, 1000.0, 1200.0], p=[0.25, 0.60, 0.15]))
    tr = float(rng.uniform(7000, 11000))
    return Protocol(b, float(rng.uniform(52, 105)), float(rng.uniform(85, 140)), float(0.265 * tr), tr)


def spin_echo(tissue: Relaxation, *, te_ms: float, b_value: float) -> float:
    """Signal of a diffusion-weighted spin echo, relative to the proton density of water.

    Args:
        tissue: Constants of the tissue.
        te_ms: Echo time.
        b_value: b value in s/mm².
    """
    return float(tissue.density * np.exp(-te_ms / tissue.t2_ms) * np.exp(-b_value * 1e-3 * tissue.adc))


def altered(tissue: Relaxation, *, adc: float, t2: float, t1: float = 1.0) -> Relaxation:
    """The tissue with its constants multiplied by factors; the factor of T2 also applies to T2*.

    Args:
        tissue: Constants of the tissue.
        adc: Factor on the ADC.
        t2: Factor on T2 and T2*.
        t1: Factor on T1.
    """
    relaxed = {"t1_ms": tissue.t1_ms * t1, "t2_ms": tissue.t2_ms * t2, "t2_star_ms": tissue.t2_star_ms * t2}
    return replace(tissue, adc=tissue.adc * adc, **relaxed)


def diffusion_contrast(protocol: Protocol, *, adc: float, t2: float) -> float:
    """The DWI signal of white matter with altered ADC and T2, relative to normal white matter.

    Args:
        protocol: Echo time and b value.
        adc: Factor on the ADC.
        t2: Factor on T2.
    """
    normal = TISSUES[3.0]["white"]
    infarcted = altered(normal, adc=adc, t2=t2)
    return spin_echo(infarcted, te_ms=protocol.te_dwi_ms, b_value=protocol.b_value) / spin_echo(
        normal, te_ms=protocol.te_dwi_ms, b_value=protocol.b_value
    )


def inversion_recovery(tissue: Relaxation, *, te_ms: float, ti_ms: float, tr_ms: float) -> float:
    """Magnitude signal of an inversion-recovery spin echo, relative to the proton density of water.

    Args:
        tissue: Constants of the tissue.
        te_ms: Echo time.
        ti_ms: Inversion time.
        tr_ms: Repetition time.
    """
    longitudinal = 1 - 2 * np.exp(-ti_ms / tissue.t1_ms) + np.exp(-tr_ms / tissue.t1_ms)
    return float(tissue.density * abs(longitudinal) * np.exp(-te_ms / tissue.t2_ms))


def steady_magnetisation(flip_deg: Float[np.ndarray, "..."], *, tr_ms: float, t1_ms: float) -> Float[np.ndarray, "..."]:
    """Longitudinal magnetisation in the steady state, before each pulse and relative to equilibrium.

    It is (1 − E1)/(1 − cosα·E1).

    Args:
        flip_deg: Flip angles, of any shape.
        tr_ms: Repetition time.
        t1_ms: T1.
    """
    e1 = np.exp(-tr_ms / t1_ms)
    return np.asarray((1 - e1) / (1 - np.cos(np.radians(flip_deg)) * e1))


@cites("Ernst1966")
def gradient_echo(tissue: Relaxation, *, tr_ms: float, te_ms: float, flip_deg: float) -> float:
    """Magnitude signal of a spoiled gradient echo in the steady state, relative to the proton density of water.

    It applies to stationary tissue. Inflowing blood has received few pulses and is brighter (``inflow``).

    Args:
        tissue: Constants of the tissue.
        tr_ms: Repetition time.
        te_ms: Echo time.
        flip_deg: Flip angle.
    """
    steady = steady_magnetisation(np.array(flip_deg, np.float64), tr_ms=tr_ms, t1_ms=tissue.t1_ms)
    return float(tissue.density * np.sin(np.radians(flip_deg)) * steady * np.exp(-te_ms / tissue.t2_star_ms))


@cites("Ernst1966")
def ernst_angle_deg(tissue: Relaxation, *, tr_ms: float) -> float:
    """The flip angle of the largest signal of a spoiled gradient echo: arccos E1, in degrees.

    Args:
        tissue: Constants of the tissue.
        tr_ms: Repetition time.
    """
    return float(np.degrees(np.arccos(np.exp(-tr_ms / tissue.t1_ms))))


def adc_fit(baseline: Volume, weighted: Volume, *, b_value: float) -> Volume:
    """ADC in 10⁻³ mm²/s from two magnitude images; 0 where either has no signal, and negative where noise dominates.

    Args:
        baseline: (X, Y, Z), the image at b = 0.
        weighted: (X, Y, Z), the diffusion-weighted image.
        b_value: b value in s/mm².
    """
    measurable = (baseline > 0) & (weighted > 0)
    ratio = np.divide(baseline, weighted, out=np.ones_like(baseline), where=measurable)
    return np.float32(1000.0 / b_value) * np.log(ratio)
