"""The contour of a candidate on the grid of the case, and draws that hold each candidate with its probability.

Draw k holds candidate i if frac(u_i + k φ) is below the probability of the candidate, where u_i is uniform and φ is the
golden ratio. The shares of draws so approach the probabilities faster than independent samples do. In a draw that holds
it the candidate has the contour of one network of the second look; the networks take turns. Elsewhere a draw is that
of the first pass, but at most the low threshold of the candidates: what was not accepted is not part of the mask.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from adumbra.core.candidates import MASK_THRESHOLD
from adumbra.core.geometry.components import dilate, touching
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import Box, sub_grid
from adumbra.core.geometry.resampling import resample, within_view
from adumbra.core.types import Mask, Volume
from adumbra.fusion.candidates.examination import Look
from adumbra.fusion.candidates.extraction import Extracted, box_around
from adumbra.fusion.candidates.first_pass import FirstPass

_GOLDEN = (5.0**0.5 - 1.0) / 2.0
_RIM_MM = 2.0  # Distance from a contour within which its probability is used; other parts of the cube are left out.


@dataclass(frozen=True, eq=False)
class CandidateContour:
    """The contour of a candidate on the grid of a case.

    Attributes:
        box: The part of the grid that holds it.
        mask: (X, Y, Z) of the box, the contour.
        shapes: Probability of the contour by each network, of the same shape; 0 away from it.
    """

    box: Box
    mask: Mask
    shapes: tuple[Volume, ...]


def candidate_contour(candidate: Extracted, look: Look, maps: FirstPass) -> CandidateContour:
    """The contour of the second look in its cube, and that of the first pass beyond.

    It is made of the components of the mean contour that share a voxel with the candidate. Where there is none, the
    voxels of the candidate are the contour.

    Args:
        candidate: The candidate.
        look: The second look at it.
        maps: Maps of the first pass.
    """
    box = _box(candidate, look.grid, maps.grid)
    grid = sub_grid(maps.grid, [axis.start for axis in box], [axis.stop - axis.start for axis in box])
    own = np.zeros(grid.shape, dtype=bool)
    own[tuple((candidate.voxels - [axis.start for axis in box]).T)] = True
    in_cube = within_view(look.grid, grid)
    contours = [np.clip(resample(c, look.grid, grid), 0.0, 1.0) for c in look.contours]
    mean = np.mean(contours, axis=0)
    inside = touching((mean >= MASK_THRESHOLD) & in_cube, own)
    first = np.maximum(maps.probability[box], np.float32(MASK_THRESHOLD))
    if inside.any():
        mask = inside | (own & ~in_cube)
        near = dilate(mask, grid, by_mm=_RIM_MM) & in_cube
        shapes = [np.where(near, contour, np.where(mask, first, np.float32(0.0))) for contour in contours]
    else:
        mask, shapes = own, [np.where(own, first, np.float32(0.0))]
    return CandidateContour(box, mask, tuple(shapes))


def _box(candidate: Extracted, cube: Grid, grid: Grid) -> Box:
    """The part of a grid that holds a cube and a candidate."""
    corners = np.round(grid.index(cube.corners_mm())).astype(int)
    corners = np.clip(corners, 0, np.asarray(grid.shape) - 1)
    return box_around(np.concatenate([corners, candidate.voxels]), grid.shape, 1)


def contour_mask(contours: Iterable[CandidateContour], grid: Grid) -> Mask:
    """(X, Y, Z), the union of some contours."""
    mask = np.zeros(grid.shape, dtype=bool)
    for contour in contours:
        mask[contour.box] |= contour.mask
    return mask


def decided_draws(
    draws: Iterable[Volume],
    contours: Sequence[CandidateContour],
    probabilities: Sequence[float],
    *,
    low: float,
    generator: np.random.Generator,
) -> Iterator[Volume]:
    """Draws of a first pass in which each candidate is present with its probability; see the module.

    Args:
        draws: Draws of the first pass.
        contours: Contours of the candidates on the grid of the draws.
        probabilities: Probability of each candidate.
        low: Low threshold of the candidates.
        generator: Source of the uniform numbers.
    """
    starts = generator.random(len(contours))
    for number, draw in enumerate(draws):
        decided = np.minimum(draw, np.float32(low))
        for contour, probability, start in zip(contours, probabilities, starts, strict=True):
            if (start + number * _GOLDEN) % 1.0 < probability:
                part = decided[contour.box]
                np.maximum(part, contour.shapes[number % len(contour.shapes)], out=part)
        yield decided
