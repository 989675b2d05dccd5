"""Embolic infarcts of a few voxels: dots of 0.016 to 0.1 ml in the cortex and elsewhere, and some larger ones."""

import numpy as np

from adumbra.core.types import Mask, Volume
from adumbra.phantom.anatomy.head import Head

_DOT_ML = (0.016, 0.1)
_LARGER_ML = (0.1, 1.0)
_CORTICAL_WEIGHT = 4.0  # how much more often emboli lodge in cortex, per volume
_CORTEX_MM = 8.0  # depth of the cortex below the surface
_CANDIDATES = 3000  # voxels among which the places of emboli are drawn
_LEAST_VOXELS = 2


def add_shower(rng: np.random.Generator, head: Head, amount: Volume, *, count: int, within: Mask | None = None) -> None:
    """Adds emboli around one to four centres or anywhere in the brain, in place.

    Args:
        rng: Source of every random choice.
        head: The anatomy.
        amount: (X, Y, Z), the infarcted fraction, which is raised where emboli lie.
        count: Number of emboli.
        within: Where they may lie; all tissue by default.
    """
    room = head.tissue > 0.7 if within is None else (head.tissue > 0.7) & within
    places = np.argwhere(room)
    if not len(places):
        return
    places = places[rng.integers(len(places), size=_CANDIDATES)]
    points = head.mni_mm[(slice(None), *places.T)]
    cortical = (head.depth_mm[tuple(places.T)] > -_CORTEX_MM) & (head.grey[tuple(places.T)] > 0.5)
    weight = np.where(cortical, _CORTICAL_WEIGHT, 1.0)
    if rng.random() < 0.7:
        anchors = points[:, rng.integers(len(places), size=rng.integers(1, 5))]
        spread_mm = rng.uniform(10, 30)
        squared = ((points[:, :, None] - anchors[:, None, :]) ** 2).sum(axis=0).min(axis=1)
        weight = weight * np.exp(-squared / (2 * spread_mm**2)) + 1e-9
    chosen = rng.choice(len(places), size=min(count, len(places)), replace=False, p=weight / weight.sum())
    larger = rng.uniform(0, 0.3)
    for place in places[chosen]:
        low, high = _LARGER_ML if rng.random() < larger else _DOT_ML
        _add_embolus(rng, head, amount, place, float(np.exp(rng.uniform(np.log(low), np.log(high)))))


def add_near(rng: np.random.Generator, head: Head, amount: Volume, centre_mm: np.ndarray, *, count: int) -> None:
    """Adds emboli some centimetres around a point, in place.

    Args:
        rng: Source of every random choice.
        head: The anatomy.
        amount: (X, Y, Z), the infarcted fraction, which is raised where emboli lie.
        centre_mm: (3,), the point in template millimetres.
        count: Number of emboli.
    """
    if not count:
        return
    away = sum((x - np.float32(c)) ** 2 for x, c in zip(head.mni_mm, centre_mm, strict=True))
    same_side = head.mni_mm[0] * np.float32(np.sign(centre_mm[0])) > 0
    add_shower(rng, head, amount, count=count, within=np.asarray((away < 40.0**2) & same_side))


def _add_embolus(rng: np.random.Generator, head: Head, amount: Volume, place: np.ndarray, volume_ml: float) -> None:
    """Adds one embolus: the voxels of tissue nearest to its centre in a random metric, and a faint border."""
    grid = head.grid
    spacing = np.array(grid.spacing_mm)
    reach = np.ceil(2.5 * np.cbrt(volume_ml * 240) / spacing).astype(int) + 1
    lines = [np.arange(max(0, p - r), min(p + r + 1, n)) for p, r, n in zip(place, reach, grid.shape, strict=True)]
    block = tuple(slice(int(line[0]), int(line[-1]) + 1) for line in lines)
    offset = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1) - place
    metric = np.eye(3) + 0.25 * rng.normal(size=(3, 3))
    away_mm = np.linalg.norm((offset * spacing) @ metric, axis=-1)
    away_mm += 0.25 * rng.standard_normal(away_mm.shape)
    room = head.tissue[block] > 0.3
    order = np.argsort(np.where(room, away_mm, np.inf), axis=None)
    voxels = max(_LEAST_VOXELS, round(volume_ml / grid.voxel_ml))
    piece = np.zeros(room.size, np.float32)
    piece[order[voxels : 2 * voxels]] = rng.uniform(0.0, 0.3)
    piece[order[:voxels]] = rng.uniform(0.75, 1.0)
    piece = piece.reshape(room.shape) * room
    np.maximum(amount[block], piece, out=amount[block])
