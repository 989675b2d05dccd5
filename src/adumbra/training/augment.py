"""Random augmentation of patches, so that the network learns the anatomy and not the scanner.

It imitates the variation of scanners and positioning: mirrored brains, other contrast, noise, coil shading, thick
slices, missing sequences, skull stripping. NumPy only; a patch takes about 25 ms.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy import ndimage

from adumbra.core.atlas.head_context import ContextInput, flip_signs
from adumbra.core.types import Modality, Volume
from adumbra.training.patches import Patches

LOW, HIGH = -4.0, 12.0  # Preprocessing clips network units to this range.
_OMISSION_RATES = {"dwi": 0.03, "adc": 0.15, "swi": 0.10}  # Of the modalities that are seldom missing.
_USUAL_OMISSION_RATE = 0.4
_UNLIKE = 0.4  # Strength of the shading by which the two sides of a head differ, relative to that of one side.


@dataclass(frozen=True)
class Augmentation:
    """Probability of each change, per patch or per channel.

    Attributes:
        mirror: Probability of a left-right flip.
        flip: Probability of a front-back flip, and of an up-down flip. They are rare, for heads are not acquired so;
            they keep the network from learning positions.
        contrast: Probability that gamma, scale and shift of a channel change.
        noise: Probability of Gaussian noise in a channel.
        smooth: Probability that a channel is smoothed.
        blocky: Probability that a channel looks as if it was acquired with thick slices.
        shading: Probability that a channel is multiplied by a smooth field.
        slab: Probability that the slices at one end of a channel are brighter, as at the end of a stack of slices.
        missing: Factor of the rates at which modalities are omitted.
        strip: Probability that everything outside the brain is set to air, or to 0, the value of unmeasured voxels.
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


def augment(
    patch: Patches,
    rng: np.random.Generator,
    *,
    modalities: tuple[Modality, ...],
    augmentation: Augmentation,
    mirror_rng: np.random.Generator | None = None,
    inputs: Sequence[ContextInput] = (),
) -> Patches:
    """Changes a batch of one patch at random.

    A mirror image is of the same scan: it is flipped, stripped, omitted and changed in contrast and resolution as its
    image is. Its noise and a part of its shading are its own.

    Args:
        patch: The batch.
        rng: Source of all randomness.
        modalities: Modality of each channel.
        augmentation: Probability of each change.
        mirror_rng: Source of what differs between an image and its mirror image; with or without it, the images are
            changed in the same way. A patch with mirror images needs it.
        inputs: Context inputs of the patch. They are flipped with the images; with left and right exchanged, the
            coordinate x changes its sign.
    """
    patch = _flip(patch, rng, augmentation, inputs)
    if rng.random() < augmentation.strip:
        patch = _strip_skull(patch, rng)
    present = _omit_modalities(patch.present[0], rng, modalities, augmentation.missing)
    channels = np.zeros_like(patch.channels[0])
    mirror = None if patch.mirror is None else np.zeros_like(patch.mirror[0])
    for c in np.flatnonzero(present):
        # The absolute value of the ADC is meaningful: it is changed a third as much.
        strength = 0.35 if modalities[c] == "adc" else 1.0
        again = rng if mirror is None else deepcopy(rng)
        channels[c] = _change_channel(patch.channels[0, c], rng, augmentation, strength)
        if patch.mirror is not None and mirror is not None:
            mirror[c] = _change_channel(patch.mirror[0, c], again, augmentation, strength, mirror_rng)
    changed = replace(patch, channels=channels[None], present=present[None])
    return changed if mirror is None else replace(changed, mirror=mirror[None])


def _flip(
    patch: Patches, rng: np.random.Generator, augmentation: Augmentation, inputs: Sequence[ContextInput]
) -> Patches:
    probabilities = (augmentation.mirror, augmentation.flip, augmentation.flip)
    axes = tuple(axis - 3 for axis, p in enumerate(probabilities) if rng.random() < p)
    flipped = (np.flip(a, axes) for a in (patch.channels, patch.labels, patch.weights, patch.brain, patch.guidance))
    channels, labels, weights, brain, guidance = flipped
    result = Patches(channels, patch.present, labels, weights, brain, guidance)
    if patch.context is not None:
        signs = np.array(flip_signs(inputs, flipped=-3 in axes), dtype=np.float32)[:, None, None, None]
        result = replace(result, context=np.flip(patch.context, axes) * signs)
    if patch.mirror is None or patch.mirror_brain is None:
        return result
    mirror, mirror_brain = (np.flip(a, axes) for a in (patch.mirror, patch.mirror_brain))
    return replace(result, mirror=mirror, mirror_brain=mirror_brain)


def _omit_modalities(
    present: np.ndarray, rng: np.random.Generator, modalities: tuple[Modality, ...], factor: float
) -> np.ndarray:
    """``present`` with modalities omitted at random, never all of them."""
    rates = np.array([_OMISSION_RATES.get(m, _USUAL_OMISSION_RATE) for m in modalities]) * factor
    remaining = present * (rng.random(len(rates)) >= rates)
    return (remaining if remaining.any() else present).astype(np.float32)


