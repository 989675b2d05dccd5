"""All scans and masks of a case on the grid of one of them, with a brain mask: the station's road.

In order: the ADC is made where it is missing; scans are registered where their grids differ; the brain is found; all is
resampled. Scans that share a grid are taken as aligned, as a scanner's DWI, b0 and ADC are.
"""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.errors import GridMismatch
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import EXACT_MM, resampled, within_view
from adumbra.core.progress import Progress, quiet
from adumbra.core.references import citations, cites
from adumbra.core.types import Affine, Mask, Modality
from adumbra.preprocessing.adc import SAME_ACQUISITION_MM, adc_from, with_adc
from adumbra.preprocessing.brain_mask import brain_mask as brain_of
from adumbra.preprocessing.registration import Registration, rigid
from adumbra.preprocessing.resampling import onto, scan_onto

_DIFFUSION = ("dwi", "adc", "b0")
_CONTRAST: tuple[Modality, ...] = ("dwi", "b0", "flair", "swi", "tof", "adc")  # Best first, to register by.
_BRAIN: tuple[Modality, ...] = ("dwi", "b0", "flair", "tof", "swi", "adc")  # Best first, to find the brain in.
_MOST_ADDED_BY_B0 = 1.35  # Share of the DWI's brain; the fluid around the brain adds 0.11 to 0.2.
_LEAST_SEEN = 0.9  # Of the brain; a scan that covers less is worth a warning.

Moves = Mapping[Modality, Affine | None]


@cites(*citations(rigid, brain_of, adc_from, resampled))
def align(
    case: Case,
    *,
    reference: Modality,
    registration: Literal["auto", "never"] = "auto",
    brain_mask: Scan | None = None,
    progress: Progress = quiet,
) -> Case:
    """The case on the grid of its ``reference`` scan, with ``masks["brain"]``.

    Args:
        case: Scans and masks on any grids.
        reference: The modality whose grid all are brought to.
        registration: ``"auto"`` registers scans whose grids differ from the reference's (diffusion images whose
            headers differ by less than 1 mm are only resampled); ``"never"`` trusts the headers.
        brain_mask: The user's own, on any grid; None finds one, unless the case brings one.
        progress: Told of each registration.

    Returns:
        A case whose scans and masks share the reference's grid; every scan's ``native`` is untouched. What was done,
        and how well it worked, is in its provenance.

    Raises:
        MissingInput: There is no reference scan, or an ADC must be computed and the b-value is not valid.
        GridMismatch: The field of view of a scan lies wholly outside the reference's.
    """
    case.scan(reference)
    case = with_adc(case)
    fixed = case.scan(reference)
    for name, scan in (*case.scans.items(), *case.masks.items(), *((("brain", brain_mask),) if brain_mask else ())):
        _require_overlap(scan, fixed, name, reference)
    given = brain_mask or case.masks.get("brain")
    is_there = given is not None and given.grid.coincides(fixed.grid)
    fixed_brain = given.data if given is not None and is_there else _brain_of(case, reference)
    moves, notes = _moves(case, reference, fixed_brain if registration == "auto" else None, progress)
    brain, brain_note = _brain(case, reference, moves, given, fixed_brain)
    scans = {m: onto(s, fixed.grid, modality=m, moving_from_fixed=moves[m]) for m, s in case.scans.items()}
    masks = {n: _mask_onto(m, case, reference, moves) for n, m in case.masks.items()} | {"brain": brain}
    notes += [brain_note, *_resampling_notes(case, scans, masks, reference), *_coverage_notes(scans, brain)]
    return case.updated(*notes, scans=scans, masks=masks)


def _require_overlap(scan: Scan, fixed: Scan, name: str, reference: Modality) -> None:
    if within_view(scan.grid, fixed.grid).any() or within_view(fixed.grid, scan.grid).any():
        return
    gap = _gap_mm(scan.grid, fixed.grid)
    raise GridMismatch(
        f"{scan.source or name} and {fixed.source or reference}",
        expected=f"{name} and {reference} of the same head, their fields of view overlapping",
        found=f"fields of view {gap:.1f} mm apart",
        do="check that both files are of one patient and session, and that their headers were not edited",
    )


def _gap_mm(one: Grid, other: Grid) -> float:
    """The distance between the boxes, along the anatomical axes, that hold two grids' voxel centres."""
    a, b = one.corners_mm(), other.corners_mm()
    gaps = np.maximum(a.min(axis=0) - b.max(axis=0), b.min(axis=0) - a.max(axis=0))
    return float(np.linalg.norm(np.maximum(gaps, 0.0)))


