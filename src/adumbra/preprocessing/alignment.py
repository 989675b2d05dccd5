"""Brings all scans and masks of a case to the grid of one of them, with a brain mask.

The steps in order: a missing ADC is computed, scans on other grids are registered, the brain is extracted, and
everything is resampled. Scans that share a grid count as aligned, as DWI, b0 and ADC of one acquisition are.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.errors import GridMismatch
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import EXACT_MM, resample, within_view
from adumbra.core.progress import Progress, quiet
from adumbra.core.references import citations, cites
from adumbra.core.types import Affine, Mask, Modality
from adumbra.preprocessing.adc import SAME_ACQUISITION_MM, adc_from, with_adc
from adumbra.preprocessing.brain_mask import extract_brain
from adumbra.preprocessing.brain_plausibility import implausibilities
from adumbra.preprocessing.registration import Registration, register_rigid
from adumbra.preprocessing.resampling import resample_by_modality, resample_scan

_DIFFUSION = ("dwi", "adc", "b0")
_CONTRAST: tuple[Modality, ...] = ("dwi", "b0", "flair", "swi", "tof", "adc")  # Best first, for registration.
_BRAIN: tuple[Modality, ...] = ("dwi", "b0", "flair", "tof", "swi", "adc")  # Best first, for brain extraction.
_LARGEST_RATIO = 1.35  # Brain of DWI and b0 over that of the DWI; the fluid around the brain adds 0.11 to 0.2.
_LEAST_COVERED = 0.9  # Share of the brain; a scan that covers less gets a warning.

Transforms = Mapping[Modality, Affine | None]
"""RAS+ mm of the reference's world to that of each scan; None trusts the header."""


@cites(*citations(register_rigid, extract_brain, adc_from, resample))
def align(
    case: Case,
    *,
    reference: Modality,
    registration: Literal["auto", "never"] = "auto",
    brain_mask: Scan | None = None,
    progress: Progress = quiet,
) -> Case:
    """Brings a case to the grid of its ``reference`` scan, and adds ``masks["brain"]``.

    Args:
        case: Scans and masks on any grids.
        reference: The modality whose grid is used.
        registration: ``"auto"`` registers scans whose grids differ from that of the reference (diffusion images whose
            headers differ by less than 1 mm are only resampled); ``"never"`` trusts the headers.
        brain_mask: The user's brain mask, on any grid; None takes that of the case, or else extracts the brain.
        progress: Follows the registrations.

    Returns:
        A case whose scans and masks share the grid of the reference; the ``native`` grid of every scan is unchanged.
        The provenance records what was done, with its measures of quality.

    Raises:
        MissingInput: There is no reference scan, or an ADC must be computed and the b-value is unknown.
        GridMismatch: The fields of view of a scan and of the reference do not overlap.
    """
    case.scan(reference)
    case = with_adc(case)
    fixed = case.scan(reference)
    for name, scan in (*case.scans.items(), *case.masks.items(), *((("brain", brain_mask),) if brain_mask else ())):
        _require_overlap(scan, fixed, name, reference)
    given = brain_mask or case.masks.get("brain")
    on_grid = given is not None and given.grid.coincides(fixed.grid)
    fixed_brain = given.data if given is not None and on_grid else _brain_of(case, reference)
    transforms, notes = _register_all(case, reference, fixed_brain if registration == "auto" else None, progress)
    brain, brain_note = _brain(case, reference, transforms, given, fixed_brain)
    scans = {
        modality: resample_by_modality(scan, fixed.grid, modality=modality, moving_from_fixed=transforms[modality])
        for modality, scan in case.scans.items()
    }
    masks = {name: _resample_mask(mask, case, reference, transforms) for name, mask in case.masks.items()}
    masks["brain"] = brain
    notes += [brain_note, *_plausibility_notes(brain)]
    notes += [*_resampling_notes(case, scans, masks, reference), *_coverage_notes(scans, brain)]
    return case.updated(*notes, scans=scans, masks=masks)


