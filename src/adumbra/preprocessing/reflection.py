"""Reflective registration: the map from each point of a head to the same place on its other side.

The head is registered to its own mirror image (Raina et al. 2019). The search starts at the midline of the atlas, which
also holds for a head that the field of view cuts at one side. First the plane is improved, then an affine map is added
to the reflection, with a prior that keeps it small: the two sides of a head differ in size and position by millimetres.
The detail of the images and the smoothed brain mask are compared, with residuals weighted by Tukey's function, so that
a lesion on one side has no influence. Points whose mirror image lies outside the field of view are not compared.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.atlas.template import interpolate_all
from adumbra.core.case import Case, Conversion
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.midline import Plane, midsagittal_plane
from adumbra.core.geometry.reflection import plane_reflection
from adumbra.core.geometry.resampling import resample
from adumbra.core.references import cites
from adumbra.core.types import Affine, Mask, Modality, Volume
from adumbra.preprocessing.atlas.alignment import align_to_atlas

_WORK_MM = 4.0  # Spacing of the samples.
_SMOOTH_MM, _COARSE_MM = 3.0, 18.0  # The images are band-pass filtered between these, as the field of a coil is uneven.
_EDGE_MM = 5.0  # Standard deviation of the Gaussian that smooths the brain mask.
_LEAST_SHARE = 0.02  # Of the smoothed brain mask; beyond it nothing is compared.
_TUKEY = 4.685
_CORRELATION_MM = 14.0  # Side of the cube that counts as one observation.
_LENGTH_MM = 60.0  # Distance from the centre at which a linear coefficient has its value in mm.
_SPREAD_MM = 2.0  # Standard deviation of the coefficients of the affine map that is added to the reflection.
_PLANE_SPREAD = np.array([0.35, 0.35, 40.0])  # Of yaw and roll in radians, and of the shift in mm, around the start.
_PLANE_DIFFERENCES = (1e-3, 1e-3, 0.5)  # For derivatives by these three.
_PLANE_STEPS, _AFFINE_STEPS = 12, 4
_CONVERGED = 1e-3  # Decrease of the cost below which the search ends.
_FARTHEST_MM, _FARTHEST_DEG = 25.0, 20.0  # Largest plausible change of the start.
_LEAST_COVERED = 0.9  # Share of the brain with a mirror image in the field of view; below it there is a warning.


@cites("Raina2019")
@dataclass(frozen=True, eq=False)
class Reflection:
    """The result of a reflective registration.

    Attributes:
        matrix: (4, 4), RAS+ mm of a point to those of its mirror image.
        plane: The midsagittal plane.
        covered: Share of the brain whose mirror image lies in the field of view.
        accepted: Whether the registration is used; otherwise ``matrix`` is the reflection in the plane of the start.
    """

    matrix: Affine
    plane: Plane
    covered: float
    accepted: bool

    def conversion(self) -> Conversion:
        """The line of the provenance; a head that is cut at one side and a failed registration are warnings."""
        numbers = {
            "normal": [round(v, 5) for v in self.plane.normal],
            "offset_mm": round(self.plane.offset_mm, 3),
            "covered": round(self.covered, 4),
            "accepted": self.accepted,
            "mirror_image_of_point": np.round(self.matrix, 6).tolist(),
        }
        what = "Registered to its own mirror image"
        if not self.accepted:
            what = "Mirrored in the midline of the atlas, for the reflective registration moved too far"
        elif self.covered < _LEAST_COVERED:
            what += f"; the other side is in the field of view for only {self.covered:.0%} of the brain"
        return Conversion(
            "preprocessing.reflection", "case", what, numbers, not self.accepted or self.covered < _LEAST_COVERED
        )


def with_reflection(case: Case, modalities: Collection[Modality]) -> Case:
    """An aligned case with its reflection.

    Args:
        case: The case on one grid, with a brain mask.
        modalities: The modalities that are compared, those of the network; the phase never is.

    Raises:
        MissingInput: The case has no brain mask, or an empty one.
    """
    if "brain" not in case.masks or not case.masks["brain"].data.any():
        raise MissingInput(
            case.name,
            expected="a brain mask",
            found="none, or an empty one",
            do="call adumbra.preprocessing.alignment.align first",
        )
    used = [scan for m, scan in case.scans.items() if m in modalities and m != "phase"]
    images = [s.data if s.valid_mask is None else np.where(s.valid_mask, s.data, np.float32(0)) for s in used]
    reflection = register_mirrored(images, case.masks["brain"].data, case.grid)
    return case.updated(reflection.conversion(), reflection=reflection.matrix)


@cites("Raina2019")
def register_mirrored(images: list[Volume], brain: Mask, grid: Grid) -> Reflection:
    """Registers a head to its own mirror image.

    Args:
        images: (X, Y, Z) each, of any scale; without any the brain mask alone is compared.
        brain: (X, Y, Z), the brain.
        grid: Grid of images and mask.

    Raises:
        MissingInput: The brain mask is empty.
    """
    start = _start(images, brain, grid)
    head = _head(images, brain, grid)
    plane = _best_plane(head, start)
    matrix = _with_affine(head, plane_reflection(plane))
    turn_deg = float(np.degrees(np.arccos(np.clip(np.dot(plane.normal, start.normal), -1.0, 1.0))))
    shift_mm = abs(float(plane.distances_mm(head.centre_mm[None])[0] - start.distances_mm(head.centre_mm[None])[0]))
    accepted = turn_deg <= _FARTHEST_DEG and shift_mm <= _FARTHEST_MM
    if not accepted:
        matrix, plane = plane_reflection(start), start
    index = head.grid.index((matrix[:3, :3] @ head.points_mm + matrix[:3, 3:]).T[head.brain])
    covered = float(_inside(index, head.grid).mean()) if len(index) else 0.0
    return Reflection(matrix, plane, covered, accepted)


def _start(images: list[Volume], brain: Mask, grid: Grid) -> Plane:
    """The midline of the atlas, or the plane of the brain mask where the alignment to the atlas is implausible.

    The mask of a head that the field of view cuts at one side is symmetric about a wrong plane.
    """
    if images:
        alignment = align_to_atlas(images[0], grid, brain=brain)
        if not alignment.implausible:
            return alignment.midline
    return midsagittal_plane(brain, grid)


@dataclass(frozen=True, eq=False)
class _Head:
    """What the registration compares, on a grid of about 4 mm.

    Attributes:
        volumes: The detail of each image and the smoothed brain mask, (X, Y, Z); each is followed by its derivatives
            along x, y and z, per mm.
        points_mm: (3, N), points in the brain and near it.
        values: (F, N), the fields at the points.
        brain: (N,), whether a point lies in the brain.
        centre_mm: (3,), centre of the brain.
        grid: Grid of the fields.
    """

    volumes: list[np.ndarray]
    points_mm: np.ndarray
    values: np.ndarray
    brain: np.ndarray
    centre_mm: np.ndarray
    grid: Grid


def _head(images: list[Volume], brain: Mask, grid: Grid) -> _Head:
    i, j, k = (max(s, _WORK_MM) for s in grid.spacing_mm)
    coarse = respaced(grid, (i, j, k))
    share = resample(brain.astype(np.float32), grid, coarse)
    inside = share >= min(0.5, float(share.max()))
    fields = [share * _detail(resample(image, grid, coarse), inside, coarse) for image in images]
    # Smooth, for a mask of whole voxels would be symmetric about the grid and not about the brain.
    fields.append(ndimage.gaussian_filter(share, _EDGE_MM / np.asarray(coarse.spacing_mm), truncate=3.0))
    to_world = np.linalg.inv(coarse.affine[:3, :3]).T.astype(np.float32)
    volumes = []
    for field in fields:
        along = np.stack([np.gradient(field, axis=axis) if field.shape[axis] > 1 else 0 * field for axis in range(3)])
        world = np.tensordot(to_world, along, axes=1)
        volumes += [field, *(np.ascontiguousarray(w, np.float32) for w in world)]
    near = fields[-1] > _LEAST_SHARE
    # Points anywhere within their voxels: both sides are interpolated, or the search would prefer whole voxels.
    index = np.argwhere(near) + np.random.default_rng(0).uniform(-0.5, 0.5, (int(near.sum()), 3))
    points = coarse.world_mm(index).T
    values = np.stack(interpolate_all(volumes[::4], coarse.affine, points.astype(np.float32)))
    centre = coarse.world_mm(np.argwhere(inside)).mean(axis=0)
    return _Head(volumes, points, values, inside[near], centre, coarse)


def _detail(image: Volume, inside: Mask, grid: Grid) -> Volume:
    """The detail of an image, in units of its spread in the brain; what lies outside the brain has no influence."""
    low, median, high = (float(value) for value in np.percentile(image[inside], (25, 50, 75)))
    scaled = np.clip((image - median) / max(high - low, 1e-12), -4.0, 6.0).astype(np.float32)
    smooth, coarse = (_smoothed(scaled, inside, mm / np.asarray(grid.spacing_mm)) for mm in (_SMOOTH_MM, _COARSE_MM))
    detail = smooth - coarse
    spread = 1.4826 * float(np.median(np.abs(detail[inside])))
    return np.clip(detail / max(spread, 1e-6), -5.0, 5.0).astype(np.float32)


def _smoothed(image: Volume, inside: Mask, sigma: np.ndarray) -> Volume:
    """The Gaussian average over the voxels of the brain only."""
    share = ndimage.gaussian_filter(inside.astype(np.float32), sigma, truncate=3.0)
    total = ndimage.gaussian_filter(np.where(inside, image, 0.0).astype(np.float32), sigma, truncate=3.0)
    return np.asarray(total / np.maximum(share, 1e-3), dtype=np.float32)


def _inside(index: np.ndarray, grid: Grid) -> np.ndarray:
    """Whether fractional indices (N, 3) lie in the field of view."""
    return np.asarray(((index >= -0.5) & (index <= np.asarray(grid.shape) - 0.5)).all(axis=1))


def _best_plane(head: _Head, start: Plane) -> Plane:
    """The plane that Gauss and Newton's method reaches from a start."""
    parameters = np.zeros(3)
    for _ in range(_PLANE_STEPS):
        matrix = plane_reflection(_turned(start, head.centre_mm, parameters))
        slopes = []
        for size, row in zip(_PLANE_DIFFERENCES, np.eye(3), strict=True):
            plus, minus = (
                plane_reflection(_turned(start, head.centre_mm, parameters + sign * size * row)) for sign in (1, -1)
            )
            slopes.append((plus - minus)[:3] / (2 * size))
        hessian, gradient = _normal_equations(head, matrix, np.stack(slopes))
        hessian += np.diag(_PLANE_SPREAD**-2)
        step = np.linalg.solve(hessian, gradient - parameters / _PLANE_SPREAD**2)
        parameters = parameters + step
        if float(step @ hessian @ step) < _CONVERGED:
            break
    return _turned(start, head.centre_mm, parameters)


