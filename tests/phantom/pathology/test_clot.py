"""Clots: continuity in one artery, then sites, lengths and vessel signs over many seeds."""

from itertools import pairwise

import numpy as np
import pytest

from adumbra.phantom.pathology.clot import SEVERAL_CLOTS, SITES, Clot, sample_clot, sample_clot_at, sample_clots
from adumbra.phantom.vasculature.arteries import grow_arteries
from adumbra.phantom.vasculature.vessels import Tree


@pytest.fixture(scope="module")
def tree() -> Tree:
    return grow_arteries()[0]


@pytest.fixture(scope="module")
def many(tree: Tree) -> list[tuple[Clot, ...]]:
    return [sample_clots(np.random.default_rng(seed), tree) for seed in range(400)]


@pytest.mark.parametrize("site", SITES)
def test_a_clot_fills_one_artery_without_a_gap(tree: Tree, site: str) -> None:
    for seed in range(5):
        clot = sample_clot(np.random.default_rng(seed), tree, site=site)
        assert all(tree.parent[b] == a for a, b in pairwise(clot.nodes))
        assert clot.site == site
        assert np.linalg.norm(np.diff(clot.points_mm, axis=0), axis=1).max() < 12.0
        assert (clot.radius_mm > 0.2).all()
        np.testing.assert_allclose(clot.points_mm[0], tree.points_mm[clot.nodes[0]])


def test_a_clot_of_the_carotid_lies_at_its_end_and_may_reach_the_middle_cerebral_artery(tree: Tree) -> None:
    reached = set()
    for seed in range(30):
        clot = sample_clot(np.random.default_rng(seed), tree, site="ICA")
        assert clot.points_mm[0, 2] > -32
        reached |= {tree.names[i].split("_")[0] for i in tree.segment[clot.nodes]}
    assert reached >= {"ICA", "M1"}


def test_lengths_are_log_normal_about_ten_millimetres(many: list[tuple[Clot, ...]]) -> None:
    lengths = np.array([case[0].length_mm for case in many])
    assert 9.0 <= np.median(lengths) <= 12.0
    assert np.log(lengths).std() == pytest.approx(0.5, abs=0.08)
    assert lengths.min() >= 1.9


def test_length_is_not_rounded_to_the_nodes(many: list[tuple[Clot, ...]]) -> None:
    ends = [np.linalg.norm(case[0].points_mm[-1] - case[0].points_mm[-2]) for case in many]
    assert np.ptp(ends) > 0.5


def test_the_vessel_sign_is_as_frequent_as_published(many: list[tuple[Clot, ...]]) -> None:
    assert 0.78 <= np.mean([case[0].has_vessel_sign for case in many]) <= 0.87
    assert all(clot.red > 0.45 for case in many for clot in case if clot.layered)


def test_sites_and_several_clots_have_their_frequencies(many: list[tuple[Clot, ...]]) -> None:
    sites = [case[0].site for case in many]
    for site, probability in SITES.items():
        assert np.mean([s == site for s in sites]) == pytest.approx(probability, abs=0.06), site
    assert sum(SITES.values()) == pytest.approx(1.0)
    assert np.mean([len(case) > 1 for case in many]) == pytest.approx(SEVERAL_CLOTS, abs=0.04)


def test_further_clots_lie_downstream_of_the_first(tree: Tree, many: list[tuple[Clot, ...]]) -> None:
    for first, *more in (case for case in many if len(case) > 1):
        filled = np.zeros(len(tree.parent), dtype=bool)
        filled[first.nodes] = True
        assert all(tree.downstream(filled)[clot.nodes].all() for clot in more)


def test_further_clots_are_named_by_the_artery_of_their_proximal_end(tree: Tree) -> None:
    further = [clot for seed in range(1500) for clot in sample_clots(np.random.default_rng(seed), tree)[1:]]
    first_word = {"M1": "M1", "M2": "M2", "M3": "M3+", "M4": "M3+", "PCA": "PCA", "basilar": "basilar"}
    assert len(further) > 50
    for clot in further:
        name = tree.names[tree.segment[clot.nodes[0]]].split("_")[0].split(" ")[0]
        assert clot.site == first_word.get(name, clot.site), name
        assert (clot.site == "M3+") == (name in ("M3", "M4")), name
    assert {clot.site for clot in further} > {"M3+", "PCA"}


def test_emboli_follow_the_flow(tree: Tree) -> None:
    """Larger branches of a site have more clots."""
    starts = [sample_clot(np.random.default_rng(seed), tree, site="M3+").nodes[0] for seed in range(150)]
    named = np.isin(tree.segment, [i for i, n in enumerate(tree.names) if n.startswith(("M3 ", "M4_"))])
    places = named & (tree.radius_mm > 0.35)
    assert np.median(tree.supplied_ml[starts]) > 1.3 * np.median(tree.supplied_ml[places])


def test_a_clot_has_a_node_for_each_point_where_it_is_extended_towards_the_root() -> None:
    """Steps of 8 mm, then two of 0.5 mm: from node 2 on there is 1 mm, and one step to the root adds 8 mm too much."""
    along = np.array([0.0, 8.0, 8.5, 9.0])
    points = np.c_[along, np.zeros((4, 2))]
    tree = Tree(points, np.arange(4) - 1, np.full(4, 1.0), np.ones(4), np.zeros(4, np.intp), ("M1_left",))
    for seed in range(20):
        clot = sample_clot_at(np.random.default_rng(seed), tree, 2)
        assert len(clot.nodes) == len(clot.points_mm) == len(clot.radius_mm)
        assert np.allclose(clot.points_mm[:-1], points[clot.nodes[:-1]])
