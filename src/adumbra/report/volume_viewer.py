"""The viewer of the report: scans and results of one case, slice by slice, inside the page.

NiiVue (BSD-2-Clause) draws the slices with WebGL 2. Its code and all volumes are part of the page, so that the page
opens from a folder without a network. The Content-Security-Policy of the page allows the two scripts of the viewer by
their hashes, and no request.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from markupsafe import Markup

from adumbra.core.entropy import LN2
from adumbra.core.geometry.grid import Grid
from adumbra.core.results import Maps, Prediction
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Modality, Target, Volume
from adumbra.report.figures import CLEAR_NATS, ENTROPY
from adumbra.report.head_mask import without_air
from adumbra.report.pictures import scale_picture
from adumbra.report.templates import template
from adumbra.report.viewer_volumes import (
    LEVELS,
    ScanGroup,
    StoredGroup,
    stored_entropy,
    stored_group,
    stored_mask,
)

TARGET_COLOURS: Mapping[Target, tuple[int, int, int]] = {
    "lesion": (64, 214, 255),
    "thrombus": (255, 92, 160),
    "hypoperfusion": (146, 220, 92),
}
"""The colour of each target's mask."""

SCAN_BUDGET_BYTES = 2_400_000
"""Size of all scans in the page."""

_LAYERS: tuple[Target, ...] = ("hypoperfusion", "lesion", "thrombus")
"""Order of the masks, the lowest first: the clot is small and lies on top."""
_TARGET_KEYS: Mapping[Target, str] = {"lesion": "L", "thrombus": "T", "hypoperfusion": "H"}
_READING_ORDER: tuple[Modality, ...] = ("dwi", "adc", "flair", "b0", "swi", "tof")
"""The scans of the viewer in their order. The phase is not among them: its noise costs more than three other scans."""
_SHOWN_BESIDE: Mapping[Modality, Modality] = {"flair": "dwi"}
"""A modality that no target is segmented on, and the one on whose grid it is shown."""


@dataclass(frozen=True)
class VolumeViewer:
    """The parts of a page that contain the viewer.

    Attributes:
        html: The section, with its data and scripts.
        style: Its style sheet.
        security_policy: The Content-Security-Policy of a page that contains it.
    """

    html: Markup
    style: Markup
    security_policy: str


@dataclass(frozen=True)
class Overlay:
    """A mask or a map over the scans, as the template shows its button.

    Attributes:
        name: Name of its volume in the data.
        title: Text of the button.
        key: The key that shows and hides it; empty for a map.
        colour: Colour of a mask, 0 to 255; None for a map.
    """

    name: str
    title: str
    key: str = ""
    colour: tuple[int, int, int] | None = None


def volume_viewer(predictions: Sequence[Prediction], *, budget_bytes: int = SCAN_BUDGET_BYTES) -> VolumeViewer:
    """The viewer of one case.

    Every scan is shown on the grid of one prediction: the modalities that a target is segmented on, on that grid. Every
    mask is shown over every scan, and the entropy over the scans of its own grid.

    Args:
        predictions: The predictions of one case, at least one and one per target, with their scans on the grids of
            their maps.
        budget_bytes: Largest size of all scans in the page; the voxels become larger until they fit.

    Returns:
        The parts of the page.
    """
    groups = scan_groups(predictions)
    stored = _stored(groups, budget_bytes)
    maps = [prediction.maps for prediction in predictions]
    data = {
        "levels": LEVELS,
        "clear": (LEVELS - 1) * CLEAR_NATS / LN2,
        "start_mm": _start_mm(maps),
        "layers": _LAYERS,
        "groups": [_group_data(group, small, maps) for group, small in zip(groups, stored, strict=True)],
    }
    page = template("viewer.html").render(
        scans=[name for group in groups for name in group.scans],
        masks=_masks(maps),
        entropies=_entropies(maps),
        scale=scale_picture(ENTROPY, "nats"),
        spacings=_spacing_sentences(groups, stored),
        data=_script_json(data),
        niivue=base64.b64encode(_asset("niivue/niivue.js.gz")).decode(),
        script=Markup(_script()),  # our own file, not a user's text
    )
    return VolumeViewer(Markup(page), Markup(_asset("viewer.css").decode()), security_policy())


