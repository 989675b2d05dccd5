"""Reads parts of an aligned case in network units, at any spacing and at a cost that grows with the part.

A second pass needs a few windows of a finer grid. Only the voxels around a window are resampled, and they are the same
as those of the whole case resampled to that spacing. Intensities are scaled by the statistics of the first pass's grid,
so that both passes see one scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from adumbra.core.case import Case, Scan
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.types import Modality
from adumbra.preprocessing.normalisation import in_network_units, network_scales
from adumbra.preprocessing.resampling import resample_by_modality, resample_case

_FWHM_TO_SIGMA = 1.0 / np.sqrt(8.0 * np.log(2.0))  # Of the anti-aliasing filter, see ``core.geometry.resampling``.
_TRUNCATE = 3.0  # Where that filter ends, in standard deviations.


@dataclass(frozen=True)
class RegionReader:
    """An aligned case, to be read on the grid of a part of it.

    Attributes:
        aligned: The case as ``preprocessing.pipeline.align_case`` gives it.
        spacing_mm: Spacing of the isotropic grid whose brain gives the statistics of the normalisation.
    """

    aligned: Case
    spacing_mm: float

    @cached_property
    def scales(self) -> Mapping[Modality, tuple[float, float]]:
        """The constants of ``normalisation.network_scales`` on that grid."""
        return network_scales(resample_case(self.aligned, respaced(self.aligned.grid, (self.spacing_mm,) * 3)))

    def __call__(self, grid: Grid) -> Case:
        """The scans on a grid in network units, without masks; zero outside their fields of view.

        Args:
            grid: A grid of any place and spacing, such as that of a window that crosses the border of the image.
        """
        mirrors: Mapping[Modality, Scan] = {}
        if (reflection := self.aligned.reflection) is not None:
            # The voxels of the mirrored grid hold the other side of the head.
            scans = self._scans_on(Grid(grid.shape, reflection @ grid.affine))
            mirrors = {modality: replace(scan, grid=grid) for modality, scan in scans.items()}
        return replace(self.aligned, scans=self._scans_on(grid), masks={}, mirrors=mirrors)

    def _scans_on(self, grid: Grid) -> dict[Modality, Scan]:
        return {
            modality: in_network_units(
                resample_by_modality(_cropped(scan, grid), grid, modality=modality), *self.scales[modality]
            )
            for modality, scan in self.aligned.scans.items()
        }


def _cropped(scan: Scan, grid: Grid) -> Scan:
    """The part of a scan that resampling to a grid reads; one voxel at least."""
    index_map = np.linalg.solve(scan.grid.affine, grid.affine)
    widths = np.linalg.norm(index_map[:3, :3], axis=1)
    margin = np.ceil(_TRUNCATE * _FWHM_TO_SIGMA * np.sqrt(np.maximum(widths**2 - 1.0, 0.0))) + 2
    corners = scan.grid.index(grid.corners_mm())
    last = np.asarray(scan.grid.shape) - 1
    low = np.clip(np.floor(corners.min(axis=0) - margin), 0, last).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + margin), low, last).astype(int) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    affine = scan.grid.affine.copy()
    affine[:3, 3] = scan.grid.world_mm(low)
    data = np.ascontiguousarray(scan.data[box])
    i, j, k = data.shape
    valid_mask = None if scan.valid_mask is None else np.ascontiguousarray(scan.valid_mask[box])
    return replace(scan, data=data, grid=Grid((i, j, k), affine), valid_mask=valid_mask)
