"""From simulated strokes to the evidence that networks and cues would give of them: what is seen, missed and misread.

The strokes come without images, so that predictions are imitated. The numbers describe how the released networks and
the cue of distal flow behave on whole phantoms of development cohorts, see ``trainings/hypoperfusion/evidence.py``. The
place in the atlas is imitated too: the whole head is moved, turned, scaled and bent by what a registration leaves.
"""

from dataclasses import dataclass
from math import log

import numpy as np
from scipy import ndimage

from adumbra.core.atlas.coarse_grid import ATLAS_GRID, SPACING_MM
from adumbra.core.atlas.vessels import vessel_atlas
from adumbra.core.perfusion_evidence import Evidence
from adumbra.core.types import Mask, Volume
from adumbra.simulation.stroke_maps import StrokeFacts, StrokeMaps

_CENTRE = (np.array(ATLAS_GRID.shape) - 1) / 2


@dataclass(frozen=True)
class EmissionConfig:
    """How evidence is imitated. Probabilities unless stated.

    Attributes:
        shift_mm: Standard deviation of the error of the place along each axis.
        turn_rad: The same of each angle.
        scale: The same of the logarithm of the size.
        bend_mm: The same of the smooth remainder.
        cut: A part of the head is not in view.
        lesion_blur: Standard deviation of the blur of the lesion, in voxels of 4 mm, at most.
        lesion_missed: A lesion is partly missed.
        false_lesions: Mean number of false small lesions.
        clots_sought: SWI or angiography was acquired, so that clots were sought.
        clot_found: A clot has a probability above one half; proximal clots, and others.
        clot_level: Range of ``Evidence.clot`` in a clot that is found; proximal clots, and others.
        false_clots: Mean number of false candidates.
        false_level: Mean of ``Evidence.clot`` in these; it is distributed exponentially, up to 0.75.
        clot_error_mm: Standard deviation of the place of a clot, beside that of the head.
        flow_measured: There is angiography where clots were sought.
        flow_behind: Range of the share of distal arteries that angiography shows behind a clot, by the artery that
            holds it. What collaterals carry is saturated there, so that the share says nothing of them.
        flow_noise: Standard deviation of the measured asymmetry without a true one, by territory.
        flow_missing: A territory lies outside the angiography.
        age_estimated: ADC and FLAIR tell the age of the infarct.
        age_noise: Standard deviation of the logarithm of the estimated hours.
        age_shrinkage: Estimated over true deviation of the logarithm from its mean.
        age_centre: Mean of the logarithm of the hours.
        onset_known: The hours since onset are known.
    """

    shift_mm: float = 2.0
    turn_rad: float = 0.03
    scale: float = 0.02
    bend_mm: float = 2.0
    cut: float = 0.15
    lesion_blur: float = 0.5
    lesion_missed: float = 0.12
    false_lesions: float = 0.4
    clots_sought: float = 0.7
    clot_found: tuple[float, float] = (0.9, 0.5)
    clot_level: tuple[tuple[float, float], tuple[float, float]] = ((0.2, 0.9), (0.05, 0.75))
    false_clots: float = 2.0
    false_level: float = 0.2
    clot_error_mm: float = 2.0
    flow_measured: float = 0.8
    flow_behind: tuple[tuple[str, float, float], ...] = (
        ("ICA", 0.0, 0.1), ("M1", 0.0, 0.1), ("M2", 0.35, 0.75), ("ACA", 0.0, 0.5), ("PCA", 0.0, 0.5),
    )  # fmt: skip
    flow_noise: tuple[float, float, float] = (0.30, 0.11, 0.13)
    flow_missing: float = 0.1
    age_estimated: float = 0.8
    age_noise: float = 0.65
    age_shrinkage: float = 0.28
    age_centre: float = 3.1
    onset_known: float = 0.3


@dataclass(frozen=True, eq=False)
class PerfusionExample:
    """One stroke as the network is trained on it.

    Attributes:
        channels: float32 (C, X, Y, Z), the evidence.
        tissue: (X, Y, Z), voxels that the loss counts.
        tmax_s: float32 (X, Y, Z), Tmax in s.
        closed: Whether at least half a millilitre of tissue is hypoperfused.
        opened: Whether no artery is closed; one may be closed without hypoperfusion.
    """

    channels: np.ndarray
    tissue: Mask
    tmax_s: Volume
    closed: bool
    opened: bool


