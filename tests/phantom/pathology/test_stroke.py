"""Strokes: occlusion, delayed perfusion, infarct, and the clot that explains a given lesion."""

import numpy as np
import pytest

from adumbra.phantom.anatomy.head import Head, sample_head
from adumbra.phantom.pathology.clot import Clot, sample_clot, sample_clot_at
from adumbra.phantom.pathology.perfusion import HYPOPERFUSED_S, Collaterals, closed_off
from adumbra.phantom.pathology.stroke import (
    Stroke,
    causal_clot,
    flow_shares,
    sample_fragments,
    sample_stroke,
)
from adumbra.phantom.vasculature.arteries import territory
from adumbra.phantom.vasculature.subject import Vasculature, sample_vasculature
from adumbra.phantom.vasculature.vessels import Tree, towards_roots


@pytest.fixture(scope="module")
def subject() -> Head:
    return sample_head(np.random.default_rng(4))[0]


@pytest.fixture(scope="module")
def vessels(subject: Head) -> Vasculature:
    return sample_vasculature(np.random.default_rng(4), subject)


@pytest.fixture(scope="module")
def strokes(subject: Head, vessels: Vasculature) -> list[Stroke]:
    return [
        sample_stroke(np.random.default_rng(seed), subject, vessels, pattern="territorial", hours=hours)
        for seed, hours in enumerate((3.0, 8.0, 60.0, 200.0))
    ]


def test_infarcted_tissue_was_hypoperfused(strokes: list[Stroke], vessels: Vasculature) -> None:
    for stroke in strokes:
        assert stroke.infarct.min() >= 0
        assert stroke.infarct.max() <= 1
        if not stroke.is_open:
            infarcted = (stroke.infarct > 0.5) & vessels.tissue
            assert (stroke.tmax_s[infarcted] > HYPOPERFUSED_S).all()
            assert stroke.clots


def test_an_open_artery_has_no_clot_and_perfuses_again(strokes: list[Stroke]) -> None:
    opened = [stroke for stroke in strokes if stroke.is_open]
    assert opened, "no artery of the fixture has opened: choose other seeds"
    for stroke in opened:
        assert stroke.clots == ()
        assert not stroke.hypoperfused.any()
        assert stroke.hours_closed > 0


def test_the_causal_clot_lies_upstream_of_the_lesion(vessels: Vasculature) -> None:
    tree = vessels.arteries
    behind = tree.downstream(tree.named("M2 superior_R"))[tree.ends]
    amount = np.zeros(vessels.tissue.shape, np.float32)
    amount[vessels.tissue] = behind[vessels.nearest]
    (clot,) = causal_clot(np.random.default_rng(0), vessels, amount)
    names = {tree.names[i] for i in tree.segment[clot.nodes[:1]]}
    assert {territory(name) for name in names} == {"MCA"}
    filled = np.zeros(len(tree.parent), dtype=bool)
    filled[clot.nodes[0]] = True
    covered = amount[vessels.tissue][tree.downstream(filled)[tree.ends][vessels.nearest]].sum()
    assert covered >= 0.84 * amount.sum()


def test_lesions_in_all_territories_have_no_causal_clot(vessels: Vasculature) -> None:
    assert causal_clot(np.random.default_rng(0), vessels, vessels.tissue.astype(np.float32)) == ()
    assert causal_clot(np.random.default_rng(0), vessels, np.zeros(vessels.tissue.shape, np.float32)) == ()


def test_a_clot_has_the_volume_of_its_lumen(strokes: list[Stroke]) -> None:
    clots = next(stroke.clots for stroke in strokes if stroke.clots)
    assert 0.0005 < sum(clot.volume_ml for clot in clots) < 0.6


def test_the_same_seed_gives_the_same_stroke(subject: Head, vessels: Vasculature) -> None:
    one, other = (
        sample_stroke(np.random.default_rng(9), subject, vessels, pattern="territorial", hours=5.0) for _ in range(2)
    )
    assert one.infarct.tobytes() == other.infarct.tobytes()
    assert one.tmax_s.tobytes() == other.tmax_s.tobytes()


def test_a_stroke_has_an_infarct(subject: Head, strokes: list[Stroke]) -> None:
    for stroke in strokes:
        assert float((stroke.infarct * subject.tissue).sum()) * subject.grid.voxel_ml > 0.5