def _turned(plane: Plane, centre_mm: np.ndarray, parameters: np.ndarray) -> Plane:
    """A plane turned by yaw and roll (radians) about a centre, and shifted by mm along its normal."""
    yaw, roll, shift = parameters
    normal = np.asarray(plane.normal)
    tangents = np.linalg.svd(normal[None])[2][1:]
    turned = normal + np.tan(yaw) * tangents[0] + np.tan(roll) * tangents[1]
    turned /= np.linalg.norm(turned)
    foot = centre_mm - plane.distances_mm(centre_mm[None])[0] * normal
    x, y, z = (float(v) for v in turned)
    return Plane((x, y, z), float(turned @ foot + shift))


def _with_affine(head: _Head, reflection: Affine) -> Affine:
    """The reflection followed by the small affine map that makes both sides most alike."""
    coefficients, basis = np.zeros(12), np.zeros((12, 3, 4))
    for number, (row, column) in enumerate(np.ndindex(3, 4)):
        basis[number, row, column] = 1.0 if column == 3 else 1.0 / _LENGTH_MM
    basis[..., 3] -= basis[..., :3] @ head.centre_mm  # about the centre of the brain
    for _ in range(_AFFINE_STEPS):
        matrix = reflection.copy()
        matrix[:3] += np.tensordot(coefficients, basis, axes=1)
        hessian, gradient = _normal_equations(head, matrix, basis)
        hessian += np.eye(12) / _SPREAD_MM**2
        coefficients = coefficients + np.linalg.solve(hessian, gradient - coefficients / _SPREAD_MM**2)
    result = reflection.copy()
    result[:3] += np.tensordot(coefficients, basis, axes=1)
    return result


