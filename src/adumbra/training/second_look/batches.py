"""Batches of examples: half of them true where there are any, moved, mirrored, and with sequences left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open

from adumbra.fusion.candidates.cubes import with_missing_flow
from adumbra.training.second_look.examples import JITTER, MAP_STEPS


@dataclass(frozen=True)
class ExampleAugmentation:
    """Random changes to an example.

    Attributes:
        flip: Probability of exchanging left and right.
        missing: Probability of leaving out each sequence, except the last one that is available.
        no_mirror: Probability of leaving out the mirror images.
        no_structures: Probability of leaving out arteries, veins and flow.
        gain: Standard deviation of the factor of each image around 1, and of the shift in network units.
        noise: Largest standard deviation of the noise, in network units.
    """

    flip: float = 0.5
    missing: float = 0.15
    no_mirror: float = 0.25
    no_structures: float = 0.1
    gain: float = 0.1
    noise: float = 0.2


@dataclass(frozen=True, eq=False)
class Example:
    """An example as the network sees it.

    Attributes:
        channels: float32 (C, S, S, S).
        present: float32 (modalities,).
        true: Whether it is a clot.
        contour: float32 (S, S, S), the true mask.
    """

    channels: np.ndarray
    present: np.ndarray
    true: bool
    contour: np.ndarray


@dataclass(frozen=True)
class ExampleRef:
    """A cached example.

    Attributes:
        path: Its file.
        index: Its number in the file.
        true: Whether it is a clot.
    """

    path: Path
    index: int
    true: bool


def example_refs(paths: Sequence[Path]) -> tuple[ExampleRef, ...]:
    """All examples of some files."""
    refs = []
    for path in paths:
        with safe_open(path, framework="np") as file:
            refs += [ExampleRef(path, index, bool(true)) for index, true in enumerate(file.get_tensor("true"))]
    return tuple(refs)


def sample_refs(refs: Sequence[ExampleRef], count: int, rng: np.random.Generator) -> list[ExampleRef]:
    """Examples of a batch: half of them true, the others false, where both exist."""
    groups = [group for group in ([r for r in refs if r.true], [r for r in refs if not r.true]) if group]
    return [groups[n % len(groups)][int(rng.integers(len(groups[n % len(groups)])))] for n in range(count)]


def read_example(
    ref: ExampleRef,
    *,
    mirrored: bool,
    rng: np.random.Generator | None = None,
    augmentation: ExampleAugmentation | None = None,
) -> Example:
    """An example, in the middle of its cube without changes, or changed at random.

    Args:
        ref: The cached example.
        mirrored: Whether the network takes mirror images; they are zero where the case has none.
        rng: Source of the random changes; None makes none.
        augmentation: The changes.
    """
    with safe_open(ref.path, framework="np") as file:
        images = file.get_slice("images")[ref.index].astype(np.float32)
        maps = file.get_slice("maps")[ref.index].astype(np.float32) / MAP_STEPS
        contour = file.get_slice("contour")[ref.index].astype(np.float32)
        present = file.get_tensor("present")
    count = len(present)
    images, mirrors = images[:count], images[count:]
    if not mirrored:
        mirrors = images[:0]
    elif not len(mirrors):
        mirrors = np.zeros_like(images)
    parts = [images, mirrors, maps, contour[None]]
    offset = np.full(3, JITTER) if rng is None else rng.integers(0, 2 * JITTER + 1, 3)
    side = contour.shape[0] - 2 * JITTER
    box = (slice(None), *(slice(int(o), int(o) + side) for o in offset))
    parts = [np.ascontiguousarray(part[box]) for part in parts]
    if rng is not None:
        parts, present = _augmented(parts, present, rng, augmentation or ExampleAugmentation())
    images, mirrors, maps, contour = parts
    channels = np.concatenate([images, mirrors, with_missing_flow(maps)])
    return Example(channels, present, ref.true, contour[0])


def _augmented(
    parts: list[np.ndarray], present: np.ndarray, rng: np.random.Generator, options: ExampleAugmentation
) -> tuple[list[np.ndarray], np.ndarray]:
    images, mirrors, maps, contour = parts
    if rng.random() < options.flip:
        images, mirrors, maps, contour = (np.ascontiguousarray(part[:, ::-1]) for part in parts)
    present = present.copy()
    for modality in rng.permutation(np.flatnonzero(present)):
        if rng.random() < options.missing and present.sum() > 1:
            present[modality] = 0.0
    shape = (len(images), 1, 1, 1)
    gain, shift = rng.normal(1.0, options.gain, shape), rng.normal(0.0, options.gain, shape)
    sigma, used = rng.uniform(0.0, options.noise), present.reshape(shape)
    images = used * (images * gain + shift + sigma * rng.standard_normal(images.shape))
    if len(mirrors):
        known = float(mirrors.any() and rng.random() >= options.no_mirror)
        mirrors = known * used * (mirrors * gain + shift + sigma * rng.standard_normal(mirrors.shape))
    if rng.random() < options.no_structures:
        maps[1:] = 0.0
    return [images.astype(np.float32), mirrors.astype(np.float32), maps, contour], present
