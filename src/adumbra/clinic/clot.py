"""Size and shape of clots over the draws: volume, fragments, length along the path, Feret diameter and width.

One clot may consist of several fragments. Two fragments belong to one clot where the gap between them is at most
``GAP_MM``; groups join transitively. The clots are those of a reference mask, such as the reported one. In a draw, a
component belongs to the clot that most of its voxels meet, else to the nearest one within ``GAP_MM``, else to none: its
volume is then part of ``elsewhere``.

- The length runs along the centre line from the first end to the last one, with the gaps between fragments (Naggara et
  al. 2013 measure the vessel sign so); ``gaps`` is their part of it.
- The largest Feret diameter is that of all fragments together, with voxels as solid boxes.
- The mean width is the diameter of a cylinder with the volume and the length without gaps: 2 √(V / π L).
- The largest width is the diameter of the largest sphere inside, by an anisotropic distance transform. On thick slices
  it is at most the thickness of the slices that the clot spans.

A mask on SWI shows the blooming, which is longer and wider than the clot. In a draw without the clot, the volume and
the number of fragments are 0, and the other numbers are undefined.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import nan

import numpy as np
from scipy.spatial import cKDTree

from adumbra.clinic.distribution import LEVEL, Distribution
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.core.geometry.centre_line import centre_line
from adumbra.core.geometry.components import label_components
from adumbra.core.geometry.diameters import largest_inscribed_mm, max_feret_mm
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations, cites
from adumbra.core.types import Labels, Mask

GAP_MM = 5.0
"""Largest gap between two fragments of one clot. On 20 phantoms with a contour (cohort 97), each clot was one component
and two clots of a case were 54 mm apart or more, so that the limit was not decisive there."""

LARGEST_ML = 20.0
"""Volume in ml above which a mask is no clot and has no length: the lumen of a whole carotid artery holds some 5 ml."""
MOST_FRAGMENTS = 100
"""Largest number of components that may belong to clots."""
MOST_CLOTS = 10
"""Largest number of clots that are described; the others are part of ``elsewhere``."""


@dataclass(frozen=True)
class ClotMeasures:
    """One clot in one mask. All numbers but the first two are undefined (nan) where the mask is empty or is no clot.

    Attributes:
        volume_ml: Volume.
        fragments: Number of 26-connected components.
        length_mm: Length along the centre line from end to end, with the gaps.
        gaps_mm: Length of the gaps between fragments along that line.
        feret_mm: Largest Feret diameter.
        width_mm: Mean width.
        largest_width_mm: Diameter of the largest sphere inside.
    """

    volume_ml: float
    fragments: int
    length_mm: float
    gaps_mm: float
    feret_mm: float
    width_mm: float
    largest_width_mm: float


@cites("Naggara2013", *citations(centre_line, max_feret_mm))
def measure_clot(mask: Mask, grid: Grid) -> ClotMeasures:
    """Size and shape of one clot, whose fragments are all in the mask. Above ``LARGEST_ML`` it has a volume only.

    Args:
        mask: (X, Y, Z).
        grid: Its grid.
    """
    if not mask.any():
        return ClotMeasures(0.0, 0, nan, nan, nan, nan, nan)
    volume = float(np.count_nonzero(mask)) * grid.voxel_ml
    if volume > LARGEST_ML:
        return ClotMeasures(volume, label_components(mask)[1], nan, nan, nan, nan, nan)
    line = centre_line(mask, grid)
    filled = max(line.length_mm - line.bridged_mm, min(grid.spacing_mm))
    return ClotMeasures(
        volume,
        label_components(mask)[1],
        line.length_mm,
        line.bridged_mm,
        max_feret_mm(mask, grid),
        2.0 * float(np.sqrt(1000.0 * volume / (np.pi * filled))),
        largest_inscribed_mm(mask, grid),
    )


def group_fragments(mask: Mask, grid: Grid, *, gap_mm: float = GAP_MM) -> tuple[Labels, int]:
    """Labels the clots of a mask from 1 on, the largest first; fragments with a gap up to a limit are one clot.

    Of more than ``MOST_FRAGMENTS`` components, the smallest belong to no clot: a mask of noise has thousands.

    Args:
        mask: (X, Y, Z).
        grid: Its grid.
        gap_mm: The limit of the gap, the distance of the nearest voxel centres less one voxel (mean spacing).

    Returns:
        int32 labels of the shape of the mask, and the number of clots.
    """
    labels, count = _largest(*label_components(mask))
    points = [grid.world_mm(np.argwhere(labels == number)) for number in range(1, count + 1)]
    reach = gap_mm + float(np.mean(grid.spacing_mm))
    group = np.arange(count)
    for one in range(count):
        tree = cKDTree(points[one])
        for other in range(one + 1, count):
            if group[one] != group[other] and tree.query(points[other])[0].min() <= reach:
                group[group == group[other]] = group[one]
    sizes = np.bincount(group, weights=[len(part) for part in points], minlength=count)
    order = [number for number in np.argsort(-sizes, kind="stable") if sizes[number] > 0]
    rank = np.zeros(count + 1, dtype=np.int32)
    for place, number in enumerate(order, start=1):
        rank[1:][group == number] = place
    return rank[labels], len(order)


def _largest(labels: Labels, count: int) -> tuple[Labels, int]:
    """The largest components, numbered from 1 on in their order; at most ``MOST_FRAGMENTS``."""
    if count <= MOST_FRAGMENTS:
        return labels, count
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    chosen = np.sort(1 + np.argsort(-sizes, kind="stable")[:MOST_FRAGMENTS])
    number = np.zeros(count + 1, dtype=labels.dtype)
    number[chosen] = np.arange(1, MOST_FRAGMENTS + 1)
    return number[labels], MOST_FRAGMENTS


@dataclass(frozen=True)
class ClotDescription:
    """One clot over the draws.

    Attributes:
        reference: The clot in the reference mask.
        volume: Volume in ml.
        fragments: Number of fragments.
        length: Length along the path in mm, with the gaps.
        gaps: Length of the gaps in mm.
        feret: Largest Feret diameter in mm.
        width: Mean width in mm.
        largest_width: Diameter of the largest sphere inside in mm.
    """

    reference: ClotMeasures
    volume: Distribution
    fragments: Distribution
    length: Distribution
    gaps: Distribution
    feret: Distribution
    width: Distribution
    largest_width: Distribution

    @property
    def presence(self) -> float:
        """Share of the draws that contain the clot."""
        return 1.0 - self.volume.probability_below(np.nextafter(0.0, 1.0))

    def as_json(self) -> dict[str, object]:
        """Plain values of all distributions."""
        names = ("volume", "fragments", "length", "gaps", "feret", "width", "largest_width")
        rows: tuple[Distribution, ...] = (
            self.volume, self.fragments, self.length, self.gaps, self.feret, self.width, self.largest_width
        )  # fmt: skip
        return {"presence": self.presence, **{name: row.as_json() for name, row in zip(names, rows, strict=True)}}


@dataclass(frozen=True)
class Clots:
    """The clots of a case over the draws.

    Attributes:
        clots: Each clot, the largest of the reference mask first.
        volume: Volume of all that the mask of a draw holds, in ml.
        elsewhere: The part of it that belongs to no clot of the reference mask, in ml.
    """

    clots: tuple[ClotDescription, ...]
    volume: Distribution
    elsewhere: Distribution

    def as_json(self) -> dict[str, object]:
        """Plain values of all distributions."""
        return {
            "clots": [clot.as_json() for clot in self.clots],
            "volume_ml": self.volume.as_json(),
            "elsewhere_ml": self.elsewhere.as_json(),
        }


class ClotDraws:
    """Measures the clots of a reference mask in each draw; no mask of a draw is kept.

    Args:
        reference: (X, Y, Z), the mask whose clots are described, such as the reported one.
        grid: Grid of the case.
        gap_mm: Largest gap between two fragments of one clot.
    """

    def __init__(self, reference: Mask, grid: Grid, *, gap_mm: float = GAP_MM) -> None:
        check_mask(reference, grid)
        labels, count = group_fragments(reference, grid, gap_mm=gap_mm)
        self.labels, self.count = np.where(labels <= MOST_CLOTS, labels, 0), min(count, MOST_CLOTS)
        self._grid, self._gap = grid, gap_mm
        self._references = [measure_clot(self.labels == number, grid) for number in range(1, self.count + 1)]
        self._rows: list[list[ClotMeasures]] = []
        self._totals: list[tuple[float, float]] = []

    def add(self, mask: Mask) -> list[Mask]:
        """Measures a draw, a mask (X, Y, Z) on the grid of the case, and returns the part of it that is each clot.

        Raises:
            GridMismatch: The mask does not have the shape of the grid.
        """
        parts = self.parts(mask)
        self._rows.append([measure_clot(part, self._grid) for part in parts])
        whole, own = np.count_nonzero(mask), sum(np.count_nonzero(part) for part in parts)
        self._totals.append((whole * self._grid.voxel_ml, (whole - own) * self._grid.voxel_ml))
        return parts

    def parts(self, mask: Mask) -> list[Mask]:
        """The part of a draw that is each clot, without measuring it; each (X, Y, Z).

        Raises:
            GridMismatch: The mask does not have the shape of the grid.
        """
        check_mask(mask, self._grid)
        owner = self._owners(mask)
        return [owner == number for number in range(1, self.count + 1)]

    def _owners(self, mask: Mask) -> Labels:
        """The clot that each voxel of a draw belongs to, (X, Y, Z) int32; 0 for none."""
        if not self.count:
            return np.zeros(mask.shape, dtype=np.int32)
        labels, count = label_components(mask)
        voxels = np.argwhere(labels > 0)
        component, shared = labels[tuple(voxels.T)], self.labels[tuple(voxels.T)]
        owners = np.zeros(count + 1, dtype=np.int32)
        pairs = np.zeros((count + 1, self.count + 1), dtype=np.int64)
        np.add.at(pairs, (component, shared), 1)
        met = np.asarray(pairs[:, 1:].any(axis=1))
        owners[met] = 1 + pairs[met, 1:].argmax(axis=1)
        own = np.argwhere(self.labels > 0)
        apart = voxels[~met[component]]
        if len(apart):
            reach = self._gap + float(np.mean(self._grid.spacing_mm))
            tree = cKDTree(self._grid.world_mm(own))
            distance, nearest = tree.query(self._grid.world_mm(apart), distance_upper_bound=reach * (1.0 + 1e-9))
            order = np.argsort(distance, kind="stable")[::-1]  # the nearest voxel of each component is written last
            reached = order[np.isfinite(distance[order])]
            owners[labels[tuple(apart[reached].T)]] = self.labels[tuple(own[nearest[reached]].T)]
        return owners[labels]

    def description(self, *, level: float = LEVEL) -> Clots:
        """The clots over the draws so far.

        Args:
            level: Level of the central intervals, between 0 and 1.

        Raises:
            MissingInput: There is no draw.
            InputRejected: The level is not between 0 and 1.
        """
        check_draws(len(self._rows), "clot")

        def row(label: str, unit: str, values: Iterable[float]) -> Distribution:
            return Distribution(label, unit, tuple(float(value) for value in values), level)

        clots = []
        for number, reference in enumerate(self._references):
            own = [measures[number] for measures in self._rows]
            clots.append(
                ClotDescription(
                    reference,
                    row("clot", "ml", (m.volume_ml for m in own)),
                    row("fragments", "", (m.fragments for m in own)),
                    row("length", "mm", (m.length_mm for m in own)),
                    row("gaps", "mm", (m.gaps_mm for m in own)),
                    row("largest Feret diameter", "mm", (m.feret_mm for m in own)),
                    row("mean width", "mm", (m.width_mm for m in own)),
                    row("largest width", "mm", (m.largest_width_mm for m in own)),
                )
            )
        return Clots(
            tuple(clots),
            row("all clots", "ml", (whole for whole, _ in self._totals)),
            row("elsewhere", "ml", (part for _, part in self._totals)),
        )


@cites(*citations(measure_clot))
def describe_clots(
    reference: Mask, masks: Iterable[Mask], grid: Grid, *, gap_mm: float = GAP_MM, level: float = LEVEL
) -> Clots:
    """The clots of a reference mask over the draws.

    Args:
        reference: (X, Y, Z), the mask whose clots are described, such as the reported one.
        masks: The mask of each draw, (X, Y, Z) on the grid of the case. Each is used once and released.
        grid: Grid of the case.
        gap_mm: Largest gap between two fragments of one clot.
        level: Level of the central intervals, between 0 and 1.

    Raises:
        MissingInput: There is no draw.
        GridMismatch: A mask does not have the shape of the grid.
        InputRejected: The level is not between 0 and 1.
    """
    draws = ClotDraws(reference, grid, gap_mm=gap_mm)
    for mask in masks:
        draws.add(mask)
    return draws.description(level=level)
