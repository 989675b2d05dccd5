"""Writes the atlas of the ASPECTS and PC-ASPECTS regions, ``aspects.nii.gz`` of ``adumbra.core.atlas``.

The nuclei of the phantom, the tissue maps of the template and the atlas of what the arteries supply are the only
sources, see ``phantom.anatomy.aspects_regions``. The licence is that of the package. Prints the volumes in ml.

Run: ``python trainings/atlas/aspects.py [--out src/adumbra/core/atlas]``. It takes a few seconds.
"""

import argparse
import gzip
from pathlib import Path

import nibabel as nib
import numpy as np

from adumbra.core.atlas.aspects import REGIONS
from adumbra.core.atomic_io import write_atomically
from adumbra.phantom.anatomy.aspects_regions import aspects_regions


def main() -> None:
    """Draws the regions and writes the file; the same voxels give the same bytes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("src/adumbra/core/atlas"))
    options = parser.parse_args()
    labels, grid = aspects_regions()
    image = nib.Nifti1Image(labels.astype(np.uint8), grid.affine)
    image.header.set_xyzt_units("mm")
    write_atomically(options.out / "aspects.nii.gz", gzip.compress(image.to_bytes(), compresslevel=9, mtime=0))
    for name, count in zip(REGIONS[1:], np.bincount(labels.ravel(), minlength=len(REGIONS))[1:], strict=True):
        print(f"{name}: {count * grid.voxel_ml:.1f} ml on both sides")


if __name__ == "__main__":
    main()
