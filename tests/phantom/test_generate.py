"""The phantom as a whole: reproducible, with the sequences of its preset, and with visible lesions."""

import json
from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.errors import InputRejected
from adumbra.core.geometry.components import label_components
from adumbra.core.types import MODALITIES
from adumbra.phantom.anatomy.head import sample_head
from adumbra.phantom.generate import Phantom, generate
from adumbra.phantom.pathology.disease import sample_disease
from adumbra.phantom.pathology.lesion import LesionShape
from adumbra.phantom.patient import SimulatedPatient, has_clot, simulate_patient
from adumbra.phantom.presets import PRESETS, preset_named
from adumbra.phantom.rng import stream
from adumbra.phantom.scanner.setup import sample_setup
from adumbra.phantom.vasculature.subject import sample_vasculature

SEEDS = (3, 11, 12, 19)
COARSE = 3.0  # mm; the whole simulation takes a second


def simulated(seed: int) -> Phantom:
    return generate(seed, preset_name="diffusion")


@pytest.fixture(scope="module")
def phantoms() -> dict[int, Phantom]:
    return {seed: simulated(seed) for seed in SEEDS}


@pytest.fixture(scope="module")
def coarse() -> pytest.MonkeyPatch:
    with pytest.MonkeyPatch.context() as patch:
        coarser = {n: replace(p, spacing_mm=COARSE) for n, p in PRESETS.items() if p.vessels}
        patch.setattr("adumbra.phantom.presets.PRESETS", dict(PRESETS) | coarser)
        yield patch


@pytest.fixture(scope="module")
def whole(coarse: pytest.MonkeyPatch) -> dict[str, Phantom]:
    """A seed with a clot that is present at the scan."""
    return {name: generate(CLOTTED, preset_name=name) for name in ("monocentric", "multicentric")}


CLOTTED = 12


def _same(a: Phantom, b: Phantom) -> bool:
    scans = [(a.case.scans[m].data, b.case.scans[m].data) for m in a.case.scans]
    truths = [(s.scan.data, t.scan.data) for s, t in zip(a.truths, b.truths, strict=True)]
    same = all(x.tobytes() == y.tobytes() for x, y in (*scans, *truths))
    return same and json.dumps(a.parameters) == json.dumps(b.parameters)


def test_same_seed_same_bytes_other_seed_other_bytes(phantoms: dict[int, Phantom]) -> None:
    assert _same(phantoms[SEEDS[0]], simulated(SEEDS[0]))
    assert not _same(phantoms[SEEDS[0]], phantoms[SEEDS[1]])


def test_ambient_randomness_changes_nothing(phantoms: dict[int, Phantom], whole: dict[str, Phantom]) -> None:
    np.random.seed(0)  # noqa: NPY002 - on purpose: ambient state must not matter
    assert _same(phantoms[SEEDS[1]], simulated(SEEDS[1]))
    assert _same(whole["multicentric"], generate(CLOTTED, preset_name="multicentric"))


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(InputRejected, match="monocentric"):
        generate(1, preset_name="bicentric")


def test_parameters_are_json_and_complete(phantoms: dict[int, Phantom], whole: dict[str, Phantom]) -> None:
    parameters = json.loads(json.dumps(phantoms[SEEDS[0]].parameters))
    assert {"seed", "preset", "pattern", "stage", "head", "setup", "tissues", "acquired", "rater_level"} <= set(
        parameters
    )
    parameters = json.loads(json.dumps(whole["monocentric"].parameters))
    assert {"clots", "collateral_grade", "hours_closed", "variants"} <= set(parameters)
    assert parameters["sequences"]["phase"]["EchoTime"] == pytest.approx(0.030)


def test_the_presence_of_a_clot_is_known_without_simulating_images(whole: dict[str, Phantom]) -> None:
    preset = preset_named("monocentric")
    assert whole["monocentric"].parameters["clots"]
    assert has_clot(CLOTTED, preset=preset)
    without = next(seed for seed in range(20) if not has_clot(seed, preset=preset))
    assert generate(without, preset_name="monocentric").parameters["clots"] == []
    assert not has_clot(CLOTTED, preset=preset_named("diffusion"))


