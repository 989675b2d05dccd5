"""Perfusion and infarct of simulated strokes on a coarse atlas grid, without images: a second for several strokes.

Images take most of the time of a phantom, and what follows from a clot (which tissue it cuts off, how much collateral
flow reaches it, what has died) needs none. Each file holds one head with several strokes, every one sampled as for a
phantom of the same preset. The estimate of hypoperfusion is trained on them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from scipy import ndimage

from adumbra.core.atlas.coarse_grid import ATLAS_GRID
from adumbra.core.atomic_io import write_atomically
from adumbra.core.errors import UnreadableFile
from adumbra.core.types import Mask, Volume
from adumbra.phantom.anatomy.head import Head, in_subject, sample_head
from adumbra.phantom.pathology.disease import Disease, sample_disease
from adumbra.phantom.pathology.stroke import Stroke, flow_shares
from adumbra.phantom.presets import ExaminationPreset, preset_named
from adumbra.phantom.rng import stream
from adumbra.phantom.vasculature.subject import Vasculature, sample_vasculature
from adumbra.phantom.vasculature.vessels import Tree
from adumbra.simulation.cohort import case_seed, sample_lesion_shape

SPACING_MM = 4.0
"""Spacing of the simulated head, about that of the atlas grid."""
DISTAL_ARTERIES: Mapping[str, tuple[str, ...]] = {"ACA": ("A2", "A3"), "MCA": ("M2", "M3"), "PCA": ("P2", "P3")}
"""The arteries of each territory whose flow ``clinic.cues.flow`` counts on TOF, by the first word of their names."""
_SIDES = ("R", "L")
_LEAST_TISSUE = 0.4  # fraction of tissue from which a voxel of the atlas grid counts
_BYTE = 255.0
_FACTS = "strokes"


@dataclass(frozen=True, eq=False)
class StrokeFacts:
    """What is known of one stroke beside its maps.

    Attributes:
        is_open: Whether the artery has opened before the scan, or no artery was closed.
        hours: Time from onset to the scan in hours.
        clots_mm: (K, 3), the middle of each present clot in MNI152 mm.
        sites: The artery of each clot.
        flow: (3, 2), flow in the distal arteries of ``DISTAL_ARTERIES``, right and left, as a share of the normal one.
    """

    is_open: bool
    hours: float
    clots_mm: np.ndarray
    sites: tuple[str, ...]
    flow: np.ndarray

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "is_open": self.is_open,
            "hours": self.hours,
            "clots_mm": self.clots_mm.tolist(),
            "sites": list(self.sites),
            "flow": self.flow.tolist(),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "StrokeFacts":
        """From plain values."""
        clots = np.asarray(values["clots_mm"], dtype=np.float64).reshape(-1, 3)
        sites, flow = tuple(values["sites"]), np.asarray(values["flow"])
        return cls(bool(values["is_open"]), float(values["hours"]), clots, sites, flow)


@dataclass(frozen=True, eq=False)
class StrokeMaps:
    """The strokes of one head on ``core.atlas.coarse_grid.ATLAS_GRID``.

    Attributes:
        tissue: (X, Y, Z), voxels with grey or white matter.
        tmax_s: float32 (S, N), Tmax in s in the voxels of ``tissue``, in their order.
        infarct: float32 (S, N), the infarcted fraction there.
        facts: What is known of each stroke, S of them.
    """

    tissue: Mask
    tmax_s: np.ndarray
    infarct: np.ndarray
    facts: tuple[StrokeFacts, ...]

    def volume(self, values: np.ndarray) -> Volume:
        """Values (N,) of the tissue as a volume (X, Y, Z) with 0 elsewhere."""
        out = np.zeros(self.tissue.shape, np.float32)
        out[self.tissue] = values
        return out


def simulate_stroke_maps(
    seed: int, number: int, *, preset_name: str, strokes: int, lesion_masks: Sequence[Path] = ()
) -> StrokeMaps:
    """Simulates a head with several strokes, each as if it were the only one.

    Args:
        seed: Seed of the cohort.
        number: Number of the head.
        preset_name: A key of ``presets.PRESETS`` with vessels.
        strokes: Number of strokes.
        lesion_masks: Files of real lesion masks in MNI space, whose shapes half of the infarcts take.
    """
    own, preset = case_seed(seed, number), preset_named(preset_name)
    head, _ = sample_head(stream(own, "head"), spacing_mm=SPACING_MM, cut=False)
    vessels = sample_vasculature(stream(own, "vessels"), head)
    places = in_subject(head, ATLAS_GRID.world_mm(np.argwhere(np.ones(ATLAS_GRID.shape, dtype=bool))))
    index = head.grid.index(places).T
    fraction = _at(head.tissue, index)
    tissue = fraction > _LEAST_TISSUE
    tmax, infarct, facts = [], [], []
    for stroke_number in range(strokes):
        disease = _disease(own, stroke_number, head, vessels, preset, lesion_masks)
        assert disease.stroke is not None
        weighted = np.stack([_at(v * head.tissue, index) for v in (disease.stroke.tmax_s, disease.stroke.infarct)])
        values = weighted[:, tissue] / fraction[tissue]
        tmax.append(values[0])
        infarct.append(np.clip(values[1], 0, 1))
        facts.append(_facts(disease, disease.stroke, head, vessels.arteries))
    shape = ATLAS_GRID.shape
    return StrokeMaps(tissue.reshape(shape), np.stack(tmax), np.stack(infarct), tuple(facts))


def _disease(
    own: int, number: int, head: Head, vessels: Vasculature, preset: ExaminationPreset, masks: Sequence[Path]
) -> Disease:
    """The disease of one stroke of a head."""
    shape = sample_lesion_shape(masks, own + 7_919 * number)
    rng = stream(own, f"disease {number}")
    return sample_disease(rng, head, vessels, patterns=preset.patterns, latest_h=preset.latest_h, lesion_shape=shape)


def _at(volume: Volume, index: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.map_coordinates(volume, index, order=1, mode="constant"), dtype=np.float32)


def _facts(disease: Disease, stroke: Stroke, head: Head, arteries: Tree) -> StrokeFacts:
    middles = np.array([clot.points_mm[len(clot.points_mm) // 2] for clot in stroke.clots]).reshape(-1, 3)
    index = head.grid.index(middles).T
    mni = np.stack([_at(component, index) for component in head.mni_mm], axis=1)
    return StrokeFacts(
        stroke.is_open or not stroke.clots,
        float(disease.stage.hours),
        mni.astype(np.float64),
        tuple(clot.site for clot in stroke.clots),
        distal_flow(arteries, flow_shares(arteries, stroke.clots, stroke.collaterals)),
    )


def distal_flow(arteries: Tree, shares: np.ndarray) -> np.ndarray:
    """Mean flow in the distal arteries of each territory, (3, 2) with right and left, weighted by their radius.

    Args:
        arteries: The arteries.
        shares: (N,), flow through each node as a share of its normal flow.
    """
    out = np.ones((len(DISTAL_ARTERIES), len(_SIDES)))
    for row, first_words in enumerate(DISTAL_ARTERIES.values()):
        for column, side in enumerate(_SIDES):
            named = np.array([n.startswith(first_words) and n.endswith(f"_{side}") for n in arteries.names])
            weight = arteries.radius_mm * named[arteries.segment]
            if weight.any():
                out[row, column] = float(weight @ shares / weight.sum())
    return out


def write_stroke_maps(path: Path, maps: StrokeMaps) -> None:
    """Writes the strokes of a head to a safetensors file, Tmax in half precision and fractions as bytes.

    Args:
        path: The file.
        maps: The strokes.
    """
    arrays: dict[str, np.ndarray] = {
        "tissue": np.packbits(maps.tissue),
        "tmax_s": maps.tmax_s.astype(np.float16),
        "infarct": np.rint(maps.infarct * _BYTE).astype(np.uint8),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, save(arrays, {_FACTS: json.dumps([facts.as_json() for facts in maps.facts])}))


def read_stroke_maps(path: Path) -> StrokeMaps:
    """The strokes of a head from a file of ``write_stroke_maps``.

    Args:
        path: The file.

    Raises:
        UnreadableFile: It is no such file.
    """
    try:
        with safe_open(path, framework="np") as file:
            facts = tuple(map(StrokeFacts.from_json, json.loads((file.metadata() or {})[_FACTS])))
            tissue, tmax, infarct = (file.get_tensor(name) for name in ("tissue", "tmax_s", "infarct"))
        size = int(np.prod(ATLAS_GRID.shape))
        mask = np.unpackbits(tissue, count=size).astype(bool).reshape(ATLAS_GRID.shape)
    except (OSError, SafetensorError, KeyError, ValueError) as problem:
        raise UnreadableFile(
            path.name,
            expected="strokes of a simulated head",
            found=str(problem),
            do="write it with adumbra.simulation.stroke_maps",
        ) from problem
    return StrokeMaps(mask, tmax.astype(np.float32), infarct.astype(np.float32) / np.float32(_BYTE), facts)


def _stroke_file(folder: Path, seed: int, number: int, preset_name: str) -> Path:
    return folder / f"{preset_name}-{seed}n{number:06d}.safetensors"


def stored_stroke_maps(
    folder: Path, seed: int, number: int, *, preset_name: str, strokes: int, lesion_masks: Sequence[Path] = ()
) -> Path:
    """The file of a head with its strokes; it is simulated where the folder lacks it.

    Args:
        folder: Folder of the files.
        seed: As for ``simulate_stroke_maps``; so are the others.
        number: Number of the head.
        preset_name: Name of the preset.
        strokes: Number of strokes.
        lesion_masks: Files of lesion masks.
    """
    path = _stroke_file(folder, seed, number, preset_name)
    if not path.exists():
        maps = simulate_stroke_maps(seed, number, preset_name=preset_name, strokes=strokes, lesion_masks=lesion_masks)
        write_stroke_maps(path, maps)
    return path
