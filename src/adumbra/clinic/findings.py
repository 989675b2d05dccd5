"""What the clinician reads: volume and count with their intervals over the draws, doubtful regions, and the caveats."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from adumbra.clinic.uncertain_regions import uncertain_regions
from adumbra.core.errors import InputRejected
from adumbra.core.geometry.components import labelled
from adumbra.core.results import Estimate, Findings, Maps, RegionalUncertainty, VolumeDraws
from adumbra.core.types import Mask

FEW_DRAWS = 10


def findings(
    maps: Maps,
    draws: VolumeDraws,
    *,
    brain: Mask,
    regional: RegionalUncertainty | None = None,
    calibrated_interval: Estimate | None = None,
    level: float = 0.95,
    most: int = 10,
) -> Findings:
    """The findings of one target.

    The values are those of the mask that is written; the intervals are central quantiles over the draws. A mask of mean
    probabilities is no average of the draws' masks, so its volume may lie outside; a note then says so.

    Args:
        maps: Of the target.
        draws: Of the same target and the same draws.
        brain: (X, Y, Z), on the maps' grid.
        regional: How far the draws agree on each part of the mask, where that is to be told.
        calibrated_interval: An interval of the volume that was calibrated, to stand in the place of the draws' own.
        level: Of the central intervals, between 0 and 1.
        most: How many doubtful regions at most.

    Raises:
        InputRejected: The level is not between 0 and 1, or the draws are not those of the maps.
        MissingInput: The brain mask is empty.
        GridMismatch: The brain mask has another shape than the maps.
    """
    _checked(maps, draws, level)
    volume_ml = int(np.count_nonzero(maps.mask)) * maps.grid.voxel_ml
    volume = estimate(volume_ml, draws.volumes_ml, level=level, unit="ml")
    if calibrated_interval is not None:
        volume = replace(calibrated_interval, value=float(volume_ml), by="calibration")
    components = estimate(float(labelled(maps.mask)[1]), draws.components, level=level, unit="lesions")
    regions = uncertain_regions(maps, brain=brain, most=most)
    return Findings(maps.target, volume, components, regions, notes(maps, volume), regional)


def estimate(value: float, draws: Sequence[float | int], *, level: float, unit: str) -> Estimate:
    """A value with the central interval of the draws at a level (linear quantiles)."""
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Estimate(float(value), float(low), float(high), level, unit)


def notes(maps: Maps, volume: Estimate) -> tuple[str, ...]:
    """The sentences that must stand beside the numbers."""
    said = []
    if not maps.mask.any():
        said.append(
            f"No voxel reached the threshold of {max(maps.threshold, maps.high_threshold):.2f} in the analysed region: "
            "this is not a statement that there is no stroke."
        )
        if volume.high > 0.0:
            said.append("Some draws do hold a lesion: look at the doubtful regions.")
    if maps.draws < FEW_DRAWS and volume.by == "draws":
        said.append(
            f"The interval rests on {maps.draws} draw{'s' if maps.draws != 1 else ''} only "
            f"and is too coarse to be read as {volume.level:.0%}."
        )
    margin = maps.grid.voxel_ml / 2.0  # so that rounding says nothing
    if maps.mask.any() and not volume.low - margin <= volume.value <= volume.high + margin:
        said.append(
            f"The outlined volume ({volume.value:.2f} ml) lies outside the interval: "
            "single draws differ in shape from their mean, so read both."
        )
    return tuple(said)


def _checked(maps: Maps, draws: VolumeDraws, level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InputRejected("level", expected="between 0 and 1", found=f"{level}", do="give a level such as 0.95")
    counts = {len(draws.volumes_ml), len(draws.components), maps.draws}
    if draws.target != maps.target or len(counts) != 1 or 0 in counts:
        raise InputRejected(
            "draws",
            expected=f"volumes and counts of the {maps.draws} draws of the {maps.target}",
            found=f"{len(draws.volumes_ml)} volumes and {len(draws.components)} counts of the {draws.target}",
            do="give the two values that summarised() returned together",
        )
