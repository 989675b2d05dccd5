"""Redundancy, unique information and synergy around a region, on images whose answer is known."""

import json

import numpy as np
import pytest
from scipy import ndimage

from adumbra.clinic.shared_information import TOO_FEW_VOXELS, SharedInformation
from adumbra.clinical_summary.modality_information import LEAST_VOXELS, shared_information, surroundings
from adumbra.core.geometry.grid import Grid
from worklist_cases import maps_of

GRID = Grid((60, 60, 20), np.diag([2.0, 2.0, 2.0, 1.0]))
BRAIN = np.zeros(GRID.shape, dtype=bool)
BRAIN[3:57, 3:57, 1:19] = True
REGION = np.zeros(GRID.shape, dtype=bool)
REGION[20:28, 20:28, 8:12] = True


def smooth(seed: int) -> np.ndarray:
    """Noise that is smooth over three voxels, as images are."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=GRID.shape), 1.0)
    return (noise / noise.std()).astype(np.float32)


def information(probability: np.ndarray, dwi: np.ndarray, adc: np.ndarray) -> SharedInformation:
    maps = maps_of(probability, grid=GRID)
    scans = {"dwi": dwi, "adc": adc}
    (row,) = shared_information(np.flatnonzero(REGION), maps, scans, brain=BRAIN, reference="dwi")
    return row


def test_images_without_a_relation_tell_nothing_above_the_null_level_on_average() -> None:
    """The plug-in estimate is above 0 throughout, and so is its null level."""
    rows = [information(1.0 / (1.0 + np.exp(-3.0 * smooth(s))), smooth(s + 50), smooth(s + 90)) for s in range(12)]
    joint = [sum(atom.bits for atom in row.atoms.values()) for row in rows]
    null = [sum(atom.null_mean for atom in row.atoms.values()) for row in rows]
    assert min(joint) > 0.0
    assert np.mean(joint) == pytest.approx(np.mean(null), rel=0.35)
    above = [atom.exceeds_null for row in rows for atom in row.atoms.values()]
    assert np.mean(above) < 0.2


def test_two_copies_are_redundant() -> None:
    dwi = smooth(1)
    row = information((dwi > 0.0) * 0.9 + 0.05, dwi, dwi + np.float32(5.0))
    assert row.atoms["redundancy"].bits > 0.3
    assert row.atoms["redundancy"].exceeds_null
    assert max(row.atoms[name].bits for name in ("unique_first", "unique_second", "synergy")) < 0.02
    assert row.sentence.startswith("DWI and ADC: both tell the same 0.")


def test_one_image_alone_has_unique_information() -> None:
    adc = smooth(2)
    row = information((adc > 0.0) * 0.9 + 0.05, smooth(3), adc)
    assert row.atoms["unique_second"].bits > 0.25
    assert not row.atoms["unique_first"].exceeds_null
    assert "ADC alone tells" in row.sentence


def test_a_difference_of_signs_is_synergy() -> None:
    dwi, adc = smooth(4), smooth(5)
    row = information(((dwi > 0.0) != (adc > 0.0)) * 0.9 + 0.05, dwi, adc)
    assert row.atoms["synergy"].bits > 0.1
    assert row.atoms["synergy"].bits > 4.0 * max(row.atoms[n].bits for n in ("redundancy", "unique_first"))
    assert "only both together tell" in row.sentence
    assert sum(atom.bits for atom in row.atoms.values()) <= row.target_bits
    json.dumps(row.as_json(), allow_nan=False)


def test_of_a_small_region_nothing_is_stated() -> None:
    maps = maps_of(np.full(GRID.shape, 0.4), grid=GRID)
    scans = {"dwi": smooth(6), "adc": smooth(7)}
    tiny = np.array([np.ravel_multi_index((30, 30, 10), GRID.shape)])
    (row,) = shared_information(tiny, maps, scans, brain=BRAIN, reference="dwi")
    assert row.independent_voxels < LEAST_VOXELS
    assert row.atoms == {}
    assert TOO_FEW_VOXELS in row.sentence


def test_a_finer_grid_has_no_more_independent_voxels() -> None:
    fine = Grid((120, 120, 40), np.diag([1.0, 1.0, 1.0, 1.0]))
    region = np.flatnonzero(np.kron(REGION, np.ones((2, 2, 2), dtype=bool)))
    brain = np.kron(BRAIN, np.ones((2, 2, 2), dtype=bool))
    count = len(surroundings(region, fine, brain)) * fine.voxel_ml
    assert count == pytest.approx(len(surroundings(np.flatnonzero(REGION), GRID, BRAIN)) * GRID.voxel_ml, rel=0.25)
