"""Inflow: the recurrence by hand on straight vessels, then velocities and fading in the arteries of the atlas."""

import numpy as np
import pytest

from adumbra.core.errors import InputRejected
from adumbra.phantom.physics.inflow import (
    PER_100_ML,
    TimeOfFlight,
    blood_signal,
    longitudinal,
    stationary_signal,
    transit_s,
    vascular_hyperintensity,
    velocity_cm_s,
)
from adumbra.phantom.physics.relaxation import TISSUES, Relaxation
from adumbra.phantom.physics.signal import gradient_echo, inversion_recovery
from adumbra.phantom.vasculature.arteries import grow_arteries
from adumbra.phantom.vasculature.vessels import Tree

BLOOD = TISSUES[3.0]["arterial_blood"]
WHITE = TISSUES[3.0]["white"]
PULSES = {"flip_deg": 18.0, "tr_ms": 21.0, "t1_ms": BLOOD.t1_ms}
BARE = Relaxation(1.0, BLOOD.t1_ms, 1e9, 1e9, 1.5)  # without density and T2* effects, so that the signal is M·sinα
WHOLE = TimeOfFlight(-80.0, 90.0)


def straight(*, length_mm: float = 100.0, step_mm: float = 1.0, velocity: float = 20.0) -> Tree:
    """A vessel that rises along z from 0, of one radius, with blood at one velocity in cm/s."""
    z = np.arange(0.0, length_mm + step_mm / 2, step_mm)
    points = np.stack([0 * z, 0 * z, z], axis=1)
    ml = np.full(len(z), velocity * np.pi * 0.1**2 / (PER_100_ML / 6000))
    parent = np.arange(len(z)) - 1
    return Tree(points, parent, np.ones(len(z)), ml, np.zeros(len(z), np.intp), ("vessel",))


def steady(flip_deg: float = 18.0) -> float:
    return float(longitudinal(np.array([np.inf]), **{**PULSES, "flip_deg": flip_deg})[0])


def test_magnetisation_is_full_in_fresh_blood_and_steady_after_many_pulses() -> None:
    e1, cosine = np.exp(-21 / BLOOD.t1_ms), np.cos(np.radians(18))
    left = longitudinal(np.array([0.0, 1.0, 2.0, np.inf]), **PULSES)
    assert left[0] == 1
    assert left[1] == pytest.approx(cosine * e1 + 1 - e1)  # one pulse, one repetition time of recovery
    assert left[2] == pytest.approx(left[1] * cosine * e1 + 1 - e1)
    assert left[3] == pytest.approx((1 - e1) / (1 - cosine * e1))


def test_magnetisation_falls_with_every_pulse_and_comes_back_to_the_same_from_below() -> None:
    pulses = np.arange(400.0)
    left, inverted = (longitudinal(pulses, **PULSES, fresh=fresh) for fresh in (1.0, -1.0))
    assert (np.diff(left) < 0).all()
    assert (np.diff(inverted) > 0).all()
    assert left[-1] == pytest.approx(steady(), rel=1e-6)
    assert inverted[-1] == pytest.approx(steady(), rel=1e-6)
    assert longitudinal(np.array([0.0, 1.0]), **{**PULSES, "flip_deg": 90.0})[1] == pytest.approx(steady(90.0))


def test_velocity_is_flow_over_area() -> None:
    """60 ml/min through a lumen of 1 mm radius: 1 ml/s over 0.0314 cm²."""
    tree = Tree(np.zeros((1, 3)), np.array([-1]), np.ones(1), np.full(1, 100.0), np.zeros(1, np.intp), ("one",))
    assert velocity_cm_s(tree, per_100_ml=60.0) == pytest.approx(31.83, abs=0.01)
    assert velocity_cm_s(tree, per_100_ml=60.0, flow=np.full(1, 0.5)) == pytest.approx(15.92, abs=0.01)


def test_transit_is_length_over_velocity_and_infinite_behind_an_occlusion() -> None:
    tree = straight(velocity=20.0)
    assert transit_s(tree) == pytest.approx(tree.points_mm[:, 2] / 200)
    slowed = np.where(tree.points_mm[:, 2] > 50, 0.5, 1.0)
    assert transit_s(tree, flow=slowed)[-1] == pytest.approx(0.25 + 0.5)
    closed = np.where(np.arange(101) == 60, 0.0, 1.0)
    assert np.isinf(transit_s(tree, flow=closed)).nonzero()[0].tolist() == list(range(60, 101))