_LEAST_VOXELS = 8  # half a millilitre of hypoperfusion
_HYPOPERFUSED_S = 6.0
_PROXIMAL = ("ICA", "M1", "basilar")
_MOST_FALSE = 0.75
_TERRITORY_OF_SITE = {"ACA": 0, "PCA": 2}  # rows of the flow; the others are 1, the MCA
_MOST_CUT = 9  # slices of 4 mm


def sample_example(
    maps: StrokeMaps, number: int, rng: np.random.Generator, config: EmissionConfig, *, exact: bool = False
) -> PerfusionExample:
    """One stroke of a head with imitated evidence.

    Args:
        maps: The strokes of a head.
        number: Which of them.
        rng: Source of every random choice.
        config: How evidence is imitated.
        exact: Leave the head where the atlas has it, and do not exchange left and right.
    """
    facts = maps.facts[number]
    place = _identity() if exact else _sample_place(rng, config)
    flipped = not exact and rng.random() < 0.5
    tissue = _moved(maps.tissue.astype(np.float32), place) > 0.5
    tmax, infarct = (_moved(maps.volume(values[number]), place) for values in (maps.tmax_s, maps.infarct))
    clots = facts.clots_mm + _shift_at(place, facts.clots_mm)
    flow = _sample_flow(facts, rng, config)
    if flipped:
        tissue, tmax, infarct = (np.ascontiguousarray(v[::-1]) for v in (tissue, tmax, infarct))
        clots, flow = clots * np.array([-1.0, 1.0, 1.0]), -flow
    view = _sample_view(tissue, rng, config)
    sought = rng.random() < config.clots_sought
    aged, known = _sample_hours(facts, rng, config)
    evidence = Evidence(
        _in_view(tissue) * view,
        _sample_lesion(infarct, tissue, rng, config) * view,
        _sample_clots(clots, facts.sites, rng, config) * view if sought else None,
        flow if sought and rng.random() < config.flow_measured else None,
        aged,
        known,
    )
    seen_tissue = tissue & (view > 0)
    closed = int(np.count_nonzero(tmax[tissue] > _HYPOPERFUSED_S)) >= _LEAST_VOXELS
    return PerfusionExample(evidence.channels(), seen_tissue, tmax, closed, facts.is_open)


def _identity() -> np.ndarray:
    return np.zeros((3, *ATLAS_GRID.shape))


def _sample_place(rng: np.random.Generator, config: EmissionConfig) -> np.ndarray:
    """The displacement of each voxel in voxels, (3, X, Y, Z): where its content comes from."""
    x, y, z = rng.normal(0.0, config.turn_rad, 3)
    turn = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    matrix = turn + np.diag(rng.normal(0.0, config.scale, 3))
    index = np.indices(ATLAS_GRID.shape, dtype=np.float64) - _CENTRE[:, None, None, None]
    place = np.tensordot(matrix, index, axes=1)
    place += (rng.normal(0.0, config.shift_mm, 3) / SPACING_MM)[:, None, None, None]
    coarse = rng.normal(0.0, config.bend_mm / SPACING_MM, (3, 6, 7, 6))
    zoom = [n / m for n, m in zip(ATLAS_GRID.shape, coarse.shape[1:], strict=True)]
    return place + np.stack([ndimage.zoom(c, zoom, order=1, mode="nearest", grid_mode=True) for c in coarse])


def _moved(volume: Volume, place: np.ndarray) -> Volume:
    if not place.any():
        return volume
    at = np.indices(volume.shape, dtype=np.float64) + place
    return np.asarray(ndimage.map_coordinates(volume, at, order=1, mode="constant"), dtype=np.float32)