def test_scans_masks_and_grids_agree(phantoms: dict[int, Phantom]) -> None:
    for phantom in phantoms.values():
        scans = phantom.case.scans
        assert set(scans) == {"dwi", "adc", "b0", "flair"}
        assert scans["dwi"].grid.coincides(scans["adc"].grid)
        assert phantom.case.masks["lesion"].grid.coincides(scans["dwi"].grid)
        assert scans["dwi"].grid.axcodes == "RAS"
        assert scans["dwi"].b_value in {800.0, 1000.0, 1200.0}


def test_the_monocentric_preset_has_all_sequences_and_all_truths(whole: dict[str, Phantom]) -> None:
    phantom = whole["monocentric"]
    assert set(phantom.case.scans) == set(MODALITIES)
    assert set(phantom.case.masks) == {"lesion", "thrombus", "hypoperfusion"}
    assert phantom.case.masks["thrombus"].grid.coincides(phantom.case.scans["swi"].grid)
    at_rest = {t.name for t in phantom.truths if t.space == "phantom"}
    assert at_rest == {
        "lesion", "lumen", "hypoperfusion", "tmax", "territories", "arteries", "veins", "chi", "field",
    }  # fmt: skip
    of_clots = {(t.name, t.space) for t in phantom.truths if t.name in ("thrombus", "thrombusSecond", "lumen")}
    assert of_clots == {(name, s) for name in ("thrombus", "thrombusSecond", "lumen") for s in ("swi", "tof")} | {
        ("lumen", "phantom")
    }


def test_an_expert_contours_what_is_visible(whole: dict[str, Phantom]) -> None:
    for phantom in whole.values():
        masks = {(t.name, t.space): t.scan.data for t in phantom.truths if t.kind == "mask"}
        space = "swi" if "swi" in phantom.case.scans else "tof"
        thrombus, lumen = masks["thrombus", space], masks["lumen", space]
        visible_on = [clot["visible_on"] for clot in phantom.parameters["clots"]]
        assert set(visible_on) <= {"SWI", "TOF", ""}
        assert thrombus.any() == any(visible_on)
        assert lumen.any()
        if "SWI" in visible_on:
            assert (thrombus & lumen).any()


def test_a_multicentric_cohort_lacks_sequences_and_varies() -> None:
    preset = preset_named("multicentric")
    setups = [sample_setup(stream(seed, "setup"), preset) for seed in range(200)]
    shares = {m: np.mean([m in s.sequences for s in setups]) for m in MODALITIES}
    assert shares["dwi"] == shares["adc"] == 1
    assert 0.70 < shares["swi"] < 0.90
    assert shares["phase"] < shares["swi"]
    assert 0.62 < shares["tof"] < 0.88
    assert {s.tesla for s in setups} == {1.5, 3.0}
    assert {s.stored["phase"] for s in setups} == {"rad", "0…4095", "±4096", "mrad", "±0.0037", "Hz"}
    assert {s.stored["adc"] for s in setups} == {"10⁻³", "10⁻⁶", "mm²/s"}
    assert max(s.stacks["dwi"].thickness_mm for s in setups) == 6.5
    one = [sample_setup(stream(seed, "setup"), preset_named("monocentric")) for seed in range(20)]
    assert {s.sequences for s in one} == {MODALITIES}
    assert len({s.gradient_echo for s in one}) == 1


def test_emergencies_are_examined_within_a_day_with_most_arteries_occluded() -> None:
    preset = replace(preset_named("emergency"), spacing_mm=COARSE)
    anatomy, _ = sample_head(stream(5, "head"), spacing_mm=COARSE)
    vessels = sample_vasculature(stream(5, "vessels"), anatomy)
    diseases = [
        sample_disease(stream(seed, "disease"), anatomy, vessels, patterns=preset.patterns, latest_h=preset.latest_h)
        for seed in range(40)
    ]
    assert all(case.stage.hours <= 24 for case in diseases)
    assert {case.pattern for case in diseases} == {"none", "territorial"}
    closed = [bool(case.stroke and case.stroke.clots) for case in diseases]
    assert np.mean(closed) > 0.5