def _moves(case: Case, reference: Modality, brain: Mask | None, progress: Progress) -> tuple[Moves, list[Conversion]]:
    """The transform of each scan, one registration for each group that shares a grid; None trusts the header.

    ``brain`` is the reference's; None registers nothing.
    """
    fixed = case.scan(reference)
    leaders = {modality: _leader(case, modality, reference) if brain is not None else None for modality in case.scans}
    moving = list(dict.fromkeys(leader for leader in leaders.values() if leader is not None))
    found: dict[Modality, Registration] = {
        leader: rigid(fixed, case.scan(leader), fixed_mask=brain)
        for leader in progress.track(moving, what="Registering scans")
    }
    accepted = {leader: r.moving_from_fixed for leader, r in found.items() if r.accepted}
    moves = {modality: accepted.get(leader) if leader else None for modality, leader in leaders.items()}
    return moves, [registered.conversion(leader, reference) for leader, registered in found.items()]


def _leader(case: Case, modality: Modality, reference: Modality) -> Modality | None:
    """The scan whose registration moves this one; None where it is aligned with the reference as it is.

    A phase image shows no anatomy to register by and was measured with its magnitude: it travels with ``swi``.
    """
    if modality == "phase" and "swi" in case.scans:
        return _leader(case, "swi", reference)
    if _share_space(case, modality, reference):
        return None
    same = (other for other in _CONTRAST if other in case.scans and _share_space(case, modality, other))
    return next(same, None)


def _share_space(case: Case, one: Modality, other: Modality) -> bool:
    """Whether two scans lie on one grid, or come from one diffusion acquisition whose headers were rounded."""
    diffusion = one in _DIFFUSION and other in _DIFFUSION
    tolerance_mm = SAME_ACQUISITION_MM if diffusion else EXACT_MM
    return case.scan(one).grid.coincides(case.scan(other).grid, tolerance_mm=tolerance_mm)


def _mask_onto(mask: Scan, case: Case, reference: Modality, moves: Moves) -> Scan:
    """A mask on the reference's grid, moved like the scan that it was drawn on."""
    drawn_on = (m for m, scan in case.scans.items() if scan.grid.coincides(mask.grid))
    on_reference = mask.grid.coincides(case.scan(reference).grid)
    move = None if on_reference else moves.get(next(drawn_on, reference))
    return scan_onto(mask, case.scan(reference).grid, moving_from_fixed=move)


def _brain(
    case: Case, reference: Modality, moves: Moves, given: Scan | None, fixed_brain: Mask
) -> tuple[Scan, Conversion]:
    """The brain on the reference's grid: the one given, or found in the scan that shows it best."""
    grid = case.scan(reference).grid
    if given is not None:
        brain, how = _mask_onto(given, case, reference, moves), "given"
    else:
        best = next((m for m in _BRAIN if m in case.scans), reference)
        brain, how = _brain_in(case, best, reference, moves, fixed_brain), f"found in {best}"
    if not brain.data.any():
        brain, how = Scan(fixed_brain, grid, case.scan(reference).native), f"found in {reference}"
    volume_ml = _volume_ml(brain)
    note = Conversion("preprocessing.brain_mask", "brain", f"Brain mask {how}", {"volume_ml": round(volume_ml, 1)})
    return brain, note


def _brain_in(case: Case, best: Modality, reference: Modality, moves: Moves, fixed_brain: Mask) -> Scan:
    """The brain as ``best`` shows it, on the reference's grid."""
    scan, fixed = case.scan(best), case.scan(reference)
    if best == reference:
        return Scan(fixed_brain, fixed.grid, fixed.native)
    found = Scan(_brain_of(case, best), scan.grid, scan.native)
    return scan_onto(found, fixed.grid, moving_from_fixed=moves[best])


def _brain_of(case: Case, modality: Modality) -> Mask:
    """The brain on a scan's own grid: of a DWI, what it or the b0 beside it shows.

    Old infarcts and fluid are dark on DWI and bright on b0, at the border too, where no filling of holes finds them.
    A b0 that claims much more than the DWI has run into the scalp, and is not heard.
    """
    scan = case.scan(modality)
    brain = brain_of(scan.data, scan.grid)
    b0 = case.scans.get("b0")
    if modality != "dwi" or b0 is None or not b0.grid.coincides(scan.grid):
        return brain
    both = brain | brain_of(b0.data, b0.grid)
    return both if both.sum() <= _MOST_ADDED_BY_B0 * brain.sum() else brain


def _resampling_notes(
    case: Case, scans: Mapping[Modality, Scan], masks: Mapping[str, Scan], reference: Modality
) -> list[Conversion]:
    """One line for each scan and mask that changed its grid."""
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
    """A warning for each scan that leaves part of the brain unseen."""
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
            share < _LEAST_SEEN,
        )
        for m, share in shares.items()
    ]
