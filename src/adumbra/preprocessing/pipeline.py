"""A case made ready for a network: on one grid, at one spacing, in network units. The station's road, in one place.

Training and prediction both go through here, so that a network sees of a new case what it saw of those it learned from.
"""

from collections.abc import Collection
from typing import Literal

from adumbra.core.case import Case
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import respaced
from adumbra.core.ground_truth import REFERENCE_MODALITIES
from adumbra.core.progress import Progress, quiet
from adumbra.core.references import citations, cites
from adumbra.core.types import Modality, Target
from adumbra.preprocessing.alignment import align
from adumbra.preprocessing.normalisation import normalised
from adumbra.preprocessing.phase import with_swi
from adumbra.preprocessing.resampling import case_onto


def reference_modality(case: Case, target: Target) -> Modality:
    """The modality on whose grid a target is outlined.

    Raises:
        MissingInput: The case has none that shows the target.
    """
    wanted = REFERENCE_MODALITIES[target]
    for modality in wanted:
        if modality in case.scans:
            return modality
    raise MissingInput(
        case.name,
        expected=f"a scan that shows the {target}: {' or '.join(wanted)}",
        found=", ".join(case.scans) or "no scans",
        do=f"give one, such as --{wanted[0]} FILE",
    )


@cites(*citations(align, with_swi))
def preprocess(
    case: Case,
    *,
    target: Target,
    modalities: Collection[Modality],
    spacing_mm: float,
    registration: Literal["auto", "never"] = "auto",
    progress: Progress = quiet,
) -> tuple[Case, Case]:
    """The case on the grid of the scan that its target is outlined on, and the same at the network's spacing and units.

    Args:
        case: As it was opened.
        target: To be outlined.
        modalities: That the network looks at; where phase is among them the magnitude is susceptibility-weighted by it.
        spacing_mm: Of the network's isotropic grid.
        registration: See ``align``.
        progress: Told of each registration.

    Raises:
        InputRejected: See ``align`` and ``normalised``.
        MissingInput: The case has no scan that shows the target.
    """
    weighted = with_swi(case) if {"swi", "phase"} <= set(modalities) else case
    aligned = align(weighted, reference=reference_modality(case, target), registration=registration, progress=progress)
    return aligned, normalised(case_onto(aligned, respaced(aligned.grid, (spacing_mm,) * 3)))
