"""Registration of a head to the MNI152 template: coordinates, tissue maps, arterial territories and the midline.

Any one sequence will do, with skull or without, on any grid, also a slab of a few centimetres. It takes one to two
seconds of one processor beside the brain mask.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.atlas.template import slabs, template
from adumbra.core.atlas.territories import territories_at
from adumbra.core.case import Conversion
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.midline import Plane
from adumbra.core.geometry.resampling import resample
from adumbra.core.references import citations, cites
from adumbra.core.types import Affine, Labels, Mask, Volume
from adumbra.preprocessing.atlas.deformation import MEAN, Deformation, affine_of, scales_and_rotation
from adumbra.preprocessing.atlas.fit import Fit, HeadSamples, fit
from adumbra.preprocessing.atlas.template_maps import TISSUES, template_maps
from adumbra.preprocessing.brain_mask import extract_brain

SCALES = (0.75, 1.35)
"""Plausible scales from a head to the template."""
MOST_DEG = 40.0
"""Largest plausible rotation."""
LEAST_OVERLAP = 0.85
"""Least plausible Dice of the brain mask and the brain of the template within the field of view."""
_WORK_MM = 4.0  # Spacing of the samples.
_SMOOTH_MM = 2.0  # Standard deviation of the Gaussian that smooths the signal.
_NEAR_MM = 20.0  # Distance from the brain up to which its surroundings are sampled.
_TURNS_DEG = ((0.0, 0.0), (20.0, 0.0), (-20.0, 0.0), (0.0, 20.0), (0.0, -20.0))  # Pitch and yaw of the starts.
_SAME = 0.05  # Largest difference of the entries of two matrices that are one solution.
_REFINED = 3  # Largest number of solutions that are compared by their intensities.


@cites(*citations(Deformation, fit))
@dataclass(frozen=True, eq=False)
class AtlasAlignment:
    """The place of a head in MNI152 space.

    Attributes:
        deformation: Subject mm to MNI152 mm.
        overlap: Dice of the brain mask and the brain of the template within the field of view.
        covered: Share of the template's brain that lies in the field of view.
    """

    deformation: Deformation
    overlap: float
    covered: float

    @property
    def affine(self) -> Affine:
        """The affine part, subject mm to MNI152 mm, (4, 4)."""
        return self.deformation.affine

    @property
    def midline(self) -> Plane:
        """The midsagittal plane of the subject, the plane x = 0 of the template under the affine part."""
        row = self.affine[0]
        length = float(np.linalg.norm(row[:3]))
        x, y, z = (float(value) for value in row[:3] / length)
        return Plane((x, y, z), float(-row[3] / length))

    @property
    def implausible(self) -> tuple[str, ...]:
        """The reasons not to trust the alignment, as phrases; empty where there are none."""
        scales, rotation_deg = scales_and_rotation(self.affine)
        reasons = []
        if scales.min() < SCALES[0] or scales.max() > SCALES[1]:
            reasons.append(f"the head is scaled by {scales.min():.2f} to {scales.max():.2f}")
        if rotation_deg > MOST_DEG:
            reasons.append(f"the head is turned by {rotation_deg:.0f} degrees")
        if self.overlap < LEAST_OVERLAP:
            reasons.append(f"the brain mask and the template overlap by a Dice of {self.overlap:.2f} only")
        return tuple(reasons)

    def conversion(self, subject: str) -> Conversion:
        """The line of the provenance; an implausible alignment is a warning."""
        scales, rotation_deg = scales_and_rotation(self.affine)
        numbers = {
            "mni_from_subject": np.round(self.affine, 6).tolist(),
            "scales": np.round(scales, 4).tolist(),
            "rotation_deg": round(rotation_deg, 2),
            "overlap": round(self.overlap, 4),
            "covered": round(self.covered, 4),
        }
        what = "Registered to the MNI152 template"
        if self.implausible:
            what += f", implausibly: {'; '.join(self.implausible)}"
        return Conversion("preprocessing.atlas", subject, what, numbers, bool(self.implausible))

    def coordinates(self, grid: Grid) -> np.ndarray:
        """MNI152 mm of each voxel of a grid, float32 (3, X, Y, Z)."""
        out = np.empty((3, *grid.shape), dtype=np.float32)
        for slab in slabs(grid.shape):
            index = np.indices((slab.stop - slab.start, *grid.shape[1:]), dtype=np.float32)
            index[0] += slab.start
            points = grid.affine[:3, :3] @ index.reshape(3, -1) + grid.affine[:3, 3:]
            out[:, slab] = self.deformation(points).reshape(3, -1, *grid.shape[1:])
        return out

    def tissue_priors(self, grid: Grid) -> dict[str, Volume]:
        """The share of grey matter, white matter and fluid that the template has at each voxel, by name."""
        volumes = template_maps(1.0)
        points = self.coordinates(grid).reshape(3, -1)
        shares = volumes.tissues(points)
        return {name: np.clip(share, 0, 1).reshape(grid.shape) for name, share in zip(TISSUES, shares, strict=True)}

    def territories(self, grid: Grid) -> Labels:
        """The arterial territory of each voxel, int16; see ``core.atlas.territories.TERRITORY_LABELS``."""
        return territories_at(self.coordinates(grid))


def align_to_atlas(
    volume: Volume, grid: Grid, *, brain: Mask | None = None, valid: Mask | None = None
) -> AtlasAlignment:
    """Registers a head to the MNI152 template.

    Args:
        volume: (X, Y, Z), one sequence, on any scale.
        grid: Grid of the volume.
        brain: (X, Y, Z), the brain; None extracts it.
        valid: (X, Y, Z), the measured voxels; None is everywhere.

    Raises:
        MissingInput: The brain mask is empty.
        GridMismatch: The mask has another shape than the grid.
    """
    brain = extract_brain(volume, grid) if brain is None else brain
    if brain.shape != grid.shape:
        raise GridMismatch(
            "brain mask",
            expected=f"shape {grid.shape}, that of the grid",
            found=f"shape {brain.shape}",
            do="give the brain mask on the grid of the volume",
        )
    if not brain.any():
        raise MissingInput(
            "brain mask", expected="a mask of the brain", found="an empty mask", do="give one, or check the images"
        )
    head = _samples(volume, grid, brain, valid)
    affine = _best_affine(head)
    bent = fit(head, template_maps(2.0), affine.parameters, stage="bending", reach_mm=12.0, steps=6)
    deformation = Deformation.of(bent.parameters, head.centre_mm)
    return AtlasAlignment(deformation, *_overlap(deformation, brain, grid))


def _samples(volume: Volume, grid: Grid, brain: Mask, valid: Mask | None) -> HeadSamples:
    """The samples of a head, on a grid of about 4 mm."""
    i, j, k = (max(s, _WORK_MM) for s in grid.spacing_mm)
    coarse = respaced(grid, (i, j, k))
    inside = resample(brain.astype(np.float32), grid, coarse) >= 0.5
    if not inside.any():
        inside = resample(brain, grid, coarse)
    measured = inside if valid is None else inside & (resample(valid.astype(np.float32), grid, coarse) >= 0.5)
    distance = ndimage.distance_transform_edt
    depth = distance(~inside, sampling=coarse.spacing_mm) - distance(inside, sampling=coarse.spacing_mm)
    depth += np.where(inside, 0.5, -0.5) * min(coarse.spacing_mm)  # The surface lies between two voxels.
    near = depth < _NEAR_MM
    return HeadSamples(
        points_mm=coarse.world_mm(np.argwhere(near)).T,
        depth_mm=depth[near].astype(np.float32),
        inside=measured[near],
        intensity=_smoothed(resample(volume, grid, coarse), measured, coarse)[near],
        centre_mm=coarse.world_mm(np.argwhere(inside)).mean(axis=0),
        spacing_mm=float(np.prod(coarse.spacing_mm) ** (1 / 3)),
    )


def _smoothed(volume: Volume, measured: Mask, grid: Grid) -> Volume:
    """The signal of the brain, centred, in units of its spread, smoothed within the brain only."""
    quartiles = np.percentile(volume[measured], (25, 50, 75)) if measured.any() else np.zeros(3)
    low, median, high = (float(value) for value in quartiles)
    scaled = np.clip((volume - median) / max(high - low, 1e-12), -4.0, 6.0)
    sigma = _SMOOTH_MM / np.asarray(grid.spacing_mm)
    share = ndimage.gaussian_filter(measured.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(measured, scaled, 0.0).astype(np.float32), sigma)
    return np.asarray(total / np.maximum(share, 1e-3), dtype=np.float32)


def _best_affine(head: HeadSamples) -> Fit:
    """The best affine map: several turns by the surface alone, the distinct solutions by their intensities too."""
    few, wide = head.every(6), template_maps(4.0)
    starts = []
    for pitch, yaw in _TURNS_DEG:
        start = MEAN.copy()
        start[[3, 5]] = np.radians([pitch, yaw])
        starts.append(fit(few, wide, start, stage="surface", reach_mm=30.0, steps=12))
    solutions: list[Fit] = []
    for solution in sorted(starts, key=lambda result: result.cost):
        if all(_differ(solution, other) for other in solutions):
            solutions.append(solution)
    third = head.every(3)
    refined = [fit(third, wide, s.parameters, stage="affine", reach_mm=15.0, steps=8) for s in solutions[:_REFINED]]
    best = min(refined, key=lambda result: result.cost)
    return fit(head, template_maps(2.0), best.parameters, stage="affine", reach_mm=12.0, steps=6)


def _differ(one: Fit, other: Fit) -> bool:
    matrices = [affine_of(result.parameters, np.zeros(3))[:3, :3] for result in (one, other)]
    return bool(np.abs(matrices[0] - matrices[1]).max() > _SAME)


def _overlap(deformation: Deformation, brain: Mask, grid: Grid) -> tuple[float, float]:
    """Dice of the brain and the template's brain within the field of view, and the share of the latter in view."""
    i, j, k = (max(s, _WORK_MM) for s in grid.spacing_mm)
    coarse = respaced(grid, (i, j, k))
    own = resample(brain.astype(np.float32), grid, coarse).ravel() >= 0.5
    points = deformation(coarse.world_mm(np.argwhere(np.ones(coarse.shape, dtype=bool))).T)
    expected = template_maps(2.0).depth(points)[0] < 0
    total = int(own.sum() + expected.sum())
    maps = template()
    whole_ml = np.count_nonzero(maps.depth_mm < 0) / 1000.0
    in_view_ml = expected.sum() * coarse.voxel_ml * abs(np.linalg.det(deformation.affine[:3, :3]))
    return (2.0 * int((own & expected).sum()) / total if total else 0.0), min(1.0, float(in_view_ml / whole_ml))