def test_along_a_vessel_in_one_slab_the_signal_follows_the_transit_time() -> None:
    tree = straight()
    signal = blood_signal(tree, TimeOfFlight(-1.0, 101.0), BARE)
    expected = longitudinal(transit_s(tree) / 0.021, **PULSES) * np.sin(np.radians(18))
    assert signal == pytest.approx(expected)
    assert signal[0] == pytest.approx(np.sin(np.radians(18)))
    assert (np.diff(signal) < 0).all()


def test_density_and_t2_star_scale_the_signal() -> None:
    tree, protocol = straight(), TimeOfFlight(-1.0, 101.0)
    ratio = blood_signal(tree, protocol, BLOOD) / blood_signal(tree, protocol, BARE)
    assert ratio == pytest.approx(BLOOD.density * np.exp(-3.5 / BLOOD.t2_star_ms))


def test_blood_is_fresh_below_the_slab_and_invisible_outside_it() -> None:
    tree = straight()
    signal = blood_signal(tree, TimeOfFlight(29.0, 79.0), BARE)
    z = tree.points_mm[:, 2]
    assert not signal[(z < 29) | (z > 79)].any()
    age = (z[(z >= 29) & (z <= 79)] - 29) / 200
    expected = longitudinal(age / 0.021, **PULSES) * np.sin(np.radians(18))
    assert signal[signal > 0] == pytest.approx(expected)


def test_standing_blood_is_as_dark_as_tissue_with_its_constants() -> None:
    tree, protocol = straight(), TimeOfFlight(-1.0, 101.0)
    still = blood_signal(tree, protocol, BLOOD, flow=np.zeros(101))
    rest = gradient_echo(BLOOD, tr_ms=21.0, te_ms=3.5, flip_deg=18.0)
    assert still == pytest.approx(rest)
    assert stationary_signal(BLOOD, protocol, tree.points_mm[:, 2]) == pytest.approx(rest)


def test_blood_is_saturated_behind_a_clot_and_darker_with_slower_flow_before_it() -> None:
    tree, protocol = straight(), TimeOfFlight(-1.0, 101.0)
    z = tree.points_mm[:, 2]
    clot = np.where((z >= 40) & (z < 50), 0.0, np.where(z >= 50, 0.3, 1.0))
    signal = blood_signal(tree, protocol, BARE, flow=clot)
    assert signal[z < 40] == pytest.approx(blood_signal(tree, protocol, BARE)[z < 40])
    assert signal[z >= 40] == pytest.approx(steady() * np.sin(np.radians(18)))
    fast, slow = (blood_signal(tree, protocol, BARE, flow=np.full(101, share)) for share in (0.8, 0.2))
    assert (fast[1:] > slow[1:]).all()


def test_blood_is_fresh_in_each_of_several_slabs() -> None:
    tree = straight()
    one, four = (blood_signal(tree, TimeOfFlight(-1.0, 101.0, slabs=n), BARE) for n in (1, 4))
    begins = -1.0 + np.arange(1, 4) * 102 / 4
    for begin in begins:
        first = int(np.searchsorted(tree.points_mm[:, 2], begin))
        assert four[first] > 0.9 * np.sin(np.radians(18))
        assert four[first - 1] < 0.8 * np.sin(np.radians(18))
    assert (four >= one - 1e-12).all()


def test_slabs_cover_the_volume_and_are_imaged_up_to_the_middle_of_their_overlap() -> None:
    protocol = TimeOfFlight(0.0, 100.0, slabs=3, overlap=0.25)
    assert protocol.thickness_mm == pytest.approx(40)
    excited = protocol.flips_deg(np.array([-1.0, 10.0, 35.0, 65.0, 99.0, 101.0])) > 0
    assert excited.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1], [0, 0, 0]]
    z = np.array([34.0, 36.0, 64.0, 66.0])
    numbers = np.tile(np.arange(3.0), (4, 1))
    assert protocol.imaged(numbers, z).tolist() == [0, 1, 1, 2]


