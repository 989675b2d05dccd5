"""What readers see of clots: shares of a point spread and blooming by hand, then trunks and branches of the atlas."""

import numpy as np
import pytest

from adumbra.phantom.observer_model import (
    ANGIOGRAM,
    SUSCEPTIBILITY,
    Image,
    blooming_mm,
    seen_on_swi,
    seen_on_tof,
    share_of_spread,
    shown_mm,
)
from adumbra.phantom.pathology.clot import Clot, clot_from
from adumbra.phantom.pathology.perfusion import Collaterals
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.physics.susceptibility import blood_chi, radians_per_ppm
from adumbra.phantom.vasculature.arteries import arteries
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
    return arteries()[0]


def starting(tree: Tree, name: str, place: float, seed: int = 0) -> Clot:
    """A clot that begins at a part of the length of a segment's skeleton."""
    nodes = tree.nodes(name)
    return clot_from(np.random.default_rng(seed), tree, int(nodes[int(place * (len(nodes) - 1))]))


def test_a_lumen_of_one_standard_deviation_takes_two_fifths_of_the_point_spread() -> None:
    """In a plane across z, a voxel of 1 mm has 1.2/sqrt(12) mm."""
    spread = 1.2 / np.sqrt(12)
    share = share_of_spread(np.array([spread, 10.0, 0.0]), np.tile([0.0, 0.0, 1.0], (3, 1)), (1.0, 1.0, 5.0))
    assert share == pytest.approx([1 - np.exp(-0.5), 1, 0])


def test_thick_slices_hide_what_runs_within_them() -> None:
    radius, along = np.full(2, 0.4), np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    upright, lying = share_of_spread(radius, along, (0.6, 0.6, 2.0))
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


def test_along_b0_nothing_blooms_and_at_half_the_field_it_does_less() -> None:
    assert blooming_mm(rod((0.0, 0.0, 1.0))) == pytest.approx(1.0)
    assert blooming_mm(rod(), b0_tesla=1.5) == pytest.approx(blooming_mm(rod()) / np.sqrt(2))


def test_swi_shows_red_clots_of_some_length() -> None:
    assert seen_on_swi(rod())
    assert seen_on_swi(rod((0.0, 0.0, 1.0)))
    assert not seen_on_swi(rod(red=0.2))
    assert not seen_on_swi(rod(length_mm=2.0))
    assert not seen_on_swi(rod(radius_mm=0.02))
    assert not seen_on_swi(rod(), image=Image(SUSCEPTIBILITY.voxel_mm, 3.0))


def test_tof_shows_trunks_within_the_slabs(tree: Tree) -> None:
    length = shown_mm(tree, (), FAIR, SLABS)
    for name in ("M1_R", "ICA_L", "basilar", "P1_R"):
        inside = np.abs(tree.points_mm[tree.nodes(name)][:, 2]) < 44
        assert (length[tree.nodes(name)[inside]][1:12] > 0).all(), name
    assert not length[np.abs(tree.points_mm[:, 2]) > 46].any()
    assert not length[tree.radius_mm < 0.1].any()


def test_worse_images_show_less(tree: Tree) -> None:
    best, noisy, coarse = (
        shown_mm(tree, (), FAIR, SLABS, image=image).sum()
        for image in (ANGIOGRAM, Image(ANGIOGRAM.voxel_mm, 6.0), Image((1.5, 1.5, 2.0), ANGIOGRAM.snr))
    )
    assert best > 1.2 * noisy
    assert best > 1.2 * coarse


@pytest.mark.parametrize("name", ["ICA_R", "M1_L", "basilar", "P1_R"])
def test_tof_gives_away_every_closed_trunk(tree: Tree, name: str) -> None:
    clot = clot_from(np.random.default_rng(0), tree, int(tree.nodes(name)[-1 if name == "ICA_R" else 3]))
    assert seen_on_tof(tree, (clot,), FAIR, SLABS) == (True,)


def test_tof_does_not_tell_a_closed_twig_from_one_that_was_never_there(tree: Tree) -> None:
    clot = starting(tree, "M3 temporal_R", 0.9)
    assert seen_on_tof(tree, (clot,), FAIR, SLABS) == (False,)
    assert seen_on_swi(Clot("M3+", clot.nodes, clot.points_mm, clot.radius_mm, 0.8, False, 0.1))


def test_no_clot_no_answer(tree: Tree) -> None:
    assert seen_on_tof(tree, (), FAIR, SLABS) == ()


def test_tof_gives_away_nothing_behind_another_clot_nor_outside_the_slabs(tree: Tree) -> None:
    first = starting(tree, "M1_R", 0.02)
    behind = clot_from(np.random.default_rng(1), tree, int(tree.nodes("M2 inferior_R")[2]))
    assert seen_on_tof(tree, (first, behind), FAIR, SLABS) == (True, False)
    low = TimeOfFlight(-75.0, -40.0)
    assert seen_on_tof(tree, (first,), FAIR, low) == (False,)
