"""Predictions on disk, read back with their manifests, also those that earlier versions wrote."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from adumbra.core.candidates import CandidateDecision
from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.case_features import CaseFeatures, CaseScore, WidthShares
from adumbra.core.errors import MissingInput, UnreadableFile
from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.legacy import current_names, current_value, earlier_part
from adumbra.core.mask_draws import MaskDraws
from adumbra.core.results import (
    AttentionMaps,
    Curve,
    Curves,
    Estimate,
    Findings,
    Maps,
    Prediction,
    Region,
    RegionalUncertainty,
    RegionUncertainty,
    RunRecord,
    VolumeDraws,
)
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Target
from adumbra.report.attention import GATE_PART, weights_part
from adumbra.report.bids import bids_name, case_folder
from adumbra.report.derivatives import MEASURES

StoredPrediction = tuple[Prediction, RunRecord]
"""A prediction and its manifest."""
DRAWS = "mask_draws"
"""Name of the masks of the draws in a scene."""
_MANIFEST = re.compile(r"(?P<case>.+?)(?:_label-[a-z]+)?_run\.json")


def read_cases(out: Path) -> Iterator[tuple[str, Sequence[StoredPrediction]]]:
    """The predictions of a folder by case, in the order of ``core.targets``; errors are those of ``read_predictions``.

    Returns:
        BIDS name of the case, and its predictions with their manifests.
    """
    for name, paths in groupby(_manifests(out), key=_case_of):
        predictions = [_read(out, path) for path in paths]
        yield name, sorted(predictions, key=lambda pair: [*TARGET_SPECS].index(pair[0].maps.target))


def read_case(out: Path, name: str, *, but: Collection[str] = ()) -> Sequence[StoredPrediction]:
    """The predictions of one case, but those of some targets; empty where there are none.

    Raises:
        UnreadableFile: A file of a prediction is missing or damaged.
    """
    return [_read(out, path) for path in manifests_of(out, name) if target_of(path) not in but]


def manifests_of(out: Path, name: str) -> list[Path]:
    """The manifests of a case in a folder, one for each target."""
    return [path for path in _all_manifests(out) if _case_of(path) == bids_name(name)]


def _all_manifests(out: Path) -> list[Path]:
    return sorted(out.glob("*_run.json"), key=lambda path: (_case_of(path), path.name)) if out.is_dir() else []


def target_of(manifest: Path) -> str:
    """The target that a manifest is about; empty where it cannot be read."""
    try:
        return str(json.loads(manifest.read_text("utf-8"))["options"]["target"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _case_of(manifest: Path) -> str:
    match = _MANIFEST.fullmatch(manifest.name)
    return manifest.name if match is None else match["case"]


def read_predictions(out: Path, *, target: Target | None = None) -> Iterator[StoredPrediction]:
    """The predictions of a folder with their manifests, also those that earlier versions wrote.

    Args:
        out: The folder.
        target: Only the predictions of this target; None is all.

    Raises:
        MissingInput: There is no complete prediction.
        UnreadableFile: A file of a prediction is missing or damaged.
    """
    for manifest in _manifests(out):
        if target in (None, target_of(manifest)):
            yield _read(out, manifest)


def read_clinic(path: Path) -> Mapping[str, Any]:
    """The clinical summary in a file; empty where there is none, or where it cannot be read."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def targets_in(out: Path) -> list[str]:
    """The target of each prediction in a folder."""
    return [target_of(path) for path in _all_manifests(out)]


def _manifests(out: Path) -> list[Path]:
    manifests = _all_manifests(out)
    if not manifests:
        raise MissingInput(
            out, expected="a folder that adumbra predict wrote", found="no *_run.json", do="name that folder"
        )
    return manifests


def _read(out: Path, manifest: Path) -> StoredPrediction:
    try:
        return _read_prediction(out, manifest)
    except (OSError, KeyError, ValueError, TypeError, EOFError) as error:
        raise UnreadableFile(
            manifest,
            expected="a complete result of adumbra predict",
            found=f"{type(error).__name__}: {error}",
            do="predict the case again with --overwrite",
        ) from error


