"""Rigid registration by mutual information, checked by an independent measure.

The method is that of Mattes et al., IEEE TMI 2003 (22:120), in the implementation of ITK. The optimiser uses its own
metric, so the result is checked by another one: the mutual information of a plain histogram over the brain, on the same
voxels before and after. A transform is rejected if it is not clearly better than the geometry of the headers, or if it
moves the head farther than a patient moves between two sequences.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from adumbra.core.case import Conversion, Scan
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample, within_view
from adumbra.core.references import cites
from adumbra.core.types import Affine, Mask, Volume

_FIXED_MM, _MOVING_MM = 3.0, 2.0  # Spacings of the two images during the search.
_MARGIN_MM = 8.0  # Margin around the brain that the metric includes, for the border.
_FARTHEST_MM, _FARTHEST_DEG = 30.0, 20.0  # Largest plausible movement.
_BETTER_SHARE, _BETTER_NATS = 0.01, 0.002  # Smaller gains are noise of the histogram.
_LEAST_OVERLAP = 0.25  # Share of the fixed brain; with less, the search cannot start at the geometry of the headers.
_AS_GOOD = 0.95  # Share of the mutual information by the headers; a search that ends lower has failed...
_NO_MOVE_MM, _NO_MOVE_DEG = 1.0, 1.0  # ...unless the movement is this small: then interpolation blurred the image.
_BINS = 32
_ALREADY = "the headers' geometry is as good"


@dataclass(frozen=True, eq=False)
class Registration:
    """The result of a registration, accepted or not.

    Attributes:
        moving_from_fixed: RAS+ mm of the fixed world to the moving one, (4, 4); the identity where not ``accepted``.
        metric_before: Mutual information over the fixed brain with the geometry of the headers, nats.
        metric_after: Mutual information with the estimated transform on the same voxels, nats.
        accepted: Whether the estimated transform is used.
        rotation_deg: Rotation angle of the estimated transform, accepted or not.
        translation_mm: Distance by which the estimated transform moves the centre of the fixed brain.
        reason: Why the transform was accepted or not, as a phrase.
    """

    moving_from_fixed: Affine
    metric_before: float
    metric_after: float
    accepted: bool
    rotation_deg: float
    translation_mm: float
    reason: str

    def conversion(self, subject: str, reference: str) -> Conversion:
        """The line of the provenance; a registration that failed is a warning."""
        numbers = {
            "mutual_information_before_nats": round(self.metric_before, 5),
            "mutual_information_after_nats": round(self.metric_after, 5),
            "rotation_deg": round(self.rotation_deg, 3),
            "translation_mm": round(self.translation_mm, 3),
            "accepted": self.accepted,
            "moving_from_fixed": np.round(self.moving_from_fixed, 6).tolist(),
        }
        done = f"Registered to {reference}" if self.accepted else f"Placed by the headers over {reference}"
        return Conversion("preprocessing.registration", subject, f"{done}: {self.reason}", numbers, self.needs_review)

    @property
    def needs_review(self) -> bool:
        """Whether a person should check the alignment: the search failed, and did not confirm the headers either."""
        return not self.accepted and self.reason != _ALREADY


@cites("Mattes2003")
def register_rigid(fixed: Scan, moving: Scan, *, seed: int = 0, fixed_mask: Mask | None = None) -> Registration:
    """Estimates the rigid transform that aligns ``moving`` with ``fixed``, and accepts or rejects it.

    Args:
        fixed: The scan that stays.
        moving: The scan that is moved; any contrast, any grid.
        seed: Seed of the sampling of the metric; the same seed gives the same bytes.
        fixed_mask: The brain on ``fixed.grid``; None takes all voxels above zero.
    """
    pair = _pair(fixed, moving, fixed_mask)
    start = _start(pair)
    transform = _optimise(pair, start, seed)
    return _accept_or_reject(transform, start, pair)


def joint_histogram_mutual_information(a: np.ndarray, b: np.ndarray, *, bins: int = _BINS) -> float:
    """Mutual information of paired samples from their joint histogram, in nats; 0 where either is constant.

    Values are clipped to their percentiles 0.5 and 99.5, so that outliers do not stretch the bins.
    """
    codes = []
    for values in (a, b):
        low, high = np.percentile(values, (0.5, 99.5)) if values.size else (0.0, 0.0)
        if high <= low:
            return 0.0
        codes.append(np.clip((values - low) * (bins / (high - low)), 0, bins - 1).astype(np.intp))
    joint = np.bincount(codes[0] * bins + codes[1], minlength=bins * bins).reshape(bins, bins) / a.size
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    positive = joint > 0
    return float((joint[positive] * np.log(joint[positive] / expected[positive])).sum())


@dataclass(frozen=True, eq=False)
class _Pair:
    """Both images at the spacings at which they are compared.

    Attributes:
        fixed: The fixed image on ``grid``.
        brain: The brain on ``grid``.
        grid: Grid of the fixed image.
        moving: (X, Y, Z), the moving image on ``moving_grid``.
        moving_grid: Grid of the moving image.
    """

    fixed: Volume
    brain: Mask
    grid: Grid
    moving: np.ndarray
    moving_grid: Grid

    def moved(self, moving_from_fixed: Affine | None) -> Volume:
        """The moving image on the fixed grid."""
        return resample(self.moving, self.moving_grid, self.grid, moving_from_fixed=moving_from_fixed)

    def covered(self, moving_from_fixed: Affine | None) -> Mask:
        """The voxels of the brain that the moving image covers."""
        return self.brain & within_view(self.moving_grid, self.grid, moving_from_fixed)

    def centre_mm(self) -> np.ndarray:
        """The centre of the fixed brain."""
        return self.grid.world_mm(np.argwhere(self.brain).mean(axis=0))


def _pair(fixed: Scan, moving: Scan, fixed_mask: Mask | None) -> _Pair:
    grid = respaced(fixed.grid, (_FIXED_MM, _FIXED_MM, _FIXED_MM))
    i, j, k = (max(s, _MOVING_MM) for s in moving.grid.spacing_mm)
    moving_grid = respaced(moving.grid, (i, j, k))
    brain = resample(fixed.data > 0 if fixed_mask is None else fixed_mask, fixed.grid, grid)
    return _Pair(
        _without_outliers(resample(fixed.data, fixed.grid, grid)),
        brain if brain.any() else np.ones_like(brain),
        grid,
        _without_outliers(resample(moving.data, moving.grid, moving_grid)),
        moving_grid,
    )


def _without_outliers(volume: Volume) -> Volume:
    """Values clipped to their percentiles 0.1 and 99.9, as a spike would stretch the uniform bins of the metric."""
    low, high = np.percentile(volume, (0.1, 99.9)).astype(np.float32)
    return np.clip(volume, low, high)


def _start(pair: _Pair) -> Affine:
    """The identity if the headers make the images overlap; otherwise a shift that aligns the centres of mass."""
    start = np.eye(4)
    if pair.covered(None).sum() < _LEAST_OVERLAP * pair.brain.sum() and (pair.moving > 0).any():
        fixed_centre = pair.grid.world_mm(ndimage.center_of_mass(np.where(pair.brain, np.maximum(pair.fixed, 0), 0)))
        start[:3, 3] = pair.moving_grid.world_mm(ndimage.center_of_mass(np.maximum(pair.moving, 0))) - fixed_centre
    return start


def _optimise(pair: _Pair, start: Affine, seed: int) -> Affine | None:
    """The transform at the optimum of the mutual information of Mattes; None where ITK finds no overlap."""
    near = ndimage.distance_transform_edt(~pair.brain, sampling=pair.grid.spacing_mm) <= _MARGIN_MM
    transform = sitk.Euler3DTransform(pair.centre_mm().tolist())
    transform.SetTranslation(start[:3, 3].tolist())
    method = _method(seed)
    method.SetMetricFixedMask(_image(near.astype(np.uint8), pair.grid))
    method.SetInitialTransform(transform, inPlace=True)
    try:
        with _one_thread():
            method.Execute(_image(pair.fixed, pair.grid), _image(pair.moving, pair.moving_grid))
    except RuntimeError:  # "All samples map outside moving image buffer": there is nothing to optimise.
        return None
    return _affine(transform)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limits ITK to one thread, because several threads sum in a varying order and the last bits differ.

    SetNumberOfThreads of the method does not affect its metric (four runs gave four results); the global setting does.
    """
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _method(seed: int) -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricSamplingStrategy(method.REGULAR)
    # Seed 0 means the clock to ITK, so it is never given.
    method.SetMetricSamplingPercentagePerLevel([1.0, 1.0, 0.5], 1 + seed % (2**32 - 1))
    method.SetInterpolator(sitk.sitkLinear)
    # Slow relaxation: rotations and shifts compensate along a narrow ridge, on which halved steps stop early.
    method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.001, 300, relaxationFactor=0.8)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([6.0, 3.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    return method


def _image(data: np.ndarray, grid: Grid) -> Any:
    """An ITK image whose physical space is RAS+. Nothing needs to be flipped, as all images are handled so."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.T))
    image.SetOrigin(grid.affine[:3, 3].tolist())
    image.SetSpacing(grid.spacing_mm)
    image.SetDirection((grid.affine[:3, :3] / np.asarray(grid.spacing_mm)).ravel().tolist())
    return image


def _affine(transform: Any) -> Affine:
    """The 4 by 4 matrix of ITK's x -> R (x - c) + c + t."""
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    centre = np.array(transform.GetCenter())
    affine = np.eye(4)
    affine[:3, :3] = rotation
    affine[:3, 3] = centre + np.array(transform.GetTranslation()) - rotation @ centre
    return affine


def _accept_or_reject(transform: Affine | None, start: Affine, pair: _Pair) -> Registration:
    """The estimated transform with the decision on it: see the docstring of the module."""
    if transform is None or not pair.covered(transform).any():
        return Registration(np.eye(4), 0.0, 0.0, False, 0.0, 0.0, "the images do not overlap")
    before, after = _before_and_after(transform, pair)
    rotation_deg = float(np.degrees(np.arccos(np.clip((np.trace(transform[:3, :3]) - 1) / 2, -1.0, 1.0))))
    centre = pair.centre_mm()
    move = transform[:3, :3] @ centre + transform[:3, 3] - centre
    farther_mm = float(np.linalg.norm(move - start[:3, 3]))
    accepted, reason = True, "mutual information rose"
    if farther_mm > _FARTHEST_MM or rotation_deg > _FARTHEST_DEG:
        accepted, reason = False, f"moved by {farther_mm:.0f} mm and {rotation_deg:.0f} degrees, which is not plausible"
    elif after - before < max(_BETTER_NATS, _BETTER_SHARE * before):
        stayed = farther_mm < _NO_MOVE_MM and rotation_deg < _NO_MOVE_DEG
        accepted, reason = (
            False,
            _ALREADY if stayed or after >= _AS_GOOD * before else "the estimated transform is worse",
        )
    used = transform if accepted else np.eye(4)
    return Registration(used, before, after, accepted, rotation_deg, float(np.linalg.norm(move)), reason)


def _before_and_after(transform: Affine, pair: _Pair) -> tuple[float, float]:
    """Mutual information by the headers and by the transform, on the voxels of the brain that both cover."""
    both = pair.covered(transform)
    after = pair.moved(transform)
    if (pair.covered(None) & both).sum() < 0.5 * both.sum():  # By the headers the images hardly overlap.
        return 0.0, joint_histogram_mutual_information(pair.fixed[both], after[both])
    both &= pair.covered(None)
    before = pair.moved(None)
    return joint_histogram_mutual_information(pair.fixed[both], before[both]), joint_histogram_mutual_information(
        pair.fixed[both], after[both]
    )
