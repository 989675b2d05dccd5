"""What the estimate of hypoperfusion is made from: lesion, clot, flow and age of the infarct, on the coarse atlas grid.

The images do not enter directly. What they show of perfusion is summarised by the networks and cues before: which
tissue is dead, where a clot may lie, which arteries carry less blood than those of the other side, how old the infarct
looks. Any of them but the lesion may be missing.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from adumbra.core.atlas.coarse_grid import ATLAS_GRID
from adumbra.core.atlas.territories import TERRITORY_LABELS, territories_at
from adumbra.core.atlas.vessels import ARTERIES, SIDES, supply_atlas
from adumbra.core.types import Volume

FLOW_TERRITORIES = ("ACA", "MCA", "PCA")
"""The territories whose distal flow is compared between the sides, in the order of ``Evidence.flow``."""
_SUPPLY_GROUPS = (
    ("M1 perforators",),
    ("M1", "M2 superior", "M3 frontal", "M3 central"),
    ("M2 inferior", "M3 parietal", "M3 temporal"),
    ("A1", "A2", "A3", "A3 callosomarginal"),
    ("P1", "P2", "P3", "P3 temporal"),
    ("AChA", "ICA"),
    ("SCA", "AICA", "vertebral", "PICA", "basilar"),
)
_LONGEST_LOG_H = float(np.log(336.0))
MAPS = ("in view", "lesion", "clot", "less flow", "more flow")
FACTS = ("clots sought", "flow compared", "age estimated", "age known", "age")
"""Values of the case, the same in every voxel."""
CHANNELS = len(MAPS) + len(FACTS) + 3 + len(_SUPPLY_GROUPS)
"""Number of channels: the maps, the values of the case, coordinates, and the supply of seven groups of arteries."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of one case, on ``core.atlas.coarse_grid.ATLAS_GRID``. Volumes are float32 in [0, 1].

    Attributes:
        in_view: Share of each voxel that lies in the brain and in the image.
        lesion: Probability of the ischemic lesion, or its share in one draw.
        clot: How far the largest probability of a clot in each voxel exceeds one half, 0 to 1; None where no clot was
            sought.
        flow: (3,), for each of ``FLOW_TERRITORIES`` the asymmetry of bright vessels, from -1 (on the left only) to 1
            (on the right only); nan where it was not measured. None where there is no angiography.
        log_hours: Natural logarithm of the hours since onset, known or estimated from ADC and FLAIR; None without.
        onset_known: Whether the time is known.
    """

    in_view: Volume
    lesion: Volume
    clot: Volume | None = None
    flow: np.ndarray | None = None
    log_hours: float | None = None
    onset_known: bool = False

    def with_lesion(self, lesion: Volume) -> "Evidence":
        """The same case with another lesion, such as that of one draw."""
        return replace(self, lesion=lesion)

    @property
    def sources(self) -> tuple[str, ...]:
        """What the evidence holds beside the lesion, for a reader."""
        parts = {
            "the segmentation of clots": self.clot is not None,
            "distal flow on angiography": self.flow is not None and not np.isnan(self.flow).all(),
            "the known time of onset": self.log_hours is not None and self.onset_known,
            "the age of the infarct by ADC and FLAIR": self.log_hours is not None and not self.onset_known,
        }
        return tuple(name for name, holds in parts.items() if holds)

    def channels(self) -> np.ndarray:
        """The input of the network, float32 (CHANNELS, X, Y, Z)."""
        out = np.zeros((CHANNELS, *ATLAS_GRID.shape), np.float32)
        out[0], out[1] = self.in_view, self.lesion
        if self.clot is not None:
            out[2] = self.clot
        if self.flow is not None:
            out[3:5] = _flow_maps(self.flow)
        aged = self.log_hours is not None
        facts = (
            self.clot is not None,
            self.flow is not None and not np.isnan(self.flow).all(),
            aged and not self.onset_known,
            aged and self.onset_known,
            0.0 if self.log_hours is None else self.log_hours / _LONGEST_LOG_H,
        )
        first = len(MAPS)
        for number, value in enumerate(facts):
            out[first + number] = np.float32(value)
        out[first + len(FACTS) :] = _places()
        return out


def _flow_maps(flow: np.ndarray) -> np.ndarray:
    """Where a territory has fewer bright vessels than the other side, and where it has more, (2, X, Y, Z)."""
    labels, out = _territories(), np.zeros((2, *ATLAS_GRID.shape), np.float32)
    for territory, value in zip(FLOW_TERRITORIES, flow, strict=True):
        if np.isnan(value):
            continue
        for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
            inside = labels == TERRITORY_LABELS[f"{territory} {side}"]
            out[0][inside], out[1][inside] = max(-sign * value, 0.0), max(sign * value, 0.0)
    return out


@cache
def _territories() -> np.ndarray:
    """The territory label of each voxel; the left side is the mirror image of the right one, without rounding."""
    labels = territories_at(np.moveaxis(_voxels_mm(), -1, 0))
    right = labels[len(labels) // 2 :]
    left = np.where(right > 0, right + 1, 0)[::-1]  # labels of the left follow those of the right
    return np.concatenate([left, right])


@cache
def _places() -> np.ndarray:
    """Coordinates and supply of each voxel, float32 (3 + groups, X, Y, Z)."""
    places = _voxels_mm()
    coordinates = np.moveaxis(places, -1, 0) / np.array([80.0, 110.0, 80.0])[:, None, None, None]
    atlas = supply_atlas()
    index = np.rint(atlas.grid.index(places.reshape(-1, 3))).astype(np.intp)
    inside = ((index >= 0) & (index < atlas.grid.shape)).all(axis=1)
    shares = np.zeros((len(ARTERIES), len(index)), np.float32)
    shares[:, inside] = atlas.shares[(slice(None), *index[inside].T)]
    groups = []
    for names in _SUPPLY_GROUPS:
        members = [
            n for n, artery in enumerate(ARTERIES) if artery.removesuffix(" right").removesuffix(" left") in names
        ]
        group = shares[members].sum(axis=0).reshape(ATLAS_GRID.shape)
        groups.append((group + group[::-1]) / 2)  # of both sides, which are mirror images but for rounding
    return np.concatenate([coordinates, np.stack(groups)]).astype(np.float32)


def _voxels_mm() -> np.ndarray:
    """MNI152 mm of each voxel, (X, Y, Z, 3)."""
    index = np.argwhere(np.ones(ATLAS_GRID.shape, dtype=bool))
    return ATLAS_GRID.world_mm(index).reshape(*ATLAS_GRID.shape, 3)
