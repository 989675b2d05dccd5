"""Visibility of clots: point spread and blooming by hand, then trunks and branches of the atlas."""

import numpy as np
import pytest

from adumbra.phantom.observer_model import (
    ANGIOGRAM,
    SUSCEPTIBILITY,
    Image,
    blooming_mm,
    point_spread_share,
    visible_length_mm,
    visible_on_swi,
    visible_on_tof,
)
from adumbra.phantom.pathology.clot import Clot, sample_clot_at
from adumbra.phantom.pathology.perfusion import Collaterals
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.physics.susceptibility import blood_chi, radians_per_ppm
from adumbra.phantom.vasculature.arteries import grow_arteries
from adumbra.phantom.vasculature.vessels import Tree

SLABS = TimeOfFlight(-45.0, 45.0, slabs=3, overlap=0.2, ramp=0.25, edge_mm=4.0)
FAIR = Collaterals(0.6)


def rod(
    direction: tuple[float, float, float] = (1.0, 0.0, 0.0),
    *,
    length_mm: float = 10.0,
    radius_mm: float = 1.0,
    red: float = 0.8,
) -> Clot:
    """A straight clot of four stretches."""
    points = np.linspace(0, length_mm, 5)[:, None] * np.array(direction)
    return Clot("M1", np.arange(5), points, np.full(5, radius_mm), red, False, 0.2)


@pytest.fixture(scope="module")
def tree() -> Tree:
    return grow_arteries()[0]


def clot_in(tree: Tree, name: str, place: float, seed: int = 0) -> Clot:
    """A clot that begins at a relative position along a segment."""
    nodes = tree.nodes(name)
    return sample_clot_at(np.random.default_rng(seed), tree, int(nodes[int(place * (len(nodes) - 1))]))


def test_a_lumen_of_one_standard_deviation_has_two_fifths_of_the_point_spread() -> None:
    """In a plane across z, a voxel of 1 mm has 1.2/sqrt(12) mm."""
    spread = 1.2 / np.sqrt(12)
    share = point_spread_share(np.array([spread, 10.0, 0.0]), np.tile([0.0, 0.0, 1.0], (3, 1)), (1.0, 1.0, 5.0))
    assert share == pytest.approx([1 - np.exp(-0.5), 1, 0])


def test_thick_slices_hide_vessels_within_them() -> None:
    radius, along = np.full(2, 0.4), np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    upright, lying = point_spread_share(radius, along, (0.6, 0.6, 2.0))
    assert upright > 1.5 * lying


def test_noise_is_that_of_the_receiver_and_of_tissue() -> None:
    assert Image((1.0, 1.0, 1.0), 10.0).noise > 0.1
    assert Image((1.0, 1.0, 1.0), 1e9).noise == pytest.approx(0.08, abs=0.001)


def test_blooming_reaches_to_where_the_phase_is_one_radian() -> None:
    clot = rod()
    reach = blooming_mm(clot, b0_tesla=3.0, te_ms=20.0)
    chi = blood_chi(clot.oxygenation, clot.haematocrit)
    phase = radians_per_ppm(b0_tesla=3.0, te_ms=20.0) * chi / 2 * (1.0 / reach) ** 2
    assert phase == pytest.approx(1)
    assert (reach > 2).all()


def test_there_is_no_blooming_along_b0_and_less_at_half_the_field() -> None:
    assert blooming_mm(rod((0.0, 0.0, 1.0))) == pytest.approx(1.0)
    assert blooming_mm(rod(), b0_tesla=1.5) == pytest.approx(blooming_mm(rod()) / np.sqrt(2))


def test_swi_shows_red_clots_of_some_length() -> None:
    assert visible_on_swi(rod())
    assert visible_on_swi(rod((0.0, 0.0, 1.0)))
    assert not visible_on_swi(rod(red=0.2))
    assert not visible_on_swi(rod(length_mm=2.0))
    assert not visible_on_swi(rod(radius_mm=0.02))
    assert not visible_on_swi(rod(), image=Image(SUSCEPTIBILITY.voxel_mm, 3.0))


def test_tof_shows_trunks_within_the_slabs(tree: Tree) -> None:
    length = visible_length_mm(tree, (), FAIR, SLABS)
    for name in ("M1_R", "ICA_L", "basilar", "P1_R"):
        inside = np.abs(tree.points_mm[tree.nodes(name)][:, 2]) < 44
        assert (length[tree.nodes(name)[inside]][1:12] > 0).all(), name
    assert not length[np.abs(tree.points_mm[:, 2]) > 46].any()
    assert not length[tree.radius_mm < 0.1].any()


def test_worse_images_show_less(tree: Tree) -> None:
    best, noisy, coarse = (
        visible_length_mm(tree, (), FAIR, SLABS, image=image).sum()
        for image in (ANGIOGRAM, Image(ANGIOGRAM.voxel_mm, 6.0), Image((1.5, 1.5, 2.0), ANGIOGRAM.snr))
    )
    assert best > 1.2 * noisy
    assert best > 1.2 * coarse


@pytest.mark.parametrize("name", ["ICA_R", "M1_L", "basilar", "P1_R"])
def test_tof_shows_every_occluded_trunk(tree: Tree, name: str) -> None:
    clot = sample_clot_at(np.random.default_rng(0), tree, int(tree.nodes(name)[-1 if name == "ICA_R" else 3]))
    assert visible_on_tof(tree, (clot,), FAIR, SLABS) == (True,)


def test_tof_does_not_show_an_occluded_distal_branch(tree: Tree) -> None:
    clot = clot_in(tree, "M3 temporal_R", 0.9)
    assert visible_on_tof(tree, (clot,), FAIR, SLABS) == (False,)
    assert visible_on_swi(Clot("M3+", clot.nodes, clot.points_mm, clot.radius_mm, 0.8, False, 0.1))


def test_without_clots_the_result_is_empty(tree: Tree) -> None:
    assert visible_on_tof(tree, (), FAIR, SLABS) == ()


def test_tof_shows_no_clot_behind_another_one_nor_outside_the_slabs(tree: Tree) -> None:
    first = clot_in(tree, "M1_R", 0.02)
    behind = sample_clot_at(np.random.default_rng(1), tree, int(tree.nodes("M2 inferior_R")[2]))
    assert visible_on_tof(tree, (first, behind), FAIR, SLABS) == (True, False)
    low = TimeOfFlight(-75.0, -40.0)
    assert visible_on_tof(tree, (first,), FAIR, low) == (False,)
