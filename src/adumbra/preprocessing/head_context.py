"""Places a head in MNI152 space, for networks that take context inputs."""

from collections.abc import Collection

from adumbra.core.atlas.head_context import HeadContext
from adumbra.core.case import Case
from adumbra.core.errors import MissingInput
from adumbra.core.references import citations, cites
from adumbra.core.types import Modality
from adumbra.preprocessing.atlas.alignment import align_to_atlas

_ORDER: tuple[Modality, ...] = ("dwi", "flair", "b0", "swi", "tof", "adc")  # Those that cover the whole brain first.


@cites(*citations(align_to_atlas))
def with_head_context(case: Case, modalities: Collection[Modality]) -> Case:
    """An aligned case with its place in MNI152 space, estimated from one of its scans.

    Args:
        case: The case on one grid, with a brain mask.
        modalities: The modalities that may be used, those of the network; the phase never is.

    Raises:
        MissingInput: The case has no brain mask, an empty one, or none of the modalities.
    """
    if "brain" not in case.masks or not case.masks["brain"].data.any():
        raise MissingInput(
            case.name,
            expected="a brain mask",
            found="none, or an empty one",
            do="call adumbra.preprocessing.alignment.align first",
        )
    usable = [modality for modality in _ORDER if modality in case.scans and modality in modalities]
    if not usable:
        raise MissingInput(
            case.name,
            expected=f"one of {', '.join(_ORDER)} to place the head in MNI152 space",
            found=", ".join(case.scans) or "no scans",
            do="give one of these sequences",
        )
    scan = case.scans[usable[0]]
    alignment = align_to_atlas(scan.data, case.grid, brain=case.masks["brain"].data, valid=scan.valid_mask)
    return case.updated(alignment.conversion(usable[0]), context=HeadContext(alignment.deformation))
