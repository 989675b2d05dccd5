"""Maps, findings and manifests as files: NIfTI on the scanner's own voxels, JSON beside it, in a BIDS derivative tree.

The same values give the same bytes: no time, no path, no file name goes into a file.
"""

import gzip
import hashlib
import io
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from adumbra.core.geometry.components import touching
from adumbra.core.geometry.grid import Grid, reoriented
from adumbra.core.geometry.resampling import resampled
from adumbra.core.results import Findings, Maps, RunRecord, VolumeDraws
from adumbra.report.bids import bids_name, dataset_files, folder, json_bytes
from adumbra.report.staging import published

MEASURES = {
    "entropy": ("Predictive entropy H[E p]: everything that is not known about the voxel", "nat"),
    "aleatoric": ("Expected entropy E H[p]: the part of the entropy that every draw agrees on", "nat"),
    "epistemic": ("Mutual information H[E p] - E H[p]: the part that the draws disagree about", "nat"),
    "variance": ("Variance of the probability over the draws, divided by their number", "1"),
}
"""The uncertainty maps that ``Maps`` holds."""
MARGIN = ("Margin |2 E p - 1| of the two classes: 1 is certain, 0 undecided; a function of the probability alone", "1")


def write_maps(
    maps: Maps,
    out: Path,
    *,
    name: str,
    native: Grid,
    modality_source: str,
    draws: VolumeDraws | None = None,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Writes the mask, the probability and the five uncertainty maps, each with its JSON side-car.

    Args:
        maps: To write.
        out: Root of the derivative data set; made where it is not there.
        name: Of the case; see ``bids_name``.
        native: The grid to write on: that of the scan which the target was outlined on, as it was stored.
        modality_source: Name of that scan's file.
        draws: Where given, the volume and count of every draw stand in the mask's side-car.
        overwrite: Replace what an earlier run wrote.

    Returns:
        The case's files: seven images, then seven side-cars.

    Raises:
        OutputRefused: A file exists already, the folder is another data set, or it cannot be written.
        InputRejected: The name has no letter or digit.
    """
    case = bids_name(name)
    there = on_native(maps, native)
    stem = f"{folder(case, maps.target)}/{case}_label-{maps.target}"
    images = {f"{stem}_{part}": data for part, data in _images(there).items()}
    files = {f"{path}.nii.gz": nifti_bytes(data, native) for path, data in images.items()}
    about = _about(maps, modality_source)
    for part, own in _side_cars(there, draws).items():
        files[f"{stem}_{part}.json"] = json_bytes(own | about)
    shared = dataset_files(out)
    written = published(files, out, overwrite=overwrite)
    published(shared, out, overwrite=True)
    return written


def write_findings(findings: Findings, draws: VolumeDraws, out: Path, *, name: str, overwrite: bool = False) -> Path:
    """Writes the findings, and the draws behind them, as ``<case>_label-<target>_findings.json`` beside the maps.

    Raises:
        OutputRefused: The file exists already, or cannot be written.
        InputRejected: The name has no letter or digit.
    """
    case = bids_name(name)
    path = f"{folder(case, findings.target)}/{case}_label-{findings.target}_findings.json"
    content = json_bytes({"findings": as_mapping(findings), "draws": as_mapping(draws)})
    return published({path: content}, out, overwrite=overwrite)[0]


def write_run(run: RunRecord, out: Path, *, name: str, overwrite: bool = False) -> Path:
    """Writes the manifest ``<case>_run.json`` at the root. To be written last: results without one are not finished.

    Raises:
        OutputRefused: The file exists already, or cannot be written.
        InputRejected: The name has no letter or digit.
    """
    return published({f"{bids_name(name)}_run.json": json_bytes(as_mapping(run))}, out, overwrite=overwrite)[0]


def sha256_by_name(paths: Iterable[Path]) -> dict[str, str]:
    """The hash of each file's bytes by its name, for a manifest's ``outputs``."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def on_native(maps: Maps, native: Grid) -> Maps:
    """The maps on another grid: voxel for voxel where only axes are flipped or permuted, else interpolated linearly.

    An interpolated mask is the interpolated probability from the threshold on, in the parts that the mask has: a small
    peak loses height when it is interpolated, and must not be lost for that.
    """
    volumes: dict[str, Any] = {
        name: resampled(getattr(maps, name), maps.grid, native)
        for name in ("probability", "entropy", "aleatoric", "epistemic", "variance")
    }
    mask, turned = reoriented(maps.mask, maps.grid, native.axcodes)
    if not turned.coincides(native):
        kept = resampled(maps.mask.astype(np.float32), maps.grid, native) > 0
        mask = touching(volumes["probability"] >= np.float32(maps.threshold), kept)
    return replace(maps, grid=native, mask=mask, **volumes)


def nifti_bytes(data: np.ndarray, grid: Grid) -> bytes:
    """A gzipped NIfTI-1 file: uint8 for a mask, else float32; sform and qform of code 1 (scanner), no free text.

    A sheared affine does not fit into a qform: then its code is 0, so that no reader prefers it.
    """
    stored = data.astype(np.uint8 if data.dtype == bool else np.float32)
    image = nib.Nifti1Image(stored, grid.affine)
    image.set_sform(grid.affine, code=1)
    image.set_qform(grid.affine, code=1 if _is_rigid(grid) else 0)
    image.header.set_xyzt_units("mm")
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0, compresslevel=6) as file:
        file.write(image.to_bytes())
    return buffer.getvalue()


