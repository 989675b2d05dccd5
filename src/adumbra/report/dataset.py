"""A made case as a raw BIDS data set with its truth: each sequence on its own voxels, the outline as a derivative."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from adumbra.case import Case, Scan
from adumbra.report.bids import BIDS_VERSION, NAME, json_bytes
from adumbra.report.derivatives import nifti_bytes
from adumbra.report.published import published
from adumbra.shapes import Modality
from adumbra.space.resampling import resampled

# Where a sequence lies in BIDS 1.10: folder and suffix.
SUFFIX: Mapping[Modality, tuple[str, str]] = {
    "dwi": ("dwi", "acq-b{b:.0f}_trace"),
    "adc": ("dwi", "ADC"),
    "b0": ("dwi", "S0map"),
    "flair": ("anat", "FLAIR"),
}
TRUTH = "derivatives/truth"

README = """# Phantom strokes

Drawn by Adumbra's simulator. **A phantom is not a patient**: a figure measured here says what a method does on the
phantom, and nothing about a clinic. Each subject is drawn from one seed, which its side-car holds with every other
number that was drawn.

- `dwi/*_trace`, `*_ADC` (10⁻³ mm²/s), `*_S0map`, `anat/*_FLAIR`: as the scanner gives them, each on its own voxels
- `derivatives/truth`: the infarct as a rater outlines it (`_mask`) and its share of each voxel (`_probseg`)
"""


def write_phantom(
    case: Case, fraction: Scan, parameters: Mapping[str, object], out: Path, *, overwrite: bool = False
) -> tuple[Path, ...]:
    """Writes one drawn case below the data set's root.

    Args:
        case: Its scans and its ``lesion`` mask.
        fraction: The infarct's share of each voxel of the DWI.
        parameters: Everything that was drawn.
        out: Root of the data set.
        overwrite: Replace the case where it is there.

    Raises:
        OutputRefused: The case is there already, or the folder cannot be written.
    """
    name, files = case.name, dict[str, bytes]()
    for modality, scan in case.scans.items():
        folder, suffix = SUFFIX[modality]
        stem = f"{name}/{folder}/{name}_{suffix.format(b=scan.b_value or 0)}"
        files[f"{stem}.nii.gz"] = _native(scan)
        files[f"{stem}.json"] = json_bytes(_side_car(modality, scan))
    truth = f"{TRUTH}/{name}/dwi/{name}_label-lesion"
    files[f"{truth}_probseg.nii.gz"] = _native(fraction)
    files[f"{truth}_probseg.json"] = json_bytes({"Description": "Infarcted share of each voxel, 0 to 1"})
    files[f"{truth}_mask.json"] = json_bytes({"Type": "Lesion", "Drawn": parameters})
    files[f"{truth}_mask.nii.gz"] = _native(case.masks["lesion"])
    return published(files, out, overwrite=overwrite)


def write_description(out: Path, *, seed: int) -> None:
    """Writes what a BIDS data set has once: its description and that of its truth."""
    maker = {"Name": NAME, "Version": version("adumbra")}
    about = {"Name": "Adumbra phantom strokes", "BIDSVersion": BIDS_VERSION, "GeneratedBy": [maker], "Seed": seed}
    files = {
        "README.md": README.encode(),
        "dataset_description.json": json_bytes(about | {"DatasetType": "raw", "License": "CC0"}),
        f"{TRUTH}/dataset_description.json": json_bytes(about | {"DatasetType": "derivative"}),
    }
    published(files, out, overwrite=True)


def _native(scan: Scan) -> bytes:
    return nifti_bytes(resampled(scan.data, scan.grid, scan.native), scan.native)


def _side_car(modality: Modality, scan: Scan) -> dict[str, object]:
    about: dict[str, object] = {"Manufacturer": NAME, "Description": "Drawn by a simulator; not a patient"}
    if modality == "dwi":
        about["DiffusionBValue"] = scan.b_value
    if modality == "adc":
        about["Units"] = "10^-3 mm^2/s"
    return about