def _require_overlap(scan: Scan, fixed: Scan, name: str, reference: Modality) -> None:
    if within_view(scan.grid, fixed.grid).any() or within_view(fixed.grid, scan.grid).any():
        return
    gap = _gap_mm(scan.grid, fixed.grid)
    raise GridMismatch(
        f"{scan.source or name} and {fixed.source or reference}",
        expected=f"{name} and {reference} of the same head, their fields of view overlapping",
        found=f"fields of view {gap:.1f} mm apart",
        do="check that both files are of one patient and session, and that their headers are unedited",
    )


def _gap_mm(one: Grid, other: Grid) -> float:
    """Distance between the boxes along the anatomical axes that enclose the voxel centres of two grids."""
    a, b = one.corners_mm(), other.corners_mm()
    gaps = np.maximum(a.min(axis=0) - b.max(axis=0), b.min(axis=0) - a.max(axis=0))
    return float(np.linalg.norm(np.maximum(gaps, 0.0)))


def _register_all(
    case: Case, reference: Modality, brain: Mask | None, progress: Progress
) -> tuple[Transforms, list[Conversion]]:
    """The transform of each scan, from one registration for each group of scans that share a grid.

    ``brain`` is the brain on the grid of the reference; None registers nothing.
    """
    fixed = case.scan(reference)
    leaders = {modality: _leader(case, modality, reference) if brain is not None else None for modality in case.scans}
    moving = list(dict.fromkeys(leader for leader in leaders.values() if leader is not None))
    registrations: dict[Modality, Registration] = {
        leader: register_rigid(fixed, case.scan(leader), fixed_mask=brain)
        for leader in progress.track(moving, what="Registering scans")
    }
    accepted = {leader: r.moving_from_fixed for leader, r in registrations.items() if r.accepted}
    transforms = {modality: accepted.get(leader) if leader else None for modality, leader in leaders.items()}
    return transforms, [result.conversion(leader, reference) for leader, result in registrations.items()]


def _leader(case: Case, modality: Modality, reference: Modality) -> Modality | None:
    """The scan whose registration applies to this one; None where it is aligned with the reference as it is.

    A phase image shows no anatomy to register by. It was acquired with its magnitude, so it follows ``swi``.
    """
    if modality == "phase" and "swi" in case.scans:
        return _leader(case, "swi", reference)
    if _share_space(case, modality, reference):
        return None
    same = (other for other in _CONTRAST if other in case.scans and _share_space(case, modality, other))
    return next(same, None)


def _share_space(case: Case, one: Modality, other: Modality) -> bool:
    """Whether two scans lie on one grid, or come from one diffusion acquisition with rounded headers."""
    diffusion = one in _DIFFUSION and other in _DIFFUSION
    tolerance_mm = SAME_ACQUISITION_MM if diffusion else EXACT_MM
    return case.scan(one).grid.coincides(case.scan(other).grid, tolerance_mm=tolerance_mm)


def _resample_mask(mask: Scan, case: Case, reference: Modality, transforms: Transforms) -> Scan:
    """A mask on the grid of the reference, transformed like the scan that it was drawn on."""
    drawn_on = (m for m, scan in case.scans.items() if scan.grid.coincides(mask.grid))
    on_reference = mask.grid.coincides(case.scan(reference).grid)
    transform = None if on_reference else transforms.get(next(drawn_on, reference))
    return resample_scan(mask, case.scan(reference).grid, moving_from_fixed=transform)


def _brain(
    case: Case, reference: Modality, transforms: Transforms, given: Scan | None, fixed_brain: Mask
) -> tuple[Scan, Conversion]:
    """The brain on the grid of the reference: the given mask, or that of the scan that shows the brain best."""
    grid = case.scan(reference).grid
    if given is not None:
        brain, source = _resample_mask(given, case, reference, transforms), "given"
    else:
        best = next((m for m in _BRAIN if m in case.scans), reference)
        brain, source = _brain_in(case, best, reference, transforms, fixed_brain)
    if not brain.data.any():
        brain, source = Scan(fixed_brain, grid, case.scan(reference).native), f"found in {reference}"
    values = {"volume_ml": round(_volume_ml(brain), 1)}
    return brain, Conversion("preprocessing.brain_mask", "brain", f"Brain mask {source}", values)


