"""Cross-attention weights of a cross-modal network: one image for each modality, and their means by region."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from adumbra.core.atomic_io import write_all_atomically
from adumbra.core.entropy import UNCERTAIN_NATS
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.resampling import resample
from adumbra.core.results import AttentionMaps, Maps
from adumbra.core.types import Mask, Modality, Target, Volume
from adumbra.report.bids import README, RESEARCH_USE, bids_name, bidsignore_file, case_folder, json_bytes
from adumbra.report.derivatives import nifti_bytes

IGNORED = ("*_attention.nii.gz", "*_attention.json")
GATE_PART = "desc-attentionGate_attention"
README_ATTENTION = """
For a cross-modal network:

- `_desc-<modality>CrossAttention_attention`: cross-attention weight of this modality, 0 to 1; the weights of a voxel
  add up to 1
- `_desc-attentionGate_attention`: attention gate, 0 (closed) to 1 (open), for a network that uncertainty guides
"""


@dataclass(frozen=True)
class RegionAttention:
    """Mean attention over one region of the case.

    Attributes:
        name: Name of the region.
        volume_ml: Volume of the region.
        weights: Mean cross-attention weight of each modality, in [0, 1]; nan if the region is empty.
        gate: Mean attention gate, in [0, 1]; None for a network without uncertainty guidance.
    """

    name: str
    volume_ml: float
    weights: Mapping[Modality, float]
    gate: float | None


def weights_part(modality: Modality) -> str:
    """The last part of the file name of a modality's weights: ``desc-adcCrossAttention_attention``."""
    return f"desc-{modality}CrossAttention_attention"


def write_attention(
    attention: AttentionMaps | None,
    out: Path,
    *,
    name: str,
    target: Target,
    grid: Grid,
    native: Grid,
    modality_source: str,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Writes the weights of each modality and the attention gate, each with its JSON side-car.

    Args:
        attention: Maps to write; None writes nothing.
        out: Root of the derivative data set, which exists.
        name: Name of the case; see ``bids_name``.
        target: The segmented target.
        grid: Grid of the maps.
        native: Grid to write on.
        modality_source: File name of the scan that has the native grid.
        overwrite: Replace the files of an earlier run, and delete its attention maps that this run does not write.

    Returns:
        The case's files: the images, then their side-cars.

    Raises:
        OutputRefused: A file exists already, or cannot be written.
        InputRejected: The name has no letter or digit.
    """
    case = bids_name(name)
    stem = f"{case_folder(case, target)}/{case}_label-{target}"
    files: dict[str, bytes] = {}
    if attention is not None:
        common = _common_fields(target, modality_source)
        images, sidecars = _images(attention), _sidecars(attention)
        files = {f"{stem}_{part}.nii.gz": nifti_bytes(resample(v, grid, native), native) for part, v in images.items()}
        files |= {f"{stem}_{part}.json": json_bytes(fields | common) for part, fields in sidecars.items()}
    written = write_all_atomically(files, out, overwrite=overwrite) if files else ()
    if overwrite:
        for earlier in set((out / stem).parent.glob(f"{Path(stem).name}_desc-*_attention.*")) - set(written):
            earlier.unlink()
    if files:
        write_all_atomically(_dataset_files(out), out, overwrite=True)
    return written


def attention_by_region(attention: AttentionMaps, maps: Maps, brain: Mask | None) -> list[RegionAttention]:
    """Mean attention in the uncertain region, in the rest of the segmentation and in the rest of the brain.

    Args:
        attention: Attention on the grid of the maps.
        maps: Maps of the target; a voxel is uncertain if its predictive entropy is at least ``UNCERTAIN_NATS``.
        brain: Brain mask, (X, Y, Z); None takes every voxel that has attention weights.
    """
    attended = np.sum(list(attention.weights.values()), axis=0) > 0.5
    uncertain = attended & (maps.entropy >= np.float32(UNCERTAIN_NATS))
    segmentation = attended & maps.mask & ~uncertain
    rest = (attended if brain is None else attended & brain) & ~uncertain & ~segmentation
    regions = {
        "Uncertain region": uncertain,
        "Rest of the segmentation": segmentation,
        "Rest of the brain": rest,
    }
    return [
        RegionAttention(
            name,
            int(np.count_nonzero(region)) * maps.grid.voxel_ml,
            {modality: _mean(weights, region) for modality, weights in attention.weights.items()},
            None if attention.gate is None else _mean(attention.gate, region),
        )
        for name, region in regions.items()
    ]


def _mean(volume: Volume, region: Mask) -> float:
    return float(volume[region].mean(dtype=np.float64)) if region.any() else float("nan")


def _images(attention: AttentionMaps) -> dict[str, Volume]:
    images = {weights_part(modality): weights for modality, weights in attention.weights.items()}
    return images if attention.gate is None else {**images, GATE_PART: attention.gate}


def _sidecars(attention: AttentionMaps) -> dict[str, dict[str, object]]:
    primary = attention.primary or "all modalities"
    fields: dict[str, dict[str, object]] = {
        weights_part(modality): {
            "Description": f"Cross-attention weight of {modality} for the queries of {primary}, at the finest level "
            "with attention. Attention weights do not measure the importance of a modality.",
            "Units": "1",
        }
        for modality in attention.weights
    }
    if attention.gate is not None:
        text = f"Attention gate of {primary}, from the uncertainty of the first pass: 0 is closed, 1 is open."
        fields[GATE_PART] = {"Description": text, "Units": "1"}
    return fields


def _common_fields(target: Target, source: str) -> dict[str, object]:
    sources = {"Sources": [source]} if source else {}
    return {**sources, "SpatialReference": "scanner", "Target": target, "Use": RESEARCH_USE}


def _dataset_files(out: Path) -> dict[str, bytes]:
    """The files of the data set that describe attention maps. A README that was edited is left as it is."""
    files, readme = bidsignore_file(out, IGNORED), out / "README.md"
    if readme.is_file() and readme.read_text("utf-8") == README:
        files[readme.name] = (README + README_ATTENTION).encode()
    return files
