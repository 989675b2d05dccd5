"""A whole reading on disk: maps, findings, the scene that its page is drawn from, the page, and last its manifest.

What the page needs beside the maps (the aligned scans, brain, truth) is kept in ``*_scene.npz``, so that the page can
be made again when its design changes. The page tells no timings: the same seed gives the same page.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from adumbra.core.case import Case, Conversion, Scan
from adumbra.core.errors import MissingInput, OutputRefused, UnreadableFile
from adumbra.core.geometry.grid import Grid, reoriented
from adumbra.core.ground_truth import REFERENCE_MODALITIES
from adumbra.core.legacy import current_names
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
from adumbra.report.attention import OPENING, part_of, write_attention
from adumbra.report.bids import bids_name, folder, plain
from adumbra.report.derivatives import MEASURES, as_mapping, sha256_by_name, write_findings, write_maps, write_run
from adumbra.report.html import write_report
from adumbra.report.staging import published


@dataclass(frozen=True)
class Written:
    """Where a reading went: maps by name (``mask``, ``probseg``, ``entropy`` ...), its page, its manifest."""

    maps: Mapping[str, Path]
    page: Path
    run: Path


def refuse_earlier(out: Path, name: str, target: Target, *, overwrite: bool) -> None:
    """Refuses before the work is done, rather than after, to replace an earlier run.

    Raises:
        OutputRefused: The case was predicted into this folder before.
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
    reading: Prediction, run: RunRecord, out: Path, *, reference: Modality, overwrite: bool = False
) -> Written:
    """Writes everything; the manifest comes last, so that a folder that has one is complete.

    Raises:
        OutputRefused: Something is there already, or the folder cannot be written.
    """
    name, scan = reading.case.name, reading.case.scan(reference)
    paths = write_maps(
        reading.maps, out, name=name, native=scan.native, modality_source=scan.source, draws=reading.draws,
        overwrite=overwrite,
    )  # fmt: skip
    paths += write_attention(
        reading.attention, out, name=name, target=reading.maps.target, grid=reading.maps.grid, native=scan.native,
        modality_source=scan.source, overwrite=overwrite,
    )  # fmt: skip
    found = write_findings(reading.findings, reading.draws, out, name=name, overwrite=overwrite)
    scene = _write_scene(reading, out, overwrite=overwrite)
    page = write_page(reading, run, out, overwrite=overwrite)
    run = replace(run, outputs=sha256_by_name((*paths, found, scene, page)))
    maps = {_short(path): path for path in paths if path.name.endswith(".nii.gz")}
    return Written(maps, page, write_run(run, out, name=name, overwrite=overwrite))


def write_page(reading: Prediction, run: RunRecord, out: Path, *, overwrite: bool = False) -> Path:
    """Writes the page of a reading as ``<case>.html``.

    Raises:
        OutputRefused: It is there already, or the folder cannot be written.
    """
    case, target = reading.case, reading.maps.target
    truth, outlined_on = case.truth(target), REFERENCE_MODALITIES[target]
    order = sorted(case.scans, key=lambda name: outlined_on.index(name) if name in outlined_on else len(outlined_on))
    return write_report(
        out / f"{bids_name(case.name)}.html",
        case_name=case.name,
        background={modality: case.scans[modality].data for modality in order},
        maps=reading.maps,
        findings=reading.findings,
        run=replace(run, timings_s={}, outputs={}),
        draws=reading.draws,
        brain=case.masks["brain"].data,
        truth=None if truth is None else truth.data,
        scores=reading.scores,
        curves=reading.curves,
        attention=reading.attention,
        warnings=[f"{c.subject}: {c.what}." for c in case.provenance if c.warning],
        references=run.references,
        overwrite=overwrite,
    )


def read_predictions(out: Path) -> Iterator[tuple[Prediction, RunRecord]]:
    """The readings of a folder, with their manifests, as they were written.

    Raises:
        MissingInput: No finished reading is there.
        UnreadableFile: A file of one is missing or damaged.
    """
    manifests = sorted(out.glob("*_run.json")) if out.is_dir() else []
    if not manifests:
        raise MissingInput(
            out, expected="a folder that adumbra predict wrote", found="no *_run.json", do="name that folder"
        )
    for manifest in manifests:
        try:
            yield _read_one(out, manifest)
        except (OSError, KeyError, ValueError, TypeError, EOFError) as error:
            raise UnreadableFile(
                manifest,
                expected="a complete result of adumbra predict",
                found=f"{type(error).__name__}: {error}",
                do="predict the case again with --overwrite",
            ) from error


