"""The atlas of arteries and veins in MNI152 space: where they run, which artery a place belongs to, what it supplies.

It was computed from vessels of simulated subjects, see ``phantom.vasculature.vessel_atlas``. It describes the phantom
and not a population of patients. The atlas is symmetric: the left side is the mirror image of the right one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import nibabel as nib
import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.types import Labels

BRANCHES_OF: Mapping[str, tuple[str, ...]] = {
    "ICA": ("M1", "A1", "AChA"),
    "M1": ("M1 perforators", "M2 superior", "M2 inferior"),
    "M1 perforators": (),
    "M2 superior": ("M3 frontal", "M3 central"),
    "M2 inferior": ("M3 parietal", "M3 temporal"),
    "M3 frontal": (),
    "M3 central": (),
    "M3 parietal": (),
    "M3 temporal": (),
    "A1": ("A2",),
    "A2": ("A3", "A3 callosomarginal"),
    "A3": (),
    "A3 callosomarginal": (),
    "AChA": (),
    "P1": ("P2",),
    "P2": ("P3", "P3 temporal"),
    "P3": (),
    "P3 temporal": (),
    "SCA": (),
    "AICA": (),
    "vertebral": ("PICA",),
    "PICA": (),
}
"""The named arteries of one side, each with the named arteries that arise from it in the usual circle of Willis."""
BASILAR = "basilar"
"""The artery of the midline; ``P1``, ``SCA`` and ``AICA`` of both sides arise from it."""
SIDES = ("right", "left")
"""The two sides, in the order of the labels."""
_OF_BASILAR = ("P1", "SCA", "AICA")
_TWIGS = " branches"
_LEVELS = 255.0


def on_side(name: str, side: str) -> str:
    """The name of an artery with its side; the basilar artery has none."""
    return name if name.startswith(BASILAR) else f"{name} {side}"


ARTERIES: tuple[str, ...] = (*(on_side(name, side) for name in BRANCHES_OF for side in SIDES), BASILAR)
"""The named arteries. Each has a map of the tissue that its unnamed branches supply, see ``supply_atlas``."""
_WITH_TWIGS = tuple(name for name, branches in BRANCHES_OF.items() if branches and name != "ICA")
SEGMENTS: tuple[str, ...] = (
    "",
    *ARTERIES,
    *(on_side(name + _TWIGS, side) for name in _WITH_TWIGS for side in SIDES),
    BASILAR + _TWIGS,
)
"""What the labels of ``segment_atlas`` mean. Label 0 is no artery. The unnamed branches of an artery from which named
ones arise have a label of their own, for their territory is smaller."""


def segment_label(artery: str, *, twig: bool, side: str) -> int:
    """The label of a place in an artery.

    Args:
        artery: A key of ``BRANCHES_OF``, or ``BASILAR``.
        twig: Whether the place lies in an unnamed branch of it.
        side: A name of ``SIDES``.
    """
    own = on_side(artery + _TWIGS, side)
    return SEGMENTS.index(own if twig and own in SEGMENTS else on_side(artery, side))


@cache
def territory_members() -> np.ndarray:
    """Which maps of ``supply_atlas`` the territory of each segment consists of, (segments, arteries) bool.

    The territory of an artery is the tissue that it and all arteries downstream supply.
    """
    members = np.zeros((len(SEGMENTS), len(ARTERIES)), dtype=bool)
    for row, segment in enumerate(SEGMENTS[1:], start=1):
        if _TWIGS in segment:
            members[row, ARTERIES.index(segment.replace(_TWIGS, ""))] = True
        else:
            members[row, [ARTERIES.index(name) for name in _downstream(segment)]] = True
    return members


def _downstream(artery: str) -> list[str]:
    """An artery and all named arteries that it leads to."""
    if artery == BASILAR:
        branches = [on_side(name, side) for name in _OF_BASILAR for side in SIDES]
    else:
        name, side = artery.rsplit(" ", 1)
        branches = [on_side(branch, side) for branch in BRANCHES_OF[name]]
    return [artery, *(name for branch in branches for name in _downstream(branch))]


@cache
def artery_numbers() -> np.ndarray:
    """The label of the named artery that each segment belongs to, (segments,); unnamed branches belong to theirs."""
    return np.array([SEGMENTS.index(segment.replace(_TWIGS, "")) for segment in SEGMENTS])


@cache
def opposite_segments() -> np.ndarray:
    """The label of the same segment on the other side, (segments,)."""
    swap = {"right": "left", "left": "right"}
    names = (" ".join(swap.get(word, word) for word in segment.split(" ")) for segment in SEGMENTS)
    return np.array([SEGMENTS.index(name) for name in names])


@dataclass(frozen=True, eq=False)
class VesselAtlas:
    """Where arteries and veins run.

    Attributes:
        probability: (2, X, Y, Z), float32, the probability that an artery, a vein passes within 2 mm, smoothed.
        segments: (X, Y, Z), int16, the most probable artery, an index of ``SEGMENTS``; 0 where no artery runs.
        grid: The grid, MNI152 at 2 mm.
    """

    probability: np.ndarray
    segments: Labels
    grid: Grid


@dataclass(frozen=True, eq=False)
class SupplyAtlas:
    """What the arteries supply.

    Attributes:
        shares: (A, X, Y, Z), float32, the probability that each of ``ARTERIES`` with its unnamed branches supplies a
            place; the sum is 1 in the brain, and 0 elsewhere.
        grid: The grid, MNI152 at 4 mm.
    """

    shares: np.ndarray
    grid: Grid


@cache
def vessel_atlas() -> VesselAtlas:
    """The atlas of arteries and veins, read once per process."""
    volumes, grid = _read("vessels.nii.gz")
    segments = volumes[..., 2].astype(np.int16)
    probability = np.moveaxis(volumes[..., :2], -1, 0).astype(np.float32) / np.float32(_LEVELS)
    return VesselAtlas(np.ascontiguousarray(probability), segments, grid)


@cache
def supply_atlas() -> SupplyAtlas:
    """The atlas of what arteries supply, read once per process; the file has the right side and the basilar artery."""
    volumes, grid = _read("supply.nii.gz")
    stored = np.moveaxis(volumes, -1, 0).astype(np.float32) / np.float32(_LEVELS)
    shares = [np.zeros(grid.shape, np.float32)] * len(ARTERIES)
    for name, volume in zip((*BRANCHES_OF, BASILAR), stored, strict=True):
        for side in SIDES:
            shares[ARTERIES.index(on_side(name, side))] = volume if side == "right" else volume[::-1]
    supplied = np.stack(shares)
    total = supplied.sum(axis=0)  # 1 but for the rounding in the file
    return SupplyAtlas(np.divide(supplied, total, out=np.zeros_like(supplied), where=total > 0), grid)


def _read(name: str) -> tuple[np.ndarray, Grid]:
    with resources.as_file(resources.files("adumbra.core.atlas") / name) as path:
        image = nib.Nifti1Image.from_filename(path)
        volumes = np.asarray(image.dataobj)
    x, y, z = volumes.shape[:3]
    return volumes, Grid((x, y, z), np.asarray(image.affine))
