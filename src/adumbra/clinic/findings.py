"""Findings of one target: volume and number of lesions with their intervals, uncertain regions, and notes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from adumbra.clinic.uncertain_regions import LEAST_ML, LEAST_SHARE, uncertain_regions
from adumbra.core.errors import InputRejected
from adumbra.core.geometry.components import label_components
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
    """Findings of one target.

    The values are those of the written mask, and the intervals are central quantiles over the draws. The mask is
    thresholded from the mean probability and is not the average of the draws' masks. Its volume may therefore lie
    outside the interval, and a note then says so.

    Args:
        maps: Maps of the target.
        draws: Volumes of the same draws.
        brain: (X, Y, Z), brain mask on the grid of the maps.
        regional: Agreement of the draws on each component of the mask; None if it is not reported.
        calibrated_interval: Calibrated interval of the volume, which replaces that of the draws; None if there is none.
        level: Level of the central intervals, between 0 and 1.
        most: Largest number of uncertain regions; those that could hardly change the volume are left out.

    Raises:
        InputRejected: The level is not between 0 and 1, or the draws are not those of the maps.
        MissingInput: The brain mask is empty.
        GridMismatch: The brain mask does not have the shape of the maps.
    """
    _check(maps, draws, level)
    volume_ml = int(np.count_nonzero(maps.mask)) * maps.grid.voxel_ml
    volume = estimate(volume_ml, draws.volumes_ml, level=level, unit="ml")
    if calibrated_interval is not None:
        volume = replace(calibrated_interval, value=float(volume_ml), by="calibration")
    components = estimate(float(label_components(maps.mask)[1]), draws.components, level=level, unit="lesions")
    limits = {"least_share": LEAST_SHARE, "least_ml": LEAST_ML[maps.target]}
    regions = uncertain_regions(maps, brain=brain, most=most, **limits)
    return Findings(maps.target, volume, components, regions, notes(maps, volume), regional)


def estimate(value: float, draws: Sequence[float | int], *, level: float, unit: str) -> Estimate:
    """A value with the central interval of the draws at a level, by linear quantiles."""
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Estimate(float(value), float(low), float(high), level, unit)


def notes(maps: Maps, volume: Estimate) -> tuple[str, ...]:
    """Notes that must be read with the numbers."""
    sentences = []
    if not maps.mask.any() and not maps.decided:
        sentences.append(
            f"No voxel reached the threshold of {max(maps.threshold, maps.high_threshold):.2f} in the analysed region: "
            "this is not a statement that there is no stroke."
        )
        if volume.high > 0.0:
            sentences.append("Some draws contain a lesion: see the uncertain regions.")
    if maps.draws < FEW_DRAWS and volume.by == "draws":
        sentences.append(
            f"The interval rests on {maps.draws} draw{'s' if maps.draws != 1 else ''} only "
            f"and is too coarse to be read as {volume.level:.0%}."
        )
    tolerance = maps.grid.voxel_ml / 2.0  # half a voxel is rounding
    if maps.mask.any() and not volume.low - tolerance <= volume.value <= volume.high + tolerance:
        reason = "because single draws differ in shape from their mean"
        if volume.by == "calibration":
            error = "large" if volume.value > volume.high else "small"
            reason = f"because masks of similar held-out cases were too {error}"
        sentences.append(
            f"The volume of the mask ({volume.value:.2f} ml) lies outside the interval, {reason}. Read both."
        )
    return tuple(sentences)


def _check(maps: Maps, draws: VolumeDraws, level: float) -> None:
    if not 0.0 < level < 1.0:
        raise InputRejected("level", expected="between 0 and 1", found=f"{level}", do="give a level such as 0.95")
    counts = {len(draws.volumes_ml), len(draws.components), maps.draws}
    if draws.target != maps.target or len(counts) != 1 or 0 in counts:
        raise InputRejected(
            "draws",
            expected=f"volumes and counts of the {maps.draws} draws of the {maps.target}",
            found=f"{len(draws.volumes_ml)} volumes and {len(draws.components)} counts of the {draws.target}",
            do="give the maps and volumes of one call of summarise()",
        )
