"""Maps, findings and manifests as files of a BIDS derivative: NIfTI on the native grid, each with a JSON side-car.

The same values give the same bytes. No file contains a time or a path.
"""

import gzip
import hashlib
import io
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

import nibabel as nib
import numpy as np

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.case_features import CaseFeatures
from adumbra.core.geometry.components import touching
from adumbra.core.geometry.grid import Grid, reorient
from adumbra.core.geometry.resampling import resample
from adumbra.core.results import Findings, Maps, RunRecord, VolumeDraws
from adumbra.core.types import Mask, Target, Volume
from adumbra.report.bids import RESEARCH_USE, bids_name, case_folder, dataset_files, json_bytes

MEASURES = {
    "entropy": ("Predictive entropy H[E p], the total uncertainty of the voxel", "nat"),
    "aleatoric": ("Expected entropy E H[p], the aleatoric part of the predictive entropy", "nat"),
    "epistemic": ("Mutual information H[E p] - E H[p], the epistemic part: the disagreement between the draws", "nat"),
    "variance": ("Variance of the probability over the draws, divided by their number", "1"),
}
"""Description and unit of the uncertainty maps that ``Maps`` holds."""
MARGIN = ("Margin |2 E p - 1| of the two classes, a function of the probability alone: 1 is certain, 0 undecided", "1")


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
        maps: Maps to write.
        out: Root of the derivative data set; it is created if it does not exist.
        name: Name of the case; see ``bids_name``.
        native: Grid to write on: the native grid of the reference modality.
        modality_source: File name of that scan.
        draws: Volume and number of components of every draw for the side-car of the mask; None leaves them out.
        overwrite: Replace the files of an earlier run.

    Returns:
        The case's files: seven images, then seven side-cars.

    Raises:
        OutputRefused: A file exists already, the folder is another data set, or it cannot be written.
        InputRejected: The name has no letter or digit.
    """
    case = bids_name(name)
    native_maps = on_native(maps, native)
    stem = f"{case_folder(case, maps.target)}/{case}_label-{maps.target}"
    files = {f"{stem}_{part}.nii.gz": nifti_bytes(data, native) for part, data in _images(native_maps).items()}
    common = _common_fields(maps, modality_source)
    for part, fields in _sidecars(native_maps, draws).items():
        files[f"{stem}_{part}.json"] = json_bytes(fields | common)
    shared = dataset_files(out)
    written = write_all_atomically(files, out, overwrite=overwrite)
    write_all_atomically(shared, out, overwrite=True)
    return written


def write_findings(
    findings: Findings,
    draws: VolumeDraws,
    out: Path,
    *,
    name: str,
    features: CaseFeatures | None = None,
    overwrite: bool = False,
) -> Path:
    """Writes findings, volumes of the draws and features as ``<case>_label-<target>_findings.json`` beside the maps.

    Raises:
        OutputRefused: The file exists already, or cannot be written.
        InputRejected: The name has no letter or digit.
    """
    case = bids_name(name)
    path = f"{case_folder(case, findings.target)}/{case}_label-{findings.target}_findings.json"
    content = {"findings": asdict(findings), "draws": asdict(draws)}
    if findings.candidates is None:
        del content["findings"]["candidates"]  # a prediction without a second look has the files of earlier versions
    if features is not None:
        content["features"] = features.as_json()
    return write_all_atomically({path: json_bytes(content)}, out, overwrite=overwrite)[0]


def write_run(run: RunRecord, out: Path, *, name: str, target: Target, overwrite: bool = False) -> Path:
    """Writes the manifest ``<case>_label-<target>_run.json`` at the root, after all else of its prediction.

    Raises:
        OutputRefused: The file exists already, or cannot be written.
        InputRejected: The name has no letter or digit.
    """
    content = json_bytes(asdict(run))
    file = f"{bids_name(name)}_label-{target}_run.json"
    return write_all_atomically({file: content}, out, overwrite=overwrite)[0]


def sha256_by_name(paths: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of each file by its name, for the ``outputs`` of a manifest."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def on_native(maps: Maps, native: Grid) -> Maps:
    """The maps on another grid: voxel for voxel if only axes are flipped or permuted, else interpolated linearly.

    The interpolated mask holds the voxels whose interpolated probability reaches the threshold, in components that
    touch the mask. The high threshold is not applied again, because interpolation lowers small peaks. The contours of
    accepted candidates are interpolated themselves.
    """
    mask, grid = reorient(maps.mask, maps.grid, native.axcodes)
    probability = resample(maps.probability, maps.grid, native)
    if maps.decided:
        mask = resample(maps.mask, maps.grid, native)
    elif not grid.coincides(native):
        near_mask = resample(maps.mask.astype(np.float32), maps.grid, native) > 0
        mask = touching(probability >= np.float32(maps.threshold), near_mask)
    return replace(
        maps,
        grid=native,
        mask=mask,
        probability=probability,
        entropy=resample(maps.entropy, maps.grid, native),
        aleatoric=resample(maps.aleatoric, maps.grid, native),
        epistemic=resample(maps.epistemic, maps.grid, native),
        variance=resample(maps.variance, maps.grid, native),
    )


def nifti_bytes(data: np.ndarray, grid: Grid) -> bytes:
    """A gzipped NIfTI-1 file: uint8 for a mask, else float32, sform and qform of code 1 (scanner), no free text.

    A qform cannot hold a sheared affine. Its code is 0 in that case, so that no reader prefers it.
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


def _images(maps: Maps) -> dict[str, Mask | Volume]:
    uncertainty = {f"desc-{measure}_uncertainty": maps.uncertainty(measure) for measure in MEASURES}
    uncertainty["desc-margin_uncertainty"] = np.abs(2 * maps.probability - 1)
    return {"mask": maps.mask, "probseg": maps.probability, **uncertainty}


def _sidecars(maps: Maps, draws: VolumeDraws | None) -> dict[str, dict[str, object]]:
    volume_ml = int(np.count_nonzero(maps.mask)) * maps.grid.voxel_ml
    mask: dict[str, object] = {
        "Type": "Lesion",
        "Description": f"Voxels whose mean probability of {maps.target} is at least the threshold, "
        "in 26-connected components that reach the high threshold somewhere (hysteresis)"
        if not maps.decided
        else f"Contours of the accepted candidates of {maps.target}",
        "VolumeMl": round(volume_ml, 6),
    }
    if draws is not None:
        mask |= {"VolumeDrawsMl": draws.volumes_ml, "ComponentDraws": draws.components}
    probability: dict[str, object] = {
        "Description": f"Probability of {maps.target}, the mean over the posterior draws",
        "Units": "1",
    }
    measures: dict[str, dict[str, object]] = {
        f"desc-{measure}_uncertainty": {"Description": text, "Units": unit}
        for measure, (text, unit) in {**MEASURES, "margin": MARGIN}.items()
    }
    return {"mask": mask, "probseg": probability, **measures}


def _common_fields(maps: Maps, source: str) -> dict[str, object]:
    sources = {"Sources": [source]} if source else {}
    return {
        **sources,
        "SpatialReference": "scanner",
        "Target": maps.target,
        "Threshold": maps.threshold,
        "HighThreshold": maps.high_threshold,
        "Draws": maps.draws,
        "Use": RESEARCH_USE,
    }
