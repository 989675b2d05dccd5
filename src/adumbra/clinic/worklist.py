"""The worklist: regions to look at again, and what changes if each is in or out of the segmentation.

The uncertain voxels are cut into pieces (``clinic.region_pieces``) inside the brain and near the tissue of the atlas;
what is uncertain elsewhere, such as in an orbit, is no candidate and only counted. Pieces of a thrombus lie near an
artery of the atlas. A piece is listed where a decision could matter:

- the verdict of a rule changes, or ASPECTS or PC-ASPECTS, or the artery of the largest clot, or whether anything is
  segmented at all, if it is in or if it is out; or
- its expected change of the volume, the sum of min(p, 1 - p) over its voxels, is at least ``LEAST_SHARE`` of the volume
  of the mask and at least ``LEAST_ML``.

Listed pieces are sorted by consequence: a rule that flips between *met* and *not met*, another change of a verdict, the
change of the scores, the artery of the largest clot, the change of the volume in whole ml; then by the sum of the
entropy. Rank and order say what depends on a region, and not how likely it is: the mean probability stands beside it.
The list states facts and recommends nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from adumbra.clinic.consequences import Consequence
from adumbra.clinic.decisions import Decisions, Surroundings
from adumbra.clinic.modality_evidence import (
    ModalityChange,
    WithheldProbabilities,
    modality_changes,
    settling_modality,
    title,
)
from adumbra.clinic.region_pieces import LONGEST_MM, uncertain_pieces
from adumbra.clinic.region_places import RegionPlaces
from adumbra.clinic.shared_information import SharedInformation
from adumbra.clinic.uncertain_regions import LEAST_ML, LEAST_SHARE, described, expected_change_ml
from adumbra.core.geometry.midline import Plane, midsagittal_plane
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.results import Maps, Region
from adumbra.core.types import Mask, Modality

MOST = 10
"""Usual largest number of items."""


@dataclass(frozen=True)
class WorklistItem:
    """One region to look at again.

    Attributes:
        region: Rank, volume, side, position, entropy, epistemic share and probability of the region.
        territory: Arterial territory of most of its voxels, such as ``"MCA right"``; empty where unknown.
        aspects_region: ASPECTS or PC-ASPECTS region of most of its voxels, such as ``"M5 right"``; empty for none.
        artery: Nearest artery of the atlas, for a thrombus; else empty.
        expected_ml: Expected change of the volume if every voxel were decided, the sum of min(p, 1 - p), ml.
        if_in: What changes if it belongs to the segmentation.
        if_out: What changes if it does not.
        modalities: What each modality contributes there; empty where not computed.
        information: What the reference modality and each other one tell together; empty where not computed.
        voxels: Flat indices (C order) of its voxels.
    """

    region: Region
    territory: str
    aspects_region: str
    artery: str
    expected_ml: float
    if_in: Consequence
    if_out: Consequence
    modalities: tuple[ModalityChange, ...] = ()
    information: tuple[SharedInformation, ...] = ()
    voxels: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.intp), compare=False, repr=False)

    @property
    def settled_by(self) -> Modality | None:
        """The modality that lowers the entropy there most; None where none does, or where it was not computed."""
        return settling_modality(self.modalities)

    @property
    def changes_rule(self) -> bool:
        """Whether a rule flips between *met* and *not met*, if it is in or if it is out."""
        return max(self.if_in.rule_rank, self.if_out.rule_rank) == 2

    @property
    def sentences(self) -> tuple[str, str]:
        """Both consequences in words, that of belonging first."""
        return self.if_in.sentence, self.if_out.sentence

    @property
    def sentence(self) -> str:
        """Both consequences in words."""
        return " ".join(self.sentences)

    @property
    def place(self) -> str:
        """Artery or ASPECTS region, and territory, such as ``"M1 left, MCA left"``; the side where neither is known."""
        names = (self.artery or self.aspects_region, self.territory)
        return ", ".join(name for name in names if name) or self.region.side

    @property
    def modality(self) -> str:
        """The modality of ``settled_by`` as a reader sees it; ``"none"``, or ``"not computed"``."""
        if not self.modalities:
            return "not computed"
        return "none" if self.settled_by is None else title(self.settled_by)

    def as_json(self) -> dict[str, object]:
        """Plain values: the fields of ``core.results.Region``, and those of the item."""
        return {
            **asdict(self.region),
            "place": self.place,
            "sentence": self.sentence,
            "modality": self.modality,
            "territory": self.territory,
            "aspects_region": self.aspects_region,
            "artery": self.artery,
            "expected_ml": self.expected_ml,
            "changes_rule": self.changes_rule,
            "if_in": self.if_in.as_json(),
            "if_out": self.if_out.as_json(),
            "settled_by": self.settled_by,
            "modalities": [change.as_json() for change in self.modalities],
            "information": [pair.as_json() for pair in self.information],
        }


@dataclass(frozen=True)
class Worklist:
    """The listed regions of one segmentation, and what is not listed.

    Attributes:
        items: The listed regions, by consequence.
        all_in: What changes if all uncertain regions belong to the segmentation, listed or not; None without any.
        all_out: What changes if none of them does.
        unlisted: Number of uncertain regions in the brain that are not listed.
        unlisted_ml: Their volume.
        outside_ml: Volume of uncertain voxels outside the brain (for a thrombus: far from arteries).
    """

    items: tuple[WorklistItem, ...]
    all_in: Consequence | None
    all_out: Consequence | None
    unlisted: int
    unlisted_ml: float
    outside_ml: float

    def with_modalities(self, withheld: WithheldProbabilities) -> "Worklist":
        """The list with what each modality contributes to each region.

        Args:
            withheld: Probabilities without each modality, on the grid of the maps.
        """
        items = (replace(item, modalities=modality_changes(withheld, item.voxels)) for item in self.items)
        return replace(self, items=tuple(items))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences that must stand beside the list."""
        sentences = []
        if self.unlisted:
            kind = "region is" if self.unlisted == 1 else "regions are"
            sentences.append(
                f"{self.unlisted} further uncertain {kind} not listed ({self.unlisted_ml:.2f} ml together)."
            )
        if self.all_in is not None and self.all_out is not None:
            for whole, words in ((self.all_in, "all"), (self.all_out, "none")):
                sentences.append(f"If {words} of the uncertain regions belonged to the {whole.noun}: {whole.facts}.")
        return tuple(sentences)

    def as_json(self) -> dict[str, object]:
        """Plain values of all items, with the notes."""
        together = {"all_in": self.all_in, "all_out": self.all_out}
        return {
            "items": [item.as_json() for item in self.items],
            **{name: None if whole is None else whole.as_json() for name, whole in together.items()},
            "unlisted": self.unlisted,
            "unlisted_ml": self.unlisted_ml,
            "outside_ml": self.outside_ml,
            "notes": list(self.notes),
        }


