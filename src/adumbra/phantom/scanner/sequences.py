"""What each sequence would show of a body without noise, on the grid of the head: sums of signals over its kinds.

Tissue is not uniform: proton density, T2 and ADC vary gradually, and more in places that are known for it (dense
tracts, cerebellum). Moving blood gives diffusion-weighted images nothing, FLAIR what stands of it, TOF what is fresh.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head, tracts
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.body import Body
from adumbra.phantom.physics import inflow, signal
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.physics.relaxation import TISSUES
from adumbra.phantom.physics.signal import Protocol
from adumbra.phantom.physics.susceptibility import in_phase, phase_rad
from adumbra.phantom.presets import GradientEcho
from adumbra.phantom.vasculature.lumen import painted
from adumbra.phantom.vasculature.vessels import Tree

_MOVING = ("artery", "vein")  # give no signal to diffusion-weighted images, and to FLAIR by ``inflow`` only


@dataclass(frozen=True, eq=False)
class Texture:
    """How tissue varies from place to place.

    Attributes:
        weight: Log of a factor on every signal.
        water: ADC above the tissue's, in 10⁻³ mm²/s.
    """

    weight: Volume
    water: Volume


def sample_texture(rng: np.random.Generator, h: Head, body: Body) -> Texture:
    """The variation of one subject's tissue."""
    spacing, shape = h.grid.spacing_mm, h.grid.shape
    weight = np.float32(rng.uniform(0.02, 0.09)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=14)
    weight += np.float32(rng.uniform(0.0, 0.14)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=22) * h.grey
    water = np.float32(rng.uniform(0.01, 0.06)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=12)
    water += np.float32(rng.uniform(0.0, 0.10)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=8) * h.grey
    water += np.float32(rng.uniform(0.0, 0.09)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=4) * h.white
    # Iron: gradients inside the voxel lower the measured ADC, while the short T2 keeps DWI from being bright.
    water -= np.float32(rng.uniform(0, 25)) * body.rate
    cerebellum = np.clip((-14 - h.mni_mm[2]) / 8, 0, 1) * np.clip((-36 - h.mni_mm[1]) / 8, 0, 1)
    weight += np.float32(rng.uniform(0, 0.3)) * cerebellum  # mostly cortex: brighter than the cerebrum, ADC alike
    dense = tracts(rng, h)
    weight += np.float32(rng.uniform(0, 0.15)) * dense
    water -= np.float32(rng.uniform(0, 0.28)) * dense
    return Texture(weight, water)


def _summed(body: Body, amplitudes: Mapping[str, float], rate: Volume, te_ms: float) -> Volume:
    """Σ fraction · amplitude, with what iron takes by the echo time; the sum of signals that partial volume is."""
    total = np.zeros_like(body.rate)
    for name, amplitude in amplitudes.items():
        if amplitude:
            total += np.float32(amplitude) * body.fractions[name]
    total *= np.exp(np.float32(-te_ms) * rate)
    return total


def _at_rest(body: Body) -> list[str]:
    return [name for name in body.fractions if name not in _MOVING]


def diffusion(body: Body, texture: Texture, p: Protocol) -> dict[str, Volume]:
    """``b0`` and ``dwi``, the geometric mean over directions."""
    made = {}
    for name, b in (("b0", 0.0), ("dwi", p.b_value)):
        kinds = {n: signal.spin_echo(body.tissues[n], te_ms=p.te_dwi_ms, b_value=b) for n in _at_rest(body)}
        made[name] = _summed(body, kinds, body.rate, p.te_dwi_ms) * np.exp(texture.weight - texture.water * b / 1000)
    return made


def flair(h: Head, body: Body, texture: Texture, p: Protocol, arteries: Tree | None, flow: np.ndarray | None) -> Volume:
    """FLAIR; blood that stands or creeps behind a clot is bright (vascular hyperintensity).

    Args:
        h: The subject.
        body: The subject's.
        texture: The subject's.
        p: Gives the times.
        arteries: The subject's; None where no vessels are drawn.
        flow: (N,), share of the normal flow at each of their nodes.
    """
    times = {"te_ms": p.te_flair_ms, "ti_ms": p.ti_flair_ms, "tr_ms": p.tr_flair_ms}
    kinds = {n: signal.inversion_recovery(body.tissues[n], **times) for n in _at_rest(body)}
    made = _summed(body, kinds, body.rate, p.te_flair_ms) * np.exp(texture.weight)
    if arteries is not None and flow is not None and (flow < 1).any():
        slow = inflow.vascular_hyperintensity(body.tissues["artery"], flow, **times)
        share, bright = painted(arteries, h.grid, slow, nodes=flow < 1)
        made += bright / np.maximum(share, 1e-6) * np.minimum(share, body.fractions["artery"])
    return made


def gradient_echoes(
    body: Body, texture: Texture, echo: GradientEcho, field_ppm: Volume, *, b0_tesla: float
) -> Iterator[tuple[Volume, Volume]]:
    """For each echo the complex signal as its real and imaginary part; ``field_ppm`` is shimmed."""
    for te in echo.te_ms:
        times = {"tr_ms": echo.tr_ms, "te_ms": te, "flip_deg": echo.flip_deg}
        kinds = {n: signal.gradient_echo(body.tissues[n], **times) for n in body.fractions}
        size = _summed(body, kinds, body.rate_star, te) * np.exp(texture.weight)
        size *= in_phase(field_ppm, b0_tesla=b0_tesla, te_ms=te)
        turn = np.float32(echo.phase_sign) * phase_rad(field_ppm, b0_tesla=b0_tesla, te_ms=te)
        yield size * np.cos(turn), size * np.sin(turn)


def angiogram(
    h: Head,
    body: Body,
    texture: Texture,
    p: TimeOfFlight,
    field_ppm: Volume,
    arteries: Tree,
    flow: np.ndarray,
    *,
    b0_tesla: float,
) -> Volume:
    """Time of flight: blood bright where it is fresh, tissue saturated; outside the slabs nothing."""
    z_mm = h.grid.affine[2, 3] + h.grid.spacing_mm[2] * np.arange(h.grid.shape[2])
    total = np.zeros_like(body.rate)
    for name in body.fractions:
        if name != "artery":
            total += inflow.stationary_signal(body.tissues[name], p, z_mm).astype(np.float32) * body.fractions[name]
    total *= np.exp(texture.weight)
    bright = inflow.blood_signal(arteries, p, TISSUES[b0_tesla]["arterial_blood"], flow=flow)
    share, amount = painted(arteries, h.grid, bright)
    total += amount / np.maximum(share, 1e-6) * np.minimum(share, body.fractions["artery"])
    return total * in_phase(field_ppm, b0_tesla=b0_tesla, te_ms=p.te_ms)
