"""One HTML file per case, for the person who reads it: it opens offline, asks for nothing and runs no script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import isnan
from pathlib import Path

import numpy as np
from jinja2 import Template

from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.references import bibliography
from adumbra.core.results import (
    AttentionMaps,
    Curves,
    Estimate,
    Findings,
    Maps,
    RegionalUncertainty,
    RegionUncertainty,
    RunRecord,
    VolumeDraws,
)
from adumbra.core.types import Mask, Volume
from adumbra.report.attention import Heard, heard_in
from adumbra.report.charts import quality_charts
from adumbra.report.dots import dots
from adumbra.report.figures import (
    ENTROPY,
    Scale,
    Scene,
    colour_bar,
    data_uri,
    epistemic_scale,
    lettered,
    outlined,
    region_pictures,
    shaded,
)
from adumbra.report.staging import published
from adumbra.report.templates import environment
from adumbra.report.tiles import Tile, box_around, key_slice, pixels_per_mm, telling_slices, tile, windows

TITLES = {"lesion": "Ischemic lesion", "thrombus": "Thrombus", "hypoperfusion": "Hypoperfused tissue"}
TILE_HEIGHT = 300
KEY_HEIGHT = 460
SHARE = Scale("viridis", 1.0)
MOST_PARTS = 10
"""Of the outline that the page lists; the findings have all."""


@dataclass(frozen=True)
class Picture:
    """An image in the page: its data URI, its size in pixels, and what it shows for those who cannot see it."""

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class Attention:
    """What the page tells of listening: who listens to whom, in which regions, and on one slice the shares."""

    primary: str
    others: tuple[str, ...]
    regions: tuple[Heard, ...]
    pictures: tuple[Picture, ...]
    bar: Picture


def write_report(
    path: Path,
    *,
    case_name: str,
    background: Mapping[str, np.ndarray],
    maps: Maps,
    findings: Findings,
    run: RunRecord,
    draws: VolumeDraws | None = None,
    brain: Mask | None = None,
    truth: Mask | None = None,
    scores: Mapping[str, float] | None = None,
    curves: Curves | None = None,
    attention: AttentionMaps | None = None,
    warnings: Sequence[str] = (),
    references: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Writes the report of one case.

    Args:
        path: Of the file.
        case_name: A pseudonym; it is printed.
        background: Scans by modality, (X, Y, Z) on the grid of the maps; the reference one comes first.
        maps: Of the target.
        findings: Of the target.
        run: Its manifest; inputs and conversions are printed.
        draws: Where given, each draw's volume is a dot in a chart.
        brain: The pictures are cropped to it and their contrast is taken in it; else to what is not black.
        truth: An expert's outline, drawn beside the mask.
        scores: By name, printed where a truth is known; nan is printed as undefined.
        curves: Of the uncertainty against the truth, drawn where one is known.
        attention: Of a cross-modal network, on the grid of the maps.
        warnings: Sentences that a reader must be told.
        references: Keys of the papers that the methods used rest on, see ``adumbra.core.references.citations``.
        overwrite: Replace an earlier report.

    Returns:
        The path.

    Raises:
        MissingInput: There is no scan to draw on.
        GridMismatch: A scan or mask has not the shape of the maps.
        OutputRefused: The file exists already, or cannot be written.
    """
    scene = _scene(background, maps, brain, truth)
    page = _template().render(
        case=case_name,
        title=TITLES[maps.target],
        maps=maps,
        found=findings,
        interval=_interval(findings.volume_ml),
        chart=dots(draws.volumes_ml, findings.volume_ml) if draws is not None else None,
        key=_key_pictures(scene),
        slices=_slices(scene),
        regions=[(region, _region_picture(scene, region.rank, findings)) for region in findings.regions],
        bars=[_bar(ENTROPY), _bar(epistemic_scale(maps))],
        has_truth=truth is not None,
        scores=scores or {},
        curves=[] if curves is None else quality_charts(curves, of="this case"),
        parts=_parts(findings.regional),
        attention=None if attention is None else _attention(scene, attention, brain),
        warnings=list(dict.fromkeys([*findings.notes, *warnings])),
        run=run,
        references=bibliography(references),
    )
    return published({path.name: page.encode()}, path.parent, overwrite=overwrite)[0]


def _scene(background: Mapping[str, np.ndarray], maps: Maps, brain: Mask | None, truth: Mask | None) -> Scene:
    if not background:
        raise MissingInput("report", expected="a scan to draw on", found="none", do="give the scans on the maps' grid")
    for name, volume in {**background, "brain": brain, "truth": truth}.items():
        if volume is not None and volume.shape != maps.grid.shape:
            raise GridMismatch(
                name, expected=f"shape {maps.grid.shape}", found=f"{volume.shape}", do="give it on the maps' grid"
            )
    head = brain if brain is not None and brain.any() else _not_black(next(iter(background.values())))
    return Scene(background, windows(background, head), maps, truth, box_around(head, maps.grid))


def _not_black(volume: Volume) -> Mask:
    return np.asarray(volume > 0.1 * np.quantile(volume, 0.99))


def _key_pictures(scene: Scene) -> list[tuple[str, Picture]]:
    """The slice that tells most, large: outlined, and shaded."""
    modality, level = next(iter(scene.background)), key_slice(scene.maps)
    at = _axial(scene, level, KEY_HEIGHT)
    where = f"{modality.upper()}, axial slice {level}"
    return [
        ("LesionShape", _picture(outlined(scene, modality, at), at, f"{where}, with the outline")),
        ("Doubt", _picture(shaded(scene, modality, at, scene.maps.entropy, ENTROPY), at, f"{where}, with the entropy")),
    ]


