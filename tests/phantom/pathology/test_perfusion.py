"""Delay, hypoperfusion and core: what must hold whatever was drawn."""

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.phantom.pathology.clot import clot_from, sample_clot
from adumbra.phantom.pathology.perfusion import (
    HYPOPERFUSED_S,
    CollateralRoutes,
    Collaterals,
    closed_off,
    collateral_flow,
    collateral_routes,
    core,
    deadly_flow,
    perfused,
    plugging,
    rerouted,
    sample_collaterals,
    unevenness,
)
from adumbra.phantom.vasculature.arteries import arteries, skeleton, territory
from adumbra.phantom.vasculature.territories import nearest_ends
from adumbra.phantom.vasculature.vessels import Tree


@pytest.fixture(scope="module")
def tree() -> Tree:
    return arteries()[0]


def clot_at(tree: Tree, site: str, side: str = "R"):
    """A clot on the wanted side."""
    for seed in range(50):
        clot = sample_clot(np.random.default_rng(seed), tree, site=site)
        if (clot.points_mm[0, 0] > 0) == (side == "R") and set(tree.segment[clot.nodes]) <= set(
            np.flatnonzero([name.startswith(site) for name in tree.names])
        ):
            return clot
    raise AssertionError("no seed gave one")


def territories(tree: Tree, nodes: np.ndarray) -> set[str]:
    return {territory(tree.names[i]) for i in np.unique(tree.segment[nodes])} - {""}


def test_without_a_clot_all_blood_arrives(tree: Tree) -> None:
    ways = collateral_routes(tree, ())
    assert not ways.behind.any()
    assert not ways.away_mm.any()
    assert (collateral_flow(ways, Collaterals(0.5)) == 1).all()


def test_flow_falls_by_e_over_the_reach_and_end_arteries_get_next_to_nothing() -> None:
    """A grade of one half reaches 30 mm; twice as far off there arrives the square."""
    yes, no = np.ones(4, bool), np.zeros(4, bool)
    ways = CollateralRoutes(
        np.zeros((4, 3)), yes, np.array([0.0, 30.0, 60.0, 30.0]), np.array([False, False, False, True])
    )
    found = collateral_flow(ways, Collaterals(0.5))
    assert found[:3] == pytest.approx(np.exp([0.0, -1.0, -2.0]))
    assert found[3] < 0.1
    assert collateral_flow(ways, Collaterals(0.5), uneven=np.array([1.0, 2.0, 1.0, 1.0]))[1] == pytest.approx(
        np.exp(-0.5)
    )
    assert (
        collateral_flow(CollateralRoutes(ways.points_mm, no, ways.away_mm, ways.terminal), Collaterals(0.5)) == 1
    ).all()


@pytest.mark.parametrize("grade", [0.0, 1.0])
def test_the_ends_of_the_scale_of_collaterals(grade: float) -> None:
    ways = CollateralRoutes(np.zeros((1, 3)), np.ones(1, bool), np.array([40.0]), np.zeros(1, bool))
    assert collateral_flow(ways, Collaterals(grade))[0] == pytest.approx(grade, abs=0.01)


def test_grades_are_moderate_to_good_in_most() -> None:
    rng = np.random.default_rng(0)
    grades = [sample_collaterals(rng).grade for _ in range(500)]
    assert 0.5 < np.median(grades) < 0.7
    assert 0.15 < np.mean(np.array(grades) < 0.45) < 0.35


def test_anastomoses_differ_from_place_to_place_and_not_within_millimetres(tree: Tree) -> None:
    points = tree.points_mm[tree.ends]
    factor = unevenness(np.random.default_rng(0), points)
    assert (factor > 0).all()
    assert np.log(factor).std() == pytest.approx(0.4, abs=0.1)
    order = np.lexsort(points.T)
    beside = np.linalg.norm(np.diff(points[order], axis=0), axis=1) < 4
    assert np.abs(np.diff(np.log(factor[order]))[beside]).mean() < 0.15


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


def test_what_the_circle_of_willis_opens_hangs_from_where_it_is_fed(tree: Tree) -> None:
    clot = clot_at(tree, "ICA")
    now = rerouted(tree, [clot])
    assert (now.parent < np.arange(len(now.parent))).all()
    gate = tree.nodes("A2_R")[0]
    assert tree.names[tree.segment[now.parent[gate]]] == "A1_L"
    assert (np.delete(now.parent, gate) == np.delete(tree.parent, gate)).all()
    assert (rerouted(tree, ()).parent == tree.parent).all()


def test_behind_a_clot_the_border_gets_more_than_the_middle_and_perforators_nothing(tree: Tree) -> None:
    ways = collateral_routes(tree, [clot_at(tree, "M1")])
    poor, good = (collateral_flow(ways, Collaterals(grade)) for grade in (0.2, 0.8))
    assert (poor[ways.behind] <= good[ways.behind]).all()
    assert (poor[~ways.behind] == 1).all()
    pial = ways.behind & ~ways.terminal
    assert poor[pial & (ways.away_mm < 18)].mean() > 4 * poor[pial & (ways.away_mm > 34)].mean()
    assert good[ways.behind & ways.terminal].max() < 0.1


