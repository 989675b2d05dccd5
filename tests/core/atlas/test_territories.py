"""Territories at places in MNI152 space: the tissue, what is near it, and the border zones."""

import numpy as np

from adumbra.core.atlas.territories import (
    BORDER_ZONE_MM,
    REACH_MM,
    TERRITORY_LABELS,
    border_zones_at,
    reached_territories_at,
    territories_at,
    territory_atlas,
)


def places(mask: np.ndarray) -> np.ndarray:
    return territory_atlas()[1].world_mm(np.argwhere(mask)).T


def test_the_voxels_of_the_atlas_have_their_labels_and_places_beyond_it_have_none() -> None:
    labels, _ = territory_atlas()
    np.testing.assert_array_equal(territories_at(places(labels > 0)), labels[labels > 0])
    np.testing.assert_array_equal(reached_territories_at(places(labels > 0)), labels[labels > 0])
    assert territories_at(np.full((3, 2, 2), 500.0)).tolist() == [[0, 0], [0, 0]]


def test_a_place_near_the_tissue_has_its_nearest_label_and_a_far_one_has_none() -> None:
    labels, grid = territory_atlas()
    x = int(np.flatnonzero((labels > 0).any(axis=(1, 2)))[-1])  # The outermost voxel on the right.
    j, k = np.argwhere(labels[x] > 0)[0]
    edge = grid.world_mm(np.array([x, j, k]))
    out = np.array([[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [14.0, 0.0, 0.0]])
    reached = reached_territories_at((edge + out).T)
    assert reached.tolist() == [labels[x, j, k], labels[x, j, k], 0]
    assert territories_at((edge + out).T).tolist() == [labels[x, j, k], 0, 0]
    assert REACH_MM == 5.0


def test_the_border_zone_is_near_another_territory_and_not_at_the_midline_alone() -> None:
    labels, grid = territory_atlas()
    zone = border_zones_at(places(labels > 0))
    assert 0.05 < zone.mean() < 0.5
    # Between ACA and MCA there is a place; the falx, where right and left of the ACA meet, is none.
    medial = np.array([[0.0, 48.0, 20.0], [1.0, 40.0, 30.0]]).T
    assert not border_zones_at(medial).any()
    j, k = (int(n) for n in np.rint(grid.index((0, 10, 40)))[1:])
    line = labels[60:, j, k]
    border = int(np.flatnonzero((line[:-1] == TERRITORY_LABELS["ACA right"]) & (line[1:] != line[:-1]))[-1]) + 60
    near = grid.world_mm(np.array([[border - 1, j, k], [border + 1, j, k]])).T
    assert border_zones_at(near).all()
    assert BORDER_ZONE_MM == 5.0
