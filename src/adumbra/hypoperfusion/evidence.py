"""The evidence of a case from its predictions: everything that the estimate of hypoperfusion uses."""

from dataclasses import dataclass
from math import exp, isnan, log

import numpy as np

from adumbra.clinic.cues.flow import distal_flow
from adumbra.clinic.cues.images import CueImages
from adumbra.clinic.flair_mismatch import MirroredFlair
from adumbra.clinical_summary.place import PlacedCase
from adumbra.core.atlas.coarse_grid import ATLAS_GRID, SPACING_MM
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.geometry.grid import Grid
from adumbra.core.perfusion_evidence import Evidence
from adumbra.core.results import Prediction
from adumbra.core.types import Mask, Volume

_OFFSETS_MM = (-SPACING_MM / 3, 0.0, SPACING_MM / 3)  # 27 places in each voxel of the atlas grid
_LEAST_CLOT = 0.5  # a probability up to it, which dozens of voxels along vessels have, says nothing
_LEAST_CORE_VOXELS = 30
_LOG_HOURS = (0.31, 3.31, 2.02)  # constant, factor of the ADC, factor of the logarithm of the FLAIR signal
FLUID_ADC = 1.8
"""ADC in 10⁻³ mm²/s from which a voxel is fluid, and not tissue that can be hypoperfused."""


@dataclass(frozen=True, eq=False)
class AtlasSampler:
    """The voxels of a grid in each voxel of the atlas grid.

    Attributes:
        flat: (27, M), index of the raveled grid for each place in each atlas voxel; 0 where it lies outside.
        inside: (27, M), whether the place lies in the grid.
    """

    flat: np.ndarray
    inside: np.ndarray

    @classmethod
    def of(cls, deformation: Deformation, grid: Grid) -> "AtlasSampler":
        """The sampler of a grid of the subject.

        Args:
            deformation: Subject mm to MNI152 mm.
            grid: The grid.
        """
        centres = ATLAS_GRID.world_mm(np.argwhere(np.ones(ATLAS_GRID.shape, dtype=bool)))
        # The map is smooth: places within a voxel follow from its centre by the affine part.
        subject, linear = deformation.inverse(centres.T).T, np.linalg.inv(deformation.affine[:3, :3])
        shifts = np.stack(np.meshgrid(*[_OFFSETS_MM] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ linear.T
        flat, inside = [], []
        for shift in shifts:
            index = np.rint(grid.index(subject + shift)).astype(np.intp)
            within = ((index >= 0) & (index < grid.shape)).all(axis=1)
            flat.append(
                np.where(within, np.ravel_multi_index(tuple(np.where(within[:, None], index, 0).T), grid.shape), 0)
            )
            inside.append(within)
        return cls(np.stack(flat).astype(np.int32), np.stack(inside))

    def mean(self, volume: Volume | Mask) -> np.ndarray:
        """The mean of a volume in each atlas voxel, float32 (X, Y, Z); places outside count as 0."""
        values = volume.ravel()[self.flat].astype(np.float32) * self.inside
        return np.asarray(values.mean(axis=0), dtype=np.float32).reshape(ATLAS_GRID.shape)


def clot_map(probability: Volume, grid: Grid, deformation: Deformation) -> np.ndarray:
    """How far the largest probability of a clot exceeds one half, in each voxel of the atlas grid.

    Args:
        probability: (X, Y, Z), the probability of a clot.
        grid: Its grid.
        deformation: Subject mm to MNI152 mm.

    Returns:
        float32 (X, Y, Z): 0 for a probability up to one half, and 1 for a certain clot.
    """
    out = np.zeros(ATLAS_GRID.shape, np.float32)
    voxels = np.argwhere(probability > _LEAST_CLOT)
    if len(voxels):
        index = np.rint(ATLAS_GRID.index(deformation(grid.world_mm(voxels).T).T)).astype(np.intp)
        within = ((index >= 0) & (index < ATLAS_GRID.shape)).all(axis=1)
        excess = (probability[tuple(voxels[within].T)] - _LEAST_CLOT) / (1.0 - _LEAST_CLOT)
        np.maximum.at(out, tuple(index[within].T), excess.astype(np.float32))
    return out


def flow_asymmetry(images: CueImages) -> np.ndarray:
    """The asymmetry of distal flow in each of ``FLOW_TERRITORIES``, (3,); nan where it is not measured."""
    return np.array([row.asymmetry for row in distal_flow(images).comparisons] or [np.nan] * 3)


def age_signs(prediction: Prediction, place: PlacedCase) -> tuple[float, float]:
    """ADC in the lesion over that of other tissue, and its relative FLAIR signal; nan where they cannot be said.

    Args:
        prediction: The prediction of the lesion.
        place: The place of its case.
    """
    core, case = prediction.maps.mask, place.case
    if np.count_nonzero(core) < _LEAST_CORE_VOXELS or place.deformation is None:
        return float("nan"), float("nan")
    adc = float("nan")
    if "adc" in case.scans:
        values = case.scans["adc"].data
        other = case.masks["brain"].data & (prediction.maps.probability < 0.1) & (values > 0) & (values < FLUID_ADC)
        if other.any():
            adc = float(np.median(values[core]) / np.median(values[other]))
    mirrored = MirroredFlair.of(CueImages.of(case, place.deformation))
    return adc, float("nan") if mirrored is None else mirrored.relative_signal(core)


def evidence(
    lesion: tuple[Prediction, PlacedCase],
    thrombus: tuple[Prediction, PlacedCase] | None = None,
    *,
    onset_h: float | None = None,
) -> tuple[Evidence, AtlasSampler]:
    """The evidence of a case, with the sampler of the lesion's grid.

    Args:
        lesion: The prediction of the lesion, and the place of its case, which must be known.
        thrombus: The same of the thrombus; None where no clot was sought, or its head could not be placed.
        onset_h: Hours since onset; None where unknown.
    """
    prediction, place = lesion
    assert place.deformation is not None
    sampler = AtlasSampler.of(place.deformation, prediction.maps.grid)
    clot = flow = None
    if thrombus is not None and (where := thrombus[1].deformation) is not None:
        clot = clot_map(thrombus[0].maps.probability, thrombus[0].maps.grid, where)
        if "tof" in thrombus[1].case.scans:
            flow = flow_asymmetry(CueImages.of(thrombus[1].case, where))
    hours = onset_h if onset_h is not None else estimated_hours(*age_signs(prediction, place))
    in_view = sampler.mean(place.case.masks["brain"].data)
    own = Evidence(
        in_view,
        sampler.mean(prediction.maps.probability),
        clot,
        flow,
        None if isnan(hours) or hours <= 0 else log(hours),
        onset_h is not None,
    )
    return own, sampler


def estimated_hours(adc: float, flair: float) -> float:
    """Hours since onset by the relative ADC and FLAIR signal of the lesion; nan where either is missing.

    The logarithm of the hours is linear in the ADC and in the logarithm of the signal, fitted on 34 phantoms of cohort
    105. It explains 0.29 of the variance there, so that the estimate stays near the mean.
    """
    return (
        exp(_LOG_HOURS[0] + _LOG_HOURS[1] * adc + _LOG_HOURS[2] * log(flair))
        if flair > 0 and not isnan(adc)
        else float("nan")
    )
