"""The other side of the head for a patch that does not contain it."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from adumbra.core.case import Scan
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Affine, Modality
from adumbra.phantom.local.findings import Finding
from adumbra.phantom.local.head_image import head_image
from adumbra.phantom.local.kept_head import KeptHead
from adumbra.phantom.local.patch import LocalExamination, is_seen, simulate_patch
from adumbra.preprocessing.brain_mask import extract_brain
from adumbra.preprocessing.reflection import register_mirrored

MARGIN_MM = 8.0
"""How much larger the simulated cube of the other side is, for it is turned against the patch."""


def head_reflection(head: KeptHead) -> Affine:
    """The reflection of a head, estimated from an image of it, (4, 4), mm of a point to those of its mirror image."""
    image, grid = head_image(head)
    return register_mirrored([image], extract_brain(image, grid), grid).matrix


def simulate_other_side(
    head: KeptHead, finding: Finding, reflection: Affine, *, side_mm: float, factor: int, rng: np.random.Generator
) -> LocalExamination | None:
    """The images around the mirror image of a finding; None where neither SWI nor TOF reaches it.

    Args:
        head: The head.
        finding: The finding, which the images show where it reaches the other side.
        reflection: As ``head_reflection`` gives it.
        side_mm: Side of the patch of the finding.
        factor: How many voxels of the simulation lie along one of the head.
        rng: Source of noise and coil sensitivity.
    """
    other = replace(finding, centre_mm=reflection[:3, :3] @ finding.centre_mm + reflection[:3, 3])
    if not is_seen(head, other):
        return None
    return simulate_patch(head, other, side_mm=side_mm + MARGIN_MM, factor=factor, rng=rng)


def mirrored_scans(scans: Mapping[Modality, Scan], grid: Grid, reflection: Affine) -> dict[Modality, Scan]:
    """Scans of the other side on the grid of the patch; 0 where they do not reach.

    Args:
        scans: The scans of the other side, in network units.
        grid: Grid of the patch.
        reflection: mm of a point of the patch to those of its mirror image.
    """
    return {m: Scan(_mirrored(s.data, s.grid, grid, reflection), grid, grid) for m, s in scans.items()}


def mirrored_mask(mask: Scan, grid: Grid, reflection: Affine) -> Scan:
    """A mask of the other side on the grid of the patch."""
    share = _mirrored(mask.data.astype(np.float32), mask.grid, grid, reflection)
    return Scan(share >= 0.5, grid, grid)


def _mirrored(volume: np.ndarray, source: Grid, grid: Grid, reflection: Affine) -> np.ndarray:
    return resample(volume, source, grid, moving_from_fixed=reflection, antialias=False)
