"""The input of a network for one case: channels of the part that holds the brain, and the windows over it."""

from dataclasses import dataclass

import numpy as np

from adumbra.core.atlas.context_channels import context_channels
from adumbra.core.case import BRAIN_WITH_MARGIN, REQUESTED, Case
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.components import dilate
from adumbra.core.geometry.reflection import index_reflection, mirror_channels, sub_grid
from adumbra.core.types import Channels, Mask, Volume
from adumbra.inference.protocols import NetworkConfig
from adumbra.inference.sliding_window import Windows, windows_over

BEYOND_BRAIN_MM = 8.0
"""Margin around the brain that is segmented: a brain mask may miss a rim of cortex, where emboli lodge."""
_MARGIN_MM = 12.0  # Margin around the brain that the networks saw in training.
_TOLERANCE = 0.1  # Relative tolerance of the spacing.


@dataclass(frozen=True, eq=False)
class ModelInput:
    """The part of a case that a network sees, and where it lies in the whole.

    Attributes:
        channels: float32 (C, X, Y, Z), zeros where a modality is missing and in the padding; behind the modalities
            their images of the other side of the head, the context inputs and the guidance maps, for a network that
            takes them.
        present: float32 (C,), 1 where a modality is available.
        within: (X, Y, Z), the dilated brain.
        windows: Windows over ``within``.
        box: Slices of the part in the whole.
        padding: Voxels added before and after, along each axis.
        shape: Shape of the whole.
    """

    channels: np.ndarray
    present: np.ndarray
    within: Mask
    windows: Windows
    box: tuple[slice, ...]
    padding: tuple[tuple[int, int], ...]
    shape: tuple[int, int, int]

    def restore(self, part: np.ndarray) -> Volume:
        """A volume of the part's shape, placed in the whole; 0 outside the dilated brain."""
        whole = np.zeros(self.shape, dtype=np.float32)
        inner = tuple(
            slice(before, size - after) for (before, after), size in zip(self.padding, part.shape, strict=True)
        )
        whole[self.box] = np.where(self.within, part, np.float32(0.0))[inner]
        return whole


def model_input(
    case: Case,
    config: NetworkConfig,
    *,
    spacing_mm: float,
    side: int,
    overlap: float,
    guidance: Channels | None = None,
) -> ModelInput:
    """The input of a network for a case.

    Args:
        case: Normalised, with a brain mask. With a mask ``core.case.REQUESTED``, only the windows that its voxels need
            are read, and the probability elsewhere is undefined.
        config: Architecture of the network.
        spacing_mm: Spacing that the network was trained on.
        side: Side of a window, in voxels.
        overlap: Least share of a side that neighbouring windows have in common.
        guidance: Guidance maps (D, X, Y, Z) on the case's grid; D is ``config.guidance_channels``.

    Raises:
        GridMismatch: The spacing differs by more than 10 %.
        MissingInput: No brain mask, an empty one, none of the modalities, no reflection for a network that takes mirror
            images, no place in MNI152 space for one that takes context inputs, or no guidance for a guided network.
    """
    _require_usable(case, config, spacing_mm)
    within = brain_with_margin(case)
    box, padding = bounding_box(within, margin_voxels(spacing_mm), side)
    maps = _guidance_maps(case, config, guidance)
    channels = np.zeros((config.image_channels + len(maps), *_padded_shape(box, padding)), dtype=np.float32)
    for channel, volume in zip(channels[config.image_channels :], maps, strict=True):
        channel[...] = np.pad(volume[box], padding)
    for channel, modality in zip(channels, config.modalities, strict=False):
        if modality in case.scans:
            channel[...] = np.pad(case.scans[modality].data[box], padding)
    count = len(config.modalities)
    if config.mirrored:
        images, mirrors = channels[: 2 * count].reshape(2, count, *channels.shape[1:])
        mirrors[...] = _mirror_images(case, config, images, box, padding)
    if config.context:
        first = count * (2 if config.mirrored else 1)
        channels[first : first + config.context_channels] = _context_inputs(case, config, box, padding)
    present = np.array([m in case.scans for m in config.modalities], dtype=np.float32)
    part = np.pad(within[box], padding)
    windows = windows_over(part, side=side, overlap=overlap)
    if REQUESTED in case.masks:
        windows = windows.restricted(np.pad(case.masks[REQUESTED].data[box], padding))
    return ModelInput(channels, present, part, windows, box, padding, case.grid.shape)


