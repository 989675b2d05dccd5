"""The second look at a candidate by one or several networks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from adumbra.core.candidates import CandidateRule
from adumbra.core.case import Case
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import ComputeConfig
from adumbra.core.types import Channels, Modality, Volume
from adumbra.fusion.candidates.cubes import (
    CaseReader,
    cube_grid,
    cube_images,
    cube_maps,
    present_modalities,
    with_missing_flow,
)
from adumbra.fusion.candidates.extraction import Extracted
from adumbra.fusion.candidates.first_pass import FirstPass
from adumbra.inference.device import autocast, select_device, use_threads
from adumbra.networks.capabilities import CandidateClassification


@dataclass(frozen=True, eq=False)
class Examiner:
    """A network of a second look.

    Attributes:
        network: The network, in evaluation mode.
        modalities: Its images, in order.
        mirrored: Whether mirror images follow them.
        spacing_mm: Spacing of its cube.
        side: Side of its cube, in voxels.
    """

    network: CandidateClassification
    modalities: tuple[Modality, ...]
    mirrored: bool
    spacing_mm: float
    side: int

    @property
    def rule(self) -> CandidateRule:
        """The candidates that the network was trained on."""
        return self.network.candidate_rule

    def channels(self, case: Case, maps: FirstPass) -> Channels:
        """Its input for a case on the grid of the cube, (C, side, side, side)."""
        images = cube_images(case, self.modalities, mirrored=self.mirrored)
        return np.concatenate([images, with_missing_flow(cube_maps(maps, case.grid))])


@dataclass(frozen=True, eq=False)
class Look:
    """What a second look gives for a candidate.

    Attributes:
        score: Mean logit of a clot over the networks.
        contours: Probability of the contour by each network, (side, side, side).
        grid: Grid of the cube.
    """

    score: float
    contours: tuple[Volume, ...]
    grid: Grid


def look_again(
    candidate: Extracted,
    maps: FirstPass,
    read: CaseReader,
    examiners: Sequence[Examiner],
    compute: ComputeConfig | None = None,
) -> Look:
    """Looks at a candidate again.

    Args:
        candidate: The candidate.
        maps: Maps of the first pass.
        read: Gives the case on the grid of the cube.
        examiners: Networks of one cube; at least one.
        compute: Device, precision and threads.
    """
    compute, first = compute or ComputeConfig(), examiners[0]
    grid = cube_grid(candidate.features.position_mm, maps.grid, spacing_mm=first.spacing_mm, side=first.side)
    case = read(grid)
    parts = [_examined(examiner, case, maps, compute) for examiner in examiners]
    return Look(float(np.mean([score for score, _ in parts])), tuple(contour for _, contour in parts), grid)


@torch.inference_mode()
def _examined(examiner: Examiner, case: Case, maps: FirstPass, compute: ComputeConfig) -> tuple[float, Volume]:
    use_threads(compute.threads)
    device = select_device(compute.device)
    if isinstance(examiner.network, nn.Module):  # the protocol says what it computes, torch how it is moved
        examiner.network.to(device)
    channels = torch.from_numpy(examiner.channels(case, maps))[None].to(device)
    present = torch.from_numpy(present_modalities(case, examiner.modalities))[None].to(device)
    with autocast(compute.precision, device):
        score, contour = examiner.network.look(channels, present)
    volume: Volume = contour[0, 0].float().sigmoid().cpu().numpy()
    return float(score[0].float()), volume
