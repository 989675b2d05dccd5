"""Probability maps with one modality withheld at a time: what a segmentation rests on.

The prepared case of a network is used again without one of its scans, which the network then sees as missing, as it
does for a patient without this sequence. Alignment, brain mask, normalisation, reflection and the place in the atlas
stay those of all sequences, so that only the network's input changes. Each pass is deterministic and uses the first
members of an ensemble only, because a pass of each member costs seconds; the map with all modalities is computed with
the same members. A second pass over uncertain windows and the decision on candidates are not repeated: for a thrombus
the change is that of the first pass.

Where only some regions are of interest, such as those of a worklist, only the windows that they need are computed. The
windows keep their places, because a network normalises each window by its own statistics. Before calibration the
probability in the regions is that of the whole pass within ``inference.sliding_window.LARGEST_LOSS``.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import ndimage

from adumbra.clinic.modality_evidence import WithheldProbabilities
from adumbra.core.case import BRAIN_WITH_MARGIN, REQUESTED, Case, Scan
from adumbra.core.errors import InputRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import reach_voxels
from adumbra.core.progress import Progress, quiet
from adumbra.core.types import Mask, Modality, Volume
from adumbra.inference.model_input import brain_with_margin
from adumbra.segmentation_model import SegmentationModel

MEMBERS = 1
"""Usual number of members of an ensemble that see the case without a modality; ``docs/results/worklist.md`` states the
cost of each."""


def withheld_probabilities(
    model: SegmentationModel,
    cases: Mapping[float, Case],
    grid: Grid,
    *,
    within: Mask,
    regions: Mask | None = None,
    members: int = MEMBERS,
    progress: Progress = quiet,
) -> WithheldProbabilities | None:
    """The probability with all modalities, and without each of them.

    Args:
        model: As ``segmentation_model.load_model`` gives it.
        cases: As ``SegmentationModel.network_cases`` gives them.
        grid: Grid of the maps.
        within: (X, Y, Z) of ``grid``, the analysed region.
        regions: (X, Y, Z), the voxels whose probability is needed: the maps are 0 elsewhere. None computes them all.
        members: Number of members, the first ones of the ensemble.
        progress: Follows the passes.

    Returns:
        None where the case has fewer than two of the networks' modalities, since one must be left.

    Raises:
        InputRejected: ``members`` is not between 1 and the number of networks.
    """
    if not 1 <= members <= model.member_count:
        raise InputRejected(
            "members",
            expected=f"1 to {model.member_count}, the number of networks",
            found=f"{members}",
            do=f"give {MEMBERS}",
        )
    some = replace(model, networks=model.networks[:members], members=model.members[:members])
    configs = [network.network.config for network in some.networks]
    used = {modality for config in configs for modality in config.modalities}
    available = [m for m in next(iter(cases.values())).scans if m in used]
    if len(available) < 2:
        return None
    shown = within if regions is None else within & regions
    cases = {spacing: _with_margin(case) for spacing, case in cases.items()}
    if regions is not None and not any(config.guidance_channels for config in configs):  # a guide needs its whole pass
        cases = {spacing: requesting(case, shown, grid) for spacing, case in cases.items()}
    passes: list[Modality | None] = [None, *available]
    maps = {
        modality: _probability(some, {s: without(case, modality) for s, case in cases.items()}, grid, shown)
        for modality in progress.track(passes, what="Withholding modalities", total=len(passes))
    }
    return WithheldProbabilities(maps[None], {modality: maps[modality] for modality in available})


def without(case: Case, modality: Modality | None) -> Case:
    """The case without the scan of a modality, on both sides of the head; the case itself for None."""
    if modality is None:
        return case
    scans, mirrors = ({m: s for m, s in part.items() if m != modality} for part in (case.scans, case.mirrors))
    return replace(case, scans=scans, mirrors=mirrors)


def requesting(case: Case, regions: Mask, grid: Grid) -> Case:
    """The case with the mask of the voxels that the probability of some regions on another grid is computed from.

    Args:
        case: A case at the spacing of a network.
        regions: (X, Y, Z) of ``grid``.
        grid: Grid of the regions.
    """
    centres = np.rint(case.grid.index(grid.world_mm(np.argwhere(regions)))).astype(int)
    inside = ((centres >= 0) & (centres < case.grid.shape)).all(axis=1)
    near = np.zeros(case.grid.shape, dtype=bool)
    near[tuple(centres[inside].T)] = True
    reach = np.ones([2 * n + 1 for n in reach_voxels(case.grid, grid)], dtype=bool)
    mask = Scan(ndimage.binary_dilation(near, reach), case.grid, case.grid)
    return replace(case, masks={**case.masks, REQUESTED: mask})


def _with_margin(case: Case) -> Case:
    """The case with the mask that all passes have in common, so that it is computed once."""
    return replace(case, masks={**case.masks, BRAIN_WITH_MARGIN: Scan(brain_with_margin(case), case.grid, case.grid)})


def _probability(model: SegmentationModel, cases: Mapping[float, Case], grid: Grid, within: Mask) -> Volume:
    """The calibrated probability without any randomness, 0 outside a mask."""
    volume = model.prepare(cases, grid, within=within).deterministic()
    if model.calibration is not None:
        volume = model.calibration.apply(volume)
    return np.where(within, volume, np.float32(0.0)).astype(np.float32)
