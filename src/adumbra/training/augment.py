"""Random changes to a patch, so that the network learns the anatomy and not the scanner. NumPy; some 25 ms a patch.

What scanners and positioning do: a brain seen in the mirror, other contrast, noise, coil shading, thick slices,
sequences that were not acquired, a skull that was stripped.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from adumbra.core.types import Modality, Volume
from adumbra.training.patches import Patches

LOW, HIGH = -4.0, 12.0  # Network units are clipped to this range when a case is prepared.
_LEAST_LIKELY_DROPPED = {"dwi": 0.03, "adc": 0.15, "swi": 0.10}


@dataclass(frozen=True)
class Augmentation:
    """How often each change is made, per patch or per channel.

    Attributes:
        mirror: Left-right.
        flip: Front-back, and up-down: rarer, for heads do not come so; it only frees the network from places.
        contrast: Gamma, scale and shift of a channel.
        noise: Gaussian noise in a channel.
        smooth: Blur of a channel.
        blocky: A channel as if acquired with thick slices.
        shading: A smooth field multiplied on a channel.
        slab: The slices at one end of a channel brighter than the rest, as where a stack of slices begins.
        missing: Channels left out, at a rate by modality times this.
        strip: All outside the brain set to air, or to 0, which is where nothing was measured.
    """

    mirror: float = 0.5
    flip: float = 0.1
    contrast: float = 0.5
    noise: float = 0.25
    smooth: float = 0.15
    blocky: float = 0.15
    shading: float = 0.4
    slab: float = 0.12
    missing: float = 1.0
    strip: float = 0.2


def augmented(
    patch: Patches, rng: np.random.Generator, *, modalities: tuple[Modality, ...], how: Augmentation
) -> Patches:
    """A batch of one patch, changed at random."""
    patch = _flipped(patch, rng, how)
    if rng.random() < how.strip:
        patch = replace(patch, channels=_stripped(patch, rng))
    present = _left_out(patch.present[0], rng, modalities, how.missing)
    channels = np.zeros_like(patch.channels[0])
    for c in np.flatnonzero(present):
        # The ADC's absolute value has a meaning: it is disturbed a third as much.
        strength = 0.35 if modalities[c] == "adc" else 1.0
        channels[c] = _changed(patch.channels[0, c], rng, how, strength)
    return replace(patch, channels=channels[None], present=present[None])


def _flipped(patch: Patches, rng: np.random.Generator, how: Augmentation) -> Patches:
    likely = (how.mirror, how.flip, how.flip)
    axes = tuple(axis - 3 for axis, p in enumerate(likely) if rng.random() < p)
    turned = (np.flip(a, axes) for a in (patch.channels, patch.labels, patch.weights, patch.brain, patch.guidance))
    channels, labels, weights, brain, guidance = turned
    return Patches(channels, patch.present, labels, weights, brain, guidance)


def _left_out(
    present: np.ndarray, rng: np.random.Generator, modalities: tuple[Modality, ...], rate: float
) -> np.ndarray:
    """``present`` with channels switched off at random, never all."""
    p = np.array([_LEAST_LIKELY_DROPPED.get(m, 0.4) for m in modalities]) * rate
    kept = present * (rng.random(len(p)) >= p)
    return (kept if kept.any() else present).astype(np.float32)


def _stripped(patch: Patches, rng: np.random.Generator) -> np.ndarray:
    """The channels without skull: outside the brain the darkest value of the patch, or 0 in one of three."""
    axes = (2, 3, 4)
    air = np.where(rng.random() < 1 / 3, np.float32(0.0), patch.channels.min(axis=axes, keepdims=True))
    return np.where(patch.brain > 0, patch.channels, air.astype(np.float32))


def _changed(volume: Volume, rng: np.random.Generator, how: Augmentation, strength: float) -> Volume:
    steps: tuple[tuple[float, Callable[[Volume, np.random.Generator, float], Volume]], ...] = (
        (how.shading, _shaded),
        (how.slab, _slab),
        (how.contrast, _contrasted),
        (how.smooth, _smoothed),
        (how.blocky, _blocky),
        (how.noise, _noisy),
    )
    measured = volume != 0  # Exactly 0 is where nothing was measured; it must stay so.
    out = volume
    for likely, change in steps:
        if rng.random() < likely:
            out = change(out, rng, strength)
    return np.where(measured, np.clip(out, LOW, HIGH), np.float32(0.0)).astype(np.float32)


def _contrasted(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:
    gamma = np.exp(rng.uniform(-0.3, 0.3) * strength)
    scale, shift = np.exp(rng.uniform(-0.25, 0.25) * strength), rng.uniform(-0.3, 0.3) * strength
    unit = np.clip((volume - LOW) / (HIGH - LOW), 0.0, 1.0)
    # Gamma about the brain's median (0), so that it bends the bright end and does not move everything.
    middle = -LOW / (HIGH - LOW)
    bent = (unit / middle) ** gamma * middle * (HIGH - LOW) + LOW
    return (bent * scale + shift).astype(np.float32)


def _noisy(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:
    sigma = rng.uniform(0.05, 0.5) * strength
    return volume + rng.standard_normal(volume.shape, dtype=np.float32) * np.float32(sigma)


def _smoothed(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:  # noqa: ARG001
    return ndimage.gaussian_filter(volume, rng.uniform(0.3, 0.8), truncate=3.0)


def _blocky(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:  # noqa: ARG001
    """Thick slices along the last axis, interpolated back."""
    factor = rng.uniform(1.5, 3.0)
    slices = max(4, int(volume.shape[2] / factor))
    thick = ndimage.uniform_filter1d(volume, max(2, round(factor)), axis=2)
    at = (np.arange(slices) + 0.5) * volume.shape[2] / slices - 0.5
    low = np.clip(np.floor(at).astype(int), 0, volume.shape[2] - 1)
    back = (np.arange(volume.shape[2]) + 0.5) * slices / volume.shape[2] - 0.5
    first = np.clip(np.floor(back).astype(int), 0, slices - 2)
    share = np.clip(back - first, 0.0, 1.0).astype(np.float32)
    coarse = thick[:, :, low]
    return coarse[:, :, first] * (1.0 - share) + coarse[:, :, first + 1] * share


def _shaded(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:
    """A coil's sensitivity: the exponential of a random quadratic, multiplied on the signal above the darkest value.

    With a level of its own, for a patch may lie where the coil is close: all of it is brighter than the brain's median.
    """
    lines = [np.linspace(-1.0, 1.0, n, dtype=np.float32) for n in volume.shape]
    slope, curve = rng.normal(0.0, 0.16 * strength, 3), rng.normal(0.0, 0.12 * strength, 3)
    parts = (np.exp(s * x + c * (x * x - 1 / 3)) for s, c, x in zip(slope, curve, lines, strict=True))
    x, y, z = (part.astype(np.float32) for part in parts)
    level = np.float32(np.exp(rng.normal(0.0, 0.25 * strength)))
    return (volume - LOW) * (level * x[:, None, None] * y[None, :, None] * z[None, None, :]) + LOW


def _slab(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:
    """The first slices lack neighbours that saturate them: up to twice as bright, fading over some slices."""
    depth = np.arange(volume.shape[2], dtype=np.float32)
    depth = depth[::-1] if rng.random() < 0.3 else depth
    start, reach = rng.uniform(0, 0.5) * volume.shape[2], rng.uniform(1.0, 8.0)
    gain = np.exp(rng.uniform(0.0, 0.7) * strength * np.exp(-np.maximum(depth - start, 0) / reach))
    return (volume - LOW) * gain.astype(np.float32) + LOW
