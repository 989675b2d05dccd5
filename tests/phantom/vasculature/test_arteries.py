"""The arterial tree: names, variants, calibres and territories against what is published."""

import numpy as np
import pytest

from adumbra.phantom.vasculature.arteries import MEASURED_SHARES, VARIANTS, grow_arteries, skeleton, territory
from adumbra.phantom.vasculature.vessels import Tree

MAIN = ("ICA", "M1", "M2 superior", "M2 inferior", "A1", "A2", "A3", "P1", "P2", "P3", "AChA", "SCA", "AICA", "PICA")


@pytest.fixture(scope="module")
def atlas() -> Tree:
    return grow_arteries()[0]


def shares(tree: Tree) -> dict[str, float]:
    total: dict[str, float] = {}
    for index, name in enumerate(tree.names):
        total[territory(name)] = total.get(territory(name), 0.0) + float(tree.own_ml[tree.segment == index].sum())
    return {name: ml / sum(total.values()) for name, ml in total.items()}


def test_every_named_artery_is_there_on_both_sides(atlas: Tree) -> None:
    for name in MAIN:
        for side in "RL":
            nodes = atlas.nodes(f"{name}_{side}")
            assert len(nodes), name
            x = atlas.points_mm[nodes, 0] * (1 if side == "R" else -1)
            assert x.min() > -1.6, name


def test_every_artery_comes_from_a_carotid_or_a_vertebral(atlas: Tree) -> None:
    roots = {atlas.names[atlas.segment[i]] for i in np.flatnonzero(atlas.parent < 0)}
    assert roots == {"ICA_R", "ICA_L", "vertebral_R", "vertebral_L"}
    origin = {name: atlas.names[atlas.segment[atlas.upstream(int(atlas.nodes(name)[-1]))[-1]]] for name in atlas.names
              if len(atlas.nodes(name))}  # fmt: skip
    assert origin["M4_R"] == origin["A3_R"] == origin["AChA_R"] == "ICA_R"
    assert origin["P3_L"] == origin["SCA_R"] == "vertebral_R"


def test_calibres_are_those_of_adults(atlas: Tree) -> None:
    """Lumen diameters in mm; the ranges span what MRA and angiography report for adults."""
    wide = {"ICA_R": (3.0, 5.0), "M1_R": (2.3, 3.3), "A1_R": (1.8, 2.7), "basilar": (2.6, 3.8), "P1_R": (1.7, 2.5),
            "M2 superior_R": (1.6, 2.5), "M1 perforators_R": (0.4, 1.3)}  # fmt: skip
    for name, (low, high) in wide.items():
        assert low <= 2 * atlas.radius_mm[atlas.nodes(name)].max() <= high, name


def test_territories_have_the_shares_that_flow_measurements_give(atlas: Tree) -> None:
    measured = shares(atlas)
    assert sum(measured.values()) == pytest.approx(1.0)
    for name, expected in MEASURED_SHARES.items():
        assert measured[name] == pytest.approx(expected, abs=0.03), name
    assert 0.10 < measured["vertebrobasilar"] < 0.17


def test_subjects_differ_in_their_territories_and_keep_about_these_shares() -> None:
    subjects = [shares(grow_arteries(np.random.default_rng(seed))[0]) for seed in range(6)]
    for name, expected in MEASURED_SHARES.items():
        values = np.array([share[name] for share in subjects])
        assert values.std() > 0.001, name
        assert np.abs(values - expected).max() < 0.08, name


def test_the_same_seed_grows_the_same_tree() -> None:
    one, other = (grow_arteries(np.random.default_rng(5))[0] for _ in range(2))
    assert one.points_mm.tobytes() == other.points_mm.tobytes()
    assert one.radius_mm.tobytes() == other.radius_mm.tobytes()


def test_variants_have_their_frequencies() -> None:
    variants = [skeleton(np.random.default_rng(seed))[1][side] for seed in range(400) for side in "RL"]
    for variant, probability in VARIANTS.items():
        assert np.mean([v == variant for v in variants]) == pytest.approx(probability, abs=0.045), variant


@pytest.mark.parametrize("variant", ["fetal PCA", "absent A1"])
def test_a_variant_changes_the_supplying_artery(variant: str) -> None:
    seed = next(s for s in range(300) if skeleton(np.random.default_rng(s))[1] == {"R": variant, "L": ""})
    tree, _ = grow_arteries(np.random.default_rng(seed))
    supplied = {"fetal PCA": ("P3_R", "ICA_R"), "absent A1": ("A3_R", "ICA_L")}[variant]
    path = tree.upstream(int(tree.nodes(supplied[0])[-1]))
    assert tree.names[tree.segment[path[-1]]] == supplied[1]
    assert any(tree.names[tree.segment[i]] == {"fetal PCA": "PCom_R", "absent A1": "ACom"}[variant] for i in path)


def test_downstream_of_m1_lies_the_middle_cerebral_territory(atlas: Tree) -> None:
    beyond = atlas.downstream(atlas.named("M1_R"))
    assert {territory(atlas.names[i]) for i in np.unique(atlas.segment[beyond])} == {"MCA"}
    assert (atlas.points_mm[beyond, 0] > -1.6).all()