def security_policy() -> str:
    """The Content-Security-Policy of a page with the viewer: no request, and no script but the viewer's two."""
    scripts = " ".join(f"'sha256-{digest}'" for digest in map(_digest, (_script().encode(), _niivue())))
    return (
        f"default-src 'none'; script-src {scripts}; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )


def scan_groups(predictions: Sequence[Prediction]) -> list[ScanGroup]:
    """The scans of a case by grid, each modality once, on the grid of a target that is segmented on it."""
    grids: list[tuple[Prediction, set[Modality]]] = []
    for prediction in predictions:
        reference = set(TARGET_SPECS[prediction.maps.target].reference_modalities)
        for other, modalities in grids:
            if other.maps.grid.coincides(prediction.maps.grid):
                modalities |= reference
                break
        else:
            grids.append((prediction, reference))
    homes = {modality: _home(modality, grids) for modality in _READING_ORDER}
    groups = []
    for prediction, _ in grids:
        scans: dict[str, Volume] = {m: scan.data for m, scan in prediction.case.scans.items()}
        mask = prediction.case.masks.get("brain")
        brain = None if mask is None else mask.data
        clear = without_air(scans, brain, prediction.maps.grid)
        shown = {_scan_title(m): clear[m] for m in _READING_ORDER if homes[m] is prediction and m in clear}
        if shown:
            groups.append(ScanGroup(prediction.maps.grid, shown, brain))
    return groups


def _stored(groups: Sequence[ScanGroup], budget_bytes: int) -> list[StoredGroup]:
    """The groups with equal shares of the budget for every scan; what a group does not use is left for the next."""
    stored: list[StoredGroup] = []
    scans = sum(len(group.scans) for group in groups)
    for group in groups:
        share = budget_bytes * len(group.scans) // scans
        stored.append(stored_group(group, budget_bytes=share))
        budget_bytes -= min(share, stored[-1].size_bytes)
        scans -= len(group.scans)
    return stored


def _home(modality: Modality, grids: list[tuple[Prediction, set[Modality]]]) -> Prediction | None:
    """The prediction on whose grid a modality is shown."""
    having = [(prediction, segmented) for prediction, segmented in grids if modality in prediction.case.scans]
    reference = _SHOWN_BESIDE.get(modality, modality)
    suited = [prediction for prediction, segmented in having if reference in segmented]
    return next(iter([*suited, *(prediction for prediction, _ in having)]), None)


def _scan_title(modality: Modality) -> str:
    return modality if modality == "b0" else modality.upper()


def _masks(maps: Sequence[Maps]) -> list[Overlay]:
    return [
        Overlay(one.target, TARGET_SPECS[one.target].title, _TARGET_KEYS[one.target], TARGET_COLOURS[one.target])
        for one in maps
    ]


def _entropies(maps: Sequence[Maps]) -> list[Overlay]:
    return [Overlay(f"{one.target}-entropy", TARGET_SPECS[one.target].title) for one in maps]


def _group_data(group: ScanGroup, stored: StoredGroup, maps: Sequence[Maps]) -> dict[str, object]:
    grid = stored.grid
    overlays: dict[str, str] = {one.target: stored_mask(one.mask, one.grid, grid) for one in maps}
    for one in maps:
        if one.grid.coincides(group.grid):
            overlays[f"{one.target}-entropy"] = stored_entropy(one.entropy, one.grid, grid)
    return {"scans": dict(stored.scans), "overlays": overlays, "heights_mm": _heights_mm(group.grid, grid)}


def _heights_mm(whole: Grid, stored: Grid) -> list[int]:
    """Height of each stored axial slice at the middle of the whole grid's slice, as beside the still pictures."""
    middle = stored.index(whole.world_mm((np.array(whole.shape) - 1) / 2))
    levels = np.arange(stored.shape[2])
    points = np.stack([np.full(len(levels), middle[0]), np.full(len(levels), middle[1]), levels], axis=-1)
    return [round(float(z)) for z in stored.world_mm(points)[:, 2]]


def _start_mm(maps: Sequence[Maps]) -> list[float]:
    """The middle of the first mask's largest axial area; the middle of the grid without a mask."""
    for one in maps:
        if one.mask.any():
            level = int(one.mask.sum(axis=(0, 1)).argmax())
            inside = np.argwhere(one.mask[:, :, level]).mean(axis=0)
            return [round(float(x), 2) for x in one.grid.world_mm([*inside, level])]
    grid = maps[0].grid
    return [round(float(x), 2) for x in grid.world_mm((np.array(grid.shape) - 1) / 2)]


def _spacing_sentences(groups: Sequence[ScanGroup], stored: Sequence[StoredGroup]) -> list[str]:
    """The voxel size of each group in the viewer, beside that of its grid."""
    return [
        f"{', '.join(group.scans)}: {_size(small.grid)} mm (reference grid {_size(group.grid)} mm)"
        for group, small in zip(groups, stored, strict=True)
    ]


def _size(grid: Grid) -> str:
    return " × ".join(f"{length:.2g}" if length < 10 else f"{length:.0f}" for length in grid.spacing_mm)


def _script_json(data: object) -> Markup:
    """JSON inside a script element: without the characters that could end it."""
    text = json.dumps(data, separators=(",", ":"))
    return Markup(text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026"))


def _digest(script: bytes) -> str:
    return base64.b64encode(hashlib.sha256(script).digest()).decode()


@cache
def _asset(name: str) -> bytes:
    return files("adumbra.report").joinpath("assets", name).read_bytes()


@cache
def _script() -> str:
    return _asset("viewer.js").decode()


@cache
def _niivue() -> bytes:
    """The code of NiiVue after its licences, as the page runs it."""
    return gzip.decompress(_asset("niivue/niivue.js.gz"))
