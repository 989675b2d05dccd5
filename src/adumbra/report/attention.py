"""To whom a cross-modal network listened: a map of each other modality, and what the page tells of them by region."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resampled
from adumbra.core.results import AttentionMaps, Maps
from adumbra.core.types import Mask, Modality, Target, Volume
from adumbra.report.bids import README, bids_name, folder, ignoring, json_bytes
from adumbra.report.derivatives import nifti_bytes
from adumbra.report.staging import published

IGNORED = ("*_attention.nii.gz", "*_attention.json")
OPENING = "desc-opening_attention"
ALSO = """
Of a network that listens across modalities:

- `_desc-listened<Modality>_attention`: share of its attention that this modality got there, 0 to 1; together 1
- `_desc-opening_attention`: how far doubt let it listen, 0 to 1, where doubt guides it
"""
_DOUBTFUL_NATS = 0.3  # As where the page lists regions.


@dataclass(frozen=True)
class Heard:
    """Means over one region of the case.

    Attributes:
        name: Of the region.
        volume_ml: Of it.
        shares: Mean share of each other modality; nan where the region is empty.
        opened: Mean opening; None where no doubt guides the network.
    """

    name: str
    volume_ml: float
    shares: Mapping[Modality, float]
    opened: float | None


def part_of(modality: Modality) -> str:
    """The last part of the name of a modality's map: ``desc-listenedAdc_attention``."""
    return f"desc-listened{modality.capitalize()}_attention"


def write_attention(
    heard: AttentionMaps | None,
    out: Path,
    *,
    name: str,
    target: Target,
    grid: Grid,
    native: Grid,
    modality_source: str,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Writes a map for each modality that was listened to, and the opening, each with its JSON side-car.

    Args:
        heard: To write; None writes nothing.
        out: Root of the derivative data set, which is there.
        name: Of the case; see ``bids_name``.
        target: That was outlined.
        grid: Of the maps.
        native: The grid to write on.
        modality_source: Name of the file of the scan whose grid that is.
        overwrite: Replace what an earlier run wrote, and take away those of its maps that have no successor.

    Returns:
        The case's files: the images, then their side-cars.

    Raises:
        OutputRefused: A file exists already, or cannot be written.
        InputRejected: The name has no letter or digit.
    """
    case = bids_name(name)
    stem = f"{folder(case, target)}/{case}_label-{target}"
    images = {} if heard is None else _images(heard)
    files = {
        f"{stem}_{part}.nii.gz": nifti_bytes(resampled(volume, grid, native), native) for part, volume in images.items()
    }
    if heard is not None:
        files |= {f"{stem}_{p}.json": json_bytes(c | _about(target, modality_source)) for p, c in _said(heard).items()}
    written = published(files, out, overwrite=overwrite) if files else ()
    if overwrite:
        for earlier in set((out / stem).parent.glob(f"{Path(stem).name}_desc-*_attention.*")) - set(written):
            earlier.unlink()
    if files:
        published(_told(out), out, overwrite=True)
    return written


def heard_in(heard: AttentionMaps, maps: Maps, brain: Mask | None) -> list[Heard]:
    """Means over what is doubtful, over the rest of the outline, and over the rest of the brain."""
    seen = np.sum(list(heard.shares.values()), axis=0) > 0.5
    doubtful = seen & (maps.entropy >= np.float32(_DOUBTFUL_NATS))
    outline = seen & maps.mask & ~doubtful
    rest = (seen if brain is None else seen & brain) & ~doubtful & ~outline
    regions = {"SelectiveMCDropout": doubtful, "Rest of the outline": outline, "Rest of the brain": rest}
    return [
        Heard(
            region,
            int(np.count_nonzero(where)) * maps.grid.voxel_ml,
            {modality: _mean(share, where) for modality, share in heard.shares.items()},
            None if heard.opened is None else _mean(heard.opened, where),
        )
        for region, where in regions.items()
    ]


def _mean(volume: Volume, where: Mask) -> float:
    return float(volume[where].mean(dtype=np.float64)) if where.any() else float("nan")


def _images(heard: AttentionMaps) -> dict[str, Volume]:
    images = {part_of(modality): share for modality, share in heard.shares.items()}
    return images if heard.opened is None else {**images, OPENING: heard.opened}


def _said(heard: AttentionMaps) -> dict[str, dict[str, object]]:
    who = heard.primary or "all modalities together"
    said: dict[str, dict[str, object]] = {
        part_of(modality): {
            "Description": f"Share of the attention of {who} that {modality} got, at the finest level with attention: "
            "where the network looked, not how much it mattered",
            "Units": "1",
        }
        for modality in heard.shares
    }
    if heard.opened is not None:
        text = f"How far the doubt of a first reading let {who} listen: 0 is shut, 1 open"
        said[OPENING] = {"Description": text, "Units": "1"}
    return said


def _about(target: Target, source: str) -> dict[str, object]:
    sources = {"Sources": [source]} if source else {}
    use = "Research use only, not for diagnosis."
    return {**sources, "SpatialReference": "scanner", "Target": target, "Use": use}


def _told(out: Path) -> dict[str, bytes]:
    """What a data set says of these maps, as far as it does not yet; a README that somebody changed stays."""
    files, readme = ignoring(out, IGNORED), out / "README.md"
    if readme.is_file() and readme.read_text("utf-8") == README:
        files[readme.name] = (README + ALSO).encode()
    return files
