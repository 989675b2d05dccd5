"""The part of the clinical summary that is about the thrombus: size, artery and vessel sign of each clot."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from adumbra.clinic.bright_vessels import bright_vessels
from adumbra.clinic.clot import LARGEST_ML, ClotDraws, Clots
from adumbra.clinic.clot_artery import ArteryDraws, ClotArtery, without_side
from adumbra.clinic.vessel_sign import SignImages, vessel_sign
from adumbra.clinical_summary.place import PlacedCase
from adumbra.core.atlas.lumen import lumen_atlas
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.results import Prediction
from adumbra.core.types import Mask

MARGIN_MM = 30.0
"""Margin around all draws within which a clot and its surroundings are measured."""
Window = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class ThrombusPart:
    """What the summary says of the thrombus.

    Attributes:
        plain: Plain values.
        visible: Whether each draw contains a clot, (N,) bool.
        arteries: The artery of each clot of the segmentation, the largest clot first; None where it is not known.
        clots: Size of each clot; None where the segmentation is empty.
        largest: The largest clot in each draw; empty masks where the segmentation is empty, and None where it is larger
            than any clot.
    """

    plain: dict[str, Any]
    visible: np.ndarray
    arteries: tuple[ClotArtery | None, ...] = ()
    clots: Clots | None = None
    largest: MaskDraws | None = None

    @property
    def site(self) -> str | None:
        """The site of the largest clot for the rules; None where it is uncertain or there is no clot."""
        return self.arteries[0].site if self.arteries and self.arteries[0] is not None else None


def thrombus_part(prediction: Prediction, place: PlacedCase) -> ThrombusPart:
    """What the summary says of a predicted thrombus, from the masks of its draws.

    Args:
        prediction: The prediction, with the masks of its draws.
        place: The place and the reflection of the same case.
    """
    draws, maps = prediction.mask_draws, prediction.maps
    assert draws is not None
    visible = np.array([bool(mask.any()) for mask in draws])
    plain: dict[str, Any] = {
        "visible": bool(maps.mask.any()),
        "probability_visible": float(visible.mean()),
        "notes": list(place.notes),
    }
    if not maps.mask.any():
        nothing = MaskDraws.of([np.zeros(maps.grid.shape, dtype=bool)])
        return ThrombusPart({**plain, "clots": []}, visible, largest=nothing)
    window, grid = window_around(chain([maps.mask], draws), maps.grid)
    measured = ClotDraws(_cut(maps.mask, window), grid)
    parts = [measured.add(_cut(mask, window)) for mask in draws]
    clots = measured.description()
    rows, arteries = [], []
    for number, clot in enumerate(clots.clots):
        own = [part[number] for part in parts]
        is_clot = max((clot.reference.volume_ml, *clot.volume.draws)) <= LARGEST_ML
        artery = _artery(own, grid, place) if is_clot else None
        arteries.append(artery)
        row: dict[str, Any] = {**clot.as_json(), "reported_ml": clot.reference.volume_ml}
        row["reported_length_mm"] = clot.reference.length_mm
        row["artery"] = None if artery is None else artery.as_json()
        row["vessel_sign"] = _sign(own, grid, place, window, artery) if is_clot else None
        if not is_clot:
            plain["notes"].append(
                f"Clot {number + 1} is larger than {LARGEST_ML:g} ml, which no clot is: not measured."
            )
        rows.append(row)
    totals = {"volume_ml": clots.volume.as_json(), "elsewhere_ml": clots.elsewhere.as_json()}
    first = clots.clots[0]
    largest = None
    if max((first.reference.volume_ml, *first.volume.draws)) <= LARGEST_ML:
        largest = MaskDraws.of(_whole(part[0], window, maps.grid) for part in parts)
    return ThrombusPart({**plain, **totals, "clots": rows}, visible, tuple(arteries), clots, largest)


def window_around(masks: Iterable[Mask], grid: Grid, *, margin_mm: float = MARGIN_MM) -> tuple[Window, Grid]:
    """The smallest window with all masks and a margin, and its grid. It spares work on a large empty volume.

    Args:
        masks: (X, Y, Z) each; at least one voxel in one of them.
        grid: Their grid.
        margin_mm: The margin.
    """
    whole = np.zeros(grid.shape, dtype=bool)
    for mask in masks:
        whole |= mask
    slices = []
    for axis in range(3):
        occupied = np.flatnonzero(whole.any(axis=tuple(other for other in range(3) if other != axis)))
        margin = int(np.ceil(margin_mm / grid.spacing_mm[axis]))
        slices.append(slice(max(0, int(occupied[0]) - margin), min(grid.shape[axis], int(occupied[-1]) + margin + 1)))
    first = [part.start for part in slices]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.world_mm(first)
    x, y, z = (part.stop - part.start for part in slices)
    return (slices[0], slices[1], slices[2]), Grid((x, y, z), affine)


def artery_draws(masks: list[Mask], grid: Grid, place: PlacedCase) -> ArteryDraws | None:
    """The artery of one clot, with the bright vessels of TOF near it; None where the head could not be placed.

    Args:
        masks: The clot in each draw, (X, Y, Z).
        grid: Grid of the masks, that of the case or a part of it.
        place: The place of the case.
    """
    if place.deformation is None:
        return None
    inside, vessels = [mask for mask in masks if mask.any()], None
    if inside and "tof" in place.case.scans and "brain" in place.case.masks:
        centre = np.mean([grid.world_mm(np.argwhere(mask)).mean(axis=0) for mask in inside], axis=0)
        case = place.case
        vessels = bright_vessels(case.scans["tof"].data, case.grid, case.masks["brain"].data, centre)
    draws = ArteryDraws(place.deformation, grid, vessels)
    for mask in inside:
        draws.add(mask)
    return draws


def _artery(masks: list[Mask], grid: Grid, place: PlacedCase) -> ClotArtery | None:
    draws = artery_draws(masks, grid, place)
    if draws is None:
        return None
    try:
        return draws.artery()
    except MissingInput:  # the clot of the segmentation is in no draw
        return None


def _sign(
    masks: list[Mask], grid: Grid, place: PlacedCase, window: Window, artery: ClotArtery | None
) -> dict[str, object] | None:
    """The vessel sign of one clot; None without SWI, or where no draw contains the clot."""
    case = place.case
    inside = [mask for mask in masks if mask.any()]
    if "swi" not in case.scans or not inside:
        return None
    lumen = lumen_atlas().get(without_side(artery.best)) if artery is not None and artery.is_sure else None
    tof = _cut(case.scans["tof"].data, window) if "tof" in case.scans else None
    images = SignImages(_cut(case.scans["swi"].data, window), grid, tof, case.reflection)
    return vessel_sign(inside, images, lumen=lumen).as_json()


def _whole(mask: np.ndarray, window: Window, grid: Grid) -> np.ndarray:
    """A mask of a window on the whole grid."""
    whole = np.zeros(grid.shape, dtype=bool)
    whole[window] = mask
    return whole


def _cut(volume: np.ndarray, window: Window) -> np.ndarray:
    return np.ascontiguousarray(volume[window])