def _normal_equations(head: _Head, matrix: Affine, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hessian and negative gradient of the differences between both sides.

    Args:
        head: The head.
        matrix: (4, 4), the reflection.
        slopes: (P, 3, 4), its derivative by each parameter.
    """
    at = matrix[:3, :3] @ head.points_mm + matrix[:3, 3:]
    valid = _inside(head.grid.index(at.T), head.grid)
    points = np.vstack([head.points_mm[:, valid], np.ones((1, int(valid.sum())))])
    samples = interpolate_all(head.volumes, head.grid.affine, at[:, valid].astype(np.float32))
    weight = min(1.0, float(np.prod(head.grid.spacing_mm)) / _CORRELATION_MM**3)
    count = len(slopes)
    hessian, gradient = np.zeros((count, count)), np.zeros(count)
    for number, own in enumerate(head.values[:, valid]):
        other, along = samples[4 * number], np.stack(samples[4 * number + 1 : 4 * number + 4])
        residuals = own - other
        sigma = max(1.4826 * float(np.median(np.abs(residuals))) if len(residuals) else 0.0, 0.05)
        rest = np.clip(1.0 - (residuals / (_TUKEY * sigma)) ** 2, 0.0, None)
        weights = weight * rest**2 / sigma**2
        raw = (along[:, None] * points[None]).reshape(12, -1)
        jacobian = slopes.reshape(count, 12) @ raw
        hessian += (jacobian * weights) @ jacobian.T
        gradient += jacobian @ (weights * residuals)
    return hessian, gradient
