"""The interval of a volume ends at the brain: no lesion is larger than the brain that holds it."""

from dataclasses import replace

from adumbra.core.results import Estimate, Findings


def within_brain(interval: Estimate, *, brain_ml: float) -> Estimate:
    """The estimate with its interval limited to 0 and the volume of the brain, in ml."""
    low, high = (min(max(end, 0.0), brain_ml) for end in (interval.low, interval.high))
    return replace(interval, low=low, high=high)


def limited_to_brain(results: Findings, *, brain_ml: float) -> Findings:
    """The findings with the interval of the volume limited to the volume of the brain, and a note where it was.

    Args:
        results: The findings; an upper end at the volume of the brain counts as limited.
        brain_ml: Volume of the brain mask in ml; 0 limits nothing, because there is no brain to compare with.
    """
    volume = results.volume_ml
    notes: list[str] = []
    if brain_ml <= 0.0:
        return results
    if volume.high >= brain_ml:
        notes.append(
            f"The interval was limited to the volume of the brain ({brain_ml:.0f} ml). An interval this wide says "
            "little about the volume."
        )
    if volume.value > brain_ml:
        notes.append(
            f"The volume of the mask ({volume.value:.0f} ml) is larger than that of the brain ({brain_ml:.0f} ml): "
            "the brain mask or the segmentation is wrong."
        )
    if not notes:
        return results
    return replace(results, volume_ml=within_brain(volume, brain_ml=brain_ml), notes=(*results.notes, *notes))
