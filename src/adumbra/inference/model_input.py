"""A case as a network sees it: channels of the part that holds the brain, and the windows over it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from adumbra.core.case import Case
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.components import dilated
from adumbra.core.types import Mask, Volume
from adumbra.inference.sliding_window import Windows, windows_over

BEYOND_BRAIN_MM = 8.0  # A brain mask may miss a rim of cortex, where emboli lodge.
_MARGIN_MM = 12.0  # What the network saw around the brain in training.
_TOLERANCE = 0.1  # Of the spacing.


@dataclass(frozen=True, eq=False)
class ModelInput:
    """The part of a case that matters, and how to put it back.

    Attributes:
        channels: float32 (C, X, Y, Z), zeros where missing and where the volume had to be padded; behind them what
            guides the network, where something does.
        present: float32 (C,).
        within: (X, Y, Z), the dilated brain.
        windows: Over ``within``.
        box: Where the part lies in the whole.
        padding: Voxels added before and after, along each axis.
        shape: Of the whole.
    """

    channels: np.ndarray
    present: np.ndarray
    within: Mask
    windows: Windows
    box: tuple[slice, ...]
    padding: tuple[tuple[int, int], ...]
    shape: tuple[int, int, int]

    def restored(self, part: np.ndarray) -> Volume:
        """A volume of the part's shape, put into the whole; 0 outside the dilated brain."""
        whole = np.zeros(self.shape, dtype=np.float32)
        inner = tuple(
            slice(before, size - after) for (before, after), size in zip(self.padding, part.shape, strict=True)
        )
        whole[self.box] = np.where(self.within, part, np.float32(0.0))[inner]
        return whole


def model_input(case: Case, config: Any, *, spacing_mm: float, side: int, overlap: float) -> ModelInput:
    """What a network with this config is shown of a case.

    Args:
        case: Normalised, with a brain mask.
        config: Has ``modalities`` and ``guidance_channels``.
        spacing_mm: That the network was trained on.
        side: Of a window, in voxels.
        overlap: Least share of a side that neighbouring windows have in common.

    Raises:
        GridMismatch: The spacing differs by more than 10 %.
        MissingInput: No brain mask, an empty one, or none of the modalities.
    """
    _require_fitting(case, config, spacing_mm)
    within = dilated(case.masks["brain"].data, case.grid, by_mm=BEYOND_BRAIN_MM)
    box, padding = _box(within, int(np.ceil((_MARGIN_MM - BEYOND_BRAIN_MM) / spacing_mm)), side)
    guidance = _doubts(case, config)
    channels = np.zeros((len(config.modalities) + len(guidance), *_padded_shape(box, padding)), dtype=np.float32)
    for channel, doubt in zip(channels[len(config.modalities) :], guidance, strict=True):
        channel[...] = np.pad(doubt[box], padding)
    for channel, modality in zip(channels, config.modalities, strict=False):
        if modality in case.scans:
            channel[...] = np.pad(case.scans[modality].data[box], padding)
    present = np.array([m in case.scans for m in config.modalities], dtype=np.float32)
    seen = np.pad(within[box], padding)
    windows = windows_over(seen, side=side, overlap=overlap)
    return ModelInput(channels, present, seen, windows, box, padding, case.grid.shape)


def _doubts(case: Case, config: Any) -> np.ndarray:
    """What guides the network, (D, X, Y, Z)."""
    if not config.guidance_channels:
        return np.zeros((0, *case.grid.shape), dtype=np.float32)
    guidance = getattr(case, "guidance", None)
    if guidance is None or len(guidance) != config.guidance_channels:
        raise MissingInput(
            case.name,
            expected=f"{config.guidance_channels} maps of doubt",
            found="none" if guidance is None else f"{len(guidance)}",
            do="make the posterior with posterior.registry.posterior_of, which reads the case first",
        )
    return np.asarray(guidance)


def _require_fitting(case: Case, config: Any, spacing_mm: float) -> None:
    if not any(m in case.scans for m in config.modalities):
        wanted, found = ", ".join(config.modalities), ", ".join(case.scans) or "no scans"
        raise MissingInput(case.name, expected=f"one of {wanted}", found=found, do="give one of these sequences")
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
            do="call adumbra.preprocessing.resampling.case_onto with a grid of that spacing",
        )


def _box(within: Mask, margin: int, side: int) -> tuple[tuple[slice, ...], tuple[tuple[int, int], ...]]:
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