def brain_with_margin(case: Case) -> Mask:
    """The voxels that are segmented: the brain and ``BEYOND_BRAIN_MM`` around it."""
    if BRAIN_WITH_MARGIN in case.masks:
        return case.masks[BRAIN_WITH_MARGIN].data
    return dilate(case.masks["brain"].data, case.grid, by_mm=BEYOND_BRAIN_MM)


def _mirror_images(
    case: Case,
    config: NetworkConfig,
    images: Channels,
    box: tuple[slice, ...],
    padding: tuple[tuple[int, int], ...],
) -> np.ndarray:
    """The images of the other side, as ``training.mirror`` computes them from a cached case."""
    if case.mirrors:
        nothing = np.zeros(case.grid.shape, dtype=np.float32)
        scans = (case.mirrors[m].data if m in case.mirrors else nothing for m in config.modalities)
        return np.stack([np.pad(scan[box], padding) for scan in scans])
    if case.reflection is None:
        raise MissingInput(
            case.name,
            expected="a reflection, for a network that takes mirror images",
            found="none",
            do="call adumbra.preprocessing.pipeline.align_case with mirrored=True",
        )
    low = [part.start - before for part, (before, _) in zip(box, padding, strict=True)]
    return mirror_channels(images, index_reflection(case.reflection, sub_grid(case.grid, low, images.shape[1:])))


def _context_inputs(
    case: Case, config: NetworkConfig, box: tuple[slice, ...], padding: tuple[tuple[int, int], ...]
) -> np.ndarray:
    """The context inputs of the padded part, as ``training.context`` computes them for a cached case."""
    if case.context is None:
        raise MissingInput(
            case.name,
            expected=f"a place in MNI152 space, for a network that takes {' and '.join(config.context)}",
            found="none",
            do="call adumbra.preprocessing.pipeline.align_case with in_atlas=True",
        )
    low = [part.start - before for part, (before, _) in zip(box, padding, strict=True)]
    grid = sub_grid(case.grid, low, _padded_shape(box, padding))
    return context_channels(case.context, config.context, grid.affine, grid.shape)


def _guidance_maps(case: Case, config: NetworkConfig, guidance: Channels | None) -> np.ndarray:
    """The guidance maps that the network takes, (D, X, Y, Z)."""
    if not config.guidance_channels:
        return np.zeros((0, *case.grid.shape), dtype=np.float32)
    if guidance is None or len(guidance) != config.guidance_channels:
        raise MissingInput(
            case.name,
            expected=f"{config.guidance_channels} guidance maps",
            found="none" if guidance is None else f"{len(guidance)}",
            do="make the posterior with posterior.registry.posterior_of, which computes them in a first pass",
        )
    return guidance


def _require_usable(case: Case, config: NetworkConfig, spacing_mm: float) -> None:
    if not any(m in case.scans for m in config.modalities):
        wanted, available = ", ".join(config.modalities), ", ".join(case.scans) or "no scans"
        raise MissingInput(case.name, expected=f"one of {wanted}", found=available, do="give one of these sequences")
    if "brain" not in case.masks or not case.masks["brain"].data.any():
        raise MissingInput(
            case.name,
            expected="a brain mask",
            found="none, or an empty one",
            do="call adumbra.preprocessing.alignment.align first",
        )
    if np.abs(np.asarray(case.grid.spacing_mm) / spacing_mm - 1.0).max() > _TOLERANCE:
        spacing = " × ".join(f"{s:.3g}" for s in case.grid.spacing_mm)
        raise GridMismatch(
            case.name,
            expected=f"voxels of {spacing_mm:g} mm, as the network was trained on",
            found=f"{spacing} mm",
            do="call adumbra.preprocessing.resampling.resample_case with a grid of that spacing",
        )


def margin_voxels(spacing_mm: float) -> int:
    """Voxels around the dilated brain that a network sees."""
    return int(np.ceil((_MARGIN_MM - BEYOND_BRAIN_MM) / spacing_mm))


def bounding_box(within: Mask, margin: int, side: int) -> tuple[tuple[slice, ...], tuple[tuple[int, int], ...]]:
    """The bounding box with its margin, and the zeros that bring each axis to ``side``."""
    box, padding = [], []
    for axis, size in enumerate(within.shape):
        index = np.flatnonzero(within.any(axis=tuple(a for a in range(3) if a != axis)))
        low, high = max(int(index[0]) - margin, 0), min(int(index[-1]) + 1 + margin, size)
        short = max(0, side - (high - low))
        box.append(slice(low, high))
        padding.append((short // 2, short - short // 2))
    return tuple(box), tuple(padding)


def _padded_shape(box: tuple[slice, ...], padding: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
    return tuple(s.stop - s.start + before + after for s, (before, after) in zip(box, padding, strict=True))
