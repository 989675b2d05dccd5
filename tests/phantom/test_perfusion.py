"""Delay, hypoperfusion and core: what must hold whatever was drawn."""

import numpy as np
import pytest

from adumbra.phantom.arteries import arteries, skeleton, territory
from adumbra.phantom.clot import drawn_clot
from adumbra.phantom.perfusion import HYPOPERFUSED_S, Collaterals, closed_off, core, delay, tmax
from adumbra.phantom.territories import nearest_ends
from adumbra.phantom.vessels import Tree
from adumbra.space.grid import Grid


@pytest.fixture(scope="module")
def tree() -> Tree:
    return arteries()[0]


def clot_at(tree: Tree, site: str, side: str = "R"):
    """A clot on the wanted side."""
    for seed in range(50):
        clot = drawn_clot(np.random.default_rng(seed), tree, site=site)
        if (clot.points_mm[0, 0] > 0) == (side == "R") and set(tree.segment[clot.nodes]) <= set(
            np.flatnonzero([name.startswith(site) for name in tree.names])
        ):
            return clot
    raise AssertionError("no seed gave one")


def territories(tree: Tree, nodes: np.ndarray) -> set[str]:
    return {territory(tree.names[i]) for i in np.unique(tree.segment[nodes])} - {""}


def test_a_healthy_brain_is_fed_in_time(tree: Tree) -> None:
    healthy = delay(np.random.default_rng(0), tree, (), Collaterals(0.5))
    assert not healthy.behind.any()
    assert healthy.seconds.max() < HYPOPERFUSED_S


def test_behind_m1_lies_the_middle_cerebral_territory_of_that_side(tree: Tree) -> None:
    closed = closed_off(tree, [clot_at(tree, "M1")])
    assert territories(tree, closed) == {"MCA"}
    assert (tree.points_mm[closed, 0] > -1.6).all()


def test_the_circle_of_willis_saves_the_anterior_cerebral_territory_from_a_carotid_clot(tree: Tree) -> None:
    closed = closed_off(tree, [clot_at(tree, "ICA")])
    assert {"MCA", "AChA"} <= territories(tree, closed)
    assert not closed[tree.nodes("A2_R")].any()
    assert not closed[tree.nodes("A3_R")].any()
    assert not closed[tree.nodes("P3_R")].any()


def test_without_the_other_first_segment_it_cannot(tree: Tree) -> None:
    seed = next(s for s in range(400) if skeleton(np.random.default_rng(s))[1] == {"R": "", "L": "absent A1"})
    alone = arteries(np.random.default_rng(seed))[0]
    closed = closed_off(alone, [clot_at(alone, "ICA")])
    assert closed[alone.nodes("A3_R")].all()
    assert closed[alone.nodes("A3_L")].all()


def test_better_collaterals_delay_less_and_the_border_less_than_the_middle(tree: Tree) -> None:
    clot = clot_at(tree, "M1")
    poor, good = (delay(np.random.default_rng(0), tree, [clot], Collaterals(grade)) for grade in (0.2, 0.8))
    assert (poor.behind == good.behind).all()
    assert (poor.seconds[poor.behind] >= good.seconds[good.behind]).all()
    assert np.allclose(poor.seconds[~poor.behind], good.seconds[~good.behind])
    behind, open_ends = poor.points_mm[poor.behind], poor.points_mm[~poor.behind]
    away = np.sqrt(((behind[:, None] - open_ends[None, ::7]) ** 2).sum(axis=2)).min(axis=1)
    assert poor.seconds[poor.behind][away < 6].mean() < poor.seconds[poor.behind][away > 25].mean() - 3


@pytest.fixture(scope="module")
def slab(tree: Tree):
    """A slab of the right hemisphere at 4 mm, its clot, and which arterial end feeds each voxel."""
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (4, -60, -10)
    grid = Grid((15, 25, 12), affine)
    tissue = np.ones(grid.shape, dtype=bool)
    return grid, tissue, nearest_ends(tree, grid.world_mm(np.argwhere(tissue)))


def test_core_lies_inside_hypoperfusion_and_grows_with_time_and_poorer_collaterals(tree: Tree, slab) -> None:
    grid, tissue, end = slab
    clot, volumes = clot_at(tree, "M1"), {}
    for grade in (0.2, 0.5, 0.8):
        collaterals = Collaterals(grade)
        late = tmax(grid, tissue, end, delay(np.random.default_rng(0), tree, [clot], collaterals))
        for hours in (0.5, 4.0, 24.0, 200.0):
            dead = core(np.random.default_rng(1), grid, late, collaterals, hours=hours)
            assert dead.dtype == np.float32
            assert dead.min() >= 0
            assert dead.max() <= 1
            assert not (dead[late <= HYPOPERFUSED_S]).any()
            volumes[grade, hours] = float(dead.sum())
    for grade in (0.2, 0.5, 0.8):
        grown = [volumes[grade, hours] for hours in (0.5, 4.0, 24.0, 200.0)]
        assert grown == sorted(grown)
        assert grown[-1] > grown[0]
    assert volumes[0.2, 4.0] > volumes[0.5, 4.0] > volumes[0.8, 4.0]


def test_tmax_is_zero_outside_tissue_and_keeps_its_mean_inside(tree: Tree, slab) -> None:
    grid, tissue, end = slab
    delays = delay(np.random.default_rng(0), tree, (), Collaterals(0.5))
    late = tmax(grid, tissue, end, delays)
    assert late.mean() == pytest.approx(delays.seconds[end].mean(), rel=0.02)
    half = tissue.copy()
    half[8:] = False
    assert not tmax(grid, half, end[half.ravel()], delays)[8:].any()
