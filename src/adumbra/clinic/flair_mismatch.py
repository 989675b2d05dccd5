"""DWI-FLAIR mismatch: the FLAIR signal of the core relative to the mirrored side, over the draws.

In each draw the relative signal is the median FLAIR signal of the core over the median at the mirror images of its
voxels. Pairs count where FLAIR measured both places, both lie in the brain, and the mirror image lies outside the
core. Medians are used because the mirror image of cortex may be a sulcus, which is dark on FLAIR. The reflection of a
head is off by about 6 mm (``docs/results/atlas.md``), so that the relative signal of a small core is uncertain.

A **marked FLAIR change** is a relative signal of at least ``MARKED``. That limit is the one of MR WITNESS (Schwamm et
al. 2018), whose quantitative mismatch was a signal intensity ratio below 1.15. The trial's abstract was read, which
does not print the number; the number was read in a summary of the trial (neuro.wiki). Other published limits separate
patients by time and not by eligibility: 1.18 within 6 h and 1.20 within 8 h (Legge et al. 2017, abstract read). The
guideline and WAKE-UP ask a reader whether FLAIR shows marked change, and state no number. None was chosen on data of
this project.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan, nan

import numpy as np

from adumbra.clinic.cues.images import CueImages
from adumbra.clinic.distribution import LEVEL, Distribution, percent
from adumbra.clinic.draw_checks import check_draws, check_mask
from adumbra.core.geometry.reflection import index_reflection
from adumbra.core.references import cites
from adumbra.core.types import Mask

MARKED = 1.15
"""Relative FLAIR signal from which the change is marked (MR WITNESS, see above)."""
LEAST_VOXELS = 10
"""Pairs of voxels from which the relative signal is defined in a draw."""


@dataclass(frozen=True, eq=False)
class MirroredFlair:
    """FLAIR and its mirror image, at the N voxels of the brain where FLAIR measured both.

    Attributes:
        voxels: (N,), the voxels, as indices of the raveled grid.
        opposite: (N,), the voxel nearest to the mirror image of each.
        own: (N,), FLAIR at the voxels.
        other: (N,), FLAIR at the mirror images.
    """

    voxels: np.ndarray
    opposite: np.ndarray
    own: np.ndarray
    other: np.ndarray

    @classmethod
    def of(cls, images: CueImages) -> "MirroredFlair | None":
        """FLAIR of a case with its mirror image; None without FLAIR."""
        if "flair" not in images.scans:
            return None
        inside, shape = images.measured("flair"), images.grid.shape
        to_mirror = index_reflection(images.reflection, images.grid)
        index = np.argwhere(inside)
        mirror = np.rint(index @ to_mirror[:3, :3].T + to_mirror[:3, 3]).astype(np.intp)
        within = ((mirror >= 0) & (mirror < shape)).all(axis=1)
        voxels = np.ravel_multi_index(tuple(index[within].T), shape)
        opposite = np.ravel_multi_index(tuple(mirror[within].T), shape)
        both = inside.ravel()[opposite]
        flair = images.scans["flair"].data.ravel()
        return cls(voxels[both], opposite[both], flair[voxels[both]], flair[opposite[both]])

    def relative_signal(self, core: Mask) -> float:
        """The relative signal of a core (X, Y, Z); nan where fewer than ``LEAST_VOXELS`` pairs can be compared."""
        flat = core.ravel()
        pairs = flat[self.voxels] & ~flat[self.opposite]
        if np.count_nonzero(pairs) < LEAST_VOXELS:
            return nan
        reference = float(np.median(self.other[pairs]))
        return float(np.median(self.own[pairs])) / reference if reference > 0.0 else nan


@dataclass(frozen=True)
class FlairMismatch:
    """The FLAIR signal of the core over the draws.

    Attributes:
        relative_signal: The relative signal; nan in draws without a core that can be compared. None without FLAIR.
    """

    relative_signal: Distribution | None

    @property
    def probability_marked(self) -> float:
        """Share of the defined draws with a marked change; nan where none is defined."""
        if self.relative_signal is None or isnan(self.relative_signal.median):
            return nan
        draws = np.asarray(self.relative_signal.draws)
        return float((draws[~np.isnan(draws)] >= MARKED).mean())

    def rule_draws(self) -> dict[str, np.ndarray]:
        """Whether the change is marked in each draw, (N,) bool, under the name that the rules use.

        A draw without a core that can be compared shows no marked change. Empty where no draw has one, and without
        FLAIR.
        """
        if self.relative_signal is None or isnan(self.relative_signal.median):
            return {}
        return {"flair_change": np.asarray(self.relative_signal.draws) >= MARKED}

    def sentence(self) -> str:
        """The observation in one sentence."""
        if self.relative_signal is None:
            return "DWI-FLAIR mismatch cannot be said: no FLAIR was given."
        if isnan(self.relative_signal.median):
            return "DWI-FLAIR mismatch cannot be said: no part of the core can be compared with the mirrored side."
        share = self.probability_marked
        word = "marked FLAIR change" if share >= 0.95 else "no marked FLAIR change" if share <= 0.05 else "borderline"
        text = f"{self.relative_signal.sentence(limit=MARKED)}: {word} by the limit of {MARKED:g}"
        return f"{text} (probability of a marked change {percent(share)})." if word == "borderline" else f"{text}."

    def as_json(self) -> dict[str, object]:
        """Plain values; null where undefined."""
        share = self.probability_marked
        return {
            "relative_signal": None if self.relative_signal is None else self.relative_signal.as_json(),
            "marked_limit": MARKED,
            "probability_marked": None if isnan(share) else share,
            "sentence": self.sentence(),
        }


@cites("Schwamm2018", "Legge2017")
def flair_mismatch(cores: Iterable[Mask], images: CueImages, *, level: float = LEVEL) -> FlairMismatch:
    """The DWI-FLAIR mismatch of a case.

    Args:
        cores: The core in each draw, (X, Y, Z) on the grid of the images. Each is used once and released.
        images: The case, such as on the grid of the DWI.
        level: Level of the central interval, between 0 and 1.

    Raises:
        MissingInput: There is no mask.
        GridMismatch: A mask does not have the shape of the grid.
        InputRejected: The level is not between 0 and 1.
    """
    pair, values = MirroredFlair.of(images), []
    for core in cores:
        check_mask(core, images.grid)
        values.append(nan if pair is None else pair.relative_signal(core))
    check_draws(len(values), "DWI-FLAIR mismatch")
    label = "relative FLAIR signal of the core"
    return FlairMismatch(None if pair is None else Distribution(label, "", tuple(values), level))
