"""Prepares a case for a network: on one grid, at one spacing, in network units.

Training and prediction both use this function, so that the network's input is computed in the same way in both.
"""

from collections.abc import Collection
from typing import Literal

from adumbra.core.case import Case
from adumbra.core.errors import MissingInput
from adumbra.core.geometry.grid import respaced
from adumbra.core.progress import Progress, quiet
from adumbra.core.references import citations, cites
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Modality, Target
from adumbra.preprocessing.alignment import align
from adumbra.preprocessing.head_context import with_head_context
from adumbra.preprocessing.normalisation import normalise
from adumbra.preprocessing.phase import with_swi
from adumbra.preprocessing.reflection import with_reflection
from adumbra.preprocessing.resampling import resample_case


def reference_modality(case: Case, target: Target) -> Modality:
    """The modality on whose grid a target is segmented.

    Raises:
        MissingInput: The case has no scan that shows the target.
    """
    wanted = TARGET_SPECS[target].reference_modalities
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
    mirrored: bool = False,
    in_atlas: bool = False,
    progress: Progress = quiet,
) -> tuple[Case, Case]:
    """Aligns a case, and prepares it for a network.

    Args:
        case: The case as it was opened.
        target: The target to segment.
        modalities: The input modalities of the network. If swi and phase are among them, the magnitude is multiplied
            by the mask of the phase.
        spacing_mm: Spacing of the network's isotropic grid.
        registration: See ``align``.
        mirrored: Whether to estimate the reflection of the head, for a network that takes mirror images.
        in_atlas: Whether to place the head in MNI152 space, for a network that takes context inputs.
        progress: Follows the registrations.

    Returns:
        The case on the grid of the target's reference modality (``aligned``), and the same case at the network's
        spacing and in network units (``network_case``).

    Raises:
        InputRejected: See ``align`` and ``normalise``.
        MissingInput: The case has no scan that shows the target.
    """
    aligned = align_case(
        case,
        target=target,
        modalities=modalities,
        registration=registration,
        mirrored=mirrored,
        in_atlas=in_atlas,
        progress=progress,
    )
    return aligned, network_case(aligned, spacing_mm=spacing_mm)


@cites(*citations(align, with_swi))
def align_case(
    case: Case,
    *,
    target: Target,
    modalities: Collection[Modality],
    registration: Literal["auto", "never"] = "auto",
    mirrored: bool = False,
    in_atlas: bool = False,
    progress: Progress = quiet,
) -> Case:
    """The case on the grid of the target's reference modality; the arguments and errors are those of ``preprocess``."""
    weighted = with_swi(case) if {"swi", "phase"} <= set(modalities) else case
    reference = reference_modality(case, target)
    aligned = align(weighted, reference=reference, registration=registration, progress=progress)
    placed = with_head_context(aligned, modalities) if in_atlas else aligned
    return with_reflection(placed, modalities) if mirrored else placed


def network_case(aligned: Case, *, spacing_mm: float) -> Case:
    """An aligned case at the isotropic spacing of a network, in network units.

    Raises:
        InputRejected: See ``normalise``.
    """
    return normalise(resample_case(aligned, respaced(aligned.grid, (spacing_mm,) * 3)))
