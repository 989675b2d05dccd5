"""Cross-sections of a volume along a line, and the width of what is dark or bright in the middle of each.

The width is that of a circle with the area in which the signal is beyond the half level between the extreme and the
surroundings (full width at half maximum). The area is the part around the extreme; nothing is fitted.
"""

from dataclasses import dataclass
from math import nan

import numpy as np
from scipy import ndimage

from adumbra.core.geometry.centre_line import CentreLine
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Volume

STEP_MM = 0.5
"""Spacing of the points of a cross-section."""
REACH_MM = 8.0
"""Radius of a cross-section; its outer quarter is the surroundings."""
_SURROUNDINGS = 0.75  # Of the radius.


@dataclass(frozen=True)
class Section:
    """What is in the middle of one cross-section. All are nan where the section leaves the volume.

    Attributes:
        width_mm: Diameter of a circle of the same area; nan where the area reaches the surroundings, or the section
            leaves the volume.
        contrast: Difference of the extreme and the surroundings over the surroundings; never negative.
        layering: Mean signal of the core minus that of the rim, over the surroundings: positive where the rim is
            darker. The core reaches to 0.35 of the radius, the rim from 0.5 to 0.9.
    """

    width_mm: float
    contrast: float
    layering: float


UNDEFINED = Section(nan, nan, nan)
"""A cross-section that leaves the volume."""


def cross_sections(
    volume: Volume, grid: Grid, line: CentreLine, *, bright: bool = False, search_mm: float = 2.0
) -> tuple[Section, ...]:
    """The cross-section at each point of a line, perpendicular to it.

    Args:
        volume: (X, Y, Z), on any positive scale.
        grid: Its grid.
        line: The line, of at least two points.
        bright: Whether what is bright is measured; otherwise what is dark.
        search_mm: Distance from the line within which the extreme is sought.
    """
    count = int(REACH_MM / STEP_MM)
    across = np.arange(-count, count + 1) * STEP_MM
    first, second = np.meshgrid(across, across, indexing="ij")
    radius = np.hypot(first, second)
    sections = []
    for point, tangent in zip(line.points_mm, line.tangents, strict=True):
        u, v = _across(tangent)
        places = point + first[..., None] * u + second[..., None] * v
        index = np.moveaxis(grid.index(places), -1, 0)
        values = ndimage.map_coordinates(volume.astype(np.float32, copy=False), index, order=1, cval=np.nan)
        sections.append(_section(-values if bright else values, radius, search_mm))
    return tuple(sections)


def _section(values: np.ndarray, radius: np.ndarray, search_mm: float) -> Section:
    """The dark part of one cross-section; bright parts are given with the opposite sign."""
    outer = values[(radius >= _SURROUNDINGS * REACH_MM) & (radius <= REACH_MM)]
    if np.isnan(values[radius <= REACH_MM]).any():
        return UNDEFINED
    around = float(np.median(outer))
    centre = np.where(radius <= search_mm, values, np.inf)
    lowest = np.unravel_index(int(centre.argmin()), centre.shape)
    extreme = float(values[lowest])
    scale = max(abs(around), 1e-12)
    if extreme >= around:
        return Section(0.0, 0.0, nan)
    labels, _ = ndimage.label(values < (around + extreme) / 2.0)
    area = labels == labels[lowest]
    contrast = (around - extreme) / scale
    if area[radius >= _SURROUNDINGS * REACH_MM].any():
        return Section(nan, contrast, nan)
    width = 2.0 * float(np.sqrt(np.count_nonzero(area) * STEP_MM**2 / np.pi))
    return Section(width, contrast, _layering(values, area, width / 2.0) / scale)


def _layering(values: np.ndarray, area: np.ndarray, radius_mm: float) -> float:
    middle = np.argwhere(area).mean(axis=0)
    distance = np.linalg.norm(np.moveaxis(np.indices(area.shape), 0, -1) - middle, axis=-1) * STEP_MM / radius_mm
    core, rim = distance <= 0.35, (distance >= 0.5) & (distance <= 0.9)
    return float(values[core].mean() - values[rim].mean()) if core.any() and rim.any() else nan


def _across(tangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors that are perpendicular to a direction and to each other."""
    axis = np.eye(3)[int(np.abs(tangent).argmin())]
    u = np.cross(tangent, axis)
    u /= np.linalg.norm(u)
    return u, np.cross(tangent, u)
