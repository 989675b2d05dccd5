"""Fields of view: whole heads, incomplete sequences, and a TOF that covers the circle of Willis."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.geometry.grid import Grid
from adumbra.phantom.anatomy.head import in_subject, sample_head
from adumbra.phantom.generate import phantom_from
from adumbra.phantom.patient import SimulatedPatient, simulate_patient
from adumbra.phantom.physics.inflow import TimeOfFlight
from adumbra.phantom.presets import PRESETS, ExaminationPreset, preset_named
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner.field_of_view import (
    INCOMPLETE,
    MARGIN_MM,
    RAISED_MM,
    circle_of_willis_mm,
    moved_to_cover,
    plan_fields_of_view,
)
from adumbra.phantom.scanner.setup import ScannerSetup, sample_setup
from adumbra.phantom.vasculature.arteries import grow_arteries, skeleton
from adumbra.phantom.vasculature.vessels import Tree, curve_through

HEAD = Grid((24, 28, 20), np.array([[8.0, 0, 0, -94], [0, 8, 0, -128], [0, 0, 8, -60], [0, 0, 0, 1]]))
BASE_MM, TOP_MM = -64.0, 96.0
COARSE_MM = 8.0
WHOLE_HEAD = ("dwi", "flair", "swi")
CUT = 13  # seed of a head that begins inside the brain where heads may be cut
BELOW_SWI = 111  # seed of a clot of the middle cerebral artery over which SWI begins


def unbranched(rng: np.random.Generator | None) -> Tree:
    """The named arteries without the branches that grow from them; their courses are those of the grown tree."""
    segments, _ = skeleton(rng)
    curves = [curve_through(np.array(s.points_mm)) for s in segments]
    owner = np.repeat(np.arange(len(curves)), [len(c) for c in curves])
    points, count = np.concatenate(curves), len(owner)
    return Tree(points, np.arange(count) - 1, np.ones(count), np.ones(count), owner, tuple(s.name for s in segments))


ATLAS = unbranched(None)


def planned(seed: int, preset_name: str) -> ScannerSetup:
    setup = sample_setup(stream(seed, "setup"), preset_named(preset_name))
    return plan_fields_of_view(stream(seed, "field of view"), setup, HEAD, ATLAS)


def raised_mm(setup: ScannerSetup) -> dict[str, float]:
    """The height above the base at which each incomplete sequence begins."""
    covers = {name: setup.stacks[name].cover_mm for name in WHOLE_HEAD}
    assert all(cover[1] == TOP_MM for cover in covers.values() if cover is not None)
    return {name: cover[0] - BASE_MM for name, cover in covers.items() if cover is not None}


def test_some_sequences_begin_inside_the_brain_each_on_its_own() -> None:
    raised = [raised_mm(planned(seed, "multicentric")) for seed in range(400)]
    shares = np.array([[name in mm for name in WHOLE_HEAD] for mm in raised])
    four_deviations = 4 * (INCOMPLETE * (1 - INCOMPLETE) / 400) ** 0.5
    assert shares.mean(axis=0) == pytest.approx(INCOMPLETE, abs=four_deviations)
    assert shares.any(axis=1).mean() == pytest.approx(1 - (1 - INCOMPLETE) ** 3, abs=0.08)
    assert (shares.sum(axis=1) == 1).sum() > 10 * (shares.sum(axis=1) == 3).sum()
    heights = np.concatenate([list(mm.values()) for mm in raised])
    assert RAISED_MM[0] <= heights.min() < 30
    assert 50 < heights.max() <= RAISED_MM[1]


def test_the_field_of_view_belongs_to_the_patient_and_not_to_the_scanner() -> None:
    assert all(raised_mm(planned(seed, "monocentric")) == raised_mm(planned(seed, "emergency")) for seed in range(40))


def test_images_of_one_acquisition_share_a_field_of_view_and_the_others_do_not_change() -> None:
    seed = next(seed for seed in range(99) if set(raised_mm(planned(seed, "multicentric"))) == {"swi"})
    setup = sample_setup(stream(seed, "setup"), preset_named("multicentric"))
    after = planned(seed, "multicentric")
    assert after.stacks["dwi"] == setup.stacks["dwi"]
    assert after.stacks["flair"] == setup.stacks["flair"]
    assert replace(after.stacks["swi"], cover_mm=None) == setup.stacks["swi"]
    assert replace(after, stacks={}, angiography=setup.angiography) == replace(setup, stacks={})


def test_the_circle_of_willis_lies_within_tof_in_every_subject() -> None:
    moved = 0
    for seed in range(30):
        head, _ = sample_head(stream(seed, "head"), spacing_mm=16.0, cut=False)
        tree = unbranched(stream(seed, "vessels"))
        tree = replace(tree, points_mm=in_subject(head, tree.points_mm))
        circle = np.concatenate([
            tree.points_mm[tree.named(name)] for name in tree.names if name.startswith(("M1_", "A1_", "P1_"))
        ] + [tree.points_mm[tree.nodes(name)[-9:]] for name in ("ICA_R", "ICA_L")]
          + [tree.points_mm[tree.nodes("basilar")[-1:]]])  # fmt: skip
        for name in ("monocentric", "emergency"):
            setup = sample_setup(stream(seed, "setup"), preset_named(name))
            after = plan_fields_of_view(stream(seed, "field of view"), setup, head.grid, tree)
            slabs, z_mm = after.angiography, circle[:, 2]
            assert slabs.lower_mm + MARGIN_MM <= z_mm.min() + 1e-9
            assert z_mm.max() <= slabs.upper_mm - MARGIN_MM + 1e-9
            assert after.stacks["tof"].cover_mm == (slabs.lower_mm, slabs.upper_mm)
            assert slabs.thickness_mm == pytest.approx(setup.angiography.thickness_mm)
            moved += slabs != setup.angiography
    assert 0 < moved < 20, "only slabs that would miss it are moved"


def test_branches_do_not_belong_to_the_circle_of_willis() -> None:
    grown, _ = grow_arteries()
    assert circle_of_willis_mm(grown) == pytest.approx(circle_of_willis_mm(ATLAS))
    low, high = circle_of_willis_mm(grown)
    assert -25 < low < high < -10


@pytest.mark.parametrize(("circle", "expected"), [
    ((-20.0, 0.0), (-40.0, 20.0)),  # it is covered already
    ((-38.0, -30.0), (-43.0, 17.0)),  # the lower end is 5 mm below
    ((0.0, 18.0), (-37.0, 23.0)),
    ((-40.0, 20.0), (-40.0, 20.0)),  # too large for the margins: the slabs lie around its middle
    ((-30.0, 30.0), (-30.0, 30.0)),
])  # fmt: skip
def test_slabs_move_as_little_as_necessary(circle: tuple[float, float], expected: tuple[float, float]) -> None:
    slabs = TimeOfFlight(-40.0, 20.0, slabs=2, overlap=0.2)
    after = moved_to_cover(slabs, *circle)
    assert (after.lower_mm, after.upper_mm) == pytest.approx(expected)
    assert replace(after, lower_mm=slabs.lower_mm, upper_mm=slabs.upper_mm) == slabs


def test_a_whole_head_is_the_same_as_before_and_a_cut_one_is_as_high_as_the_others() -> None:
    for seed in range(5, 20):
        whole, cut = (sample_head(stream(seed, "head"), spacing_mm=16.0, cut=c)[1] for c in (False, True))
        assert -74 <= whole["bottom_mm"] <= -52
        assert cut["bottom_mm"] == whole["bottom_mm"] or 20 <= cut["bottom_mm"] - whole["bottom_mm"] <= 60
        if cut["bottom_mm"] == whole["bottom_mm"]:
            assert cut == whole
    assert sample_head(stream(CUT, "head"), spacing_mm=16.0)[1]["bottom_mm"] > -52


def at(spacing_mm: float, preset_name: str, **changes: object) -> ExaminationPreset:
    return replace(PRESETS[preset_name], spacing_mm=spacing_mm, **changes)


def test_presets_with_vessels_have_whole_heads_and_the_others_are_as_before() -> None:
    assert {name for name, preset in PRESETS.items() if preset.vessels} == {
        "monocentric", "multicentric", "emergency", "clots",
    }  # fmt: skip
    whole = simulate_patient(CUT, preset=at(COARSE_MM, "emergency", sequences=("dwi", "swi")))
    assert whole.head_parameters["bottom_mm"] == pytest.approx(-58.475, abs=0.001)
    for name in ("diffusion", "lesion-both"):
        patient = simulate_patient(CUT, preset=at(COARSE_MM, name))
        assert patient.head_parameters["bottom_mm"] == pytest.approx(-8.218, abs=0.001)
        assert all(stack.cover_mm is None for n, stack in patient.setup.stacks.items() if n != "tof")


@pytest.fixture(scope="module")
def below_swi() -> SimulatedPatient:
    preset = at(4.0, "monocentric", sequences=("dwi", "swi", "tof"))
    return simulate_patient(BELOW_SWI, preset=preset)


def test_a_clot_below_swi_is_contoured_on_tof(below_swi: SimulatedPatient) -> None:
    assert below_swi.disease.stroke is not None
    (clot,) = below_swi.disease.stroke.clots
    covered = {name: a.sampler.covers(clot.points_mm).mean() for name, a in below_swi.acquisitions.items()}
    assert covered == {"dwi": 1, "swi": 0, "tof": 1}
    phantom = phantom_from(below_swi, BELOW_SWI, "monocentric")
    masks = {t.space: t.scan.data for t in phantom.truths if t.name == "thrombus" and t.kind == "mask"}
    assert not masks["swi"].any()
    assert masks["tof"].any()
    assert [c["visible_on"] for c in phantom.parameters["clots"]] == ["TOF"]
    assert phantom.parameters["setup"]["stacks"]["swi"]["cover_mm"][0] > clot.points_mm[:, 2].max()


def test_a_clot_that_no_image_covers_is_visible_on_none(below_swi: SimulatedPatient) -> None:
    without_tof = replace(below_swi, setup=replace(below_swi.setup, sequences=("dwi", "swi")))
    phantom = phantom_from(without_tof, BELOW_SWI, "monocentric")
    assert [c["visible_on"] for c in phantom.parameters["clots"]] == [""]
    assert not phantom.case.masks["thrombus"].data.any()
