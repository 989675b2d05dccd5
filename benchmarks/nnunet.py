"""nnU-Net v2 beside Adumbra: trained on the same phantoms for the same CPU time, measured on the same held-out ones.

nnU-Net needs an environment of its own::

    python3.11 -m venv ENVIRONMENT && ENVIRONMENT/bin/pip install -r benchmarks/nnunet-requirements.txt

Run: ``python benchmarks/nnunet.py --out DIR --nnunet-python ENVIRONMENT/bin/python [--masks DIR] [--cpu-seconds 600]``,
with DIR and the other options as for ``trainings/arms/run.py``. The training cases are those of the arm ``baseline``.
All modalities lie on the grid of the reference modality, as in Adumbra, and missing ones are zero. The predicted masks
are scored with the measures of ``adumbra evaluate``. The row ``nnunet`` joins those of the arms, and the tables of
``docs/results/lesion-arms.md`` are written again. Files that exist are not written again.
"""

import argparse
import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.core.case import Case
from adumbra.core.progress import Progress
from adumbra.core.targets import network_defaults
from adumbra.core.types import Mask
from adumbra.experiments.lesion_arms.design import ARMS, BASELINE, PAGE, ROWS, TARGET, Study
from adumbra.experiments.lesion_arms.measure import held_out_cases, measured
from adumbra.experiments.lesion_arms.rows import Row, write_row
from adumbra.experiments.lesion_arms.table import write_tables
from adumbra.preprocessing.pipeline import align_case
from adumbra.training.cache import CaseSource
from nnunet_peer import DATASET

ARM = "nnunet"
MODALITIES = network_defaults(TARGET).modalities


def aligned(case: Case) -> Case:
    """The case with all scans on the grid of the reference modality."""
    return align_case(case, target=TARGET, modalities=MODALITIES, registration="never")


def save_image(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Writes an image under another name first, so that it is complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"part-{path.name}")
    nib.save(nib.Nifti1Image(data, affine), temporary)
    temporary.replace(path)


def write_case(source: CaseSource, name: str, images: Path, labels: Path | None) -> None:
    """Writes the modalities of a case, and its mask where there is a folder for it. The last file is written last."""
    last = images / f"{name}_{len(MODALITIES) - 1:04d}.nii.gz"
    if last.exists():
        return
    case = aligned(source.open())
    if labels is not None:
        save_image(labels / f"{name}.nii.gz", case.masks[TARGET].data.astype(np.uint8), case.grid.affine)
    for channel, modality in enumerate(MODALITIES):
        scan = case.scans[modality].data if modality in case.scans else np.zeros(case.grid.shape)
        save_image(images / f"{name}_{channel:04d}.nii.gz", scan.astype(np.float32), case.grid.affine)


def write_data_set(folder: Path, study: Study, progress: Progress) -> None:
    """Writes the data set of nnU-Net: training cases with their masks, and the images of the held-out cases."""
    patients = study.patients(ARMS[BASELINE])
    for patient in progress.track(patients, what="Writing training cases", total=len(patients)):
        write_case(patient, patient.name, folder / "imagesTr", folder / "labelsTr")
    for preset in study.measured:
        for case in held_out_cases(study, preset, progress=progress):
            write_case(case, f"{preset}-{case.name}", folder / "imagesTs", None)
    description = {
        "channel_names": {str(channel): modality for channel, modality in enumerate(MODALITIES)},
        "labels": {"background": 0, TARGET: 1},
        "numTraining": study.cases,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=2), "utf-8")


def run_peer(python: Path, folder: Path, options: Iterable[str]) -> dict:
    """Runs nnU-Net in its environment; returns the facts of the training."""
    script = Path(__file__).with_name("nnunet_peer.py")
    with (folder / "nnunet.log").open("a") as log:
        subprocess.run([python, script, folder, *options], check=True, stdout=log, stderr=subprocess.STDOUT)
    return json.loads((folder / "training.json").read_text("utf-8"))


def predictor(folder: Path, preset: str):
    """The masks that nnU-Net wrote, on the grid of the ground truth."""

    def predict(case: Case) -> dict[str, Mask]:
        image = nib.load(folder / f"{preset}-{case.name}.nii.gz")
        grid = case.masks[TARGET].grid
        if image.shape != grid.shape or not np.allclose(image.affine, grid.affine, atol=1e-3):
            raise SystemExit(f"{image.get_filename()} does not have the grid of its ground truth")
        return {"0.5": np.asarray(image.dataobj) == 1}

    return predict


def main() -> None:
    """Writes the data set, runs nnU-Net, scores it and writes its row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder of the arms, with their held-out phantoms")
    add("--nnunet-python", type=Path, required=True, help="the Python of nnU-Net's environment")
    add("--rows", type=Path, default=ROWS)
    add("--page", type=Path, default=PAGE)
    add("--cpu-seconds", type=float, default=Study.cpu_seconds)
    add("--cases", type=int, default=Study.cases)
    add("--measured", nargs="+", default=list(Study.measured), metavar="PRESET")
    add("--measured-cases", type=int, default=Study.measured_cases)
    add("--masks", type=Path, help="folder of masks of real lesions in MNI space")
    add("--memory-gb", type=float, default=1.0, help="GPU memory that nnU-Net plans its patch for")
    add("--precision", choices=("bf16", "f32"), default="bf16")
    add("--threads", type=int, default=1)
    options = parser.parse_args()
    study = Study(
        options.out, options.rows, options.cpu_seconds, cases=options.cases, measured=tuple(options.measured),
        measured_cases=options.measured_cases, masks=options.masks, threads=options.threads,
    )  # fmt: skip
    progress, folder = ProgressBars(Console(stderr=True)), options.out / ARM
    write_data_set(folder / "raw" / DATASET, study, progress)
    settings = ("cpu-seconds", "memory-gb", "precision", "threads")
    arguments = [f"--{name}={getattr(options, name.replace('-', '_'))}" for name in settings]
    facts = run_peer(options.nnunet_python, folder, arguments)
    scores = {
        preset: measured(predictor(folder / "predictions", preset), held_out_cases(study, preset), progress=progress)
        for preset in study.measured
    }
    details = {name: facts[name] for name in ("patch", "batch", "spacing")} | {"precision": options.precision}
    row = Row(
        ARM, 0, study.budget, facts["iterations"], facts["cpu_seconds"], facts["parameters"], scores, details
    )  # fmt: skip
    write_row(options.rows, row)
    write_tables(options.rows, options.page)


if __name__ == "__main__":
    main()