def _is_rigid(grid: Grid) -> bool:
    directions = grid.affine[:3, :3] / np.asarray(grid.spacing_mm)
    return bool(np.abs(directions.T @ directions - np.eye(3)).max() < 1e-4)


def as_mapping(value: Any) -> dict[str, Any]:
    """A frozen value without arrays, such as ``Findings`` or ``RunRecord``, as nested mappings."""
    return {field.name: _nested(getattr(value, field.name)) for field in fields(value)}


def _nested(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return as_mapping(value)
    return [_nested(item) for item in value] if isinstance(value, tuple) else value


def _images(maps: Maps) -> dict[str, np.ndarray]:
    uncertainty = {f"desc-{measure}_uncertainty": getattr(maps, measure) for measure in MEASURES}
    uncertainty["desc-margin_uncertainty"] = np.abs(2 * maps.probability - 1)
    return {"mask": maps.mask, "probseg": maps.probability, **uncertainty}


def _side_cars(maps: Maps, draws: VolumeDraws | None) -> dict[str, dict[str, object]]:
    volume_ml = int(np.count_nonzero(maps.mask)) * maps.grid.voxel_ml
    mask: dict[str, object] = {
        "Type": "Lesion",
        "Description": f"Voxels whose mean probability of {maps.target} is at least the threshold, "
        "in 26-connected parts that somewhere reach the peak threshold",
        "VolumeMl": round(volume_ml, 6),
    }
    if draws is not None:
        mask |= {"VolumeDrawsMl": draws.volumes_ml, "ComponentDraws": draws.components}
    probability: dict[str, object] = {
        "Description": f"Probability of {maps.target}, the mean of the draws",
        "Units": "1",
    }
    measures: dict[str, dict[str, object]] = {
        f"desc-{measure}_uncertainty": {"Description": text, "Units": unit}
        for measure, (text, unit) in {**MEASURES, "margin": MARGIN}.items()
    }
    return {"mask": mask, "probseg": probability, **measures}


def _about(maps: Maps, source: str) -> dict[str, object]:
    sources = {"Sources": [source]} if source else {}
    return {
        **sources,
        "SpatialReference": "scanner",
        "Target": maps.target,
        "Threshold": maps.threshold,
        "PeakThreshold": maps.high_threshold,
        "Draws": maps.draws,
        "Use": "Research use only, not for diagnosis.",
    }
