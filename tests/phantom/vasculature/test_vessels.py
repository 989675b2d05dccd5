"""Vessel trees: growth along a line by hand, then properties of every tree."""

import numpy as np
import pytest

from adumbra.phantom.vasculature.arteries import grow_arteries
from adumbra.phantom.vasculature.veins import grow_veins
from adumbra.phantom.vasculature.vessels import Segment, Supply, curve_through, grow_tree, share_flow


def line_supply(*x: float, demand: float = 1.0) -> Supply:
    points = np.array([[value, 0.0, 0.0] for value in x])
    return Supply(points, np.ones(len(x)), np.full(len(x), demand))


def comb() -> Supply:
    """Twenty points in a row beside the trunk of ``TRUNK``, 3 mm apart, each with a demand of 1 ml."""
    points = np.array([[3.0 * i, 4.0, 0.0] for i in range(20)])
    return Supply(points, np.ones(20), np.ones(20))


TRUNK = Segment("trunk", "", ((0.0, 0.0, 0.0), (60.0, 0.0, 0.0)), "twigs", 0.0)


def test_a_row_of_points_grows_from_the_end_of_a_trunk_one_after_the_other() -> None:
    trunk = Segment("trunk", "", ((-9.0, 0.0, 0.0), (0.0, 0.0, 0.0)), "twig", midline=True)
    tree = grow_tree([trunk], line_supply(*np.arange(2.0, 32.0, 2.0)), radius_of_a_litre_mm=10.0)
    twig = tree.nodes("twig")
    assert tree.points_mm[twig, 0].tolist() == np.arange(2.0, 32.0, 2.0).tolist()
    assert (tree.parent[twig[1:]] == twig[:-1]).all()
    assert tree.supplied_ml[twig].tolist() == list(range(15, 0, -1))
    assert tree.radius_mm[0] == pytest.approx(10.0 * (15 / 1000) ** (1 / 3))


def test_each_point_grows_from_the_trunk_where_it_is_nearest() -> None:
    tree = grow_tree([TRUNK], comb(), radius_of_a_litre_mm=10.0)
    twigs = tree.nodes("twigs")
    assert len(twigs) == 20
    assert (np.abs(tree.points_mm[twigs, 0] - tree.points_mm[tree.parent[twigs], 0]) <= 0.76).all()
    assert tree.supplied_ml[0] == pytest.approx(20.0)


def test_points_without_demand_are_reached_only_on_the_way_to_others() -> None:
    points = np.array([[3.0 * i, 0.0, 0.0] for i in range(1, 9)])
    demand = np.where(np.arange(8) == 5, 2.0, 0.0)
    trunk = Segment("trunk", "", ((-3.0, 0.0, 0.0), (0.0, 0.0, 0.0)), "twig", midline=True)
    tree = grow_tree([trunk], Supply(points, np.ones(8), demand), radius_of_a_litre_mm=10.0)
    assert tree.points_mm[tree.nodes("twig"), 0].tolist() == [3.0, 6.0, 9.0, 12.0, 15.0, 18.0]
    assert (tree.supplied_ml[tree.nodes("twig")] == 2.0).all()


def test_nothing_crosses_the_falx() -> None:
    points = np.array([[x, y, 0.0] for x in (-6.0, -3.0, 3.0, 6.0) for y in np.arange(0.0, 42.0, 3.0)])
    right = Segment("right", "", ((6.0, -6.0, 0.0), (6.0, 0.0, 0.0)), "right")
    left = Segment("left", "", ((-6.0, -6.0, 0.0), (-6.0, 0.0, 0.0)), "left", reluctance=500.0)
    tree = grow_tree(
        [right, left], Supply(points, np.ones(len(points)), np.ones(len(points))), radius_of_a_litre_mm=1.0
    )
    assert (tree.points_mm[tree.nodes("right"), 0] > 0).all()
    assert (tree.points_mm[tree.nodes("left"), 0] < 0).all()


