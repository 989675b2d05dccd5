"""Checks the affine of an image: which affines are accepted, which are noted, and which are refused.

Scanners produce orthogonal axes. An affine with a shear of up to ``MOST_SHEAR_DEG`` is accepted as it is (rounded
oblique affines stay far below it), and noted from ``NOTED_SHEAR_DEG`` on. A larger shear means that an affine
registration warped the image. Its volumes and sides are then not the patient's, and it is refused.
"""

import numpy as np

from adumbra.core.case import Conversion, Grid
from adumbra.core.errors import AmbiguousInput, GridMismatch, ImplausibleValues
from adumbra.core.types import Affine

MOST_SHEAR_DEG = 1.0
NOTED_SHEAR_DEG = 0.1
SPACING_RANGE_MM = (0.02, 50.0)
FARTHEST_MM = 10_000.0
LARGEST_VIEW_MM = 600.0
"""Largest field of view along an axis; that of a head is 250 mm, with the neck 400 mm."""
_FLAT = 0.5  # Determinant of the directions of the axes; 1 at right angles, 0 where they lie in one plane.
_STAGE = "cases.geometry"


def checked_affine(where: str, shape: tuple[int, ...], affine: Affine) -> tuple[Conversion, ...]:
    """The notes on an affine that is accepted.

    Args:
        where: Name of the file, for errors.
        shape: Lengths of the axes.
        affine: Voxel index to RAS+ mm.

    Raises:
        ImplausibleValues: Not finite, not invertible, voxel sizes that no scanner produces, a field of view that no
            head has, or an origin too far away.
        GridMismatch: Axes sheared by more than ``MOST_SHEAR_DEG``.
    """
    columns = affine[:3, :3]
    sizes = np.linalg.norm(columns, axis=0) if np.isfinite(affine).all() else np.full(3, np.nan)
    low, high = SPACING_RANGE_MM
    if not ((sizes >= low) & (sizes <= high)).all():
        _implausible(where, f"voxels of {low} to {high} mm", f"voxel sizes {np.round(sizes, 6).tolist()} mm")
    view_mm = np.round(sizes * shape[:3], 1)
    if view_mm.max() > LARGEST_VIEW_MM:
        _implausible(
            where, f"a field of view of at most {LARGEST_VIEW_MM:g} mm along each axis", f"{view_mm.tolist()} mm"
        )
    if np.abs(affine[:3, 3]).max() > FARTHEST_MM:
        _implausible(where, f"an origin within {FARTHEST_MM:g} mm", f"origin {affine[:3, 3].tolist()} mm")
    if abs(np.linalg.det(columns / sizes)) < _FLAT:
        _implausible(where, "an affine that can be inverted", f"affine {np.round(affine, 4).tolist()}")
    return (*_shear(where, columns / sizes), *_thin(shape))


def _shear(where: str, directions: np.ndarray) -> tuple[Conversion, ...]:
    cosines = np.abs((directions.T @ directions)[np.triu_indices(3, 1)])
    shear_deg = float(np.degrees(np.arcsin(np.clip(cosines, 0, 1))).max())
    if shear_deg > MOST_SHEAR_DEG:
        raise GridMismatch(
            where,
            expected=f"voxel axes at right angles (to {MOST_SHEAR_DEG:g} degrees)",
            found=f"axes {shear_deg:.1f} degrees off a right angle",
            do="give the image as it was before an affine registration, or resample it onto an orthogonal grid",
        )
    if shear_deg < NOTED_SHEAR_DEG:
        return ()
    what = f"Axes {shear_deg:.2f} degrees off a right angle were taken as they are"
    return (Conversion(_STAGE, "", what, {"shear_deg": round(shear_deg, 4)}),)


def _thin(shape: tuple[int, ...]) -> tuple[Conversion, ...]:
    if min(shape) > 1:
        return ()
    return (Conversion(_STAGE, "", f"A single slice was read (shape {shape})", {"shape": list(shape)}, warning=True),)


def reconciled(
    where: str, shape: tuple[int, ...], sform: Affine | None, qform: Affine | None, spacing_mm: np.ndarray
) -> tuple[Affine, tuple[Conversion, ...]]:
    """The affine of a header with a sform, a qform or both: the sform where there is one, as in nibabel, FSL and ITK.

    Args:
        where: Name of the file, for errors.
        shape: Lengths of the axes.
        sform: Affine of the sform; None where its code is 0.
        qform: Affine of the qform; None where its code is 0. One of the two is given.
        spacing_mm: Voxel sizes that the header states separately (pixdim).

    Returns:
        The affine, and a warning where sform and qform place a voxel more than 0.1 mm apart.

    Raises:
        AmbiguousInput: Sform and qform turn an axis by more than 45 degrees against each other (left would become
            right, or up down), or the voxel sizes of the sform are not those of pixdim (programs disagree on which to
            use).
    """
    affine = sform if sform is not None else qform
    assert affine is not None  # The caller has refused a header without either.
    if not np.isfinite(affine).all():
        _implausible(where, "a finite affine", f"affine {affine.tolist()}")
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not (sizes > 0).all() or abs(np.linalg.det(affine[:3, :3] / sizes)) < _FLAT:
        _implausible(where, "an affine that can be inverted", f"affine {np.round(affine, 4).tolist()}")
    if (np.abs(sizes / spacing_mm - 1) > 0.01).any():
        raise AmbiguousInput(
            where,
            expected="one voxel size",
            found=f"{np.round(sizes, 4).tolist()} mm in the sform, {np.round(spacing_mm, 4).tolist()} mm in pixdim",
            do="find out which is right, and store it in both places",
        )
    if sform is None or qform is None:
        return affine, ()
    return affine, _disagreement(where, shape, sform, qform, spacing_mm)


def _disagreement(
    where: str, shape: tuple[int, ...], sform: Affine, qform: Affine, spacing_mm: np.ndarray
) -> tuple[Conversion, ...]:
    cosines = ((sform[:3, :3] / spacing_mm) * (qform[:3, :3] / spacing_mm)).sum(axis=0)
    by_sform, by_qform = Grid(shape[:3], sform), Grid(shape[:3], qform)  # type: ignore[arg-type]
    if cosines.min() < np.cos(np.radians(45)):
        turned_deg = float(np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))))
        raise AmbiguousInput(
            where,
            expected="a sform and a qform that agree on the patient's directions (left/right among them)",
            found=f"axes {by_sform.axcodes} by the sform, {by_qform.axcodes} by the qform: {turned_deg:.0f} degrees",
            do="find out which is right (from a marker or the DICOM files), and store it in both",
        )
    apart_mm = by_sform.distance_mm(by_qform)
    if apart_mm <= 0.1:
        return ()
    what = f"The sform was used; the qform places voxels up to {apart_mm:.1f} mm elsewhere"
    return (Conversion(_STAGE, "", what, {"apart_mm": round(apart_mm, 3)}, warning=True),)


def _implausible(where: str, expected: str, actual: str) -> None:
    raise ImplausibleValues(where, expected=expected, found=actual, do="the header is damaged: export the file again")
