"""Delay, hypoperfusion and core: properties of every simulated occlusion."""

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.phantom.pathology.clot import sample_clot, sample_clot_at
from adumbra.phantom.pathology.perfusion import (
    HYPOPERFUSED_S,
    CollateralRoutes,
    Collaterals,
    closed_off,
    collateral_flow,
    collateral_routes,
    critical_flow,
    infarct_core,
    occluded_nodes,
    perfusion_maps,
    reroute,
    sample_collateral_variation,
    sample_collaterals,
)
from adumbra.phantom.vasculature.arteries import grow_arteries, skeleton, territory
from adumbra.phantom.vasculature.territories import nearest_ends
from adumbra.phantom.vasculature.vessels import Tree


@pytest.fixture(scope="module")
def tree() -> Tree:
    return grow_arteries()[0]


def clot_at(tree: Tree, site: str, side: str = "R"):
    """A clot on the given side."""
    for seed in range(50):
        clot = sample_clot(np.random.default_rng(seed), tree, site=site)
        if (clot.points_mm[0, 0] > 0) == (side == "R") and set(tree.segment[clot.nodes]) <= set(
            np.flatnonzero([name.startswith(site) for name in tree.names])
        ):
            return clot
    raise AssertionError("no seed gave one")


def territories(tree: Tree, nodes: np.ndarray) -> set[str]:
    return {territory(tree.names[i]) for i in np.unique(tree.segment[nodes])} - {""}


def test_without_a_clot_the_flow_is_normal(tree: Tree) -> None:
    routes = collateral_routes(tree, ())
    assert not routes.behind.any()
    assert not routes.away_mm.any()
    assert (collateral_flow(routes, Collaterals(0.5)) == 1).all()


def test_flow_falls_by_e_over_the_reach_and_is_minimal_in_end_arteries() -> None:
    """A grade of one half reaches 30 mm; at twice the distance the flow is the square."""
    yes, no = np.ones(4, bool), np.zeros(4, bool)
    routes = CollateralRoutes(
        np.zeros((4, 3)), yes, np.array([0.0, 30.0, 60.0, 30.0]), np.array([False, False, False, True])
    )
    flow = collateral_flow(routes, Collaterals(0.5))
    assert flow[:3] == pytest.approx(np.exp([0.0, -1.0, -2.0]))
    assert flow[3] < 0.1
    assert collateral_flow(routes, Collaterals(0.5), variation=np.array([1.0, 2.0, 1.0, 1.0]))[1] == pytest.approx(
        np.exp(-0.5)
    )
    assert (
        collateral_flow(CollateralRoutes(routes.points_mm, no, routes.away_mm, routes.terminal), Collaterals(0.5)) == 1
    ).all()


@pytest.mark.parametrize("grade", [0.0, 1.0])
def test_the_ends_of_the_scale_of_collaterals(grade: float) -> None:
    routes = CollateralRoutes(np.zeros((1, 3)), np.ones(1, bool), np.array([40.0]), np.zeros(1, bool))
    assert collateral_flow(routes, Collaterals(grade))[0] == pytest.approx(grade, abs=0.01)


def test_grades_are_moderate_to_good_in_most() -> None:
    rng = np.random.default_rng(0)
    grades = [sample_collaterals(rng).grade for _ in range(500)]
    assert 0.5 < np.median(grades) < 0.7
    assert 0.15 < np.mean(np.array(grades) < 0.45) < 0.35


def test_anastomoses_differ_from_place_to_place_and_not_within_millimetres(tree: Tree) -> None:
    points = tree.points_mm[tree.ends]
    factor = sample_collateral_variation(np.random.default_rng(0), points)
    assert (factor > 0).all()
    assert np.log(factor).std() == pytest.approx(0.4, abs=0.1)
    order = np.lexsort(points.T)
    beside = np.linalg.norm(np.diff(points[order], axis=0), axis=1) < 4
    assert np.abs(np.diff(np.log(factor[order]))[beside]).mean() < 0.15


def test_behind_m1_lies_the_middle_cerebral_territory_of_that_side(tree: Tree) -> None:
    closed = closed_off(tree, [clot_at(tree, "M1")])
    assert territories(tree, closed) == {"MCA"}
    assert (tree.points_mm[closed, 0] > -1.6).all()


def test_the_circle_of_willis_supplies_the_anterior_cerebral_territory_behind_a_carotid_clot(tree: Tree) -> None:
    closed = closed_off(tree, [clot_at(tree, "ICA")])
    assert {"MCA", "AChA"} <= territories(tree, closed)
    assert not closed[tree.nodes("A2_R")].any()
    assert not closed[tree.nodes("A3_R")].any()
    assert not closed[tree.nodes("P3_R")].any()


def test_without_the_other_first_segment_it_is_closed_off(tree: Tree) -> None:
    seed = next(s for s in range(400) if skeleton(np.random.default_rng(s))[1] == {"R": "", "L": "absent A1"})
    alone = grow_arteries(np.random.default_rng(seed))[0]
    closed = closed_off(alone, [clot_at(alone, "ICA")])
    assert closed[alone.nodes("A3_R")].all()
    assert closed[alone.nodes("A3_L")].all()


