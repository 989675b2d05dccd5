"""Uncertain voxels are cut into pieces that lie in one region and are not long."""

import numpy as np
import pytest

from adumbra.clinic.region_pieces import LONGEST_MM, SMALLEST_ML, positions_mm, uncertain_pieces
from adumbra.core.entropy import UNCERTAIN_NATS
from adumbra.core.errors import GridMismatch
from adumbra.core.geometry.grid import reorient
from atlas_cases import GRID, cube
from worklist_cases import lesion_with_rim, maps_of

EVERYWHERE = np.ones(GRID.shape, dtype=bool)


def length_mm(piece: np.ndarray, grid=GRID) -> float:
    places = positions_mm(piece, grid) - positions_mm(piece, grid).mean(axis=0)
    return float(np.ptp(places @ np.linalg.svd(places, full_matrices=False)[2][0]))


def test_a_rim_is_cut_and_no_voxel_is_lost() -> None:
    maps, _ = lesion_with_rim()
    pieces = uncertain_pieces(maps, within=EVERYWHERE)
    uncertain = np.flatnonzero(maps.entropy >= UNCERTAIN_NATS)
    np.testing.assert_array_equal(np.sort(np.concatenate(pieces)), uncertain)
    assert len(pieces) >= 4
    assert all(length_mm(piece) <= LONGEST_MM + 1e-6 for piece in pieces)
    assert len(uncertain_pieces(maps, within=EVERYWHERE, longest_mm=np.inf)) == 1


def test_the_pieces_do_not_depend_on_the_orientation() -> None:
    maps, _ = lesion_with_rim()
    expected = sorted(piece.size for piece in uncertain_pieces(maps, within=EVERYWHERE))
    probability, grid = reorient(maps.probability, GRID, "PSL")
    turned = maps_of(probability, grid=grid)
    assert sorted(p.size for p in uncertain_pieces(turned, within=np.ones(grid.shape, bool))) == expected


def test_components_are_cut_at_the_borders_of_regions() -> None:
    """16 voxels along x in a 4 mm grid; the border of two regions lies after the tenth."""
    probability = np.zeros(GRID.shape)
    probability[10:26, 20:24, 20] = 0.4
    labels = np.zeros(GRID.shape, dtype=np.int16)
    labels[20:] = 1
    pieces = uncertain_pieces(maps_of(probability), within=EVERYWHERE, labels=labels, longest_mm=np.inf)
    assert [piece.size for piece in pieces] == [40, 24]


def test_a_small_part_in_another_region_stays_with_its_component() -> None:
    probability = np.zeros(GRID.shape)
    probability[10:26, 20, 20] = 0.4
    labels = np.zeros(GRID.shape, dtype=np.int16)
    few = int(SMALLEST_ML / GRID.voxel_ml)
    labels[26 - few :] = 1
    pieces = uncertain_pieces(maps_of(probability), within=EVERYWHERE, labels=labels, longest_mm=np.inf)
    assert [piece.size for piece in pieces] == [16]


def test_what_lies_outside_is_no_piece() -> None:
    maps, _ = lesion_with_rim()
    assert uncertain_pieces(maps, within=~EVERYWHERE) == ()
    half = cube((60.0, 0.0, 20.0), 20.0)
    assert all(half.ravel()[piece].all() for piece in uncertain_pieces(maps, within=half))


def test_another_shape_is_refused() -> None:
    maps, _ = lesion_with_rim()
    with pytest.raises(GridMismatch, match="within"):
        uncertain_pieces(maps, within=EVERYWHERE[:-1])
