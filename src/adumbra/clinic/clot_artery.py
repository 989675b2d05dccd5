r"""The artery that holds a clot, with its probability over the draws and over the place of the head in the atlas.

A draw gives a mask, and the alignment of the head its centre line in MNI152 space. The alignment is off by some
millimetres there: ``clinic.local_alignment`` samples how the arteries lie about the clot. In each sample every point of
the line lies in an artery of the atlas, or in none. The clot is named by its **proximal** segment: of those that hold
at least ``LEAST_SHARE`` of the labelled points, the first one on the way of the blood, and the larger share among
equals. So is the site of an occlusion named in the literature, by the most proximal place of the clot; the share keeps
out what only the blooming or half a voxel reaches. The name is that of the artery with most points in that segment.

The atlas is that of the phantom and not of a population of patients, see ``core.atlas.vessels``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from adumbra.clinic.artery_maps import artery_maps
from adumbra.clinic.distribution import percent
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.clinic.local_alignment import local_alignments
from adumbra.core.atlas.deformation import Deformation
from adumbra.core.atlas.vessels import BASILAR, BRANCHES_OF
from adumbra.core.geometry.centre_line import centre_line
from adumbra.core.geometry.grid import Grid
from adumbra.core.references import citations, cites
from adumbra.core.types import Mask

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
_PROXIMAL = ("ICA", "M1", BASILAR, "vertebral")
_BRANCHES_OF_M2 = "M3"
_STEP_MM = 1.0  # Distance between the points of a centre line.


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
        vessels_mm: (V, 3), bright vessels near the clot in subject mm, see ``clinic.bright_vessels``; None without TOF.
    """

    def __init__(self, deformation: Deformation, grid: Grid, vessels_mm: np.ndarray | None = None) -> None:
        self._deformation, self._grid = deformation, grid
        self._vessels = None if vessels_mm is None else deformation(vessels_mm.T).T
        self._totals: defaultdict[str, float] = defaultdict(float)
        self._z: list[float] = []
        self._known: dict[bytes, dict[str, float]] = {}  # draws of one network are often alike

    def add(self, mask: Mask) -> None:
        """Counts a draw, the part (X, Y, Z) of its mask that is the clot.

        Raises:
            GridMismatch: The mask does not have the shape of the grid.
        """
        check_mask(mask, self._grid)
        if not mask.any():
            return
        line = self._deformation(centre_line(mask, self._grid).resampled(_STEP_MM).points_mm.T).T
        self._z.append(float(line[:, 2].mean()))
        key = line.tobytes()
        if key not in self._known:
            self._known[key] = artery_along(line, self._vessels)
        for name, probability in self._known[key].items():
            self._totals[name] += probability

    def artery(self) -> ClotArtery:
        """The artery over the draws so far.

        Raises:
            MissingInput: No draw contains the clot.
        """
        check_draws(len(self._z), "artery of the clot")
        ordered = sorted(self._totals.items(), key=lambda item: (-item[1], item[0]))
        return ClotArtery({name: total / len(self._z) for name, total in ordered}, float(np.mean(self._z)))


def artery_along(line_mm: np.ndarray, vessels_mm: np.ndarray | None = None) -> dict[str, float]:
    """The probability of each artery for a clot with a given centre line; it sums to 1.

    Args:
        line_mm: (K, 3), the centre line from one end to the other, MNI152 mm by the alignment of the head.
        vessels_mm: (V, 3), bright vessels near it, likewise; None where there are none.
    """
    maps, (segments, depths) = artery_maps(), _segments()
    places = local_alignments(line_mm, vessels_mm)(line_mm)
    artery = maps.artery[maps.index(places)]
    counts = np.zeros((len(artery), len(maps.names)), dtype=np.int64)
    np.add.at(counts, (np.arange(len(artery))[:, None], artery), 1)
    counts[:, 0] = 0
    shares = counts @ segments
    reached = (shares > 0) & (shares >= LEAST_SHARE * shares.sum(axis=1, keepdims=True))
    # The least depth wins, and the larger count among equals.
    rank = np.where(reached, depths * (len(line_mm) + 1.0) - shares, np.inf).argmin(axis=1)
    best = np.where(segments.T[rank], counts, 0).argmax(axis=1)
    names, frequency = np.unique(best, return_counts=True)
    return {maps.names[n] or NO_ARTERY: int(f) / len(best) for n, f in zip(names.tolist(), frequency, strict=True)}


@cache
def _segments() -> tuple[np.ndarray, np.ndarray]:
    """Which arteries of the maps belong to each segment with its side, (names, segments) bool, and the depth of each.

    Segments are as M2: its superior and its inferior artery are one. The first name means no artery.
    """
    names = artery_maps().names
    own = [segment_of(name) for name in names]
    segments = sorted(set(own[1:]))
    depths = [min(_depths()[without_side(n)] for n, s in zip(names, own, strict=True) if s == row) for row in segments]
    members = [[s == row and bool(n) for row in segments] for n, s in zip(names, own, strict=True)]
    return np.array(members), np.array(depths, dtype=np.float64)


def segment_of(name: str) -> str:
    """The segment of an artery, such as M2, with its side; the arteries of one segment are not distinguished."""
    artery = without_side(name)
    return name.replace(artery, artery[:2]) if artery[1:2].isdigit() else name


@cites(*citations(Deformation), *citations(local_alignments))
def clot_artery(
    masks: Iterable[Mask], grid: Grid, deformation: Deformation, vessels_mm: np.ndarray | None = None
) -> ClotArtery:
    """The artery that holds a clot.

    Args:
        masks: The clot in each draw, (X, Y, Z) on the grid of the case. Each is used once and released.
        grid: Grid of the case.
        deformation: Subject mm to MNI152 mm.
        vessels_mm: (V, 3), bright vessels near the clot in subject mm; None without TOF.

    Raises:
        MissingInput: No mask contains a voxel.
        GridMismatch: A mask does not have the shape of the grid.
    """
    draws = ArteryDraws(deformation, grid, vessels_mm)
    for mask in masks:
        draws.add(mask)
    return draws.artery()