@pytest.mark.usefixtures("coarse")
def test_several_clots_lie_far_from_each_other() -> None:
    patient = simulate_patient(CLOTTED, preset=preset_named("clots"))
    assert patient.disease.stroke is not None
    clots = patient.disease.stroke.clots
    assert 2 <= len(clots) <= 8
    assert has_clot(CLOTTED, preset=preset_named("clots"))
    pairs = [(a, b) for n, a in enumerate(clots) for b in clots[:n]]
    apart = [np.linalg.norm(a.points_mm[:, None] - b.points_mm[None], axis=2).min() for a, b in pairs]
    assert sum(distance < 20 for distance in apart) <= 3, "only those of one stroke are near each other"


def test_the_same_seed_is_the_same_patient_at_another_scanner(whole: dict[str, Phantom]) -> None:
    of_scanner = "visible_on"
    clots = [
        [{key: value for key, value in clot.items() if key != of_scanner} for clot in whole[name].parameters["clots"]]
        for name in ("monocentric", "multicentric")
    ]
    assert clots[0] == clots[1]
    assert clots[0]


@pytest.mark.usefixtures("coarse")
def test_the_clot_has_no_flow_and_its_whole_volume_is_painted(whole: dict[str, Phantom]) -> None:
    patient: SimulatedPatient = simulate_patient(CLOTTED, preset=preset_named("monocentric"))
    flow, stroke = patient.examined.flow, patient.disease.stroke
    assert stroke is not None
    assert flow is not None
    assert all((flow[c.nodes] == 0).all() for c in stroke.clots)
    assert patient.body.field_ppm is not None
    lumen = next(t for t in whole["monocentric"].truths if (t.name, t.space) == ("lumen", "phantom"))
    volume = lumen.scan.data.sum() * lumen.scan.grid.voxel_ml
    assert volume == pytest.approx(sum(c.volume_ml for c in stroke.clots), rel=0.15)


def test_the_core_lies_inside_hypoperfused_tissue(whole: dict[str, Phantom]) -> None:
    truths = {(t.name, t.space, t.kind): t.scan.data for t in whole["monocentric"].truths}
    core = truths["lesion", "phantom", "probseg"] > 0.5
    assert core.any()
    assert truths["hypoperfusion", "phantom", "mask"][core].mean() > 0.99


def test_lesion_is_brighter_than_the_mirror_side(phantoms: dict[int, Phantom]) -> None:
    compared = 0
    for phantom in phantoms.values():
        mask, dwi = phantom.case.masks["lesion"].data, phantom.case.scans["dwi"].data
        mirror = mask[::-1] & (dwi > 0) & ~mask
        if mask.sum() > 50 and mirror.sum() > 50:
            compared += 1
            assert np.median(dwi[mask]) > 1.1 * np.median(dwi[mirror])
    assert compared >= 1


def test_patterns_include_showers_single_infarcts_and_none() -> None:
    counts = []
    for seed in range(40, 47):
        phantom = simulated(seed)
        counts.append((phantom.parameters["pattern"], label_components(phantom.case.masks["lesion"].data)[1]))
    assert max(n for _, n in counts) >= 8
    assert {"territorial", "shower"} <= {p for p, _ in counts}


def test_a_given_lesion_shape_keeps_its_position() -> None:
    volume = np.zeros((60, 60, 60), np.uint8)
    volume[20:40, 20:40, 20:40] = 1
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = [10, -40, 0]  # a cube of 8 ml at x = 30…49: on the right
    lesion_shape = LesionShape("cube", volume, affine)
    tried = (generate(s, preset_name="diffusion", lesion_shape=lesion_shape) for s in range(10))
    phantom = next(p for p in tried if p.parameters["lesion_mask"] == "cube")
    share = next(t for t in phantom.truths if t.kind == "probseg" and t.space == "phantom").scan
    assert 1.0 < share.data.sum() * share.grid.voxel_ml < 16
    assert abs(share.grid.world_mm(np.argwhere(share.data > 0.3).mean(axis=0))[0]) > 15