def _strip_skull(patch: Patches, rng: np.random.Generator) -> Patches:
    """The patch without skull: outside the brain the darkest value of the patch, or 0 in one of three patches."""
    axes = (2, 3, 4)
    air = np.where(rng.random() < 1 / 3, np.float32(0.0), patch.channels.min(axis=axes, keepdims=True))
    air = air.astype(np.float32)
    stripped = replace(patch, channels=np.where(patch.brain > 0, patch.channels, air))
    if patch.mirror is None or patch.mirror_brain is None:
        return stripped
    return replace(stripped, mirror=np.where(patch.mirror_brain > 0, patch.mirror, air))


def _change_channel(
    volume: Volume,
    rng: np.random.Generator,
    augmentation: Augmentation,
    strength: float,
    mirror_rng: np.random.Generator | None = None,
) -> Volume:
    """A changed channel. With ``mirror_rng`` it is a mirror image, which ``rng`` changes as it changed the image."""
    multiply, add_noise = _multiply_bias_field, _add_noise
    if mirror_rng is not None:
        multiply = partial(_multiply_unlike_bias_field, own_rng=mirror_rng)
        add_noise = partial(_add_noise, own_rng=mirror_rng)
    steps: tuple[tuple[float, Callable[[Volume, np.random.Generator, float], Volume]], ...] = (
        (augmentation.shading, multiply),
        (augmentation.slab, _brighten_slab),
        (augmentation.contrast, _change_contrast),
        (augmentation.smooth, _smooth),
        (augmentation.blocky, _thicken_slices),
        (augmentation.noise, add_noise),
    )
    measured = volume != 0  # Exactly 0 marks unmeasured voxels, which stay 0.
    out = volume
    for probability, change in steps:
        if rng.random() < probability:
            out = change(out, rng, strength)
    return np.where(measured, np.clip(out, LOW, HIGH), np.float32(0.0)).astype(np.float32)


def _change_contrast(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:
    gamma = np.exp(rng.uniform(-0.3, 0.3) * strength)
    scale, shift = np.exp(rng.uniform(-0.25, 0.25) * strength), rng.uniform(-0.3, 0.3) * strength
    unit = np.clip((volume - LOW) / (HIGH - LOW), 0.0, 1.0)
    # Gamma about the brain's median (0), so that it bends the bright end and does not move everything.
    middle = -LOW / (HIGH - LOW)
    bent = (unit / middle) ** gamma * middle * (HIGH - LOW) + LOW
    return (bent * scale + shift).astype(np.float32)


def _add_noise(
    volume: Volume, rng: np.random.Generator, strength: float, own_rng: np.random.Generator | None = None
) -> Volume:
    """Noise of ``own_rng``, or else of ``rng``; its strength is of ``rng``."""
    sigma = rng.uniform(0.05, 0.5) * strength
    return volume + (own_rng or rng).standard_normal(volume.shape, dtype=np.float32) * np.float32(sigma)


def _smooth(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:  # noqa: ARG001
    return ndimage.gaussian_filter(volume, rng.uniform(0.3, 0.8), truncate=3.0)


def _thicken_slices(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:  # noqa: ARG001
    """Thick slices along the last axis, interpolated back to the grid."""
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


def _multiply_bias_field(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:
    """Multiplies the signal above the darkest value by a coil sensitivity, the exponential of a random quadratic.

    The field has a random level of its own, for a patch may lie close to the coil, where all of it is brighter than the
    brain's median.
    """
    lines = [np.linspace(-1.0, 1.0, n, dtype=np.float32) for n in volume.shape]
    slope, curve = rng.normal(0.0, 0.16 * strength, 3), rng.normal(0.0, 0.12 * strength, 3)
    parts = (np.exp(s * x + c * (x * x - 1 / 3)) for s, c, x in zip(slope, curve, lines, strict=True))
    x, y, z = (part.astype(np.float32) for part in parts)
    level = np.float32(np.exp(rng.normal(0.0, 0.25 * strength)))
    return (volume - LOW) * (level * x[:, None, None] * y[None, :, None] * z[None, None, :]) + LOW


def _multiply_unlike_bias_field(
    volume: Volume, rng: np.random.Generator, strength: float, own_rng: np.random.Generator
) -> Volume:
    """The field of the image, and a weaker one of the other side's own: coils are nearly symmetric, but not quite."""
    return _multiply_bias_field(_multiply_bias_field(volume, rng, strength), own_rng, _UNLIKE * strength)


def _brighten_slab(volume: Volume, rng: np.random.Generator, strength: float) -> Volume:
    """Brightens the first slices, which lack neighbours that saturate them: up to twofold, fading over some slices."""
    depth = np.arange(volume.shape[2], dtype=np.float32)
    depth = depth[::-1] if rng.random() < 0.3 else depth
    start, reach = rng.uniform(0, 0.5) * volume.shape[2], rng.uniform(1.0, 8.0)
    gain = np.exp(rng.uniform(0.0, 0.7) * strength * np.exp(-np.maximum(depth - start, 0) / reach))
    return (volume - LOW) * gain.astype(np.float32) + LOW