def worklist(
    maps: Maps,
    draws: MaskDraws | None,
    *,
    brain: Mask,
    places: RegionPlaces | None = None,
    surroundings: Surroundings | None = None,
    withheld: WithheldProbabilities | None = None,
    plane: Plane | None = None,
    most: int = MOST,
) -> Worklist:
    """The worklist of one segmentation.

    Args:
        maps: Maps of the target.
        draws: Masks of its draws; None takes the mask as the only draw.
        brain: (X, Y, Z), the brain mask itself, without a margin.
        places: Territories, regions and arteries on the grid of the maps; None where the head could not be placed.
        surroundings: What the consequences depend on; None states the volume only.
        withheld: Probabilities without each modality; None leaves the modalities out.
        plane: Midsagittal plane; None estimates it from the brain mask.
        most: Largest number of items.

    Raises:
        MissingInput: The brain mask is empty, or there is no draw.
        GridMismatch: A mask does not have the shape of the maps.
    """
    plane = plane or midsagittal_plane(brain, maps.grid)
    within = brain if places is None else brain & places.candidates(maps.target)
    labels = None if places is None or maps.target == "thrombus" else places.labels
    pieces = uncertain_pieces(maps, within=within, labels=labels, longest_mm=LONGEST_MM)
    outside = uncertain_pieces(maps, within=~within, longest_mm=np.inf)
    outside_ml = sum(piece.size for piece in outside) * maps.grid.voxel_ml
    if not pieces:
        return Worklist((), None, None, 0, 0.0, outside_ml)
    voxels = np.sort(np.concatenate(pieces))
    decisions = Decisions(maps, draws, surroundings or Surroundings(), voxels=voxels)
    items = []
    for rank, (piece, if_in, if_out) in enumerate(_by_consequence(maps, pieces, decisions)[:most], start=1):
        names = ("", "", "") if places is None else places.names(piece, maps.target)
        region = described(maps, piece, plane, rank)
        expected_ml = expected_change_ml(maps, piece)
        items.append(WorklistItem(region, *names, expected_ml, if_in, if_out, voxels=piece))
    rest_ml = voxels.size * maps.grid.voxel_ml - sum(item.region.volume_ml for item in items)
    all_in, all_out = (decisions.consequence(voxels, belongs=belongs) for belongs in (True, False))
    rest = len(pieces) - len(items)
    listed = Worklist(tuple(items), all_in, all_out, rest, max(rest_ml, 0.0) if rest else 0.0, outside_ml)
    return listed if withheld is None else listed.with_modalities(withheld)


def _by_consequence(
    maps: Maps, pieces: Sequence[np.ndarray], decisions: Decisions
) -> list[tuple[np.ndarray, Consequence, Consequence]]:
    """The pieces where a decision could matter with both consequences, in the order of the list."""
    rows = []
    for piece in pieces:
        if_in, if_out = (decisions.consequence(piece, belongs=belongs) for belongs in (True, False))
        if _matters(if_in, if_out, expected_change_ml(maps, piece), maps):
            rows.append((piece, if_in, if_out))
    return sorted(rows, key=lambda row: _key(maps, *row))


def _matters(if_in: Consequence, if_out: Consequence, expected_ml: float, maps: Maps) -> bool:
    """Whether a decision could matter, as the module defines it."""
    both = (if_in, if_out)
    if any(e.rule_rank or e.score_change >= 1.0 or e.changes_presence or e.changes_artery for e in both):
        return True
    whole_ml = float(np.count_nonzero(maps.mask)) * maps.grid.voxel_ml
    return expected_ml >= max(LEAST_SHARE * whole_ml, LEAST_ML[maps.target])


def _key(maps: Maps, piece: np.ndarray, if_in: Consequence, if_out: Consequence) -> tuple[float, ...]:
    """The order of the list; smaller comes first."""
    both = (if_in, if_out)
    return (
        -max(each.rule_rank for each in both),
        -max(each.score_change for each in both),
        -max(each.changes_artery for each in both),
        -float(round(max(abs(each.change_ml) for each in both))),
        -float(maps.entropy.ravel()[piece].sum(dtype=np.float64)),
    )
