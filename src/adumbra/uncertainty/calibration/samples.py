"""Voxels of held-out cases for the fit of a calibration: their probability, truth, weight and distance band.

Most voxels of a brain are uninformative: they are background that the network predicts with certainty. Therefore each
class is sampled on its own and weighted by the inverse of its sampled share. The expectation of a weighted sum over the
sampled voxels is the sum over all voxels.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Labels, Mask
from adumbra.uncertainty.maps import checked_probability
from adumbra.uncertainty.regional import bounding_box

BANDS_MM = (-3.0, 0.0, 3.0, 10.0)  # deep inside, inside near the edge, outside near the edge, near, far


@dataclass(frozen=True, eq=False)
class Voxels:
    """Voxels of one case or of many.

    Attributes:
        probability: (N,), float64, predicted probability in [0, 1].
        truth: (N,), bool, whether the voxel belongs to the target.
        weight: (N,), number of voxels that this one represents, from 0; a fit depends on the proportions only.
        band: (N,), distance band (see ``bands``); 0 where no bands are given.
        cases: Identifiers of the cases that the voxels come from.

    Raises:
        GridMismatch: The lengths differ.
        ImplausibleValues: A probability is outside [0, 1], a weight is negative or not finite, or the truth is not
            boolean.
    """

    probability: np.ndarray
    truth: np.ndarray
    weight: np.ndarray
    band: np.ndarray
    cases: tuple[str, ...]

    def __post_init__(self) -> None:
        rows = (self.probability, self.truth, self.weight, self.band)
        if {row.shape for row in rows} != {(self.probability.size,)}:
            raise GridMismatch(
                "voxels",
                expected="arrays of one length",
                found=f"{[row.shape for row in rows]}",
                do="give one value for each voxel",
            )
        probability = checked_probability(self.probability, "probability").astype(np.float64)
        object.__setattr__(self, "probability", probability)
        if self.truth.dtype != bool:
            raise _implausible("truth", "a boolean mask", f"values of type {self.truth.dtype}")
        if not (np.isfinite(self.weight) & (self.weight >= 0)).all():
            raise _implausible("weight", "finite numbers from 0", "others")


def sample_voxels(
    probability: np.ndarray,
    truth: np.ndarray,
    *,
    case: str,
    within: np.ndarray | None = None,
    bands: np.ndarray | None = None,
    most: int | None = None,
    generator: np.random.Generator | None = None,
) -> Voxels:
    """Voxels of one case, all of them or a random sample.

    Args:
        probability: Predicted probability, any shape.
        truth: True mask, bool, of the same shape.
        case: Identifier of the case, such as the sha256 of its scan.
        within: Mask of the voxels to take, such as the brain, of the same shape; None takes all.
        bands: Distance band of each voxel (see the function ``bands``), of the same shape.
        most: Largest number of voxels. At most half as many of each class are sampled without replacement. None takes
            all voxels.
        generator: Random generator of the sample; required with ``most``.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: See ``Voxels``.
        InputRejected: ``most`` is given without a generator, or is less than 2.
    """
    for name, other in (("truth", truth), ("within", within), ("bands", bands)):
        if other is not None and other.shape != probability.shape:
            raise GridMismatch(
                name,
                expected=f"the probability's shape {probability.shape}",
                found=f"{other.shape}",
                do="resample it onto the same grid",
            )
    candidates = np.flatnonzero(np.ones(probability.shape, dtype=bool) if within is None else within)
    chosen, weight = candidates, np.ones(candidates.size)
    if most is not None:
        chosen, weight = _sample(candidates, truth.ravel()[candidates].astype(bool), most, generator)
    band = np.zeros(chosen.size, dtype=np.int8) if bands is None else bands.ravel()[chosen]
    return Voxels(probability.ravel()[chosen], truth.ravel()[chosen], weight, band, (case,))


def pool_voxels(*parts: Voxels) -> Voxels:
    """Voxels of many cases together.

    Raises:
        MissingInput: There are no voxels.
        InputRejected: A case is given twice.
    """
    if not parts:
        raise MissingInput("voxels", expected="voxels of at least one case", found="none", do="give held-out cases")
    cases = tuple(case for part in parts for case in part.cases)
    if len(set(cases)) < len(cases):
        repeated = next(case for case in cases if cases.count(case) > 1)
        raise InputRejected("voxels", expected="each case once", found=f"{repeated} twice", do="pool each case once")
    return Voxels(
        np.concatenate([part.probability for part in parts]),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.band for part in parts]),
        cases,
    )


def bands(mask: Mask, grid: Grid, *, edges_mm: tuple[float, ...] = BANDS_MM) -> Labels:
    """Distance band of each voxel, by its signed distance from the edge of a mask.

    Band 0 is below the first edge, band 1 between the first and the second, and so on. The distance is that to the
    nearest centre of a voxel on the other side, in mm, negative inside the mask. It is infinite for an empty mask, and
    minus infinity for a mask that fills the grid.

    Args:
        mask: (X, Y, Z), bool.
        grid: Grid of the mask.
        edges_mm: Edges of the bands in mm, increasing.

    Raises:
        InputRejected: The edges do not increase.
    """
    refuse_unordered_edges(edges_mm)
    numbers = np.full(mask.shape, len(edges_mm), dtype=np.int8)
    box = bounding_box(mask, grid, reach_mm=max(0.0, *edges_mm))
    cropped = mask[box]
    if cropped.all():  # the mask fills the grid, or is empty and has an empty box
        numbers[box] = 0
        return numbers
    outside, inside = (ndimage.distance_transform_edt(side, sampling=grid.spacing_mm) for side in (~cropped, cropped))
    numbers[box] = np.digitize(outside - inside, edges_mm)
    return numbers


def refuse_unordered_edges(edges_mm: tuple[float, ...]) -> None:
    """Refuses edges that do not increase.

    Raises:
        InputRejected: The edges do not increase, or their number is not between 1 and 99.
    """
    if not 0 < len(edges_mm) < 100 or not all(low < high for low, high in pairwise(edges_mm)):
        raise InputRejected(
            "edges_mm", expected="increasing distances", found=f"{edges_mm}", do=f"give edges such as {BANDS_MM}"
        )


def _sample(
    candidates: np.ndarray, truth: np.ndarray, most: int, generator: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the sampled voxels, and the number of voxels that each represents."""
    if generator is None or most < 2:
        raise InputRejected(
            "most", expected="2 voxels or more, and a generator", found=f"{most}, {generator}", do="give both"
        )
    chosen, weights = [], []
    for members in (candidates[truth], candidates[~truth]):
        size = min(members.size, most // 2)
        chosen.append(np.sort(generator.choice(members, size, replace=False)))
        weights.append(np.full(size, members.size / max(size, 1)))
    return np.concatenate(chosen), np.concatenate(weights)


def _implausible(where: str, expected: str, actual: str) -> ImplausibleValues:
    return ImplausibleValues(where, expected=expected, found=actual, do="use sample_voxels()")
