"""The clinical report as a document, from the clinical summary and the pictures of the targets.

The sections have the order of a stroke-MRI report. They print what the summary states. A section without content is
left out; the conclusion names an analysis that is missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

from adumbra.report.clinical_decisions import cue_rows, image_mismatch, rule_sections
from adumbra.report.document import ESTIMATED_PERFUSION, Document, Figure, Section, Table
from adumbra.report.figures import ENTROPY, Scene, label_sides, slice_with_contours, slice_with_map
from adumbra.report.number_format import EN_DASH, format_row_interval, format_value
from adumbra.report.target_view import TargetView
from adumbra.report.tiles import key_slice, pixels_per_mm, tile
from adumbra.report.worklist_section import worklist_section

TITLE = "Acute stroke MRI"
PICTURE_HEIGHT = 420
WIDE_RATIO, WIDE_FROM_ML = 10.0, 0.5
"""Ratio of the ends of an interval from which the report says that it is wide, and the least lower end that counts."""
LEAST_SHARE = 0.05
"""Share of the draws from which a region or territory is listed."""
LEAST_TERRITORY_ML = 0.1
"""Median or upper end of a volume from which a territory is listed."""
Plain = Mapping[str, Any]


def clinical_document(clinic: Plain, targets: Sequence[TargetView], *, warnings: Sequence[str] = ()) -> Document:
    """The document of a case.

    Args:
        clinic: The clinical summary, as ``clinical_summary.build`` gives it.
        targets: What the report shows of each target.
        warnings: Warnings about the input.
    """
    views = {view.maps.target: view for view in targets}
    sections = (
        _diffusion(clinic, views.get("lesion")),
        _flair(clinic, views.get("lesion")),
        _clot(clinic, views.get("thrombus")),
        _angiography(clinic, views.get("thrombus") or views.get("lesion")),
        _perfusion(clinic, views.get("hypoperfusion")),
        *rule_sections(clinic),
        worklist_section(clinic, views),
        _quality(clinic, targets),
    )
    footer = f"Adumbra {targets[0].run.versions.get('adumbra', '')}".strip()
    shown = tuple(section for section in sections if section is not None)
    return Document(TITLE, str(clinic["case"]), tuple(clinic["conclusion"]), shown, tuple(warnings), footer)


def _diffusion(clinic: Plain, view: TargetView | None) -> Section | None:
    lesion = clinic.get("lesion")
    if lesion is None or view is None:
        return None
    volume = view.findings.volume_ml
    source = "of the draws" if volume.by == "draws" else "calibrated"
    paragraphs = [
        f"Segmented volume {volume.value:.1f} ml; {volume.level:.0%} interval {volume.low:.1f} to {volume.high:.1f} ml "
        f"({source})."
    ]
    if volume.high >= WIDE_RATIO * max(volume.low, WIDE_FROM_ML):
        paragraphs.append("The interval is so wide that the volume is hardly known.")
    if (restricted := lesion.get("adc_below_620_ml")) is not None:
        paragraphs.append(f"Of it, with ADC below 0.62 × 10⁻³ mm²/s: {_ml(restricted)}.")
    if "adc" not in view.scene.background:
        paragraphs.append(
            "There is no ADC: whether the signal is T2 shine-through cannot be told, and the volume with an ADC below "
            "0.62 × 10⁻³ mm²/s is unknown."
        )
    tables = []
    if "territories" in lesion:
        tables = [_territories(lesion["territories"]), *_scores(lesion["scores"])]
    paragraphs += lesion["notes"]
    figures = [*_pictures(view.scene, ("dwi", "adc"), "segmentation"), _entropy_picture(view.scene)]
    return Section("Diffusion", tuple(paragraphs), tuple(tables), tuple(figures))


def _territories(territories: Plain) -> Table:
    shown = [
        (name, format_value(row["median"]), format_row_interval(row))
        for name, row in territories["territories_ml"].items()
        if (row["high"] or 0.0) >= LEAST_TERRITORY_ML
    ]
    shown.append(
        ("Whole lesion", format_value(territories["whole_ml"]["median"]), format_row_interval(territories["whole_ml"]))
    )
    caption = "Volume by arterial territory over the draws, in ml. The rows sum to the whole in every draw."
    return Table(("Territory", "Median", "Interval"), tuple(shown), caption, (1, 2))


def _scores(scores: Plain) -> Iterator[Table]:
    by_side = scores["aspects_by_side"]
    rows = [
        ("DWI-ASPECTS, right", format_value(by_side["right"]["median"]), format_row_interval(by_side["right"])),
        ("DWI-ASPECTS, left", format_value(by_side["left"]["median"]), format_row_interval(by_side["left"])),
        ("PC-ASPECTS", format_value(scores["pc_aspects"]["median"]), format_row_interval(scores["pc_aspects"])),
    ]
    yield Table(("Score", "Median", "Interval"), tuple(rows), "Scores over the draws.", (1, 2))
    involved = [
        (row["title"], f"{100 * row['probability']:.0f} %", _percent(row["share"]["median"]))
        for row in scores["regions"]
        if row["probability"] >= LEAST_SHARE
    ]
    if involved:
        caption = "Regions with a probability of involvement of at least 5 %."
        yield Table(("Region", "Probability", "Share that is lesion"), tuple(involved), caption, (1, 2))


def _flair(clinic: Plain, view: TargetView | None) -> Section | None:
    if view is None or "flair" not in view.scene.background:
        return None
    paragraphs = image_mismatch(clinic, "dwi_flair")
    return Section("FLAIR", tuple(paragraphs), (), tuple(_pictures(view.scene, ("flair",), "segmentation")))


def _clot(clinic: Plain, view: TargetView | None) -> Section | None:
    thrombus = clinic.get("thrombus")
    if thrombus is None or view is None:
        return None
    paragraphs, tables = [], []
    if not thrombus["clots"]:
        paragraphs.append("No clot was found. This does not exclude an occlusion.")
    for number, clot in enumerate(thrombus["clots"], start=1):
        if clot["artery"] is not None:
            paragraphs.append(f"Clot {number}: {clot['artery']['sentence']} {_level(clot['artery'])}")
        if clot["vessel_sign"] is not None:
            paragraphs.append(f"Clot {number}: {clot['vessel_sign']['sentence']}")
    if thrombus["clots"]:
        tables.append(_clots(thrombus["clots"]))
    paragraphs += [*view.findings.notes, *thrombus["notes"]]
    figures = _pictures(view.scene, ("swi",), "segmentation")
    return Section(
        "Susceptibility-weighted image and clot", tuple(dict.fromkeys(paragraphs)), tuple(tables), (*figures,)
    )


def _level(artery: Plain) -> str:
    """Whether a clot is proximal, in the M2 or distal, with the probabilities over the draws."""
    levels = sorted(artery["categories"].items(), key=lambda item: -item[1])
    parts = [f"{name} {100 * share:.0f} %" for name, share in levels if share >= LEAST_SHARE]
    return f"Proximal, M2 or distal, over the draws: {', '.join(parts)}." if parts else ""


_CLOT_ROWS = {
    "volume": "Volume, ml", "length": "Length along the path, mm", "feret": "Largest Feret diameter, mm",
    "width": "Mean width, mm", "largest_width": "Largest width, mm", "fragments": "Fragments",
}  # fmt: skip


def _clots(clots: Sequence[Plain]) -> Table:
    header = ("Measure", *(f"Clot {number}" for number in range(1, len(clots) + 1)))
    rows = [(title, *(_with_interval(clot[name]) for clot in clots)) for name, title in _CLOT_ROWS.items()]
    rows.append(("Present in the draws", *(f"{100 * clot['presence']:.0f} %" for clot in clots)))
    caption = "Median over the draws with its interval. On SWI a clot blooms: it looks longer and wider than it is."
    return Table(header, tuple(rows), caption, tuple(range(1, len(clots) + 1)))


def _angiography(clinic: Plain, view: TargetView | None) -> Section | None:
    if view is None or "tof" not in view.scene.background:
        return None
    cues = cue_rows(clinic)
    paragraphs = tuple(str(cue["sentence"]) for cue in cues if cue.get("modality") == "tof")
    return Section("Angiography", paragraphs, (), tuple(_pictures(view.scene, ("tof",), "segmentation of the clot")))


def _perfusion(clinic: Plain, view: TargetView | None) -> Section | None:
    hypoperfusion, cues = clinic.get("hypoperfusion"), cue_rows(clinic)
    if hypoperfusion is None and not cues:
        return None
    paragraphs: list[str] = []
    figures: list[Figure] = []
    if hypoperfusion is not None:
        paragraphs += _estimate(hypoperfusion)
    if view is not None:
        figures = [*_pictures(view.scene, ("dwi",), "estimated hypoperfusion"), _entropy_picture(view.scene)]
    downstream = "Territory downstream of the clot"
    rows = tuple((str(cue.get("title", downstream)), str(cue["sentence"])) for cue in cues)
    tables = (Table(("Cue", "Observation"), rows, "Cues of hypoperfusion, each computed on its own."),) if rows else ()
    return Section("Perfusion", tuple(paragraphs), tables, tuple(figures), ESTIMATED_PERFUSION)


def _estimate(hypoperfusion: Plain) -> Iterator[str]:
    """What the estimate of hypoperfusion says, and what it was made from."""
    yield f"Estimated hypoperfusion (Tmax > 6 s): {_ml(hypoperfusion['volume_ml'])}."
    if "severe_ml" in hypoperfusion:
        yield f"Of it, estimated Tmax > 10 s: {_ml(hypoperfusion['severe_ml'])}."
    if "closed_probability" in hypoperfusion:
        share = f"{100 * hypoperfusion['closed_probability']:.0f} %"
        rest = "" if share == "100 %" else " The other draws have no hypoperfusion."
        yield f"Probability that an artery is closed: {share}.{rest}"
    if "sources" in hypoperfusion:
        parts = ", ".join(("the lesion", *hypoperfusion["sources"]))
        yield f"The estimate was made from: {parts}."


def _quality(clinic: Plain, targets: Sequence[TargetView]) -> Section:
    rows = tuple(
        (
            view.title, ", ".join(name.upper() for name in view.scene.background), str(view.maps.draws),
            f"{view.maps.threshold:.2f}", str(view.run.weights.get("name") or "own weights"),
        )
        for view in targets
    )  # fmt: skip
    header = ("Target", "Sequences", "Draws", "Threshold", "Weights")
    table = Table(header, rows, "How the targets were segmented.", (2, 3))
    notes = dict.fromkeys(note for view in targets for note in view.findings.notes)
    limits = (
        "An empty segmentation does not exclude a stroke. Low uncertainty does not prove a correct result.",
        f"{clinic['use']} Not a diagnosis, and not a medical device.",
    )
    return Section("Quality and provenance", (*notes, *limits), (table,))


def _pictures(scene: Scene, modalities: Sequence[str], drawn: str) -> Iterator[Figure]:
    """The key slice of some scans with the contour of the segmentation; scans that are missing are left out."""
    for modality in modalities:
        if modality in scene.background:
            level = key_slice(scene.maps)
            at = tile("axial", level, scene.box, scene.maps.grid, pixels_per_mm=_scale(scene))
            picture = label_sides(slice_with_contours(scene, modality, at), at)
            caption = f"{modality.upper()}, axial slice {level + 1}, with the contour of the {drawn}"
            yield Figure(_jpeg(picture), f"{caption}. The patient’s right is on the left.", caption, 0.32)


def _entropy_picture(scene: Scene) -> Figure:
    level = key_slice(scene.maps)
    at = tile("axial", level, scene.box, scene.maps.grid, pixels_per_mm=_scale(scene))
    picture = label_sides(slice_with_map(scene, scene.reference, at, scene.maps.entropy, ENTROPY), at)
    caption = f"Predictive entropy over {scene.reference.upper()}, axial slice {level + 1}, from 0 to 0.69 nats"
    return Figure(_jpeg(picture), f"{caption}.", caption, 0.32)


def _scale(scene: Scene) -> float:
    return pixels_per_mm(scene.box, scene.maps.grid, height=PICTURE_HEIGHT)


def _jpeg(picture: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=88, subsampling=0)
    return buffer.getvalue()


def _with_interval(row: Plain) -> str:
    return f"{format_value(row['median'])} ({format_row_interval(row)})"


def _ml(row: Plain) -> str:
    return f"{format_value(row['median'])} ml (95 % of the draws: {format_row_interval(row)} ml)"


def _percent(share: float | None) -> str:
    return EN_DASH if share is None else f"{100 * share:.0f} %"
