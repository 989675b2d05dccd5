"""The territory downstream of a clot: the tissue that its artery and all arteries behind it supply.

In each draw the place of the clot gives the probability of each artery (``clinic.clot_artery``), and the atlas of
supply gives the probability that an artery supplies a place. Their product, summed over the arteries, is the
probability that a voxel lies downstream. The volume of a draw is the sum over the brain in view.

This is what anatomy predicts, and not perfusion: collateral flow, the circle of Willis of the patient and a clot that
leaves a part of the lumen open are not known to it. A clot that is named by the M3 may lie in a branch of either M2,
each of which then counts half. The atlas describes the phantom and not a population of patients.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.clinic.clot_artery import NO_ARTERY, artery_along
from adumbra.clinic.cues.images import TERRITORIES, CueImages, label_of
from adumbra.clinic.distribution import LEVEL, Distribution, percent
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.vessels import ARTERIES, BASILAR, SEGMENTS, SIDES, supply_atlas, territory_members
from adumbra.core.geometry.centre_line import centre_line
from adumbra.core.references import citations, cites
from adumbra.core.types import Mask, Volume

_M3, _M2 = "M3", ("M2 superior", "M2 inferior")
_STEP_MM = 1.0  # Distance between the points of the centre line of a clot.
_LEAST_PROBABILITY = 0.02  # Of an artery; less probable ones cost time and change nothing that is printed.


@dataclass(frozen=True, eq=False)
class Downstream:
    """The territory downstream of a clot.

    Attributes:
        probability: (X, Y, Z), the probability that a voxel of the brain lies downstream; the mean over the draws.
        volume: Volume in ml over the draws that contain a clot in an artery; None where no draw does.
        by_territory: Share of the volume in each large territory and side, such as ``"MCA right"``; empty without.
        without_clot: Share of the draws without a clot in an artery of the atlas.
    """

    probability: Volume
    volume: Distribution | None
    by_territory: Mapping[str, float]
    without_clot: float

    @property
    def main_territory(self) -> str:
        """The territory, with its side, that holds most of the volume; empty where there is none."""
        return max(self.by_territory, key=self.by_territory.__getitem__) if self.volume is not None else ""

    def sentence(self) -> str:
        """The observation in one sentence."""
        if self.volume is None:
            return "No territory downstream of a clot: no draw contains a clot in an artery of the atlas."
        share = percent(self.by_territory[self.main_territory])
        text = (
            f"By the atlas of supply, the arteries behind the clot reach {self.volume.median:.0f} ml of brain in view"
        )
        if self.volume.low != self.volume.high:
            text += f" ({percent(self.volume.level)} of the draws: {self.volume.low:.0f} to {self.volume.high:.0f} ml)"
        return f"{text}, {share} of it in the territory {self.main_territory}."

    def as_json(self) -> dict[str, object]:
        """Plain values, without the map."""
        return {
            "volume_ml": None if self.volume is None else self.volume.as_json(),
            "by_territory": dict(self.by_territory),
            "main_territory": self.main_territory,
            "without_clot": self.without_clot,
            "sentence": self.sentence(),
        }


def supplied_arteries(probabilities: Mapping[str, float]) -> np.ndarray:
    """The probability that a clot lies upstream of each of ``core.atlas.vessels.ARTERIES``, or in it, (A,).

    Args:
        probabilities: Probability of each artery that may hold the clot, by the names of ``clinic.clot_artery``.
    """
    members = territory_members()
    weights = np.zeros(len(ARTERIES))
    for name, probability in probabilities.items():
        if name == NO_ARTERY or probability < _LEAST_PROBABILITY:
            continue
        artery, _, side = name.rpartition(" ")
        if artery == _M3:
            for branch in _M2:
                weights[ARTERIES.index(f"{branch} {side}")] += probability / len(_M2)
        else:
            weights += probability * members[SEGMENTS.index(name if name.startswith(BASILAR) else f"{artery} {side}")]
    return weights


@cites(*citations(Deformation))
def downstream(
    masks: Iterable[Mask], images: CueImages, *, level: float = LEVEL, shares: np.ndarray | None = None
) -> Downstream:
    """The territory downstream of one clot.

    Args:
        masks: The clot in each draw, (X, Y, Z) on the grid of the images. Each is used once and released.
        images: The case.
        level: Level of the central interval, between 0 and 1.
        shares: ``supply_shares`` of the images, where it is known from another clot of the case.

    Raises:
        MissingInput: There is no mask.
        GridMismatch: A mask does not have the shape of the grid.
        InputRejected: The level is not between 0 and 1.
    """
    rows = []
    for mask in masks:
        check_mask(mask, images.grid)
        rows.append(_weights(mask, images))
    check_draws(len(rows), "territory downstream of the clot")
    weights, probability = np.array(rows), np.zeros(images.grid.shape, np.float32)
    if not weights.any():
        return Downstream(probability, None, {}, 1.0)
    own = supply_shares(images) if shares is None else shares
    total = own.sum(axis=1, dtype=np.float64) * images.grid.voxel_ml
    volumes = [float(total @ row) for row in weights if row.any()]
    flat = weights.mean(axis=0).astype(np.float32) @ own
    probability[images.brain] = flat
    return Downstream(
        probability,
        Distribution("territory downstream of the clot", "ml", tuple(volumes), level),
        _by_territory(flat, images),
        1.0 - len(volumes) / len(rows),
    )


def supply_shares(images: CueImages) -> np.ndarray:
    """The probability that each of ``ARTERIES`` supplies each voxel of the brain, float32 (A, N), by the nearest voxel.

    The voxels have the order of ``images.brain``.
    """
    atlas = supply_atlas()
    points = images.mni_mm[:, images.brain]
    index = np.rint(atlas.grid.index(points.T)).astype(np.intp)
    inside = ((index >= 0) & (index < atlas.grid.shape)).all(axis=1)
    out = np.zeros((len(ARTERIES), len(index)), dtype=np.float32)
    out[:, inside] = atlas.shares[(slice(None), *index[inside].T)]
    return out


def _weights(mask: Mask, images: CueImages) -> np.ndarray:
    """The probability of each artery to be downstream of the clot of one draw, (A,); zeros without a clot."""
    if not mask.any():
        return np.zeros(len(ARTERIES))
    index = images.grid.index(centre_line(mask, images.grid).resampled(_STEP_MM).points_mm).T
    axes = [ndimage.map_coordinates(axis, index, order=1, mode="nearest") for axis in images.mni_mm]
    return supplied_arteries(artery_along(np.stack(axes, axis=1)))


def _by_territory(flat: np.ndarray, images: CueImages) -> dict[str, float]:
    """Share of the volume in each large territory and side; zeros where the territory is not in view."""
    labels, whole = images.territories[images.brain], float(flat.sum())
    names = [(f"{territory} {side}", label_of(territory, side)) for territory in TERRITORIES for side in SIDES]
    return {name: float(flat[labels == label].sum()) / whole if whole > 0 else 0.0 for name, label in names}
