"""The section of the clinical document on regions to look at again: pictures, consequences, and modalities."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Target
from adumbra.report.document import Entry, EntryList, Figure, Section, Table
from adumbra.report.figures import jpeg_bytes, planes_of_region
from adumbra.report.number_format import format_value
from adumbra.report.target_view import TargetView

Plain = Mapping[str, Any]
TITLE = "Regions to look at again"
_ORDER = "Sorted by what depends on a region: first a verdict, then a score, then the artery, then the volume."
_PICTURES = (
    "Pictures: the place of the region in the axial slice, then the scan around it in three planes without a map. The "
    "cross is open around the peak of the entropy, the thin contour surrounds the uncertain voxels, and the thick "
    "contour the segmentation. The patient’s right is on the left."
)
_CHANGE_CAPTION = (
    "Without each sequence in turn: the mean probability of the region, and by how much the sequence lowers the "
    "entropy. A negative number: the sequence raises it. It is what the network takes from a sequence, and not what "
    "the image holds."
)
_INFORMATION_CAPTION = (
    "What two sequences tell about the segmentation among the voxels of the region and its surroundings, in bits per "
    "voxel. In brackets is the null level: the mean of the same pattern laid on unrelated places of this head. Few "
    "voxels bias every number upwards, as they do the null level. The segmentation is that of this report and was "
    "computed from the same images: the numbers say nothing of the true border."
)


def worklist_section(clinic: Plain, views: Mapping[Target, TargetView]) -> Section | None:
    """The section on regions to look at again; None where no worklist was computed.

    Args:
        clinic: The clinical summary.
        views: What the report shows of each target.
    """
    lists = clinic.get("worklist") or {}
    if not lists:
        return None
    shown = tuple(_entries(target, content, views.get(target)) for target, content in lists.items())
    listed = any(one.entries for one in shown)
    return Section(TITLE, (_ORDER, _PICTURES) if listed else (), lists=shown)


def listed_targets(clinic: Plain | None) -> set[str]:
    """The targets that have a worklist."""
    return set((clinic or {}).get("worklist") or {})


def _entries(target: Target, content: Plain, view: TargetView | None) -> EntryList:
    items = content["items"]
    paragraphs = [str(note) for note in content["notes"]]
    if not items:
        paragraphs.insert(0, f"No uncertain region of the {target} would change a number of this report.")
    return EntryList(TARGET_SPECS[target].title, tuple(paragraphs), tuple(_entry(item, view) for item in items))


def _entry(item: Plain, view: TargetView | None) -> Entry:
    facts = (
        ("Volume", f"{format_value(item['volume_ml'])} ml"),
        ("Mean probability", f"{item['mean_probability']:.2f}"),
        ("Mean entropy", f"{item['mean_entropy']:.2f} nats"),
        ("Epistemic share", f"{100 * item['epistemic_share']:.0f} %"),
        ("Most informative sequence", _settled(item)),
    )
    sentences = (str(item["if_in"]["sentence"]), str(item["if_out"]["sentence"]))
    place = _place(item)
    title = place[:1].upper() + place[1:]
    tables = tuple(_tables(item))
    summary = "Which sequence would settle it: numbers" if tables else ""
    return Entry(title, () if view is None else tuple(_figures(item, view)), facts, sentences, tables, summary)


def _figures(item: Plain, view: TargetView) -> Iterator[Figure]:
    for plane, image in planes_of_region(view.scene, item["index"]):
        alt = f"{view.scene.reference.upper()}, region {item['rank']}, {plane}"
        yield Figure(jpeg_bytes(image), plane[:1].upper() + plane[1:], alt, 0.25)


def _place(item: Plain) -> str:
    """Artery or territory, and ASPECTS region of an item; the side where none is known."""
    names = [text for text in (item["artery"] or item["territory"], item["aspects_region"]) if text]
    return ", ".join(names) or str(item["side"])


def _settled(item: Plain) -> str:
    """The sequence that lowers the entropy there most, with the amount."""
    rows = {row["modality"]: row for row in item.get("modalities") or ()}
    if not rows:
        return "not computed"
    best = item["settled_by"]
    if best is None:
        return "none"
    return f"{item['modality']}, by {rows[best]['information_nats']:.2f} nats per voxel"


def _tables(item: Plain) -> Iterator[Table]:
    changes: Sequence[Plain] = item.get("modalities") or ()
    if changes:
        rows = tuple(
            (
                str(row["modality"]).upper(), f"{row['probability_without']:.2f} instead of {row['probability']:.2f}",
                f"{row['information_nats']:+.2f}".replace("-", "−"),
            )
            for row in changes
        )  # fmt: skip
        yield Table(("Sequence", "Probability without it", "Lowers the entropy, nats"), rows, _CHANGE_CAPTION, (1, 2))
    pairs: Sequence[Plain] = item.get("information") or ()
    if pairs:
        header = ("Sequences", "Redundancy", "First alone", "Second alone", "Only together", "At most")
        yield Table(header, tuple(map(_pair, pairs)), _INFORMATION_CAPTION, (1, 2, 3, 4, 5))


def _pair(pair: Plain) -> tuple[str, ...]:
    """A row of the decomposition."""
    title = f"{str(pair['first']).upper()} and {str(pair['second']).upper()}"
    if not pair["atoms"]:
        return (title, "cannot be said: too few voxels", "", "", "", "")
    cells = (f"{atom['bits']:.2f} ({atom['null_mean']:.2f})" for atom in pair["atoms"].values())
    return (title, *cells, f"{pair['target_bits']:.2f}")