def test_a_ramp_flips_less_at_the_entry_and_keeps_distal_blood_brighter() -> None:
    flat, ramped = TimeOfFlight(-1.0, 101.0), TimeOfFlight(-1.0, 101.0, ramp=0.4)
    flips = ramped.flips_deg(np.array([-1 + 1e-6, 50.0, 101 - 1e-6]))[:, 0]
    assert flips == pytest.approx([0.6 * 18, 18, 1.4 * 18], rel=1e-4)
    tree = straight()
    assert blood_signal(tree, ramped, BARE)[-1] > 1.15 * blood_signal(tree, flat, BARE)[-1]


def test_the_flip_angle_rises_at_the_edge_of_a_slab_and_affects_entering_blood() -> None:
    sharp, soft = TimeOfFlight(20.0, 80.0), TimeOfFlight(20.0, 80.0, edge_mm=8.0)
    assert soft.flips_deg(np.array([15.9, 20.0, 24.1, 80.0]))[:, 0] == pytest.approx([0, 9, 18, 9])
    z = np.array([21.0, 50.0])
    sharply, softly = (blood_signal(straight(velocity=5.0), protocol, BARE)[20] for protocol in (sharp, soft))
    assert sharply == pytest.approx(np.sin(np.radians(18)))
    assert 0.9 * np.sin(np.radians(9)) < softly < 0.99 * np.sin(np.radians(9))
    white = [stationary_signal(WHITE, protocol, z) for protocol in (sharp, soft)]
    assert white[0][1] == white[1][1] == pytest.approx(gradient_echo(WHITE, tr_ms=21.0, te_ms=3.5, flip_deg=18.0))
    assert white[0][0] != pytest.approx(white[1][0])


def test_tissue_signal_accepts_a_whole_volume() -> None:
    z = np.broadcast_to(np.linspace(-50, 50, 5, dtype=np.float32), (3, 4, 5))
    signal = stationary_signal(WHITE, TimeOfFlight(-40.0, 60.0, slabs=2), z)
    assert signal.shape == (3, 4, 5)
    assert not signal[..., 0].any()
    assert signal[..., 1:].all()


@pytest.mark.parametrize(
    "wrong", [{"slabs": 0}, {"upper_mm": -90.0}, {"overlap": 1.0}, {"flip_deg": 80.0, "ramp": 0.3}, {"flip_deg": 0.0}]
)
def test_impossible_protocols_are_refused(wrong: dict) -> None:
    with pytest.raises(InputRejected):
        TimeOfFlight(**{"lower_mm": -80.0, "upper_mm": 90.0, **wrong})


@pytest.mark.parametrize("flow", [np.full(101, 1.2), np.full(101, np.nan), np.ones(7)])
def test_a_flow_without_a_share_for_each_node_is_refused(flow: np.ndarray) -> None:
    with pytest.raises(InputRejected, match="flow"):
        transit_s(straight(), flow=flow)


def test_flair_shows_standing_blood_and_no_moving_blood() -> None:
    times = {"te_ms": 120.0, "ti_ms": 2500.0, "tr_ms": 9000.0}
    signal = vascular_hyperintensity(BLOOD, np.array([1.0, 0.75, 0.0]), **times)
    still = inversion_recovery(BLOOD, **times)
    assert signal == pytest.approx([0, still / 4, still])
    with pytest.raises(InputRejected, match="flow"):
        vascular_hyperintensity(BLOOD, np.array([-0.1]), **times)


@pytest.mark.parametrize("b0_tesla", [1.5, 3.0])
def test_hyperintense_vessels_are_brighter_than_brain_on_flair(b0_tesla: float) -> None:
    times = {"te_ms": 120.0, "ti_ms": 2500.0, "tr_ms": 9000.0}
    tissues = TISSUES[b0_tesla]
    slow = float(vascular_hyperintensity(tissues["arterial_blood"], np.array([0.1]), **times)[0])
    assert slow > 1.2 * inversion_recovery(tissues["grey"], **times)
    assert slow > 5 * inversion_recovery(tissues["csf"], **times)


@pytest.fixture(scope="module")
def atlas() -> Tree:
    return grow_arteries()[0]


def named(tree: Tree, *starts: str, above_mm: float) -> np.ndarray:
    """Nodes of segments by the start of their names, above a radius: trunks without their small branches."""
    chosen = [i for i, name in enumerate(tree.names) if name.startswith(starts)]
    return np.isin(tree.segment, chosen) & (tree.radius_mm > above_mm)