def _shift_at(place: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    """The shift of points in mm, (K, 3); content moves against the displacement of voxels."""
    if not len(points_mm):
        return np.zeros((0, 3))
    at = ATLAS_GRID.index(points_mm).T
    return -SPACING_MM * np.stack([ndimage.map_coordinates(c, at, order=1, mode="nearest") for c in place], axis=1)


def _in_view(tissue: Mask) -> Volume:
    """The brain, whose mask holds the fluid between tissue too."""
    return ndimage.binary_closing(tissue, iterations=2).astype(np.float32)


def _sample_view(tissue: Mask, rng: np.random.Generator, config: EmissionConfig) -> Volume:
    """The part of the head in view, 0 or 1: some slices may be missing at the top or at the base of the brain."""
    view = np.ones(ATLAS_GRID.shape, np.float32)
    slices = np.flatnonzero(tissue.any(axis=(0, 1)))
    if rng.random() < config.cut and len(slices):
        missing = int(rng.integers(1, _MOST_CUT))
        if rng.random() < 0.5:
            view[:, :, : slices[0] + missing] = 0.0
        else:
            view[:, :, slices[-1] + 1 - missing :] = 0.0
    return view


def _sample_lesion(infarct: Volume, tissue: Mask, rng: np.random.Generator, config: EmissionConfig) -> Volume:
    """The probability of the lesion as a network gives it."""
    lesion = ndimage.gaussian_filter(infarct, rng.uniform(0.0, config.lesion_blur))
    if rng.random() < config.lesion_missed:
        level = rng.uniform(-0.5, 1.5)
        texture = ndimage.gaussian_filter(rng.standard_normal(infarct.shape, dtype=np.float32), 2.5)
        lesion = lesion * (texture / max(float(texture.std()), 1e-6) < level)
    for _ in range(rng.poisson(config.false_lesions)):
        voxels = np.argwhere(tissue)
        centre = voxels[rng.integers(len(voxels))] if len(voxels) else np.zeros(3, dtype=int)
        part = tuple(slice(max(c, 0), c + int(rng.integers(1, 3))) for c in centre)
        lesion[part] = np.maximum(lesion[part], np.float32(rng.uniform(0.2, 0.8)))
    centre, steepness = rng.normal(0.5, 0.08), rng.uniform(6.0, 14.0)
    sharpened = 1.0 / (1.0 + np.exp(-steepness * (lesion - centre)))
    floor = 1.0 / (1.0 + np.exp(steepness * centre))
    return np.clip((sharpened - floor) / (1.0 - floor), 0.0, 1.0).astype(np.float32) * (lesion > 0.02)


def _sample_clots(
    clots_mm: np.ndarray, sites: tuple[str, ...], rng: np.random.Generator, config: EmissionConfig
) -> Volume:
    """The probability of a clot as the networks give it, with false candidates along the vessels."""
    out = np.zeros(ATLAS_GRID.shape, np.float32)
    for place, site in zip(clots_mm, sites, strict=True):
        kind = 0 if site in _PROXIMAL else 1
        if rng.random() < config.clot_found[kind]:
            _put(out, place + rng.normal(0.0, config.clot_error_mm, 3), rng.uniform(*config.clot_level[kind]), rng)
    vessels = np.argwhere(vessel_atlas().probability.max(axis=0) > 0.3)
    for _ in range(rng.poisson(config.false_clots)):
        place = vessel_atlas().grid.world_mm(vessels[rng.integers(len(vessels))][None])[0]
        _put(out, place, min(float(rng.exponential(config.false_level)), _MOST_FALSE), rng)
    return out


def _put(volume: Volume, place_mm: np.ndarray, peak: float, rng: np.random.Generator) -> None:
    """Puts a clot of one to three voxels at a place."""
    index = np.rint(ATLAS_GRID.index(place_mm[None])[0]).astype(int)
    for _ in range(int(rng.integers(1, 4))):
        at = np.clip(index, 0, np.array(volume.shape) - 1)
        volume[tuple(at)] = max(float(volume[tuple(at)]), peak)
        index = index + rng.integers(-1, 2, 3)
        peak *= float(rng.uniform(0.6, 1.0))


def _sample_flow(facts: StrokeFacts, rng: np.random.Generator, config: EmissionConfig) -> np.ndarray:
    """The asymmetry of distal flow as the cue measures it, (3,); nan outside the angiography."""
    behind = {site: (low, high) for site, low, high in config.flow_behind}
    visible = np.clip(1.0 - 2.0 * (1.0 - facts.flow), 0.0, 1.0)
    for site in facts.sites:
        if site in behind:
            row = _TERRITORY_OF_SITE.get(site, 1)
            side = int(facts.flow[row].argmin())
            if facts.flow[row, side] < 1.0:
                visible[row, side] = rng.uniform(*behind[site])
    right, left = visible[:, 0], visible[:, 1]
    measured = (right - left) / np.maximum(right + left, 1e-6) + rng.normal(0.0, config.flow_noise)
    measured[rng.random(3) < config.flow_missing] = np.nan
    return np.clip(measured, -1.0, 1.0)


def _sample_hours(facts: StrokeFacts, rng: np.random.Generator, config: EmissionConfig) -> tuple[float | None, bool]:
    """The logarithm of the hours since onset, and whether it is known."""
    if rng.random() < config.onset_known:
        return log(facts.hours), True
    if rng.random() >= config.age_estimated:
        return None, False
    deviation = config.age_shrinkage * (log(facts.hours) - config.age_centre)
    return config.age_centre + deviation + float(rng.normal(0.0, config.age_noise)), False
