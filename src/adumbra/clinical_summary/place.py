"""The place of the head of a case in MNI152 space, which territories, regions and arteries are read from."""

from dataclasses import dataclass

from adumbra.core.atlas.deformation import Deformation
from adumbra.core.case import Case
from adumbra.core.errors import AdumbraError
from adumbra.preprocessing.head_context import with_head_context
from adumbra.preprocessing.reflection import with_reflection

NOT_PLACED = "The head could not be placed in the atlas, so that territories, regions and arteries cannot be named"

ATLAS_STAGE = "preprocessing.atlas"
"""Stage of the provenance line of the alignment to the atlas."""


@dataclass(frozen=True, eq=False)
class PlacedCase:
    """A case on one grid with its place in the atlas.

    Attributes:
        case: The aligned case; with its reflection where it was asked for.
        deformation: Subject mm to MNI152 mm; None where the head could not be placed.
        notes: Sentences that must stand beside what is read from the atlas.
    """

    case: Case
    deformation: Deformation | None
    notes: tuple[str, ...] = ()


def placed(case: Case, *, mirrored: bool = False) -> PlacedCase:
    """The case with its place in the atlas; it is estimated where no network needed it.

    Args:
        case: The aligned case, with a brain mask.
        mirrored: Whether the reflection of the head is needed too.
    """
    modalities = tuple(case.scans)
    try:
        inside = case if case.context is not None else with_head_context(case, modalities)
        if mirrored and inside.reflection is None:
            inside = with_reflection(inside, modalities)
    except AdumbraError as error:
        return PlacedCase(case, None, (f"{NOT_PLACED}: {error.found}.",))
    assert inside.context is not None
    added = inside.provenance[len(case.provenance) :]
    reasons = [line.what for line in added if line.warning and line.stage == ATLAS_STAGE]
    notes = tuple(f"{line.what}." for line in added if line.warning and line.stage != ATLAS_STAGE)
    if reasons:  # names that are read from a wrong place would be wrong too
        return PlacedCase(inside, None, (f"{NOT_PLACED}: {'; '.join(reasons)}.", *notes))
    return PlacedCase(inside, inside.context.deformation, notes)
