"""Candidates of a clot in a first pass: its parts at high sensitivity, with features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from adumbra.core.candidates import CandidateFeatures, CandidateRule
from adumbra.core.geometry.components import hysteresis_threshold, label_components
from adumbra.core.geometry.grid import Grid
from adumbra.core.geometry.reflection import Box
from adumbra.core.types import Volume
from adumbra.fusion.candidates.first_pass import FirstPass

AROUND_MM = 5.0
"""Distance within which the lumen around a candidate is examined."""


@dataclass(frozen=True, eq=False)
class Extracted:
    """A candidate as the first pass gives it.

    Attributes:
        features: Its features.
        voxels: (N, 3), indices of its voxels on the grid of the first pass.
    """

    features: CandidateFeatures
    voxels: np.ndarray


def extract_candidates(maps: FirstPass, rule: CandidateRule) -> tuple[Extracted, ...]:
    """The candidates of a first pass, the one with the highest peak first.

    They are the 26-connected components of the voxels that reach ``rule.low``, if they reach ``rule.peak`` somewhere.
    Of equal peaks the larger sum of probabilities comes first.
    """
    labels, count = label_components(hysteresis_threshold(maps.probability, low=rule.low, high=rule.peak))
    boxes = ndimage.find_objects(labels, count)
    ranked = []
    for number, box in enumerate(boxes, start=1):
        voxels = np.argwhere(labels[box] == number) + [part.start for part in box]
        values = maps.probability[tuple(voxels.T)]
        ranked.append((-float(values.max()), -float(values.sum(dtype=np.float64)), number, voxels))
    ranked.sort(key=lambda entry: entry[:3])
    return tuple(Extracted(candidate_features(maps, entry[3]), entry[3]) for entry in ranked[: rule.most])


def candidate_features(maps: FirstPass, voxels: np.ndarray) -> CandidateFeatures:
    """The features of a candidate.

    Args:
        maps: Maps of the first pass.
        voxels: (N, 3), indices of its voxels; at least one, with a probability above 0.
    """
    index = tuple(voxels.T)
    weights = maps.probability[index].astype(np.float64)
    x, y, z = (float(v) for v in weights @ maps.grid.world_mm(voxels.astype(np.float64)) / weights.sum())
    arteries, veins = maps.structures.get("arteries"), maps.structures.get("veins")
    absent = maps.missing_flow
    return CandidateFeatures(
        volume_ml=len(voxels) * maps.grid.voxel_ml,
        position_mm=(x, y, z),
        peak=float(weights.max()),
        mean_probability=float(weights.mean()),
        artery_share=_share(arteries, index, weights),
        vein_share=_share(veins, index, weights),
        missing_flow=_share(absent, index, weights),
        missing_flow_around=_missing_around(arteries, absent, maps.grid, voxels),
        agreement=float(maps.reached[index].max()),
    )


def _share(volume: Volume | None, index: tuple[np.ndarray, ...], weights: np.ndarray) -> float:
    """Weighted mean of a map over voxels; nan without the map."""
    return float("nan") if volume is None else float(weights @ volume[index] / weights.sum())


def _missing_around(arteries: Volume | None, absent: Volume | None, grid: Grid, voxels: np.ndarray) -> float:
    """Expected lumen without flow near a candidate, but not in it, over all expected lumen there."""
    if arteries is None or absent is None:
        return float("nan")
    box = box_around(voxels, grid.shape, np.ceil(AROUND_MM / np.asarray(grid.spacing_mm)).astype(int))
    inside = np.zeros([part.stop - part.start for part in box], dtype=bool)
    inside[tuple((voxels - [part.start for part in box]).T)] = True
    distance_mm = ndimage.distance_transform_edt(~inside, sampling=grid.spacing_mm)
    near = (distance_mm > 0.0) & (distance_mm <= AROUND_MM)
    expected = float(arteries[box][near].sum(dtype=np.float64))
    return float(absent[box][near].sum(dtype=np.float64)) / expected if expected > 0.0 else float("nan")


def box_around(voxels: np.ndarray, shape: Sequence[int], margin: np.ndarray | int) -> Box:
    """The bounding box of voxels, extended by a margin within a volume."""
    low = np.maximum(voxels.min(axis=0) - margin, 0)
    high = np.minimum(voxels.max(axis=0) + 1 + margin, shape)
    x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return x, y, z
