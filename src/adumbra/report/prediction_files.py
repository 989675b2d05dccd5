"""A prediction on disk: maps, findings, the scene of its report, the report, and last the manifest.

``*_scene.npz`` holds what the report needs beside the maps: the aligned scans, the brain mask and the ground truth. A
report can therefore be written again when its design changes. It prints no timings: the same seed gives the same page.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.candidates import CandidateDecision
from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.case_features import CaseFeatures, CaseScore, WidthShares
from adumbra.core.errors import MissingInput, OutputRefused, UnreadableFile
from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.legacy import current_names, current_value, earlier_part
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
from adumbra.core.types import Modality, Target
from adumbra.report.attention import GATE_PART, weights_part, write_attention
from adumbra.report.bids import bids_name, case_folder, plain
from adumbra.report.derivatives import MEASURES, sha256_by_name, write_findings, write_maps, write_run
from adumbra.report.html import write_report


@dataclass(frozen=True)
class WrittenPrediction:
    """The files of a prediction.

    Attributes:
        maps: Paths of the images by name (``mask``, ``probseg``, ``entropy`` ...).
        page: Path of the report.
        run: Path of the manifest.
    """

    maps: Mapping[str, Path]
    page: Path
    run: Path


def refuse_earlier(out: Path, name: str, target: Target, *, overwrite: bool) -> None:
    """Refuses to replace an earlier run. It is called before the case is computed, to save the time.

    Raises:
        OutputRefused: The folder holds a prediction of this case.
    """
    earlier = out / f"{bids_name(name)}_run.json"
    if earlier.exists() and not overwrite:
        raise OutputRefused(
            earlier,
            expected=f"a folder without results of {bids_name(name)}",
            found=f"an earlier run ({target})",
            do="choose another --out, or add --overwrite",
        )


def write_prediction(
    prediction: Prediction, run: RunRecord, out: Path, *, reference: Modality, overwrite: bool = False
) -> WrittenPrediction:
    """Writes all files of a prediction. The manifest comes last: a folder that has one is complete.

    Args:
        prediction: The prediction.
        run: Manifest of the run; the hashes of the files are added to it.
        out: Root of the derivative data set.
        reference: The modality whose native grid the maps are written on.
        overwrite: Replace the files of an earlier run.

    Raises:
        OutputRefused: A file exists already, or the folder cannot be written.
    """
    name, maps, scan = prediction.case.name, prediction.maps, prediction.case.scan(reference)
    paths = write_maps(
        maps, out, name=name, native=scan.native, modality_source=scan.source, draws=prediction.draws,
        overwrite=overwrite,
    )  # fmt: skip
    paths += write_attention(
        prediction.attention, out, name=name, target=maps.target, grid=maps.grid, native=scan.native,
        modality_source=scan.source, overwrite=overwrite,
    )  # fmt: skip
    findings = write_findings(
        prediction.findings, prediction.draws, out, name=name, features=prediction.features, overwrite=overwrite
    )
    scene = _write_scene(prediction, out, overwrite=overwrite)
    page = write_page(prediction, run, out, overwrite=overwrite)
    run = replace(run, outputs=sha256_by_name((*paths, findings, scene, page)))
    images = {_map_name(path): path for path in paths if path.name.endswith(".nii.gz")}
    return WrittenPrediction(images, page, write_run(run, out, name=name, overwrite=overwrite))


def write_page(prediction: Prediction, run: RunRecord, out: Path, *, overwrite: bool = False) -> Path:
    """Writes the report of a prediction as ``<case>.html``, without timings.

    Raises:
        OutputRefused: The page exists already, or the folder cannot be written.
    """
    path = out / f"{bids_name(prediction.case.name)}.html"
    return write_report(path, prediction, replace(run, timings_s={}, outputs={}), overwrite=overwrite)


def read_predictions(out: Path) -> Iterator[tuple[Prediction, RunRecord]]:
    """The predictions of a folder with their manifests, also those that earlier versions wrote.

    Raises:
        MissingInput: There is no complete prediction.
        UnreadableFile: A file of a prediction is missing or damaged.
    """
    manifests = sorted(out.glob("*_run.json")) if out.is_dir() else []
    if not manifests:
        raise MissingInput(
            out, expected="a folder that adumbra predict wrote", found="no *_run.json", do="name that folder"
        )
    for manifest in manifests:
        try:
            yield _read_prediction(out, manifest)
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
    name = manifest.name.removesuffix("_run.json")
    stem = f"{out / case_folder(name, options['target'])}/{name}_label-{options['target']}"
    stored: Any = json.loads(Path(f"{stem}_findings.json").read_text("utf-8"))
    findings: Any = current_names("findings", stored["findings"])
    with np.load(f"{stem}_scene.npz", allow_pickle=False) as scene:
        metadata: Any = current_names("scene", json.loads(str(scene["about"])))
        grid = Grid(tuple(metadata["shape"]), np.asarray(scene["affine"]))
        case = _case(scene, metadata, grid, run)
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
    ), run


def _read_run(manifest: Path) -> RunRecord:
    stored: Any = current_names("run", json.loads(manifest.read_text("utf-8")))
    if "posterior" in stored["options"]:
        stored["options"]["posterior"] = current_value("posterior", stored["options"]["posterior"])
    return RunRecord(**{key: _as_tuple(value) for key, value in stored.items()})


def _write_scene(prediction: Prediction, out: Path, *, overwrite: bool) -> Path:
    case, target = prediction.case, prediction.maps.target
    name = bids_name(case.name)
    arrays = {f"scan_{modality}": scan.data for modality, scan in case.scans.items()}
    arrays |= {f"mask_{key}": case.masks[key].data for key in ("brain", target) if key in case.masks}
    buffer = BytesIO()
    np.savez_compressed(
        buffer,
        about=np.array(json.dumps(_scene_metadata(prediction))),
        affine=case.grid.affine,
        allow_pickle=False,
        **arrays,
    )
    path = f"{case_folder(name, target)}/{name}_label-{target}_scene.npz"
    return write_all_atomically({path: buffer.getvalue()}, out, overwrite=overwrite)[0]


def _scene_metadata(prediction: Prediction) -> dict[str, Any]:
    case = prediction.case
    metadata = {
        "name": case.name,
        "scans": list(case.scans),
        "shape": case.grid.shape,
        "scores": plain(prediction.scores),
    }
    if prediction.curves is not None:
        metadata["curves"] = plain(asdict(prediction.curves))
    if (attention := prediction.attention) is not None:
        metadata["attention"] = {
            "primary": attention.primary,
            "weights": list(attention.weights),
            "guided": attention.gate is not None,
        }
    return metadata


def _case(scene: Any, metadata: Mapping[str, Any], grid: Grid, run: RunRecord) -> Case:
    scans = {m: Scan(scene[f"scan_{m}"], grid, grid) for m in metadata["scans"]}
    masks = {key[5:]: Scan(scene[key], grid, grid) for key in scene.files if key.startswith("mask_")}
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


def _map_name(path: Path) -> str:
    """The short name of an image: ``"entropy"`` for ``…_desc-entropy_uncertainty.nii.gz``."""
    part = path.name.removesuffix(".nii.gz").split("_label-")[1].partition("_")[2]
    return part.removeprefix("desc-").removesuffix("_uncertainty").removesuffix("_attention")
