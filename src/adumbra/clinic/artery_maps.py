"""Maps of how likely a point of MNI152 space lies in an artery, and in which one, for aligning arteries locally.

A named artery contributes exp(−d²/2σ²) at a distance d from its course (``core.atlas.courses``), times a weight: the
square of its lumen over that of M1, for emboli follow the blood. Unnamed branches contribute by the probability that an
artery passes (``core.atlas.vessels``), and are named by its labels. A constant stands for points in no artery.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from adumbra.core.atlas.courses import artery_courses
from adumbra.core.atlas.lumen import lumen_atlas
from adumbra.core.atlas.vessels import SEGMENTS, artery_numbers, vessel_atlas
from adumbra.core.geometry.grid import Grid, nearest_labels

COURSE_MM = 1.5
"""Standard deviation of a point of an artery about its course: the variation between subjects, and the contour."""
LUMEN_POWER = 2.0
"""Power of the lumen by which the named arteries are weighted."""
TWIG_WEIGHT = 0.15
"""Weight of the unnamed branches."""
NOWHERE = 0.003
"""The contribution of points in no artery."""
_SPACING_MM, _REACH_MM = 1.5, 8.0
_TWIGS = " branches"
_BRANCHES_OF_M2 = "M3"


@dataclass(frozen=True, eq=False)
class ArteryMaps:
    """The maps, flat, with one last entry for everything outside.

    Attributes:
        grid: The grid of the maps, axes along those of MNI152.
        log_density: (V + 1,), float32, logarithm of the sum of the contributions.
        artery: (V + 1,), int16, the artery that contributes most, an index of ``names``.
        names: Names with their side; the first one is empty and means no artery.
    """

    grid: Grid
    log_density: np.ndarray
    artery: np.ndarray
    names: tuple[str, ...]

    def index(self, points_mm: np.ndarray) -> np.ndarray:
        """The entry of the maps nearest to each point, (...), for points (..., 3) in MNI152 mm."""
        shape = np.asarray(self.grid.shape)
        voxel = np.rint((points_mm - self.grid.affine[:3, 3]) / self.grid.spacing_mm).astype(np.int32)
        inside = ((voxel >= 0) & (voxel < shape)).all(axis=-1)
        flat = (voxel[..., 0] * shape[1] + voxel[..., 1]) * shape[2] + voxel[..., 2]
        return np.where(inside, flat, len(self.artery) - 1)


@cache
def segment_names() -> tuple[str, ...]:
    """The name that each label of ``core.atlas.vessels.SEGMENTS`` stands for, with its side.

    Unnamed branches have the name of their artery, except those of the M2, which are branches of the M3.
    """
    names = []
    for label, segment in enumerate(SEGMENTS):
        artery = SEGMENTS[artery_numbers()[label]]
        if _TWIGS in segment and artery.startswith("M2"):
            artery = f"{_BRANCHES_OF_M2} {artery.rsplit(' ', 1)[1]}"
        names.append(artery.replace(" perforators", ""))
    return tuple(names)


@cache
def artery_maps() -> ArteryMaps:
    """The maps, computed once per process in less than a second."""
    courses = artery_courses()
    points = np.concatenate([*courses.values()])
    grid = _grid(points.min(axis=0) - _REACH_MM, points.max(axis=0) + _REACH_MM)
    names = tuple(dict.fromkeys(("", *segment_names(), *courses)))
    atlas, places = vessel_atlas(), grid.world_mm(np.argwhere(np.ones(grid.shape, bool))).T
    twigs = TWIG_WEIGHT * nearest_labels(atlas.probability[0], atlas.grid, places)
    number_of = np.array([names.index(name) for name in segment_names()], dtype=np.int16)
    artery = number_of[nearest_labels(atlas.segments, atlas.grid, places)].reshape(grid.shape)
    density = twigs.reshape(grid.shape).astype(np.float32)
    best = np.where(artery > 0, density, 0.0).astype(np.float32)
    for name, course in courses.items():
        box, own = _contribution(course, grid)
        own *= _weights()[name]
        density[box] += own
        own = np.where(own > best[box], own, 0.0)
        artery[box] = np.where(own > 0.0, names.index(name), artery[box])
        best[box] = np.maximum(best[box], own)
    log_density = np.log(np.append(density.ravel(), 0.0) + NOWHERE).astype(np.float32)
    return ArteryMaps(grid, log_density, np.append(artery.ravel(), np.int16(0)), names)


def _grid(low_mm: np.ndarray, high_mm: np.ndarray) -> Grid:
    x, y, z = (int(n) for n in np.ceil((high_mm - low_mm) / _SPACING_MM) + 1)
    affine = np.diag([_SPACING_MM, _SPACING_MM, _SPACING_MM, 1.0])
    affine[:3, 3] = low_mm
    return Grid((x, y, z), affine)


def _contribution(course: np.ndarray, grid: Grid) -> tuple[tuple[slice, ...], np.ndarray]:
    """The box of the grid around a course, and exp(−d²/2σ²) in it."""
    index = grid.index(course)
    margin = _REACH_MM / _SPACING_MM
    first = np.maximum(np.floor(index.min(axis=0) - margin), 0).astype(int)
    last = np.minimum(np.ceil(index.max(axis=0) + margin), np.asarray(grid.shape) - 1).astype(int)
    voxels = np.stack(np.meshgrid(*(np.arange(a, b + 1) for a, b in zip(first, last, strict=True)), indexing="ij"), -1)
    distance = cKDTree(course).query(grid.world_mm(voxels), distance_upper_bound=_REACH_MM)[0]
    return tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True)), np.exp(-0.5 * (distance / COURSE_MM) ** 2)


@cache
def _weights() -> Mapping[str, float]:
    """The weight of each artery, by its name with the side."""
    lumen = lumen_atlas()
    width = {name: lumen[name.removesuffix(" right").removesuffix(" left")].median_mm for name in artery_courses()}
    return {name: float((mm / width["M1 right"]) ** LUMEN_POWER) for name, mm in width.items()}
