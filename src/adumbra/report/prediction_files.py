"""A prediction on disk: maps, findings, the scene of its report, and last the manifest; and the report of a case.

``*_scene.npz`` holds what the report and the clinical summary need beside the maps: the aligned scans, the brain mask,
the ground truth, and the masks of the draws. A report can therefore be written again when its design changes, and when
another target of the case is added to the folder. It prints no timings: the same seed gives the same page.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.errors import OutputRefused
from adumbra.core.results import Prediction, RunRecord
from adumbra.core.targets import TARGET_SPECS
from adumbra.core.types import Modality, Target
from adumbra.report.attention import write_attention
from adumbra.report.bids import bids_name, case_folder, json_bytes, plain
from adumbra.report.derivatives import sha256_by_name, write_findings, write_maps, write_run
from adumbra.report.html import write_report
from adumbra.report.stored_predictions import DRAWS, StoredPrediction, manifests_of, read_case, target_of


@dataclass(frozen=True)
class WrittenPrediction:
    """The files of a prediction.

    Attributes:
        maps: Paths of the images by name (``mask``, ``probseg``, ``entropy`` ...).
        run: Path of the manifest.
    """

    maps: Mapping[str, Path]
    run: Path


def refuse_earlier(out: Path, name: str, target: Target, *, overwrite: bool) -> None:
    """Refuses to replace an earlier run. It is called before the case is computed, to save the time.

    Raises:
        OutputRefused: The folder holds a prediction of this target of the case.
    """
    earlier = [path for path in manifests_of(out, name) if target_of(path) in (target, "")]
    if earlier and not overwrite:
        raise OutputRefused(
            earlier[0],
            expected=f"a folder without a {target} of {bids_name(name)}",
            found="an earlier run",
            do="choose another --out, or add --overwrite",
        )


def write_prediction(
    prediction: Prediction, run: RunRecord, out: Path, *, reference: Modality, overwrite: bool = False
) -> WrittenPrediction:
    """Writes all files of a prediction but its report. The manifest comes last: a run that has one is complete.

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
    earlier = [path for path in manifests_of(out, name) if target_of(path) == maps.target]
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
    run = replace(run, outputs=sha256_by_name((*paths, findings, scene)))
    images = {_map_name(path): path for path in paths if path.name.endswith(".nii.gz")}
    manifest = write_run(run, out, name=name, target=maps.target, overwrite=overwrite)
    for path in earlier:
        if path != manifest:  # earlier versions named the manifest without the target
            path.unlink(missing_ok=True)
    return WrittenPrediction(images, manifest)


def with_stored(predictions: Mapping[Target, StoredPrediction], out: Path, name: str) -> list[StoredPrediction]:
    """The predictions of a case with those of its further targets that the folder holds, in the order of the targets.

    Raises:
        UnreadableFile: A file of a further target is missing or damaged.
    """
    stored = {pair[0].maps.target: pair for pair in read_case(out, name, but=tuple(predictions))}
    joined = {**stored, **predictions}
    return [joined[target] for target in TARGET_SPECS if target in joined]


def write_page(
    predictions: list[StoredPrediction],
    out: Path,
    *,
    clinic: Mapping[str, Any] | None = None,
    overwrite: bool = True,
) -> Path:
    """Writes the report of a case as ``<case>.html``, without timings, and with a clinical summary as ``<case>.pdf``.

    Args:
        predictions: The predictions of all targets of the case with their manifests, at least one.
        out: Root of the derivative data set.
        clinic: The clinical summary of the case, written beside the report; None leaves its sections out.
        overwrite: Replace an earlier report. A report belongs to its predictions, which protect themselves.

    Raises:
        OutputRefused: The page exists already, or the folder cannot be written.
    """
    name = bids_name(predictions[0][0].case.name)
    first, *further = [(prediction, replace(run, timings_s={}, outputs={})) for prediction, run in predictions]
    path, summary = out / f"{name}.html", out / clinic_name(name)
    page = write_report(path, *first, further=further, clinic=clinic, overwrite=overwrite)
    if clinic is None:  # summary and PDF of an earlier run do not describe these predictions
        summary.unlink(missing_ok=True)
        path.with_suffix(".pdf").unlink(missing_ok=True)
    else:
        write_all_atomically({summary.name: json_bytes(clinic)}, out, overwrite=True)
    return page


def clinic_name(name: str) -> str:
    """The name of the file of the clinical summary of a case."""
    return f"{name}_clinic.json"


def _write_scene(prediction: Prediction, out: Path, *, overwrite: bool) -> Path:
    case, target = prediction.case, prediction.maps.target
    name = bids_name(case.name)
    arrays = {f"scan_{modality}": scan.data for modality, scan in case.scans.items()}
    arrays |= {f"mask_{key}": case.masks[key].data for key in ("brain", target) if key in case.masks}
    if prediction.mask_draws is not None:
        arrays[DRAWS] = prediction.mask_draws.bits
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


def _map_name(path: Path) -> str:
    """The short name of an image: ``"entropy"`` for ``…_desc-entropy_uncertainty.nii.gz``."""
    part = path.name.removesuffix(".nii.gz").split("_label-")[1].partition("_")[2]
    return part.removeprefix("desc-").removesuffix("_uncertainty").removesuffix("_attention")