def _slices(scene: Scene) -> list[tuple[str, str, list[Picture]]]:
    """For each scan a row with the outline and one with the entropy; last, the epistemic part over the first scan."""
    tiles = [_axial(scene, level, TILE_HEIGHT) for level in telling_slices(scene.maps, scene.box)]
    rows = []
    for modality in scene.background:
        scan = modality.upper()
        pictures = [outlined(scene, modality, at) for at in tiles]
        rows.append((f"{scan}, outline", "outline", _row(pictures, tiles, scene, f"{scan} with the outline")))
        pictures = [shaded(scene, modality, at, scene.maps.entropy, ENTROPY) for at in tiles]
        rows.append((f"{scan}, entropy", "entropy", _row(pictures, tiles, scene, f"{scan} with the entropy")))
    first, scale = next(iter(scene.background)), epistemic_scale(scene.maps)
    pictures = [shaded(scene, first, at, scene.maps.epistemic, scale) for at in tiles]
    alt = f"{first.upper()} with the epistemic part"
    rows.append((f"{first.upper()}, epistemic part", "epistemic", _row(pictures, tiles, scene, alt)))
    return rows


def _row(pictures: list[np.ndarray], tiles: list[Tile], scene: Scene, what: str) -> list[Picture]:
    """Pictures with their place at the foot: the height of the slice's centre in the scanner, and its number."""
    row = []
    for picture, at in zip(pictures, tiles, strict=True):
        middle = np.array([*((np.array(scene.maps.grid.shape[:2]) - 1) / 2), at.index])
        height_mm = float(scene.maps.grid.world_mm(middle)[2])
        text = f"{height_mm:+.0f} mm, slice {at.index}"
        row.append(_picture(picture, at, f"{what}, axial slice {at.index}", text=text))
    return row


def _parts(regional: RegionalUncertainty | None) -> list[tuple[str, RegionUncertainty]]:
    """The whole case, then the largest parts of the outline."""
    if regional is None:
        return []
    parts = [(f"Part {k}", part) for k, part in enumerate(regional.components[:MOST_PARTS], start=1)]
    return [("All", regional.case), *parts]


def _attention(scene: Scene, heard: AttentionMaps, brain: Mask | None) -> Attention:
    """Means by region, and over the slice that tells most the share of each modality, and last the opening."""
    at, first = _axial(scene, key_slice(scene.maps), TILE_HEIGHT), next(iter(scene.background))
    shown = [(m.upper(), m if m in scene.background else first, share) for m, share in heard.shares.items()]
    if heard.opened is not None:
        shown.append(("opening", first, heard.opened))
    pictures = [
        _picture(shaded(scene, under, at, volume, SHARE), at, f"Attention, axial slice {at.index}: {what}", text=what)
        for what, under, volume in shown
    ]
    colours = colour_bar(SHARE)
    bar = Picture(data_uri(colours, kind="PNG"), colours.width, colours.height, "Colour scale from 0 to 1")
    primary = heard.primary.upper() if heard.primary else "all scans together"
    others = tuple(modality.upper() for modality in heard.shares)
    return Attention(primary, others, tuple(heard_in(heard, scene.maps, brain)), tuple(pictures), bar)


def _region_picture(scene: Scene, rank: int, findings: Findings) -> Picture:
    region = findings.regions[rank - 1]
    image = region_pictures(scene, region)
    alt = f"Region {rank}: its place in the axial slice {region.index[2]}, then the entropy around it in three planes"
    return Picture(data_uri(image), image.width, image.height, alt)


def _axial(scene: Scene, level: int, height: int) -> Tile:
    scale = pixels_per_mm(scene.box, scene.maps.grid, height=height)
    return tile("axial", level, scene.box, scene.maps.grid, pixels_per_mm=scale)


def _picture(picture: np.ndarray, at: Tile, alt: str, *, text: str = "") -> Picture:
    return Picture(data_uri(lettered(picture, at, text=text)), at.size[0], at.size[1], alt)


def _bar(scale: Scale) -> tuple[Picture, str]:
    image = colour_bar(scale)
    top = f"{scale.top:.2f}"
    alt = f"Colour scale from 0 to {top} nats"
    return Picture(data_uri(image, kind="PNG"), image.width, image.height, alt), top


def _interval(estimate: Estimate) -> str:
    return f"{_ml(estimate.low)} to {_ml(estimate.high)} ml"


def _ml(value: float) -> str:
    """Millilitres as they are read: two decimals below 10, one above."""
    return f"{value:.2f}" if abs(value) < 9.995 else f"{value:.1f}"


def _score(value: float, name: str) -> str:
    """A score for people: an undefined one says so, a rule is answered with yes or no, a count is whole."""
    if isnan(value):
        return "undefined"
    if name.startswith("detected"):
        return "yes" if value else "no"
    whole = name.startswith(("count", "false"))
    return f"{value:.0f}" if whole else _ml(value) if name.endswith("_ml") else f"{value:.3f}"


def _known(value: float, form: str) -> str:
    """A number in a format; a dash where it is undefined."""
    return "\N{EN DASH}" if isnan(value) else form % value


def _position(position_mm: tuple[float, float, float]) -> str:
    """Whole millimetres with true minus signs: ``"−15, −1, 37"``."""
    return ", ".join(f"{round(value):d}".replace("-", "\N{MINUS SIGN}") for value in position_mm)


def _label(name: str) -> str:
    """A score's name for people: ``"lesion_f1"`` becomes ``"Lesion F1"``, ``"…_ml"`` says its unit."""
    words = name.removesuffix("_ml").replace("_", " ").replace("f1", "F1")
    return words[:1].upper() + words[1:] + (" (ml)" if name.endswith("_ml") else "")


@cache
def _template() -> Template:
    environment().filters.update(ml=_ml, score=_score, label=_label, position=_position, known=_known)
    return environment().get_template("report.html")
