"""Noise-free signal of each sequence on the grid of the head: the sum of signals over the tissue fractions.

Tissue is not uniform. Proton density, T2 and ADC vary gradually, and more so in dense tracts and the cerebellum. Moving
blood has no signal on diffusion-weighted images; FLAIR shows stationary blood, and TOF shows fresh blood.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume
from adumbra.phantom.anatomy.head import Head
from adumbra.phantom.anatomy.random_fields import smooth_field
from adumbra.phantom.anatomy.tracts import sample_tracts
from adumbra.phantom.body import Body
from adumbra.phantom.physics import inflow, signal
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.physics.relaxation import TISSUES
from adumbra.phantom.physics.signal import GradientEcho, Protocol
from adumbra.phantom.physics.susceptibility import in_phase, phase_rad
from adumbra.phantom.vasculature.lumen import paint_vessels
from adumbra.phantom.vasculature.vessels import Tree

_MOVING = ("artery", "vein")  # no signal on diffusion-weighted images, and on FLAIR only that of ``inflow``


@dataclass(frozen=True, eq=False)
class Texture:
    """Spatial variation of the tissue.

    Attributes:
        weight: (X, Y, Z), log of a factor on every signal.
        water: (X, Y, Z), addition to the ADC in 10⁻³ mm²/s.
    """

    weight: Volume
    water: Volume


def sample_texture(rng: np.random.Generator, head: Head, body: Body) -> Texture:
    """Samples the spatial variation of one subject's tissue.

    Args:
        rng: Source of the variation.
        head: The anatomy.
        body: Gives the effect of iron.
    """
    spacing, shape = head.grid.spacing_mm, head.grid.shape
    weight = np.float32(rng.uniform(0.02, 0.09)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=14)
    weight += np.float32(rng.uniform(0.0, 0.14)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=22) * head.grey
    water = np.float32(rng.uniform(0.01, 0.06)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=12)
    water += np.float32(rng.uniform(0.0, 0.10)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=8) * head.grey
    water += np.float32(rng.uniform(0.0, 0.09)) * smooth_field(rng, shape, spacing_mm=spacing, scale_mm=4) * head.white
    # Iron: gradients within the voxel reduce the measured ADC, and the short T2 keeps DWI dark.
    water -= np.float32(rng.uniform(0, 25)) * body.extra_r2
    cerebellum = np.clip((-14 - head.mni_mm[2]) / 8, 0, 1) * np.clip((-36 - head.mni_mm[1]) / 8, 0, 1)
    weight += np.float32(rng.uniform(0, 0.3)) * cerebellum  # mostly cortex: brighter than the cerebrum, with equal ADC
    dense = sample_tracts(rng, head)
    weight += np.float32(rng.uniform(0, 0.15)) * dense
    water -= np.float32(rng.uniform(0, 0.28)) * dense
    return Texture(weight, water)


def _sum_signals(body: Body, amplitudes: Mapping[str, float], rate: Volume, te_ms: float) -> Volume:
    """Σ fraction · amplitude over the tissues, with the decay due to iron at the echo time."""
    total = np.zeros_like(body.extra_r2)
    for name, amplitude in amplitudes.items():
        if amplitude:
            total += np.float32(amplitude) * body.fractions[name]
    total *= np.exp(np.float32(-te_ms) * rate)
    return total


def _stationary_tissues(body: Body) -> list[str]:
    """The names of the tissues that do not flow."""
    return [name for name in body.fractions if name not in _MOVING]


def diffusion(body: Body, texture: Texture, p: Protocol) -> dict[str, Volume]:
    """The signals ``b0`` and ``dwi``, the latter as the geometric mean over directions.

    Args:
        body: The composition of the subject.
        texture: The subject's spatial variation.
        p: Echo time and b value.
    """
    signals = {}
    for name, b in (("b0", 0.0), ("dwi", p.b_value)):
        tissues = {n: body.tissues[n] for n in _stationary_tissues(body)}
        amplitudes = {n: signal.spin_echo(t, te_ms=p.te_dwi_ms, b_value=b) for n, t in tissues.items()}
        signals[name] = _sum_signals(body, amplitudes, body.extra_r2, p.te_dwi_ms) * np.exp(
            texture.weight - texture.water * b / 1000
        )
    return signals


def flair(
    grid: Grid, body: Body, texture: Texture, p: Protocol, arteries: Tree | None, flow: np.ndarray | None
) -> Volume:
    """The FLAIR signal; slow or stationary blood behind a clot is bright (vascular hyperintensity).

    Args:
        grid: Grid of the volumes.
        body: The composition of the subject.
        texture: The subject's spatial variation.
        p: Echo, inversion and repetition time.
        arteries: The subject's arteries; None where no vessels were grown.
        flow: (N,), share of the normal flow at each node of the arteries.
    """
    times = {"te_ms": p.te_flair_ms, "ti_ms": p.ti_flair_ms, "tr_ms": p.tr_flair_ms}
    amplitudes = {n: signal.inversion_recovery(body.tissues[n], **times) for n in _stationary_tissues(body)}
    total = _sum_signals(body, amplitudes, body.extra_r2, p.te_flair_ms) * np.exp(texture.weight)
    if arteries is not None and flow is not None and (flow < 1).any():
        slow = inflow.vascular_hyperintensity(body.tissues["artery"], flow, **times)
        share, bright = paint_vessels(arteries, grid, slow, nodes=flow < 1)
        total += bright / np.maximum(share, 1e-6) * np.minimum(share, body.fractions["artery"])
    return total


def gradient_echoes(
    body: Body, texture: Texture, echo: GradientEcho, field_ppm: Volume, *, b0_tesla: float
) -> Iterator[tuple[Volume, Volume]]:
    """The real and imaginary part of the complex signal of each echo.

    Args:
        body: The composition of the subject.
        texture: The subject's spatial variation.
        echo: Echo times, repetition time and flip angle.
        field_ppm: (X, Y, Z), the shimmed relative field in ppm.
        b0_tesla: Field strength.
    """
    for te in echo.te_ms:
        times = {"tr_ms": echo.tr_ms, "te_ms": te, "flip_deg": echo.flip_deg}
        amplitudes = {n: signal.gradient_echo(body.tissues[n], **times) for n in body.fractions}
        size = _sum_signals(body, amplitudes, body.extra_r2_star, te) * np.exp(texture.weight)
        size *= in_phase(field_ppm, b0_tesla=b0_tesla, te_ms=te)
        phase = np.float32(echo.phase_sign) * phase_rad(field_ppm, b0_tesla=b0_tesla, te_ms=te)
        yield size * np.cos(phase), size * np.sin(phase)


def paint_inflow(
    grid: Grid, p: TimeOfFlight, arteries: Tree, flow: np.ndarray, *, b0_tesla: float
) -> tuple[Volume, Volume]:
    """The fraction of each voxel inside arteries, and the sum of fraction times time-of-flight signal of their blood.

    Args:
        grid: The grid to paint on.
        p: Slabs and times.
        arteries: The subject's arteries.
        flow: (N,), share of the normal flow at each node of the arteries.
        b0_tesla: Field strength.
    """
    bright = inflow.blood_signal(arteries, p, TISSUES[b0_tesla]["arterial_blood"], flow=flow)
    share, amount = paint_vessels(arteries, grid, bright)
    return share, amount


def angiogram(
    grid: Grid,
    body: Body,
    texture: Texture,
    p: TimeOfFlight,
    field_ppm: Volume,
    painted: tuple[Volume, Volume],
    *,
    b0_tesla: float,
) -> Volume:
    """The time-of-flight signal, of bright fresh blood and saturated tissue; 0 outside the slabs.

    Args:
        grid: Grid of the volumes.
        body: The composition of the subject.
        texture: The subject's spatial variation.
        p: Slabs and times.
        field_ppm: (X, Y, Z), the shimmed relative field in ppm.
        painted: Arteries with the signal of their blood, see ``paint_inflow``.
        b0_tesla: Field strength.
    """
    z_mm = grid.affine[2, 3] + grid.spacing_mm[2] * np.arange(grid.shape[2])
    total = np.zeros_like(body.extra_r2)
    for name in body.fractions:
        if name != "artery":
            total += inflow.stationary_signal(body.tissues[name], p, z_mm).astype(np.float32) * body.fractions[name]
    total *= np.exp(texture.weight)
    share, amount = painted
    total += amount / np.maximum(share, 1e-6) * np.minimum(share, body.fractions["artery"])
    return total * in_phase(field_ppm, b0_tesla=b0_tesla, te_ms=p.te_ms)
