"""The HTML report of one case: a single file that opens offline, loads nothing and runs no script."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from jinja2 import Template

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.case import Case
from adumbra.core.entropy import UNCERTAIN_NATS
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.references import bibliography
from adumbra.core.results import AttentionMaps, Maps, Prediction, RegionalUncertainty, RegionUncertainty, RunRecord
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Mask, Volume
from adumbra.report.attention import RegionAttention, attention_by_region
from adumbra.report.case_summary import score_sentences, width_legend, width_segments
from adumbra.report.charts import quality_charts
from adumbra.report.dot_plot import dot_plot
from adumbra.report.figures import ENTROPY, Scale, Scene, epistemic_scale
from adumbra.report.number_format import (
    format_defined,
    format_interval,
    format_ml,
    format_position,
    format_score,
    score_title,
)
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
from adumbra.report.templates import environment
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


def write_report(path: Path, prediction: Prediction, run: RunRecord, *, overwrite: bool = False) -> Path:
    """Writes the report of one case.

    Args:
        path: Path of the file.
        prediction: The prediction; its scans, brain and truth lie on the grid of its maps. The page prints the name of
            the case, a pseudonym. Without a brain mask, pictures are cropped to the voxels that are not black.
        run: Manifest of the run; the page prints it.
        overwrite: Replace an earlier report.

    Returns:
        The path.

    Raises:
        MissingInput: The case has no scan.
        GridMismatch: A scan or mask has not the shape of the maps.
        OutputRefused: The file exists already, or cannot be written.
    """
    case, maps, findings = prediction.case, prediction.maps, prediction.findings
    brain, truth = _mask(case, "brain"), _mask(case, maps.target)
    scene = _scene(case, maps, brain, truth)
    page = _template().render(
        case=case.name,
        title=TARGET_SPECS[maps.target].title,
        maps=maps,
        findings=findings,
        interval=format_interval(findings.volume_ml),
        chart=dot_plot(prediction.draws.volumes_ml, findings.volume_ml),
        width=None if findings.width is None else (width_segments(findings.width), width_legend(findings.width)),
        score=() if findings.score is None else score_sentences(findings.score),
        key=key_pictures(scene),
        slices=slice_rows(scene),
        regions=[(region, picture_of_region(scene, region)) for region in findings.regions],
        scales=[_scale(ENTROPY), _scale(epistemic_scale(maps))],
        has_truth=truth is not None,
        uncertain_nats=UNCERTAIN_NATS,
        scores=prediction.scores or {},
        curves=[] if prediction.curves is None else quality_charts(prediction.curves, of="this case"),
        components=_components(findings.regional),
        candidates=findings.candidates,
        attention=None if prediction.attention is None else _attention(scene, prediction.attention, brain),
        warnings=list(dict.fromkeys(case.warnings)),
        run=run,
        options=option_rows(run.options),
        references=bibliography(run.references),
    )
    return write_all_atomically({path.name: page.encode()}, path.parent, overwrite=overwrite)[0]


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
    return Scene(background, intensity_windows(background, head), maps, truth, box_around(head, maps.grid))


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


@cache
def _template() -> Template:
    environment().filters.update(
        ml=format_ml, score=format_score, score_title=score_title, position=format_position, defined=format_defined
    )
    return environment().get_template("report.html")
