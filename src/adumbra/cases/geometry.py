"""Where voxels lie: which affines are believed, which are noted, which are refused.

Shear: scanners make orthogonal axes. Up to ``MOST_SHEAR_DEG`` (rounded oblique affines stay far below it) the affine is
taken as it is, and noted from 0.1 degrees on; beyond, the image was warped by an affine registration, and neither its
volumes nor its sides are the patient's: it is refused.
"""

import numpy as np

from adumbra.core.case import Conversion, Grid
from adumbra.core.errors import AmbiguousInput, GridMismatch, ImplausibleValues
from adumbra.core.types import Affine

MOST_SHEAR_DEG = 1.0
NOTED_SHEAR_DEG = 0.1
SPACING_RANGE_MM = (0.02, 50.0)
FARTHEST_MM = 10_000.0
STATION = "cases.geometry"


def checked_affine(where: str, shape: tuple[int, ...], affine: Affine) -> tuple[Conversion, ...]:
    """What is worth a note in an affine that is believed.

    Raises:
        ImplausibleValues: Not finite, not invertible, voxel sizes that no scanner makes, or far from any scanner.
        GridMismatch: Axes sheared by more than ``MOST_SHEAR_DEG``.
    """
    columns = affine[:3, :3]
    sizes = np.linalg.norm(columns, axis=0) if np.isfinite(affine).all() else np.full(3, np.nan)
    low, high = SPACING_RANGE_MM
    if not ((sizes >= low) & (sizes <= high)).all():
        _implausible(where, f"voxels of {low} to {high} mm", f"voxel sizes {np.round(sizes, 6).tolist()} mm")
    if np.abs(affine[:3, 3]).max() > FARTHEST_MM:
        _implausible(where, f"an origin within {FARTHEST_MM:g} mm", f"origin {affine[:3, 3].tolist()} mm")
    if abs(np.linalg.det(columns / sizes)) < 0.5:
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
    return (Conversion(STATION, "", what, {"shear_deg": round(shear_deg, 4)}),)


def _thin(shape: tuple[int, ...]) -> tuple[Conversion, ...]:
    if min(shape) > 1:
        return ()
    return (Conversion(STATION, "", f"A single slice was read (shape {shape})", {"shape": list(shape)}, warning=True),)


def reconciled(
    where: str, shape: tuple[int, ...], sform: Affine | None, qform: Affine | None, spacing_mm: np.ndarray
) -> tuple[Affine, tuple[Conversion, ...]]:
    """The affine that two statements of one header support: the sform where there is one, as nibabel, FSL and ITK do.

    Returns:
        The affine, and a warning where sform and qform put a voxel more than 0.1 mm apart.

    Raises:
        AmbiguousInput: They turn an axis by more than 45 degrees against each other (left would become right, or up
            down), or the sform's voxel sizes are not the header's (readers disagree on which to use).
    """
    affine = sform if sform is not None else qform
    assert affine is not None  # the caller has refused a header without either
    if not np.isfinite(affine).all():
        _implausible(where, "a finite affine", f"affine {affine.tolist()}")
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if not (sizes > 0).all():
        _implausible(where, "an affine that can be inverted", f"affine {np.round(affine, 4).tolist()}")
    if (np.abs(sizes / spacing_mm - 1) > 0.01).any():
        found = f"{np.round(sizes, 4).tolist()} mm in the sform, {np.round(spacing_mm, 4).tolist()} mm in pixdim"
        raise AmbiguousInput(
            where, expected="one voxel size", found=found, do="find which is right, and store that one in both places"
        )
    if sform is None or qform is None:
        return affine, ()
    return affine, _disagreement(where, shape, sform, qform, spacing_mm)


def _disagreement(
    where: str, shape: tuple[int, ...], sform: Affine, qform: Affine, spacing_mm: np.ndarray
) -> tuple[Conversion, ...]:
    cosines = ((sform[:3, :3] / spacing_mm) * (qform[:3, :3] / spacing_mm)).sum(axis=0)
    ours, theirs = Grid(shape[:3], sform), Grid(shape[:3], qform)  # type: ignore[arg-type]
    if cosines.min() < np.cos(np.radians(45)):
        raise AmbiguousInput(
            where,
            expected="a sform and a qform that agree on the patient's directions (left/right among them)",
            found=f"axes {ours.axcodes} by the sform, {theirs.axcodes} by the qform",
            do="find out which is right (a marker, the DICOM), and store it in both",
        )
    apart_mm = ours.distance_mm(theirs)
    if apart_mm <= 0.1:
        return ()
    what = f"The sform was used; the qform places voxels up to {apart_mm:.1f} mm elsewhere"
    return (Conversion(STATION, "", what, {"apart_mm": round(apart_mm, 3)}, warning=True),)


def _implausible(where: str, expected: str, found: str) -> None:
    raise ImplausibleValues(where, expected=expected, found=found, do="the header is damaged: export the file again")