def _read_one(out: Path, manifest: Path) -> tuple[Prediction, RunRecord]:
    stored: Any = current_names("run", json.loads(manifest.read_text("utf-8")))
    run = RunRecord(**{key: _tupled(value) for key, value in stored.items()})
    options: Mapping[str, Any] = run.options
    name = manifest.name.removesuffix("_run.json")
    stem = f"{out / folder(name, options['target'])}/{name}_label-{options['target']}"
    found: Any = current_names("findings", json.loads(Path(f"{stem}_findings.json").read_text("utf-8")))
    with np.load(f"{stem}_scene.npz", allow_pickle=False) as scene:
        about: Any = current_names("scene", json.loads(str(scene["about"])))
        grid = Grid(tuple(about["shape"]), np.asarray(scene["affine"]))
        case = _case(scene, about, grid, run)
    draws = VolumeDraws(**{key: _tupled(value) for key, value in found["draws"].items()})
    scores = None if about["scores"] is None else {key: _number(value) for key, value in about["scores"].items()}
    curves = Curves(**{key: _curve(value) for key, value in about["curves"].items()}) if "curves" in about else None
    heard = _listening(stem, grid, about["attention"]) if "attention" in about else None
    maps, findings = _maps(stem, grid, options), _findings(found["findings"])
    return Prediction(case, maps, draws, findings, scores, curves, heard), run


def _write_scene(reading: Prediction, out: Path, *, overwrite: bool) -> Path:
    case, target = reading.case, reading.maps.target
    name = bids_name(case.name)
    arrays = {f"scan_{modality}": scan.data for modality, scan in case.scans.items()}
    arrays |= {f"mask_{key}": case.masks[key].data for key in ("brain", target) if key in case.masks}
    about = {"name": case.name, "scans": list(case.scans), "shape": case.grid.shape, "scores": plain(reading.scores)}
    if reading.curves is not None:
        about["curves"] = plain(as_mapping(reading.curves))
    if (heard := reading.attention) is not None:
        about["attention"] = {
            "primary": heard.primary, "weights": list(heard.shares), "guided": heard.opened is not None
        }  # fmt: skip
    buffer = BytesIO()
    np.savez_compressed(
        buffer, about=np.array(json.dumps(about)), affine=case.grid.affine, allow_pickle=False, **arrays
    )
    path = f"{folder(name, target)}/{name}_label-{target}_scene.npz"
    return published({path: buffer.getvalue()}, out, overwrite=overwrite)[0]


def _case(scene: Any, about: Mapping[str, Any], grid: Grid, run: RunRecord) -> Case:
    scans = {m: Scan(scene[f"scan_{m}"], grid, grid) for m in about["scans"]}
    masks = {key[5:]: Scan(scene[key], grid, grid) for key in scene.files if key.startswith("mask_")}
    return Case(about["name"], scans, masks, tuple(Conversion(**c) for c in run.conversions))  # type: ignore[arg-type]


def _maps(stem: str, grid: Grid, options: Mapping[str, Any]) -> Maps:
    measures: dict[str, Any] = {measure: _volume(f"{stem}_desc-{measure}_uncertainty", grid) for measure in MEASURES}
    probability, mask = _volume(f"{stem}_probseg", grid), _volume(f"{stem}_mask", grid) > 0
    about = {name: options[name] for name in ("target", "threshold", "high_threshold", "draws")}
    return Maps(grid=grid, probability=probability, mask=mask, **measures, **about)


def _listening(stem: str, grid: Grid, about: Mapping[str, Any]) -> AttentionMaps:
    shares = {modality: _volume(f"{stem}_{part_of(modality)}", grid) for modality in about["weights"]}
    return AttentionMaps(about["primary"], shares, _volume(f"{stem}_{OPENING}", grid) if about["guided"] else None)


def _volume(stem: str, grid: Grid) -> np.ndarray:
    image = nib.Nifti1Image.from_filename(f"{stem}.nii.gz")
    i, j, k = image.shape
    return reoriented(np.asarray(image.dataobj), Grid((i, j, k), np.asarray(image.affine)), grid.axcodes)[0]


def _findings(found: Mapping[str, Any]) -> Findings:
    regions = tuple(Region(**{key: _tupled(value) for key, value in region.items()}) for region in found["regions"])
    return Findings(
        found["target"],
        Estimate(**found["volume_ml"]),
        Estimate(**found["components"]),
        regions,
        tuple(found["notes"]),
        _regional(found.get("regional")),
    )


def _regional(found: Mapping[str, Any] | None) -> RegionalUncertainty | None:
    if found is None:
        return None
    parts = [_part(part) for part in found["components"]]
    return RegionalUncertainty(_part(found["case"]), tuple(parts), found["reach_mm"], found["draws"], found["kept"])


def _part(found: Mapping[str, Any]) -> RegionUncertainty:
    numbers = {key: _number(value) for key, value in found.items() if key != "position_mm"}
    return RegionUncertainty(position_mm=_tupled(found["position_mm"]), **numbers)


def _curve(found: Any) -> Curve:
    x, y = (np.array([_number(value) for value in values]) for values in found)
    return x, y


def _number(value: float | None) -> float:
    """As it was before JSON, which has no nan."""
    return float("nan") if value is None else float(value)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _short(path: Path) -> str:
    part = path.name.removesuffix(".nii.gz").split("_label-")[1].partition("_")[2]
    return part.removeprefix("desc-").removesuffix("_uncertainty").removesuffix("_attention")