def test_branches_of_the_same_artery_help_each_other_less(tree: Tree) -> None:
    """Next to open tissue: some 24 mm within the middle cerebral artery, 12 to the anterior and posterior."""
    inner = collateral_routes(tree, [clot_from(np.random.default_rng(0), tree, int(tree.nodes("M3 central_R")[5]))])
    trunk = collateral_routes(tree, [clot_at(tree, "M1")])
    assert np.median(inner.away_mm[inner.behind]) > 24
    assert trunk.away_mm[trunk.behind & ~trunk.terminal].min() < 16


def test_beyond_a_plugged_twig_nothing_comes_round(tree: Tree) -> None:
    clot = clot_at(tree, "M1")
    cortical = np.array([name.startswith("M4") for name in tree.names])[tree.segment]
    small = cortical & (tree.supplied_ml > 0.3) & (tree.supplied_ml < 1)
    twig = int(np.flatnonzero(closed_off(tree, [clot]) & small)[0])
    beyond = tree.downstream(np.arange(len(tree.parent)) == twig)
    flow, whole = (
        collateral_flow(collateral_routes(tree, [clot], plugged=p), Collaterals(0.9)) for p in (beyond, None)
    )
    assert (flow[beyond[tree.ends]] < 0.1).all()
    assert (flow[~beyond[tree.ends]] == whole[~beyond[tree.ends]]).all()
    assert whole[beyond[tree.ends]].min() > 0.1


@pytest.fixture(scope="module")
def slab(tree: Tree):
    """A slab of the right hemisphere at 4 mm, its clot, and which arterial end feeds each voxel."""
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (4, -60, -10)
    grid = Grid((15, 25, 12), affine)
    tissue = np.ones(grid.shape, dtype=bool)
    return grid, tissue, nearest_ends(tree, grid.world_mm(np.argwhere(tissue)))


def perfusion_of(slab, flow: np.ndarray, *, tissue: np.ndarray | None = None):
    grid, whole, end = slab
    kept = whole if tissue is None else tissue
    return perfused(np.random.default_rng(0), grid, kept, end[kept.ravel()], flow)


def test_a_healthy_brain_is_fed_in_time(tree: Tree, slab) -> None:
    healthy = perfusion_of(slab, np.ones(len(tree.ends)))
    assert healthy.tmax_s.max() < HYPOPERFUSED_S
    assert healthy.tmax_s.mean() == pytest.approx(1.2, abs=0.1)
    assert healthy.flow == pytest.approx(1)


def test_tmax_is_late_by_the_central_volume_theorem(tree: Tree, slab) -> None:
    """Half the flow takes 5 s more, a tenth 45 s, of which a perfusion map shows no more than 30."""
    half, tenth = (perfusion_of(slab, np.full(len(tree.ends), share)) for share in (0.5, 0.1))
    assert half.tmax_s.mean() == pytest.approx(6.2, abs=0.1)
    assert tenth.tmax_s == pytest.approx(30)


def test_there_is_no_perfusion_outside_tissue(tree: Tree, slab) -> None:
    half = np.ones(slab[0].shape, bool)
    half[8:] = False
    found = perfusion_of(slab, np.full(len(tree.ends), 0.5), tissue=half)
    assert not found.tmax_s[8:].any()
    assert not found.flow[8:].any()
    assert found.flow[:8] == pytest.approx(0.5)


def test_the_deadly_flow_rises_with_the_logarithm_of_time_and_then_no_more() -> None:
    assert deadly_flow(0.0) == 0
    assert 0.3 < deadly_flow(200.0) == deadly_flow(72.0) < 0.45
    assert deadly_flow(8.0) / deadly_flow(72.0) == pytest.approx(np.log(9) / np.log(73))


def test_core_lies_inside_hypoperfusion_and_grows_with_time_and_poorer_collaterals(tree: Tree, slab) -> None:
    ways, volumes = collateral_routes(tree, [clot_at(tree, "M1")]), {}
    for grade in (0.3, 0.5, 0.8):
        found = perfusion_of(slab, collateral_flow(ways, Collaterals(grade)))
        for hours in (0.5, 4.0, 24.0, 200.0):
            dead = core(np.random.default_rng(1), slab[0], found, hours=hours)
            assert dead.dtype == np.float32
            assert dead.min() >= 0
            assert dead.max() <= 1
            assert not (dead[found.tmax_s <= HYPOPERFUSED_S]).any()
            volumes[grade, hours] = float(dead.sum())
    for grade in (0.3, 0.5, 0.8):
        grown = [volumes[grade, hours] for hours in (0.5, 4.0, 24.0, 200.0)]
        assert grown == sorted(grown)
        assert grown[-1] > grown[0]
    assert volumes[0.3, 4.0] > volumes[0.5, 4.0] > volumes[0.8, 4.0]


def test_clots_fill_their_nodes(tree: Tree) -> None:
    clot = clot_at(tree, "M1")
    assert np.flatnonzero(plugging(tree, [clot])).tolist() == sorted(clot.nodes.tolist())
    assert not plugging(tree, ()).any()
