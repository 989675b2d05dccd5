"""Writes the atlas of arteries and veins, ``vessels.nii.gz`` and ``supply.nii.gz`` of ``adumbra.core.atlas``.

The vessels of simulated subjects are the only source: the courses of ``phantom.vasculature`` were placed manually on
the template, and their branches grow. The licence is that of the package.

Run: ``python trainings/atlas/vessels.py [--subjects 200] [--out src/adumbra/core/atlas]``. It takes half a processor
second for each subject.
"""

import argparse
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
from rich.console import Console

from adumbra.cli.progress_bars import ProgressBars
from adumbra.core.atomic_io import write_atomically
from adumbra.core.geometry.grid import Grid
from adumbra.phantom.vasculature.vessel_atlas import atlas_subject, supply_maps, vessel_maps

SEED = 19


def write_map(path: Path, volumes: np.ndarray, grid: Grid) -> None:
    """Writes a map; the same voxels give the same bytes."""
    image = nib.Nifti1Image(volumes, grid.affine)
    image.header.set_xyzt_units("mm")
    write_atomically(path, gzip.compress(image.to_bytes(), compresslevel=9, mtime=0))


def main() -> None:
    """Grows the vessels of the subjects and writes both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subjects", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("src/adumbra/core/atlas"))
    options = parser.parse_args()
    progress = ProgressBars(Console(stderr=True))
    for name, maps in (("vessels", vessel_maps), ("supply", supply_maps)):
        subjects = (atlas_subject(SEED, number) for number in range(options.subjects))
        volumes, grid = maps(progress.track(subjects, what=f"Growing {name}", total=options.subjects))
        write_map(options.out / f"{name}.nii.gz", volumes, grid)


if __name__ == "__main__":
    main()