def _plausibility_notes(brain: Scan) -> list[Conversion]:
    """A warning if something speaks against the brain mask."""
    clauses = implausibilities(brain.data, brain.grid)
    if not clauses:
        return []
    what = f"The brain mask may be wrong, for {', '.join(clauses)}"
    return [Conversion("preprocessing.brain_plausibility", "brain", what, {"failed": len(clauses)}, warning=True)]


def _brain_in(
    case: Case, best: Modality, reference: Modality, transforms: Transforms, fixed_brain: Mask
) -> tuple[Scan, str]:
    """The brain on the grid of the reference, and how it was found.

    It is what ``best`` shows, and beyond the field of view of ``best`` what the reference shows.
    """
    scan, fixed = case.scan(best), case.scan(reference)
    if best == reference:
        return Scan(fixed_brain, fixed.grid, fixed.native), f"found in {best}"
    brain = Scan(_brain_of(case, best), scan.grid, scan.native)
    resampled = resample_scan(brain, fixed.grid, moving_from_fixed=transforms[best])
    beyond = fixed_brain & ~within_view(scan.grid, fixed.grid, transforms[best])
    if not beyond.any() or not resampled.data.any():
        return resampled, f"found in {best}"
    source = f"found in {best}, and beyond its field of view in {reference}"
    return replace(resampled, data=resampled.data | beyond), source


def _brain_of(case: Case, modality: Modality) -> Mask:
    """The brain on the grid of a scan; for a DWI, what the DWI or a b0 on the same grid shows.

    Old infarcts and fluid are dark on DWI and bright on b0. At the border of the brain, filling holes does not recover
    them. A b0 with a much larger brain than the DWI includes scalp, and is ignored.
    """
    scan = case.scan(modality)
    brain = extract_brain(scan.data, scan.grid)
    b0 = case.scans.get("b0")
    if modality != "dwi" or b0 is None or not b0.grid.coincides(scan.grid):
        return brain
    both = brain | extract_brain(b0.data, b0.grid)
    return both if both.sum() <= _LARGEST_RATIO * brain.sum() else brain


def _resampling_notes(
    case: Case, scans: Mapping[Modality, Scan], masks: Mapping[str, Scan], reference: Modality
) -> list[Conversion]:
    """One note for each scan and mask whose grid changed."""
    notes = []
    for name, after in (*scans.items(), *masks.items()):
        before = case.scans.get(name) or case.masks.get(name)  # type: ignore[call-overload]
        if before is None or before.grid.coincides(after.grid):
            continue
        what, numbers = f"Resampled onto the grid of {reference}", _spacings(before, after)
        if before.data.dtype == bool:
            numbers |= {"from_ml": round(_volume_ml(before), 4), "to_ml": round(_volume_ml(after), 4)}
        notes.append(Conversion("preprocessing.resampling", name, what, numbers))
    return notes


def _spacings(before: Scan, after: Scan) -> dict[str, object]:
    return {
        "from_spacing_mm": [round(s, 4) for s in before.grid.spacing_mm],
        "to_spacing_mm": [round(s, 4) for s in after.grid.spacing_mm],
    }


def _volume_ml(mask: Scan) -> float:
    return float(mask.data.sum()) * mask.grid.voxel_ml


def _coverage_notes(after: Mapping[Modality, Scan], brain: Scan) -> list[Conversion]:
    """One note for each scan that does not cover the whole brain; a warning where it covers little."""
    shares = {
        m: float(s.valid_mask[brain.data].mean())
        for m, s in after.items()
        if s.valid_mask is not None and brain.data.any()
    }
    return [
        Conversion(
            "preprocessing.alignment",
            m,
            f"Covers {share:.0%} of the brain",
            {"share": round(share, 4)},
            share < _LEAST_COVERED,
        )
        for m, share in shares.items()
    ]
