"""Reads a classic DICOM diffusion series of one slice per file and writes its b0 and its trace as NIfTI.

For benchmarks and tests on the healthy Philips head of ``dcm_qa_philips_dwi`` (BSD-2), whose directions no scanner has
averaged. The trace is the geometric mean of the directions.

Run: ``python benchmarks/diffusion_series.py SERIES OUT``. OUT can then be predicted: ``adumbra predict OUT --out DIR``.
"""

import json
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from adumbra.core.case import Scan, scan_from_array

B_VALUE = "0018|9087"


def averaged_series(folder: Path) -> dict[float, Scan]:
    """The geometric mean of all directions for each b-value, in s/mm²."""
    slices: dict[float, dict[tuple[float, ...], list[np.ndarray]]] = {}
    for file in sorted(folder.glob("*.dcm")):
        image = sitk.ReadImage(str(file))
        values = sitk.GetArrayFromImage(image)[0].astype(np.float32).T
        slices.setdefault(float(image.GetMetaData(B_VALUE)), {}).setdefault(image.GetOrigin(), []).append(values)
    origins = sorted(next(iter(slices.values())), key=lambda at: at[2])
    step = (np.array(origins[-1]) - origins[0]) / (len(origins) - 1)
    directions = np.array(image.GetDirection()).reshape(3, 3)[:, :2] * image.GetSpacing()[:2]
    lps = np.eye(4)
    lps[:3] = np.column_stack([directions, step, origins[0]])
    return {
        b: scan_from_array(
            np.stack([np.exp(np.log(np.maximum(at[o], 1)).mean(axis=0)) - 1 for o in origins], axis=2),
            np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps,
        )
        for b, at in slices.items()
    }


def main(series: Path, out: Path) -> None:
    """Writes ``b0.nii.gz``, ``dwi.nii.gz`` and the b-value beside it."""
    scans = averaged_series(series)
    out.mkdir(parents=True, exist_ok=True)
    for name, b in (("b0", min(scans)), ("dwi", max(scans))):
        nib.save(nib.Nifti1Image(scans[b].data.astype(np.float32), scans[b].grid.affine), out / f"{name}.nii.gz")
    (out / "dwi.json").write_text(json.dumps({"DiffusionBValue": max(scans)}), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
