"""The voxels of held-out cases that a calibration is fitted on: their probability, truth, weight and band.

Most voxels of a brain say nothing: they are background that the network is sure of. So each class is drawn from on its
own, and weighted by the share that was drawn: sums over the drawn voxels have the sums over all as their expectation.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Labels, Mask
from adumbra.uncertainty.maps import checked_probability
from adumbra.uncertainty.regional import surrounding

BANDS_MM = (-3.0, 0.0, 3.0, 10.0)  # deep inside, inside the edge, outside the edge, near, far


@dataclass(frozen=True, eq=False)
class Voxels:
    """Voxels of one case or of many, in rows of one length.

    Attributes:
        probability: Predicted, in [0, 1], float64.
        truth: Whether the voxel belongs to the target.
        weight: How many voxels this one stands for, from 0; only the proportions matter to a fit.
        band: See ``bands``; 0 where no bands were given.
        cases: The ids of the cases they come from.

    Raises:
        GridMismatch: The rows are not of one length.
        ImplausibleValues: Probabilities outside [0, 1], weights negative or not numbers, a truth that is no mask.
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
                "voxels", expected="rows of one length", found=f"{[row.shape for row in rows]}", do="give one each"
            )
        probability = checked_probability(self.probability, "probability").astype(np.float64)
        object.__setattr__(self, "probability", probability)
        if self.truth.dtype != bool:
            raise _implausible("truth", "a boolean mask", f"values of type {self.truth.dtype}")
        if not (np.isfinite(self.weight) & (self.weight >= 0)).all():
            raise _implausible("weight", "finite numbers from 0 on", "others")


def voxels_of(
    probability: np.ndarray,
    truth: np.ndarray,
    *,
    case: str,
    within: np.ndarray | None = None,
    bands: np.ndarray | None = None,
    most: int | None = None,
    generator: np.random.Generator | None = None,
) -> Voxels:
    """The voxels of one case, or some of them.

    Args:
        probability: Any shape.
        truth: Of the same shape, bool.
        case: Its id, such as the sha256 of its scans.
        within: Of the same shape: the voxels that count, such as the brain; None is all.
        bands: Of the same shape: see the function ``bands``.
        most: At most half of this many voxels of each class, drawn without replacement; None takes all.
        generator: Draws them; needed with ``most``.

    Raises:
        GridMismatch: The shapes differ.
        ImplausibleValues: See ``Voxels``.
        InputRejected: ``most`` without a generator, or under 2.
    """
    for name, other in (("truth", truth), ("within", within), ("bands", bands)):
        if other is not None and other.shape != probability.shape:
            raise GridMismatch(
                name,
                expected=f"the probability's shape {probability.shape}",
                found=f"{other.shape}",
                do="give its grid",
            )
    here = np.flatnonzero(np.ones(probability.shape, dtype=bool) if within is None else within)
    chosen, weight = here, np.ones(here.size)
    if most is not None:
        chosen, weight = _drawn(here, truth.ravel()[here].astype(bool), most, generator)
    band = np.zeros(chosen.size, dtype=np.int8) if bands is None else bands.ravel()[chosen]
    return Voxels(probability.ravel()[chosen], truth.ravel()[chosen], weight, band, (case,))


def pooled(*parts: Voxels) -> Voxels:
    """The voxels of many cases together.

    Raises:
        MissingInput: There are none.
        InputRejected: A case is there twice.
    """
    if not parts:
        raise MissingInput("voxels", expected="those of at least one case", found="none", do="give held-out cases")
    cases = tuple(case for part in parts for case in part.cases)
    if len(set(cases)) < len(cases):
        twice = next(case for case in cases if cases.count(case) > 1)
        raise InputRejected("voxels", expected="each case once", found=f"{twice} twice", do="pool each case once")
    return Voxels(
        np.concatenate([part.probability for part in parts]),
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.band for part in parts]),
        cases,
    )


def bands(mask: Mask, grid: Grid, *, edges_mm: tuple[float, ...] = BANDS_MM) -> Labels:
    """The band of each voxel by its signed distance from the edge of a mask: 0 below the first edge, and so on.

    The distance is that to the nearest centre of a voxel on the other side, in mm, negative inside the mask. Of an
    empty mask everything is infinitely far outside, of a full one infinitely far inside.

    Raises:
        InputRejected: The edges do not rise.
    """
    refuse_unordered(edges_mm)
    numbers = np.full(mask.shape, len(edges_mm), dtype=np.int8)
    box = surrounding(mask, grid, reach_mm=max(0.0, *edges_mm))
    held = mask[box]
    if held.all():  # full, or empty and then without a box
        numbers[box] = 0
        return numbers
    outside, inside = (ndimage.distance_transform_edt(side, sampling=grid.spacing_mm) for side in (~held, held))
    numbers[box] = np.digitize(outside - inside, edges_mm)
    return numbers


def refuse_unordered(edges_mm: tuple[float, ...]) -> None:
    """Raises InputRejected unless there is an edge at least, and they rise, and are fewer than 100."""
    if not 0 < len(edges_mm) < 100 or not all(low < high for low, high in pairwise(edges_mm)):
        raise InputRejected(
            "edges_mm", expected="distances that rise", found=f"{edges_mm}", do=f"give edges such as {BANDS_MM}"
        )


def _drawn(
    here: np.ndarray, truth: np.ndarray, most: int, generator: np.random.Generator | None
) -> tuple[np.ndarray, np.ndarray]:
    """Indices, and how many voxels each stands for."""
    if generator is None or most < 2:
        raise InputRejected(
            "most", expected="2 voxels or more, and a generator", found=f"{most}, {generator}", do="give both"
        )
    chosen, weights = [], []
    for members in (here[truth], here[~truth]):
        size = min(members.size, most // 2)
        chosen.append(np.sort(generator.choice(members, size, replace=False)))
        weights.append(np.full(size, members.size / max(size, 1)))
    return np.concatenate(chosen), np.concatenate(weights)


def _implausible(where: str, expected: str, found: str) -> ImplausibleValues:
    return ImplausibleValues(where, expected=expected, found=found, do="give what voxels_of() gives")
