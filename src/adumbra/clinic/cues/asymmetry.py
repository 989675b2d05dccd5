"""Comparison of the vessels of a territory with those of the same territory on the other side.

With r and l the shares of the measured voxels of a territory that are vessel, on the right and on the left, the
asymmetry is (r - l) / (r + l), from -1 (vessels on the left only) to 1 (on the right only). The territories of the
atlas are symmetric, so that no mirror image is needed. A territory is compared where both sides are measured.

The verdict compares the score, the size of the asymmetry, with limits from the territories without hypoperfusion of 21
heads of the phantom's cohort 104. Their asymmetries are taken as normal around 0, with the root of their mean square as
standard deviation (10 to 13 values for a territory). The sign is *present* from 2.39 standard deviations on, which one
of three territories exceeds in 5 % of such heads, *absent* below 1.28, which 80 % of such territories do not reach, and
*unclear* between both. The limits are those of few simulated heads and not of patients. ``limits`` of
``benchmarks/hypoperfusion_cues.py`` prints them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Literal

import numpy as np

from adumbra.clinic.cues.images import TERRITORIES, TITLES, CueImages, label_of
from adumbra.core.atlas.territories import TERRITORY_LABELS
from adumbra.core.atlas.vessels import SIDES
from adumbra.core.types import Labels, Mask, Modality

LEAST_COVERED = 0.3
"""Share of the voxels of a territory in the brain that must be measured, on both sides, for the territory to count."""
LEAST_VESSEL_VOXELS = 20
"""Vessel voxels on both sides together from which the asymmetry of a territory is defined."""

Verdict = Literal["present", "unclear", "absent"]


@dataclass(frozen=True)
class Limits:
    """Limits of the score of a cue.

    Attributes:
        absent: The sign is absent below it.
        present: The sign is present from it on; between both it is unclear.
    """

    absent: float
    present: float

    def verdict(self, score: float) -> Verdict:
        """The verdict on a score."""
        return "present" if score >= self.present else "absent" if score < self.absent else "unclear"


@dataclass(frozen=True)
class Comparison:
    """The vessels of one territory on both sides.

    Attributes:
        territory: Name of the territory, without side.
        right: Share of the measured voxels that are vessel, on the right.
        left: The same on the left.
        covered: Share of the territory in the brain that is measured, on the side where it is lower.
        vessel_voxels: Number of vessel voxels on both sides.
    """

    territory: str
    right: float
    left: float
    covered: float
    vessel_voxels: int

    @property
    def asymmetry(self) -> float:
        """(right - left) / (right + left); nan where too little is measured, or too few voxels are vessel."""
        if self.covered < LEAST_COVERED or self.vessel_voxels < LEAST_VESSEL_VOXELS:
            return nan
        return (self.right - self.left) / (self.right + self.left)

    def as_json(self) -> dict[str, object]:
        """Plain values; null where the asymmetry is undefined."""
        return {
            "right_share": self.right,
            "left_share": self.left,
            "covered": self.covered,
            "asymmetry": None if isnan(self.asymmetry) else self.asymmetry,
        }


@dataclass(frozen=True)
class Sign:
    """What a cue is, and how its asymmetry is read.

    Attributes:
        name: Name in files.
        title: Name for a reader.
        modality: The sequence it is seen on.
        affected_has: Whether the affected side has more or fewer of these vessels.
        vessels: What is counted, as in "dark veins".
        limits: Limits of the score by territory.
        note: What the phantom simulates of it, and how well it separates there.
        separates: Whether the cue separates affected from unaffected territories on the phantom. Without that the
            verdict is always *unclear*, as no limit means anything.
    """

    name: str
    title: str
    modality: Modality
    affected_has: Literal["more", "fewer"]
    vessels: str
    limits: Mapping[str, Limits]
    note: str
    separates: bool = True


@dataclass(frozen=True)
class Cue:
    """One cue of one case.

    Attributes:
        sign: What the cue is.
        comparisons: The territories, both sides of each; empty where the cue is not available.
        unavailable: Why the cue is not available; empty where it is.
        volume_ml: Volume of the counted vessels on the affected side of the leading territory, in ml; nan where the
            sign is a lack of vessels, and where the cue is not available.
    """

    sign: Sign
    comparisons: tuple[Comparison, ...] = ()
    unavailable: str = ""
    volume_ml: float = nan

    @property
    def leading(self) -> Comparison | None:
        """The territory whose asymmetry is largest relative to its limit; None where the cue is not available."""
        defined = [row for row in self.comparisons if not isnan(row.asymmetry)]
        limits = self.sign.limits
        return max(defined, key=lambda row: abs(row.asymmetry) / limits[row.territory].present, default=None)

    @property
    def score(self) -> float:
        """Size of the asymmetry of the leading territory, 0 to 1; nan where the cue is not available."""
        return nan if self.leading is None else abs(self.leading.asymmetry)

    @property
    def territory(self) -> str:
        """The leading territory, without side; empty where the cue is not available."""
        return "" if self.leading is None else self.leading.territory

    @property
    def side(self) -> str:
        """The side that the cue points to as the affected one; empty where it is not available or both are equal."""
        if self.leading is None or self.leading.asymmetry == 0.0:
            return ""
        right_has_more = self.leading.asymmetry > 0.0
        return SIDES[0] if right_has_more == (self.sign.affected_has == "more") else SIDES[1]

    @property
    def verdict(self) -> Verdict | None:
        """Whether the sign is present; None where the cue is not available."""
        if self.leading is None:
            return None
        return self.sign.limits[self.territory].verdict(self.score) if self.sign.separates else "unclear"

    def sentence(self) -> str:
        """The observation in one sentence."""
        row = self.leading
        if row is None:
            return f"{self.sign.title}: not available, {self.unavailable}."
        vessels, title = self.sign.vessels, self.sign.title
        ratio = f"{100 * row.right:.2g} % of the voxels on the right, {100 * row.left:.2g} % on the left"
        if self.verdict == "absent":
            return (
                f"{title} absent: {vessels} in the {row.territory} territory differ no more between the sides than in "
                f"simulated heads without hypoperfusion ({ratio})."
            )
        return (
            f"{title} {self.verdict}: {self.sign.affected_has} {vessels} in the {row.territory} territory on the "
            f"{self.side} than on the other side ({ratio})."
        )

    def as_json(self) -> dict[str, object]:
        """Plain values; null where the cue is not available."""
        return {
            "name": self.sign.name,
            "title": self.sign.title,
            "modality": self.sign.modality,
            "available": self.leading is not None,
            "unavailable": self.unavailable,
            "verdict": self.verdict,
            "side": self.side,
            "territory": self.territory,
            "score": None if isnan(self.score) else self.score,
            "direction": f"the affected side has {self.sign.affected_has} {self.sign.vessels}",
            "limits": {name: [own.absent, own.present] for name, own in self.sign.limits.items()}
            if self.sign.separates
            else None,
            "territories": {row.territory: row.as_json() for row in self.comparisons},
            "volume_ml": None if isnan(self.volume_ml) else self.volume_ml,
            "note": self.sign.note,
            "sentence": self.sentence(),
        }


def missing(sign: Sign) -> Cue:
    """The cue of a case without its sequence."""
    return Cue(sign, unavailable=f"no {TITLES[sign.modality]} was given")


def compared(sign: Sign, images: CueImages, vessels: Mask, measured: Mask, *, places: Labels | None = None) -> Cue:
    """The cue from the voxels of vessels.

    Args:
        sign: What the cue is.
        images: The case.
        vessels: (X, Y, Z), the voxels of the vessels that are counted.
        measured: (X, Y, Z), the voxels in which they were sought.
        places: (X, Y, Z), label of the territory of each voxel; None takes the territories of the tissue.
    """
    labels = images.territories if places is None else places
    size = len(TERRITORY_LABELS) + 1
    inside = np.bincount(labels[images.brain], minlength=size)
    counted = np.bincount(labels[measured], minlength=size)
    hits = np.bincount(labels[vessels & measured], minlength=size)
    rows = tuple(_comparison(territory, hits, counted, inside) for territory in TERRITORIES)
    cue = Cue(sign, rows)
    if cue.leading is None:
        where = f"{TITLES[sign.modality]} shows too little of the territories of both sides"
        return Cue(sign, rows, unavailable=where)
    if sign.affected_has == "fewer" or not cue.side:
        return cue
    return Cue(sign, rows, volume_ml=float(hits[label_of(cue.territory, cue.side)]) * images.grid.voxel_ml)


def _comparison(territory: str, hits: np.ndarray, counted: np.ndarray, inside: np.ndarray) -> Comparison:
    labels = [label_of(territory, side) for side in SIDES]
    shares = [float(hits[label] / counted[label]) if counted[label] else 0.0 for label in labels]
    covered = min(float(counted[label] / inside[label]) if inside[label] else 0.0 for label in labels)
    return Comparison(territory, shares[0], shares[1], covered, int(sum(hits[label] for label in labels)))