def test_all_arteries_together_carry_the_measured_flow(atlas: Tree) -> None:
    total = atlas.supplied_ml[atlas.parent < 0].sum() * PER_100_ML / 100
    assert total == pytest.approx(717, rel=0.03)
    m1 = [atlas.supplied_ml[atlas.nodes(f"M1_{side}")].max() * PER_100_ML / 100 for side in "RL"]
    assert m1 == pytest.approx([146, 146], abs=31)  # ml/min: Zarrinkoob et al. 2015


def test_velocities_are_those_of_arteries(atlas: Tree) -> None:
    """In cm/s: tens in the large ones, a few in the smallest."""
    velocity = velocity_cm_s(atlas)
    ranges = {"ICA_": (1.0, 40, 60), "M1_": (1.0, 30, 60), "basilar": (1.0, 30, 60), "M3 ": (0.4, 10, 40),
              "M4_": (0.2, 5, 30)}  # fmt: skip
    for name, (radius, low, high) in ranges.items():
        signal = velocity[named(atlas, name, above_mm=radius)]
        assert low < signal.min() <= signal.max() < high, name
    smallest = velocity[(atlas.radius_mm > 0) & (atlas.radius_mm < 0.12)]
    assert 1 < smallest.min() <= smallest.max() < 6
    assert not velocity[atlas.radius_mm == 0].any()  # communicating arteries without flow


def test_blood_reaches_the_cortex_within_seconds(atlas: Tree) -> None:
    seconds = transit_s(atlas)
    inner = np.isfinite(seconds) & (atlas.parent >= 0)
    assert (seconds[inner] >= seconds[atlas.parent[inner]]).all()
    assert 0.1 < np.median(seconds[named(atlas, "M1_", above_mm=1.0)]) < 0.3
    assert 0.3 < np.median(seconds[named(atlas, "M4_", above_mm=0.2)]) < 1.5
    assert seconds[np.isfinite(seconds)].max() < 10


@pytest.mark.parametrize("protocol", [WHOLE, TimeOfFlight(-80.0, 90.0, flip_deg=20.0)], ids=["18°", "20°"])
def test_distal_branches_are_saturated_without_occlusion(atlas: Tree, protocol: TimeOfFlight) -> None:
    """Contrast to white matter in one slab: M1 is bright, M3 and M4 are less so, small branches are invisible."""
    contrast = blood_signal(atlas, protocol, BLOOD) / stationary_signal(WHITE, protocol, atlas.points_mm[:, 2])
    m1, m3, m4 = (contrast[named(atlas, n, above_mm=r)].mean() for n, r in (("M1_", 1.0), ("M3", 0.2), ("M4", 0.2)))
    assert m1 > 2.2
    assert m1 > 1.3 * m3 > 1.3 * m4
    assert m1 > 1.8 * m4
    assert contrast[named(atlas, "M4", above_mm=0.0)].mean() < 1.05


def test_several_slabs_show_distal_branches(atlas: Tree) -> None:
    several = TimeOfFlight(-80.0, 90.0, slabs=5, overlap=0.2)
    m4 = named(atlas, "M4", above_mm=0.2)
    one, five = (blood_signal(atlas, p, BLOOD)[m4].mean() for p in (WHOLE, several))
    assert five > 1.3 * one


def test_beyond_an_occlusion_no_slab_shows_fresh_blood() -> None:
    """Collateral blood behind a clot crosses slabs slowly and is not fresh where another slab begins."""
    tree, protocol = straight(), TimeOfFlight(-1.0, 101.0, slabs=4)
    z = tree.points_mm[:, 2]
    flow = np.where((z >= 30) & (z < 40), 0.0, np.where(z >= 40, 0.6, 1.0))
    signal = blood_signal(tree, protocol, BARE, flow=flow)
    assert signal[z >= 30] == pytest.approx(steady() * np.sin(np.radians(18)))
    assert signal[z < 30] == pytest.approx(blood_signal(tree, protocol, BARE)[z < 30])


def test_behind_a_closed_m1_the_territory_is_as_dark_as_tissue(atlas: Tree) -> None:
    behind = atlas.downstream(atlas.named("M1_R"))
    flow = np.where(behind, 0.0, 1.0)
    signal, before = (blood_signal(atlas, WHOLE, BLOOD, flow=f) for f in (flow, np.ones(len(flow))))
    tissue = gradient_echo(WHITE, tr_ms=21.0, te_ms=3.5, flip_deg=18.0)
    assert (signal[behind] < tissue).all()
    assert signal[~behind].tobytes() == before[~behind].tobytes()