def test_reluctance_moves_the_border_between_two_territories() -> None:
    supply = line_supply(*np.arange(2.0, 38.0, 2.0))

    def share(reluctance: float) -> int:
        one = Segment("one", "", ((-4.0, 0.0, 0.0), (0.0, 0.0, 0.0)), "one", midline=True)
        other = Segment("other", "", ((44.0, 0.0, 0.0), (40.0, 0.0, 0.0)), "other", reluctance, midline=True)
        tree = grow_tree([one, other], supply, radius_of_a_litre_mm=1.0)
        return int((tree.named("one") & (tree.points_mm[:, 0] > 0)).sum())

    assert share(0.0) < share(12.0) < share(30.0)


def test_two_vessels_that_meet_share_the_flow_and_obey_murray() -> None:
    right = Segment("right", "", ((-9.0, 3.0, 0.0), (0.0, 0.0, 0.0)))
    left = Segment("left", "", ((-9.0, -3.0, 0.0), (0.0, 0.0, 0.0)))
    common = Segment("common", "right", ((0.0, 0.0, 0.0), (9.0, 0.0, 0.0)), "twig", midline=True)
    tree = grow_tree([right, left, common], line_supply(12.0, 15.0, 18.0), radius_of_a_litre_mm=4.0)
    both = share_flow(tree, junction=int(tree.nodes("common")[0]), other=int(tree.nodes("left")[-1]), share=0.25)
    assert both.supplied_ml[tree.nodes("right")] == pytest.approx(0.75 * 3.0)
    assert both.supplied_ml[tree.nodes("left")] == pytest.approx(0.25 * 3.0)
    cubes = both.radius_mm**3
    assert cubes[tree.nodes("right")[0]] + cubes[tree.nodes("left")[0]] == pytest.approx(cubes[tree.nodes("common")[0]])


def test_a_curve_keeps_its_ends_and_its_step() -> None:
    control = np.array([[0.0, 0.0, 0.0], [10.0, 5.0, 0.0], [20.0, 0.0, 0.0]])
    curve = curve_through(control, step_mm=1.0)
    np.testing.assert_allclose(curve[[0, -1]], control[[0, -1]])
    assert np.linalg.norm(np.diff(curve, axis=0), axis=1) == pytest.approx(1.0, abs=0.25)
    assert len(curve_through(control[:2])) == 8  # 11.18 mm in seven steps


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
@pytest.mark.parametrize("kind", ["arteries", "veins"])
def test_properties_of_every_tree(kind: str, seed: int | None) -> None:
    rng = None if seed is None else np.random.default_rng(seed)
    tree = grow_arteries(rng)[0] if kind == "arteries" else grow_veins(rng)
    inner = np.flatnonzero(tree.parent >= 0)
    assert (tree.parent[inner] < inner).all()  # parents precede children: no cycle, and every node reaches a root
    gaps = np.linalg.norm(tree.points_mm[inner] - tree.points_mm[tree.parent[inner]], axis=1)
    assert gaps.max() < 20.0
    assert np.quantile(gaps, 0.99) < 8.0
    assert (tree.radius_mm[tree.supplied_ml > 0] > 0).all()
    junction = {"arteries": "basilar", "veins": "SSS"}[kind]
    murray = tree.radius_mm[tree.nodes(junction)[0]] ** 3 / tree.supplied_ml[tree.nodes(junction)[0]]
    np.testing.assert_allclose(tree.radius_mm**3, murray * tree.supplied_ml, rtol=1e-9, atol=1e-12)
    into = np.zeros(len(tree.parent))
    np.add.at(into, tree.parent[inner], tree.supplied_ml[inner])
    meeting = tree.parent[tree.nodes(junction)[0]]  # the confluence of two flows
    second = tree.nodes({"arteries": "vertebral_L", "veins": "transverse_L"}[kind])[-1]
    own = tree.supplied_ml - into
    assert own[second] == pytest.approx(-own[meeting], abs=0.065)
    own = np.delete(own, [meeting, second])
    assert own.min() > -1e-9
    assert own.max() < 0.0641  # a node supplies at most its own cube of 4 mm
