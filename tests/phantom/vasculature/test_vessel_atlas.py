"""The atlas of vessels contains those of a subject that it was not made from."""

import numpy as np
import pytest

from adumbra.core.atlas.context_channels import segments_at
from adumbra.core.atlas.template import interpolate_all
from adumbra.core.atlas.vessels import (
    ARTERIES,
    BASILAR,
    BRANCHES_OF,
    SEGMENTS,
    artery_numbers,
    supply_atlas,
    territory_members,
    vessel_atlas,
)
from adumbra.phantom.vasculature.vessel_atlas import LEAST_RADIUS_MM, atlas_subject, supply_maps


@pytest.fixture(scope="module")
def subject():
    return atlas_subject(2, 3)


def test_a_subject_depends_on_its_numbers_only(subject):
    again = atlas_subject(2, 3)
    np.testing.assert_array_equal(again.arteries.points_mm, subject.arteries.points_mm)
    np.testing.assert_array_equal(again.veins.points_mm, subject.veins.points_mm)


def test_every_named_artery_knows_its_nodes_and_its_unnamed_branches(subject):
    tree, names = subject.arteries, np.array(subject.arteries.names)[subject.arteries.segment]
    trunk = ~subject.twig
    assert (subject.artery[trunk & (names == "M1_L")] == "M1").all()
    assert not subject.right[names == "M1_L"].any()
    assert set(subject.artery[names == "M4_R"]) <= {"M3 frontal", "M3 central", "M3 parietal", "M3 temporal"}
    assert (subject.artery[names == "ACom"] == "").all()
    assert subject.right[names == "basilar"].all()
    assert set(subject.right[names == "vertebral"]) == {False, True}
    assert set(subject.artery[subject.twig & (names == "P3_R")]) == {"P3", "P3 temporal"}
    assert not (subject.artery == "vertebral")[names == "basilar"].any()
    assert set(subject.artery[tree.ends]) <= {*BRANCHES_OF, BASILAR}


@pytest.mark.parametrize(("artery", "own"), [("M1", 0.9), ("ICA", 0.9), ("basilar", 0.9), ("P2", 0.7), ("A2", 0.6)])
def test_the_atlas_has_the_arteries_of_a_new_subject(subject, artery, own):
    trunk = ~subject.twig & (subject.artery == artery) & (subject.arteries.radius_mm > LEAST_RADIUS_MM)
    points = subject.arteries.points_mm[trunk].T.astype(np.float32)
    atlas = vessel_atlas()
    probability, _ = interpolate_all(tuple(atlas.probability), atlas.grid.affine, points)
    assert (probability > 0.1).mean() > 0.95
    names = [SEGMENTS[label] for label in artery_numbers()[segments_at(points)]]
    side = np.where(subject.right[trunk], " right", " left") if artery != "basilar" else [""] * len(names)
    assert np.mean([n == artery + s for n, s in zip(names, side, strict=True)]) > own


def test_the_supply_of_a_new_subject_resembles_the_atlas(subject):
    volumes, grid = supply_maps([subject])
    atlas = supply_atlas()
    assert grid.coincides(atlas.grid)
    right = grid.world_mm(np.argwhere(np.ones(grid.shape, bool)))[:, 0].reshape(grid.shape) > 6
    brain = right & (atlas.shares.sum(axis=0) > 0)
    totals = volumes[brain].sum(axis=1, dtype=int)
    assert np.median(totals) == 255
    own, stored = volumes[brain].astype(float) / 255, [ARTERIES.index(f"{name} right") for name in BRANCHES_OF]
    for artery in ("M1", "A1", "P1"):
        members = territory_members()[SEGMENTS.index(f"{artery} right")]
        inside = own[:, : len(stored)][:, members[stored]].sum(axis=1) > 0.5
        assert (inside == (atlas.shares[members][:, brain].sum(axis=0) > 0.5)).mean() > 0.9