def test_fragments_occlude_few_small_branches_behind_the_clot(vessels: Vasculature) -> None:
    tree = vessels.arteries
    clot = sample_clot(np.random.default_rng(2), tree, site="M1")
    behind = closed_off(tree, (clot,))
    for seed in range(5):
        plugged = sample_fragments(np.random.default_rng(seed), tree, (clot,))
        assert plugged.any()
        assert behind[plugged].all()
        assert 0.2 < tree.own_ml[plugged].sum() < 20
    assert not sample_fragments(np.random.default_rng(0), tree, ()).any()


def forked() -> Tree:
    """A trunk of three nodes with 0.4 ml of its own, a branch of 2.4 ml and one of 1.2 ml, of two nodes each."""
    parent = np.array([-1, 0, 1, 2, 3, 2, 5])
    points = np.array([[9, 0, 0], [9, 0, 2], [9, 0, 4], [9, 3, 6], [9, 9, 9], [9, -3, 6], [9, -9, 9]], float)
    supplied = np.array([4.0, 3.6, 3.6, 2.4, 2.4, 1.2, 1.2])
    return Tree(points, parent, np.ones(7), supplied, np.zeros(7, np.intp), ("M4_R",))


def plug(tree: Tree, *nodes: int) -> Clot:
    where = np.array(nodes)
    return Clot("M3+", where, tree.points_mm[where], tree.radius_mm[where], 0.6, False, 0.2)


def test_sums_towards_the_root_by_hand() -> None:
    tree = forked()
    assert towards_roots(tree.parent, np.arange(7.0)).tolist() == [21, 21, 20, 7, 4, 11, 6]
    assert towards_roots(tree.parent, tree.own_ml) == pytest.approx(tree.supplied_ml)


def test_an_open_tree_carries_all_its_flow(vessels: Vasculature) -> None:
    assert flow_shares(vessels.arteries, (), Collaterals(0.3)) == pytest.approx(1)


def test_there_is_no_flow_in_the_clot_nor_up_to_the_last_branch_before_it() -> None:
    """The larger branch is occluded at its end: the stump has no flow, the trunk keeps the flow of the other branch."""
    tree = forked()
    poor, good = (flow_shares(tree, (plug(tree, 4),), Collaterals(grade)) for grade in (0.0, 0.9))
    assert poor == pytest.approx([0.4, 1 / 3, 1 / 3, 0, 0, 1, 1])
    assert good == pytest.approx(poor)  # no tissue beyond the clot that collaterals could supply through this tree


def test_behind_a_clot_there_is_only_collateral_flow() -> None:
    tree = forked()
    share = flow_shares(tree, (plug(tree, 3),), Collaterals(0.8))
    assert share[3] == 0
    assert 0.1 < share[4] < 0.95
    assert share[:3] == pytest.approx([0.4, 1 / 3, 1 / 3])
    assert share[5:] == pytest.approx([1, 1])
    assert flow_shares(tree, (plug(tree, 3),), Collaterals(0.4))[4] < share[4]


def test_behind_a_carotid_clot_the_other_side_supplies_the_anterior_cerebral_artery(vessels: Vasculature) -> None:
    tree = vessels.arteries
    clot = sample_clot_at(np.random.default_rng(0), tree, int(tree.nodes("ICA_R")[-2]))
    share = flow_shares(tree, (clot,), Collaterals(0.6))
    assert (share >= 0).all()
    assert (share <= 1).all()
    assert share[tree.nodes("ICA_R")[:-4]].max() < 0.2
    assert share[tree.nodes("A2_R")].min() == 1
    assert share[tree.nodes("A1_R")[0]] < 0.1
    assert 0.05 < share[tree.nodes("M2 superior_R")].min() < 0.95


def test_both_vertebral_arteries_lose_the_flow_of_the_basilar_artery(vessels: Vasculature) -> None:
    tree = vessels.arteries
    clot = sample_clot_at(np.random.default_rng(0), tree, int(tree.nodes("basilar")[2]))
    share = flow_shares(tree, (clot,), Collaterals(0.5))
    right, left = (share[tree.nodes(f"vertebral_{side}")[-1]] for side in "RL")
    assert right == pytest.approx(left, abs=0.05)
    assert right < 0.5
