"""Territories: known places of the brain belong to the arteries that supply them anatomically."""

import numpy as np
import pytest

from adumbra.core.atlas.territories import TERRITORY_LABELS, territory_atlas
from adumbra.phantom.vasculature.arteries import TERRITORIES, grow_arteries
from adumbra.phantom.vasculature.territories import LABELS, atlas, end_labels, labelled_territories, nearest_ends

# MNI mm of the right side, in the middle of each territory.
KNOWN = {
    "MCA": [(52, -10, 34), (44, 8, -22), (38, -2, 2), (24, 2, 6)],  # hand area, temporal pole, insula, putamen
    "ACA": [(6, 44, 24), (6, 10, 56), (8, 22, 26)],  # medial frontal, supplementary motor, anterior cingulum
    "PCA": [(8, -82, 4), (10, -18, 8), (30, -52, -10)],  # calcarine cortex, thalamus, fusiform gyrus
    "vertebrobasilar": [(24, -64, -38), (5, -28, -34)],  # cerebellum, pons
}


def at(point: tuple[float, float, float]) -> int:
    labels, grid = atlas()
    i, j, k = np.rint(grid.index(np.array(point, dtype=np.float64))).astype(int)
    around = labels[i - 1 : i + 2, j - 1 : j + 2, k - 1 : k + 2].ravel()
    return int(np.bincount(around[around > 0]).argmax())


@pytest.mark.parametrize("name", KNOWN)
def test_known_places_belong_to_their_arteries_on_both_sides(name: str) -> None:
    for x, y, z in KNOWN[name]:
        assert at((x, y, z)) == LABELS[f"{name} right"], (x, y, z)
        assert at((-x, y, z)) == LABELS[f"{name} left"], (-x, y, z)


def test_every_voxel_of_tissue_has_a_territory_and_nothing_else_has() -> None:
    labels, grid = atlas()
    assert labels.dtype == np.int16
    assert set(np.unique(labels)) == {0, *LABELS.values()}
    assert len(LABELS) == 2 * len(TERRITORIES)
    assert 1300 < np.count_nonzero(labels) * grid.voxel_ml < 1900


def test_the_atlas_of_the_package_is_the_same() -> None:
    labels, grid = atlas()
    stored, stored_grid = territory_atlas()
    assert LABELS == TERRITORY_LABELS
    assert np.array_equal(stored, labels)
    assert stored.dtype == labels.dtype
    assert stored_grid.coincides(grid)


def test_sides_are_alike_and_do_not_mix() -> None:
    labels, grid = atlas()
    for name in TERRITORIES:
        volumes = [np.count_nonzero(labels == LABELS[f"{name} {side}"]) for side in ("right", "left")]
        assert volumes[0] == pytest.approx(volumes[1], rel=0.03), name
    x = grid.world_mm(np.argwhere(labels % 2 == 1))[:, 0]  # odd labels are those of the right
    assert (x > -6).all()


def test_the_label_of_a_voxel_is_that_of_its_nearest_end() -> None:
    tree = grow_arteries()[0]
    tissue = np.ones((2, 1, 1), dtype=bool)
    places = np.array([tree.points_mm[tree.ends[5]], tree.points_mm[tree.ends[-7]]])
    nearest = nearest_ends(tree, places)
    assert nearest.tolist() == [5, len(tree.ends) - 7]
    assert labelled_territories(tree, tissue, nearest).ravel().tolist() == end_labels(tree)[[5, -7]].tolist()
