"""Series of diffusion images: which volume is the DWI and which the b0, where the .bval leaves no choice."""

from collections.abc import Mapping
from pathlib import Path

from adumbra.cases.sidecar import LEAST_WEIGHTED, read_bvals
from adumbra.core.types import Modality


def with_volumes(
    scans: Mapping[Modality, Path], volumes: Mapping[Modality, int]
) -> tuple[dict[Modality, Path], dict[Modality, int]]:
    """The files and volumes of a case, with the volumes of diffusion series chosen by their .bval.

    The DWI is the only volume with b > 0, and the b0 the only volume with b = 0. A series with several candidates is
    left as it is, so that its reader refuses it. The series of the DWI also gives the b0 where there is no other.

    Args:
        scans: Path of each modality.
        volumes: Index of the volume of each modality, where it is known already.

    Returns:
        The paths, and the index of the volume for each file that holds a series.

    Raises:
        UnreadableFile: A .bval holds something other than b-values.
    """
    files, indices = dict(scans), dict(volumes)
    path = files.get("dwi")
    if path is not None and "dwi" not in indices:
        weighted, plain = _by_weighting(path)
        if len(weighted) == 1:
            indices["dwi"] = weighted[0]
            if len(plain) == 1 and files.get("b0", path) == path:
                files["b0"], indices["b0"] = path, plain[0]
    if "b0" in files and "b0" not in indices:
        _, plain = _by_weighting(files["b0"])
        if len(plain) == 1:
            indices["b0"] = plain[0]
    return files, indices


def _by_weighting(path: Path) -> tuple[list[int], list[int]]:
    """Indices of the volumes with b > 0, and with b = 0; both empty for an image of one b-value or none."""
    bvals = read_bvals(path)
    if len(bvals) < 2:
        return [], []
    weighted = [k for k, b in enumerate(bvals) if b >= LEAST_WEIGHTED]
    return weighted, [k for k in range(len(bvals)) if k not in weighted]