def test_a_rerouted_artery_is_the_child_of_its_supplying_artery(tree: Tree) -> None:
    clot = clot_at(tree, "ICA")
    now = reroute(tree, [clot])
    assert (now.parent < np.arange(len(now.parent))).all()
    gate = tree.nodes("A2_R")[0]
    assert tree.names[tree.segment[now.parent[gate]]] == "A1_L"
    assert (np.delete(now.parent, gate) == np.delete(tree.parent, gate)).all()
    assert (reroute(tree, ()).parent == tree.parent).all()


def test_behind_a_clot_flow_is_higher_at_the_border_and_minimal_in_perforators(tree: Tree) -> None:
    routes = collateral_routes(tree, [clot_at(tree, "M1")])
    poor, good = (collateral_flow(routes, Collaterals(grade)) for grade in (0.2, 0.8))
    assert (poor[routes.behind] <= good[routes.behind]).all()
    assert (poor[~routes.behind] == 1).all()
    pial = routes.behind & ~routes.terminal
    assert poor[pial & (routes.away_mm < 18)].mean() > 4 * poor[pial & (routes.away_mm > 34)].mean()
    assert good[routes.behind & routes.terminal].max() < 0.1


def test_anastomoses_within_one_artery_are_weaker(tree: Tree) -> None:
    """Next to open tissue: some 24 mm within the middle cerebral artery, 12 to the anterior and posterior."""
    inner = collateral_routes(
        tree, [sample_clot_at(np.random.default_rng(0), tree, int(tree.nodes("M3 central_R")[5]))]
    )
    trunk = collateral_routes(tree, [clot_at(tree, "M1")])
    assert np.median(inner.away_mm[inner.behind]) > 24
    assert trunk.away_mm[trunk.behind & ~trunk.terminal].min() < 16


def test_beyond_an_occluded_branch_there_is_no_collateral_flow(tree: Tree) -> None:
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
    """A slab of the right hemisphere at 4 mm, its clot, and which arterial end supplies each voxel."""
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = (4, -60, -10)
    grid = Grid((15, 25, 12), affine)
    tissue = np.ones(grid.shape, dtype=bool)
    return grid, tissue, nearest_ends(tree, grid.world_mm(np.argwhere(tissue)))


def perfusion_of(slab, flow: np.ndarray, *, tissue: np.ndarray | None = None):
    grid, whole, end = slab
    mask = whole if tissue is None else tissue
    return perfusion_maps(np.random.default_rng(0), grid, mask, end[mask.ravel()], flow)


def test_a_healthy_brain_has_no_delay(tree: Tree, slab) -> None:
    healthy = perfusion_of(slab, np.ones(len(tree.ends)))
    assert healthy.tmax_s.max() < HYPOPERFUSED_S
    assert healthy.tmax_s.mean() == pytest.approx(1.2, abs=0.1)
    assert healthy.flow == pytest.approx(1)


def test_tmax_follows_the_central_volume_theorem(tree: Tree, slab) -> None:
    """Half the flow takes 5 s more, a tenth 45 s, of which a perfusion map limits to 30."""
    half, tenth = (perfusion_of(slab, np.full(len(tree.ends), share)) for share in (0.5, 0.1))
    assert half.tmax_s.mean() == pytest.approx(6.2, abs=0.1)
    assert tenth.tmax_s == pytest.approx(30)


def test_there_is_no_perfusion_outside_tissue(tree: Tree, slab) -> None:
    half = np.ones(slab[0].shape, bool)
    half[8:] = False
    perfusion = perfusion_of(slab, np.full(len(tree.ends), 0.5), tissue=half)
    assert not perfusion.tmax_s[8:].any()
    assert not perfusion.flow[8:].any()
    assert perfusion.flow[:8] == pytest.approx(0.5)


def test_the_critical_flow_rises_with_the_logarithm_of_time_to_a_maximum() -> None:
    assert critical_flow(0.0) == 0
    assert 0.3 < critical_flow(200.0) == critical_flow(72.0) < 0.45
    assert critical_flow(8.0) / critical_flow(72.0) == pytest.approx(np.log(9) / np.log(73))


def test_core_lies_inside_hypoperfusion_and_grows_with_time_and_poorer_collaterals(tree: Tree, slab) -> None:
    routes, volumes = collateral_routes(tree, [clot_at(tree, "M1")]), {}
    for grade in (0.3, 0.5, 0.8):
        perfusion = perfusion_of(slab, collateral_flow(routes, Collaterals(grade)))
        for hours in (0.5, 4.0, 24.0, 200.0):
            core = infarct_core(np.random.default_rng(1), slab[0], perfusion, hours=hours)
            assert core.dtype == np.float32
            assert core.min() >= 0
            assert core.max() <= 1
            assert not (core[perfusion.tmax_s <= HYPOPERFUSED_S]).any()
            volumes[grade, hours] = float(core.sum())
    for grade in (0.3, 0.5, 0.8):
        grown = [volumes[grade, hours] for hours in (0.5, 4.0, 24.0, 200.0)]
        assert grown == sorted(grown)
        assert grown[-1] > grown[0]
    assert volumes[0.3, 4.0] > volumes[0.5, 4.0] > volumes[0.8, 4.0]


def test_clots_fill_their_nodes(tree: Tree) -> None:
    clot = clot_at(tree, "M1")
    assert np.flatnonzero(occluded_nodes(tree, [clot])).tolist() == sorted(clot.nodes.tolist())
    assert not occluded_nodes(tree, ()).any()
