"""Scans as they are shown: a quotient or an angle is noise in the air, and is black there.

The ADC is the logarithm of a quotient of two images, and the phase an angle. Where there is no signal, both are noise
of full range, which looks like snow around the head. Pictures and viewer show them where there is signal. Stored scans
are not changed, and no measure comes from what is shown.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.components import dilate, largest_component
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Mask, Volume

SIGNAL_OF: Mapping[str, Sequence[str]] = {"adc": ("b0", "dwi"), "phase": ("swi",)}
"""Scans whose values are noise of full range where there is no signal, and the scans whose signal they come from."""
_LEAST_SIGNAL = 0.15
"""Share of the bright signal of the brain below which there is too little signal for a quotient or an angle."""
_AROUND_BRAIN_MM = 3.0
"""Margin around the brain that is always shown."""
_CLOSED_MM = 4.0
"""Width of gaps that are shown, such as those of thin bone."""


def without_air(scans: Mapping[str, Volume], brain: Mask | None, grid: Grid) -> dict[str, Volume]:
    """The scans to show: those of ``SIGNAL_OF`` are 0 where there is no signal, and the others are the same objects.

    Args:
        scans: Scans by modality, (X, Y, Z) each.
        brain: The brain on the same grid; None where there is none.
        grid: Grid of the scans.
    """
    shown = dict(scans)
    for name, sources in SIGNAL_OF.items():
        if name in scans:
            own = [scans[source] for source in sources if source in scans]
            others = [volume for other, volume in scans.items() if other not in SIGNAL_OF]
            mask = signal_mask(own or others, brain, grid)
            shown[name] = scans[name] if mask is None else np.where(mask, scans[name], np.float32(0.0))
    return shown


def signal_mask(scans: Sequence[Volume], brain: Mask | None, grid: Grid) -> Mask | None:
    """Where any of some scans has signal, in one piece with the brain; None where nothing shows it.

    Without any scan it is the brain with a margin.

    Args:
        scans: Scans of a signal, (X, Y, Z) each.
        brain: The brain on the same grid; None where there is none.
        grid: Grid of the scans.
    """
    known = brain is not None and bool(brain.any())
    signal = dilate(brain, grid, by_mm=_AROUND_BRAIN_MM) if brain is not None and known else None
    for volume in scans:
        bright = float(np.quantile(volume[brain] if known else volume, 0.9))
        own = ndimage.uniform_filter(np.abs(volume), (3, 3, 1)) > _LEAST_SIGNAL * bright
        signal = own if signal is None else signal | own
    if signal is None or not scans:
        return signal
    steps = max(1, round(_CLOSED_MM / 2.0 / min(grid.spacing_mm[:2])))
    plane = ndimage.generate_binary_structure(2, 1)[..., None]
    edge = ((steps, steps), (steps, steps), (0, 0))
    closed = ndimage.binary_closing(np.pad(signal, edge), plane, iterations=steps)[steps:-steps, steps:-steps]
    whole = largest_component(closed) if closed.any() else closed
    levels = [ndimage.binary_fill_holes(whole[:, :, level]) for level in range(whole.shape[2])]
    return np.stack(levels, axis=2)
