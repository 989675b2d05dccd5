"""The estimated Tmax as a file of the BIDS derivative, beside the maps of hypoperfusion."""

from pathlib import Path

import numpy as np

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.types import Volume
from adumbra.report.bids import RESEARCH_USE, bids_name, case_folder, json_bytes
from adumbra.report.derivatives import nifti_bytes

DESCRIPTION = (
    "Estimated Tmax, the mean of the draws in which an artery is closed. Estimated without contrast agent, not "
    "measured perfusion. 0 outside tissue; the whole image is 0 where no draw has a closed artery."
)


def write_tmax(
    tmax_s: Volume,
    grid: Grid,
    out: Path,
    *,
    name: str,
    native: Grid,
    modality_source: str,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Writes the map and its JSON side-car.

    Args:
        tmax_s: (X, Y, Z), Tmax in s; nan counts as 0.
        grid: Its grid.
        out: Root of the derivative data set.
        name: Name of the case; see ``bids_name``.
        native: Grid to write on: the native grid of the reference modality.
        modality_source: File name of that scan.
        overwrite: Replace the files of an earlier run.

    Returns:
        The image and its side-car.

    Raises:
        OutputRefused: A file exists already, or the folder cannot be written.
    """
    case = bids_name(name)
    stem = f"{case_folder(case, 'hypoperfusion')}/{case}_label-hypoperfusion_desc-estimated_tmax"
    data = resample(np.nan_to_num(tmax_s, nan=0.0), grid, native)
    sidecar = {
        "Description": DESCRIPTION,
        "Units": "s",
        **({"Sources": [modality_source]} if modality_source else {}),
        "SpatialReference": "scanner",
        "Use": RESEARCH_USE,
    }
    files = {f"{stem}.nii.gz": nifti_bytes(data, native), f"{stem}.json": json_bytes(sidecar)}
    return write_all_atomically(files, out, overwrite=overwrite)
