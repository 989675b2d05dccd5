"""One target on the report: its volume, pictures, regions and tables, as the templates take them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adumbra.core.candidates import CandidateDecision
from adumbra.core.case import Case
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.results import (
    AttentionMaps,
    Findings,
    Maps,
    Prediction,
    Region,
    RegionalUncertainty,
    RegionUncertainty,
    RunRecord,
)
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Mask, Volume
from adumbra.report.attention import RegionAttention, attention_by_region
from adumbra.report.case_summary import score_sentences, width_legend, width_segments
from adumbra.report.charts import quality_charts
from adumbra.report.dot_plot import DotPlot, dot_plot
from adumbra.report.figures import ENTROPY, Scale, Scene, epistemic_scale
from adumbra.report.head_mask import without_air
from adumbra.report.number_format import format_interval
from adumbra.report.option_rows import option_rows
from adumbra.report.pictures import (
    ATTENTION,
    Picture,
    attention_pictures,
    key_pictures,
    picture_of_region,
    scale_picture,
    slice_rows,
)
from adumbra.report.tiles import box_around, intensity_windows

MAX_COMPONENTS = 10
"""Number of components that the page lists at most; the findings hold all."""


@dataclass(frozen=True)
class AttentionSection:
    """The page's section on attention.

    Attributes:
        primary: The modality whose queries attend to the others, as the page names it.
        others: The modalities that have cross-attention weights.
        regions: Mean attention by region.
        pictures: The key slice with each map.
        bar: Colour scale of the pictures.
    """

    primary: str
    others: tuple[str, ...]
    regions: tuple[RegionAttention, ...]
    pictures: tuple[Picture, ...]
    bar: Picture


@dataclass(frozen=True, eq=False)
class TargetView:
    """What the templates show of one target.

    Attributes:
        title: Name of the target for headings.
        suffix: End of the identifiers of its sections; empty for the first target of a page.
        maps: Its maps.
        findings: Its findings.
        run: Its manifest.
        scene: What its pictures share.
        interval: The interval of the volume in words.
        chart: The volume of each draw.
        width: Bar and legend of the sources of the interval's width; None where not computed.
        score: Sentences on the case score.
        key: The key slice, with its headings.
        slices: Rows of slices: heading, CSS class, pictures.
        regions: Uncertain regions with their pictures.
        scales: Colour scales of entropy and epistemic part, each with its upper end.
        has_truth: Whether the pictures show a reference.
        scores: Measures against the reference.
        curves: Charts of the quality of the uncertainty.
        components: Agreement of the draws by component.
        candidates: Candidates of a clot with their decisions; None without a second look.
        attention: The section on attention; None without cross-attention.
        options: Rows of the resolved options.
        listed: Whether a worklist shows its uncertain regions, which are then not shown twice.
    """

    title: str
    suffix: str
    maps: Maps
    findings: Findings
    run: RunRecord
    scene: Scene
    interval: str
    chart: DotPlot
    width: tuple[Any, Any] | None
    score: Sequence[str]
    key: Sequence[tuple[str, Picture]]
    slices: Sequence[tuple[str, str, list[Picture]]]
    regions: Sequence[tuple[Region, Picture]]
    scales: Sequence[tuple[Picture, str]]
    has_truth: bool
    scores: Mapping[str, float]
    curves: Sequence[Any]
    components: Sequence[tuple[str, RegionUncertainty]]
    candidates: CandidateDecision | None
    attention: AttentionSection | None
    options: Sequence[Any]
    listed: bool = False


def target_view(
    prediction: Prediction, run: RunRecord, *, suffix: str = "", brief: bool = False, listed: bool = False
) -> TargetView:
    """What the templates show of one prediction.

    Args:
        prediction: The prediction; its scans, brain and truth lie on the grid of its maps.
        run: Its manifest.
        suffix: End of the identifiers of its sections.
        brief: Slices of the reference modality only.
        listed: Whether a worklist shows its uncertain regions.

    Raises:
        MissingInput: The case has no scan.
        GridMismatch: A scan or mask has not the shape of the maps.
    """
    case, maps, findings = prediction.case, prediction.maps, prediction.findings
    brain, truth = _mask(case, "brain"), _mask(case, maps.target)
    scene = _scene(case, maps, brain, truth)
    return TargetView(
        title=TARGET_SPECS[maps.target].title,
        suffix=suffix,
        maps=maps,
        findings=findings,
        run=run,
        scene=scene,
        interval=format_interval(findings.volume_ml),
        chart=dot_plot(prediction.draws.volumes_ml, findings.volume_ml),
        width=None if findings.width is None else (width_segments(findings.width), width_legend(findings.width)),
        score=() if findings.score is None else score_sentences(findings.score),
        key=key_pictures(scene),
        slices=slice_rows(scene, brief=brief),
        regions=[] if listed else [(region, picture_of_region(scene, region)) for region in findings.regions],
        scales=[_scale(ENTROPY), _scale(epistemic_scale(maps))],
        has_truth=truth is not None,
        scores=prediction.scores or {},
        curves=[] if prediction.curves is None else quality_charts(prediction.curves, of="this case"),
        components=_components(findings.regional),
        candidates=findings.candidates,
        attention=None if prediction.attention is None else _attention(scene, prediction.attention, brain),
        options=option_rows(run.options),
        listed=listed,
    )


def _mask(case: Case, name: str) -> Mask | None:
    return case.masks[name].data if name in case.masks else None


def _scene(case: Case, maps: Maps, brain: Mask | None, truth: Mask | None) -> Scene:
    background = _background(case, maps)
    if not background:
        raise MissingInput("report", expected="a scan to draw on", found="none", do="give the scans on the maps' grid")
    for name, volume in {**background, "brain": brain, "truth": truth}.items():
        if volume is not None and volume.shape != maps.grid.shape:
            raise GridMismatch(
                name, expected=f"shape {maps.grid.shape}", found=f"{volume.shape}", do="give it on the maps' grid"
            )
    head = brain if brain is not None and brain.any() else _not_black(next(iter(background.values())))
    windows = intensity_windows(background, head)
    return Scene(without_air(background, brain, maps.grid), windows, maps, truth, box_around(head, maps.grid))


def _background(case: Case, maps: Maps) -> Mapping[str, Volume]:
    """The scans by modality; the reference modality comes first."""
    reference = TARGET_SPECS[maps.target].reference_modalities
    order = sorted(case.scans, key=lambda name: reference.index(name) if name in reference else len(reference))
    return {modality: case.scans[modality].data for modality in order}


def _not_black(volume: Volume) -> Mask:
    return np.asarray(volume > 0.1 * np.quantile(volume, 0.99))


def _components(regional: RegionalUncertainty | None) -> list[tuple[str, RegionUncertainty]]:
    """The whole case, then the largest components of the mask."""
    if regional is None:
        return []
    components = regional.components[:MAX_COMPONENTS]
    return [("Whole case", regional.case), *((f"Component {k}", part) for k, part in enumerate(components, start=1))]


def _attention(scene: Scene, attention: AttentionMaps, brain: Mask | None) -> AttentionSection:
    return AttentionSection(
        attention.primary.upper() if attention.primary else "all modalities",
        tuple(modality.upper() for modality in attention.weights),
        tuple(attention_by_region(attention, scene.maps, brain)),
        tuple(attention_pictures(scene, attention)),
        scale_picture(ATTENTION),
    )


def _scale(scale: Scale) -> tuple[Picture, str]:
    return scale_picture(scale, "nats"), f"{scale.top:.2f}"
