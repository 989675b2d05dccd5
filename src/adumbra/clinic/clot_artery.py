r"""The artery that holds a clot, with its probability over the draws and over the place of the head in the atlas.

A draw gives a mask, and the alignment its place in MNI152 space. The alignment is off by some millimetres, by the same
ones for the whole clot. The clot is therefore shifted over a lattice, with a weight of a Gaussian of ``PLACE_MM`` along
each axis times the mean probability of an artery at the shifted place: a clot lies in an artery. At each shift the clot
covers arteries of the atlas. It is named by its **proximal** one: of those that hold at least ``LEAST_SHARE`` of the
labelled voxels, the first one on the way of the blood, and the larger share among equals. Unnamed branches are named by
their artery, except those of the M2, which are branches of the M3.

The atlas is that of the phantom and not of a population of patients, see ``core.atlas.vessels``.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from adumbra.clinic.distribution import percent
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.vessels import BASILAR, BRANCHES_OF, SEGMENTS, artery_numbers, vessel_atlas
from adumbra.core.geometry.grid import Grid, nearest_labels
from adumbra.core.references import citations, cites
from adumbra.core.types import Mask

PLACE_MM = 2.7
"""Standard deviation of the place along each axis. The median error of the alignment of SWI is 4.1 mm on phantoms
(``docs/results/atlas.md``), which is that of a Gaussian with 2.7 mm along each of three axes."""
LEAST_SHARE = 0.25
"""Share of a clot from which it is said to reach into an artery. Blooming reaches beyond the ends of a clot."""
SURE = 0.6
"""Probability from which one artery is named alone; below it the answer is "uncertain between" the most probable ones.
The limit is a convention; the benchmark ``clot_measures.py`` shows what it gives on phantoms."""
LEAST_NAMED = 0.1
"""Probability from which an artery is listed where the answer is uncertain."""
NO_ARTERY = "no artery of the atlas"
"""The name where the atlas has no artery near the clot."""
INTRACRANIAL_Z_MM = -40.0
"""MNI152 z above which the internal carotid artery counts as intracranial; below it the segment is not known."""
CATEGORIES = ("proximal", "M2", "distal")
"""Proximal is ICA, M1, basilar and vertebral artery, distal what lies beyond the M2, and ACA, PCA and the arteries of
the cerebellum."""
_STEPS = np.array([-4.5, -3.0, -1.5, 0.0, 1.5, 3.0, 4.5])  # Shifts along each axis, in mm.
_TWIGS = " branches"
_PROXIMAL = ("ICA", "M1", "M1 perforators", BASILAR, "vertebral")
_BRANCHES_OF_M2 = "M3"


@cache
def _names() -> tuple[str, ...]:
    """The name that each label of the atlas stands for, with its side."""
    names = []
    for label, segment in enumerate(SEGMENTS):
        artery = SEGMENTS[artery_numbers()[label]]
        if _TWIGS in segment and artery.startswith("M2"):
            artery = f"{_BRANCHES_OF_M2} {artery.rsplit(' ', 1)[1]}"
        names.append(artery.replace(" perforators", ""))
    return tuple(names)


@cache
def _depths() -> Mapping[str, int]:
    """How many named arteries the blood passes before each, by name without side."""
    depths = {"vertebral": 0, BASILAR: 1, "ICA": 0, "P1": 2, "SCA": 2, "AICA": 2, _BRANCHES_OF_M2: 3}
    for _ in range(5):
        for name, branches in BRANCHES_OF.items():
            if name in depths:
                depths |= {branch: depths[name] + 1 for branch in branches if branch not in depths}
    return depths


def without_side(name: str) -> str:
    """The name of an artery without its side."""
    return name.removesuffix(" right").removesuffix(" left")


def category(name: str) -> str:
    """One of ``CATEGORIES`` for the name of an artery, with its side or without; empty for ``NO_ARTERY``."""
    artery = without_side(name)
    if artery == NO_ARTERY:
        return ""
    return "proximal" if artery in _PROXIMAL else "M2" if artery.startswith("M2") else "distal"


def site_code(name: str, *, z_mm: float) -> str | None:
    """The code of an artery that the rules use (``clinic.rules.quantities``), or of the group of its sites.

    Which M2 is dominant is not known, hence ``"m2"``. None for an artery that the rules do not know.

    Args:
        name: Name of the artery, with its side or without.
        z_mm: MNI152 z of the centre of the clot, which tells the intracranial part of the internal carotid artery.
    """
    artery = without_side(name)
    if artery == "ICA":
        return "ica_intracranial" if z_mm > INTRACRANIAL_Z_MM else "ica"
    if artery in ("M1", BASILAR, "vertebral"):
        return artery.lower()
    prefixes = {"M2": "m2", "M3": "mca_distal", "A1": "aca", "A2": "aca", "A3": "aca", "P1": "pca", "P2": "pca",
                "P3": "pca"}  # fmt: skip
    return prefixes.get(artery[:2])


@dataclass(frozen=True)
class ClotArtery:
    """The artery that holds a clot.

    Attributes:
        probabilities: Probability of each artery with its side, the largest first; they sum to 1.
        z_mm: MNI152 z of the centre of the clot, the mean over the draws.
    """

    probabilities: Mapping[str, float]
    z_mm: float

    @property
    def best(self) -> str:
        """The most probable artery."""
        return next(iter(self.probabilities))

    @property
    def is_sure(self) -> bool:
        """Whether the most probable artery reaches ``SURE``."""
        return self.probabilities[self.best] >= SURE

    @property
    def categories(self) -> dict[str, float]:
        """Probability of each of ``CATEGORIES``; the rest to 1 is that of no artery."""
        return {kind: sum(p for name, p in self.probabilities.items() if category(name) == kind) for kind in CATEGORIES}

    @property
    def site(self) -> str | None:
        """The site for the rules; None where no site or group of sites reaches ``SURE``."""
        codes: defaultdict[str | None, float] = defaultdict(float)
        for name, probability in self.probabilities.items():
            codes[site_code(name, z_mm=self.z_mm)] += probability
        best = max(codes, key=codes.__getitem__)
        return best if codes[best] >= SURE else None

    def rule_values(self) -> dict[str, str]:
        """The site under the name that the rules use, as a single value; empty where it is uncertain or unknown."""
        return {} if self.site is None else {"occlusion_site": self.site}

    def sentence(self) -> str:
        """The artery with its probability, or those between which the answer is uncertain."""
        named = [f"{name} ({percent(p)})" for name, p in self.probabilities.items() if p >= LEAST_NAMED]
        if self.is_sure:
            return f"The clot lies in: {named[0]}."
        listed = named if len(named) > 1 else [f"{n} ({percent(p)})" for n, p in [*self.probabilities.items()][:2]]
        return f"Uncertain between {', '.join(listed[:-1])} and {listed[-1]}." if len(listed) > 1 else "Uncertain."

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "probabilities": dict(self.probabilities),
            "sure": self.is_sure,
            "categories": self.categories,
            "occlusion_site": self.site,
            "sentence": self.sentence(),
        }


class ArteryDraws:
    """Names the artery of one clot in each draw; no mask is kept. An empty draw has no artery and is left out.

    Args:
        deformation: Subject mm to MNI152 mm, see ``preprocessing.atlas.alignment``.
        grid: Grid of the case.
    """

    def __init__(self, deformation: Deformation, grid: Grid) -> None:
        self._deformation, self._grid = deformation, grid
        self._totals: defaultdict[str, float] = defaultdict(float)
        self._z: list[float] = []

    def add(self, mask: Mask) -> None:
        """Counts a draw, the part (X, Y, Z) of its mask that is the clot.

        Raises:
            GridMismatch: The mask does not have the shape of the grid.
        """
        check_mask(mask, self._grid)
        if not mask.any():
            return
        points = self._deformation(self._grid.world_mm(np.argwhere(mask)).T)
        self._z.append(float(points[2].mean()))
        for name, probability in artery_at(points).items():
            self._totals[name] += probability

    def artery(self) -> ClotArtery:
        """The artery over the draws so far.

        Raises:
            MissingInput: No draw contains the clot.
        """
        check_draws(len(self._z), "artery of the clot")
        ordered = sorted(self._totals.items(), key=lambda item: (-item[1], item[0]))
        return ClotArtery({name: total / len(self._z) for name, total in ordered}, float(np.mean(self._z)))


def artery_at(mni_mm: np.ndarray) -> dict[str, float]:
    """The probability of each artery for a clot at given places, over the shifts; it sums to 1.

    Args:
        mni_mm: (3, N), the voxels of the clot in MNI152 mm.
    """
    atlas, names = vessel_atlas(), _names()
    shifts = np.stack(np.meshgrid(_STEPS, _STEPS, _STEPS, indexing="ij")).reshape(3, -1)
    weights = np.exp(-0.5 * (shifts**2).sum(axis=0) / PLACE_MM**2)
    places = mni_mm[:, None, :] + shifts[:, :, None]
    labels = nearest_labels(atlas.segments, atlas.grid, places)
    passes = nearest_labels(atlas.probability[0], atlas.grid, places).mean(axis=1)
    weights = weights * passes
    if weights.sum() <= 0.0:
        return {NO_ARTERY: 1.0}
    totals: defaultdict[str, float] = defaultdict(float)
    for own, weight in zip(labels, weights / weights.sum(), strict=True):
        if weight > 0.0:
            totals[_proximal(Counter(names[label] for label in own[own > 0].tolist()))] += float(weight)
    return dict(totals)


def _proximal(counts: Counter[str]) -> str:
    """The first artery on the way of the blood among those that hold enough of a clot."""
    whole = sum(counts.values())
    if not whole:
        return NO_ARTERY
    reached = [name for name, count in counts.items() if count >= LEAST_SHARE * whole]
    if not reached:
        return max(sorted(counts), key=counts.__getitem__)
    return min(reached, key=lambda name: (_depths()[without_side(name)], -counts[name], name))


@cites(*citations(Deformation))
def clot_artery(masks: Iterable[Mask], grid: Grid, deformation: Deformation) -> ClotArtery:
    """The artery that holds a clot.

    Args:
        masks: The clot in each draw, (X, Y, Z) on the grid of the case. Each is used once and released.
        grid: Grid of the case.
        deformation: Subject mm to MNI152 mm.

    Raises:
        MissingInput: No mask contains a voxel.
        GridMismatch: A mask does not have the shape of the grid.
    """
    draws = ArteryDraws(deformation, grid)
    for mask in masks:
        draws.add(mask)
    return draws.artery()