def _read_prediction(out: Path, manifest: Path) -> tuple[Prediction, RunRecord]:
    run = _read_run(manifest)
    options: Mapping[str, Any] = run.options
    name = _case_of(manifest)
    stem = f"{out / case_folder(name, options['target'])}/{name}_label-{options['target']}"
    stored: Any = json.loads(Path(f"{stem}_findings.json").read_text("utf-8"))
    findings: Any = current_names("findings", stored["findings"])
    with np.load(f"{stem}_scene.npz", allow_pickle=False) as scene:
        metadata: Any = current_names("scene", json.loads(str(scene["about"])))
        grid = Grid(tuple(metadata["shape"]), np.asarray(scene["affine"]))
        case = _case(scene, metadata, grid, run)
        mask_draws = MaskDraws(grid.shape, scene[DRAWS]) if DRAWS in scene.files else None
    draws = VolumeDraws(**{key: _as_tuple(value) for key, value in stored["draws"].items()})
    return Prediction(
        case=case,
        maps=_maps(stem, grid, options),
        draws=draws,
        findings=_findings(findings),
        scores=None if metadata["scores"] is None else {k: _number(v) for k, v in metadata["scores"].items()},
        curves=Curves(**{k: _curve(v) for k, v in metadata["curves"].items()}) if "curves" in metadata else None,
        attention=_attention(stem, grid, metadata["attention"]) if "attention" in metadata else None,
        features=CaseFeatures.from_json(stored["features"]) if "features" in stored else None,
        mask_draws=mask_draws,
    ), run


def _read_run(manifest: Path) -> RunRecord:
    stored: Any = current_names("run", json.loads(manifest.read_text("utf-8")))
    if "posterior" in stored["options"]:
        stored["options"]["posterior"] = current_value("posterior", stored["options"]["posterior"])
    return RunRecord(**{key: _as_tuple(value) for key, value in stored.items()})


def _case(scene: Any, metadata: Mapping[str, Any], grid: Grid, run: RunRecord) -> Case:
    scans = {m: Scan(scene[f"scan_{m}"], grid, grid) for m in metadata["scans"]}
    masks = {key[5:]: Scan(scene[key], grid, grid) for key in scene.files if key.startswith("mask_") and key != DRAWS}
    return Case(metadata["name"], scans, masks, tuple(Conversion(**c) for c in run.conversions))  # type: ignore[arg-type]


def _maps(stem: str, grid: Grid, options: Mapping[str, Any]) -> Maps:
    measures: dict[str, Any] = {name: _volume(stem, f"desc-{name}_uncertainty", grid) for name in MEASURES}
    probability, mask = _volume(stem, "probseg", grid), _volume(stem, "mask", grid) > 0
    settings = {name: options[name] for name in ("target", "threshold", "high_threshold", "draws")}
    decided = "second_look" in options
    return Maps(grid=grid, probability=probability, mask=mask, decided=decided, **measures, **settings)


def _attention(stem: str, grid: Grid, metadata: Mapping[str, Any]) -> AttentionMaps:
    weights = {modality: _volume(stem, weights_part(modality), grid) for modality in metadata["weights"]}
    return AttentionMaps(metadata["primary"], weights, _volume(stem, GATE_PART, grid) if metadata["guided"] else None)


def _volume(stem: str, part: str, grid: Grid) -> np.ndarray:
    """The values of an image in the axes of a grid. An earlier version may have written it under an earlier name."""
    path, earlier = (Path(f"{stem}_{name}.nii.gz") for name in (part, earlier_part(part)))
    image = nib.Nifti1Image.from_filename(earlier if earlier.exists() and not path.exists() else path)
    i, j, k = image.shape
    return reorient(np.asarray(image.dataobj), Grid((i, j, k), np.asarray(image.affine)), grid.axcodes)[0]


def _findings(stored: Mapping[str, Any]) -> Findings:
    regions = tuple(Region(**{key: _as_tuple(value) for key, value in region.items()}) for region in stored["regions"])
    return Findings(
        stored["target"],
        Estimate(**stored["volume_ml"]),
        Estimate(**stored["components"]),
        regions,
        tuple(stored["notes"]),
        _regional(stored.get("regional")),
        None if stored.get("width") is None else WidthShares(**stored["width"]),
        None if stored.get("score") is None else CaseScore(**stored["score"]),
        None if stored.get("candidates") is None else CandidateDecision.from_json(stored["candidates"]),
    )


def _regional(stored: Mapping[str, Any] | None) -> RegionalUncertainty | None:
    if stored is None:
        return None
    case, components = _region(stored["case"]), tuple(_region(part) for part in stored["components"])
    return RegionalUncertainty(case, components, stored["reach_mm"], stored["draws"], stored["stored_draws"])


def _region(stored: Mapping[str, Any]) -> RegionUncertainty:
    numbers = {key: _number(value) for key, value in stored.items() if key != "position_mm"}
    return RegionUncertainty(position_mm=_as_tuple(stored["position_mm"]), **numbers)


def _curve(stored: Any) -> Curve:
    x, y = (np.array([_number(value) for value in values]) for values in stored)
    return x, y


def _number(value: float | None) -> float:
    """A number as it was before JSON, which has null in place of nan."""
    return float("nan") if value is None else float(value)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
