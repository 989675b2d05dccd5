"""Findings simulated in a box of a kept head, beside the simulation of the whole head, at 2 mm for speed."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.errors import InputRejected, UnreadableFile
from adumbra.phantom.annotator import lumen_mask
from adumbra.phantom.clot_contour import ClotAnnotator, contour, sample_annotator
from adumbra.phantom.clot_views import clot_views
from adumbra.phantom.local.findings import FINDINGS, Finding, Plaque, clot_finding
from adumbra.phantom.local.kept_head import keep_head, read_head, write_head
from adumbra.phantom.local.patch import is_seen, simulate_patch
from adumbra.phantom.pathology.clot import sample_clot
from adumbra.phantom.patient import simulate_patient
from adumbra.phantom.presets import preset_named
from adumbra.phantom.scanner import sequences

SEED, SIDE_MM = 7, 48.0
PRESET = replace(preset_named("monocentric"), spacing_mm=2.0, patterns={"territorial": 1.0})


@pytest.fixture(scope="module", autouse=True)
def complete():
    """Every sequence covers the whole head; of this seed the DWI begins inside the brain otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("adumbra.phantom.scanner.field_of_view.INCOMPLETE", 0.0)
        yield


@pytest.fixture(scope="module")
def bare(complete):
    return simulate_patient(SEED, preset=PRESET, clots=lambda _: ())


@pytest.fixture(scope="module")
def head(bare):
    return keep_head(bare, name="sub-bare", scales={"swi": (500.0, 60.0)})


@pytest.fixture(scope="module")
def clot(bare):
    """A red clot of the carotid terminus, behind which the anterior cerebral artery is supplied from the other side."""
    sampled = sample_clot(np.random.default_rng(3), bare.vessels.arteries, site="ICA")
    return replace(sampled, red=0.7, layered=False)


@pytest.fixture(scope="module")
def finding(clot):
    return Finding("clot", clot.points_mm[len(clot.points_mm) // 2], (clot,))


def noise_free(patient):
    """The complex gradient echo of the last echo, TOF and DWI of a whole head on their slices, in stored units."""
    e, setup, acquired = patient.examined, patient.setup, patient.acquisitions
    *_, (real, imaginary) = sequences.gradient_echoes(
        e.body, e.texture, setup.gradient_echo, e.field_ppm, b0_tesla=setup.tesla
    )
    swi = acquired["swi"].sampler
    grid, p = e.head.grid, setup.angiography
    painted = sequences.paint_inflow(grid, p, e.arteries, e.flow, b0_tesla=setup.tesla)
    tof = sequences.angiogram(grid, e.body, e.texture, p, e.field_ppm, painted, b0_tesla=setup.tesla)
    dwi = sequences.diffusion(e.body, e.texture, setup.diffusion)["dwi"]
    return {
        "swi": swi.sample(real) + 1j * swi.sample(imaginary),
        "tof": acquired["tof"].sampler.sample(tof) * acquired["tof"].units,
        "dwi": acquired["dwi"].sampler.sample(dwi) * acquired["dwi"].units,
    }


def inner(volume, spacing_mm):
    """The voxels of a patch that lie at least 8 mm within its slices, which is the cube that was asked for."""
    return volume[tuple(slice(round(8 / h), -round(8 / h)) for h in spacing_mm)]


def part_of(whole, grid, scan):
    first = np.rint(grid.index(scan.grid.affine[:3, 3][None])[0]).astype(int)
    return whole[tuple(slice(a, a + n) for a, n in zip(first, scan.data.shape, strict=True))]


def test_a_patch_equals_the_whole_head_with_that_clot(head, bare, clot, finding):
    whole = simulate_patient(SEED, preset=PRESET, clots=lambda _: (clot,))
    expected, before = noise_free(whole), noise_free(bare)
    local = simulate_patch(head, finding, side_mm=SIDE_MM)
    for name in ("tof", "dwi"):
        scan, grid = local.scans[name], whole.acquisitions[name].sampler.grid
        truth, without = (inner(part_of(v[name], grid, scan), grid.spacing_mm) for v in (expected, before))
        typical = np.median(truth)
        assert np.abs(inner(scan.data, grid.spacing_mm) - truth).max() < 0.01 * typical
        assert np.abs(truth - without).max() > 0.2 * typical, "the clot is visible"
    scan, grid = local.scans["swi"], whole.acquisitions["swi"].sampler.grid
    truth, without = (inner(part_of(v["swi"], grid, scan), grid.spacing_mm) for v in (expected, before))
    units = head.units["swi"]
    last = inner(scan.data * np.exp(1j * local.scans["phase"].data), grid.spacing_mm)
    assert len(head.setup.gradient_echo.te_ms) == 3, "the magnitude is the mean of three echoes"
    # The shim of the whole head also fits the clot's field, which adds a constant to the phase.
    turn = np.angle((np.exp(1j * np.angle(last)) * np.conj(truth)).sum())
    near = np.abs(np.exp(1j * (np.angle(last) - turn)) * np.abs(truth) - truth)
    assert near.max() < 0.02 * np.median(np.abs(truth))
    assert np.abs(truth - without).max() > 0.5 * np.median(np.abs(truth))
    assert np.median(np.abs(last)) / units == pytest.approx(np.median(np.abs(truth)), rel=0.3)


def test_the_lost_signal_is_that_of_the_whole_head(head, bare, clot, finding):
    whole = simulate_patient(SEED, preset=PRESET, clots=lambda _: (clot,))
    (view,) = clot_views(whole)
    local = simulate_patch(head, finding, side_mm=SIDE_MM).truths["lost"]
    full = np.zeros(whole.acquisitions["swi"].sampler.grid.shape, np.float32)
    full[view.box] = view.lost
    part = part_of(full, whole.acquisitions["swi"].sampler.grid, local)
    both = (part != 0) & (local.data != 0)
    assert both.sum() > 1000
    assert np.abs(part - local.data)[both].max() < 0.03
    assert view.lost.max() > 0.5
    assert clot_views(bare) == ()


EXPERT = ClotAnnotator()


def contoured(local, annotator=EXPERT):
    """The contour of the clot of a patch, and where it is visible; the noise is low."""
    names = {"lost": "lost", "lumen": "lumen", "without_flow": "without flow"}
    volumes = {name: local.truths[truth].data for name, truth in names.items()}
    return contour(annotator, **volumes, noise=0.05, spacing_mm=local.truths["lumen"].grid.spacing_mm)


def test_experts_contour_the_vessel_sign_or_the_missing_flow(head, finding, clot):
    local = simulate_patch(head, finding, side_mm=SIDE_MM)
    lumen = lumen_mask(local.truths["lumen"].data)
    sign, where = contoured(local)
    assert where == "SWI"
    assert sign.sum() > 1.3 * lumen.sum(), "blooming is wider than the lumen"
    assert (sign & lumen).sum() > 0.7 * lumen.sum()
    pale = replace(finding, clots=(replace(clot, red=0.0),))
    missing, where = contoured(simulate_patch(head, pale, side_mm=SIDE_MM))
    assert where == "TOF"
    assert 0.5 * lumen.sum() < missing.sum() < 1.5 * lumen.sum()
    without_tof = replace(head, setup=replace(head.setup, sequences=("dwi", "swi", "phase")))
    nothing, where = contoured(simulate_patch(without_tof, pale, side_mm=SIDE_MM))
    assert (nothing.any(), where) == (False, "")


def test_a_second_annotator_differs_at_the_rim(head, finding):
    local = simulate_patch(head, finding, side_mm=SIDE_MM)
    first, _ = contoured(local)
    rng = np.random.default_rng(0)
    others = [contoured(local, sample_annotator(rng))[0] for _ in range(6)]
    overlap = [2 * (first & other).sum() / (first.sum() + other.sum()) for other in others]
    assert 0.5 < min(overlap) < max(overlap) < 0.98


def test_truths_lie_on_the_slices_of_swi(head, clot, finding):
    local = simulate_patch(head, finding, side_mm=SIDE_MM)
    truths = local.truths
    assert local.reference == "swi"
    assert all(truth.grid.coincides(local.scans["swi"].grid) for truth in truths.values())
    voxel_ml = local.scans["swi"].grid.voxel_ml
    assert truths["lumen"].data.sum() * voxel_ml == pytest.approx(clot.volume_ml, rel=0.1)
    filled = truths["lumen"].data > 0.3
    assert truths["arteries"].data[filled].min() > 0.2, "the artery is there as if it were open"
    assert truths["flow"].data[filled].max() < 0.6, "and no flow is seen in the clot"
    assert simulate_patch(head, replace(finding, clots=()), side_mm=SIDE_MM).truths["flow"].data[filled].mean() > 0.3


def test_vessels_are_painted_finer_than_the_head(head, clot, finding):
    coarse, fine = (simulate_patch(head, finding, side_mm=SIDE_MM, factor=factor) for factor in (1, 2))
    for name in ("swi", "tof", "dwi"):
        assert fine.scans[name].grid.coincides(coarse.scans[name].grid)
        typical = np.median(coarse.scans[name].data)
        assert np.median(np.abs(fine.scans[name].data - coarse.scans[name].data)) < 0.05 * typical
    ml = [v.truths["lumen"].data.sum() * v.scans["swi"].grid.voxel_ml for v in (coarse, fine)]
    assert ml[0] == pytest.approx(ml[1], rel=0.06)


def test_a_head_is_the_same_from_its_file(head, finding, tmp_path):
    write_head(tmp_path / "head.safetensors", head)
    again = read_head(tmp_path / "head.safetensors")
    assert (again.name, again.setup, again.scales) == (head.name, head.setup, head.scales)
    one, other = (simulate_patch(h, finding, side_mm=32.0, rng=np.random.default_rng(5)) for h in (head, again))
    for name, scan in one.scans.items():
        assert np.array_equal(scan.data, other.scans[name].data)
    write_head(tmp_path / "copy.safetensors", again)
    assert (tmp_path / "copy.safetensors").read_bytes() == (tmp_path / "head.safetensors").read_bytes()


def test_files_that_hold_no_head_are_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"nothing")
    with pytest.raises(UnreadableFile, match="a kept head"):
        read_head(tmp_path / "x.safetensors")


def test_a_head_with_a_clot_is_refused(bare, clot):
    stroke = replace(bare.disease.stroke, clots=(clot,))
    with pytest.raises(InputRejected, match="a clot"):
        keep_head(replace(bare, disease=replace(bare.disease, stroke=stroke)), name="x", scales={})


@pytest.mark.parametrize("kind", [k for k in FINDINGS if k != "clot"])
def test_negatives_have_no_clot(head, kind):
    rng = np.random.default_rng(11)
    candidates = (FINDINGS[kind](rng, head.arteries, head.veins) for _ in range(50))
    sampled = next(finding for finding in candidates if is_seen(head, finding))
    assert sampled.kind in FINDINGS
    assert np.isfinite(sampled.centre_mm).all()
    local = simulate_patch(head, sampled, side_mm=24.0)
    assert not local.truths["lumen"].data.any()
    assert all(np.isfinite(scan.data).all() for scan in local.scans.values())


def test_a_finding_that_no_image_reaches_is_refused(head):
    """Without SWI, the base of the head lies below the slices of TOF."""
    blind = replace(head, slices={name: sampler for name, sampler in head.slices.items() if name != "swi"})
    low = head.arteries.points_mm[head.arteries.points_mm[:, 2].argmin()]
    assert not is_seen(blind, Finding("open artery", low - [0, 0, 60.0]))
    assert is_seen(blind, Finding("open artery", head.arteries.points_mm[middle_of(head, "M1_R")]))
    with pytest.raises(InputRejected, match="neither"):
        simulate_patch(blind, Finding("open artery", low - np.array([0, 0, 60.0])), side_mm=8.0)


def changed(head, finding, name):
    """The change of one image by a finding, relative to the median."""
    plain = Finding("open artery", finding.centre_mm)
    after, before = (simulate_patch(head, f, side_mm=24.0).scans[name].data for f in (finding, plain))
    return (after - before) / np.median(before)


def middle_of(head, name):
    nodes = head.arteries.nodes(name)
    nodes = nodes[head.arteries.radius_mm[nodes] > 1.0]  # without the twigs of the same name
    return int(nodes[len(nodes) // 2])


def test_slow_flow_and_a_stenosis_darken_the_angiogram(head):
    node = middle_of(head, "M1_R")
    start = np.zeros(len(head.arteries.parent), bool)
    start[node] = True
    slow = Finding("slow flow", head.arteries.points_mm[node], flow_factor=1 - 0.99 * head.arteries.downstream(start))
    assert changed(head, slow, "tof").min() < -0.3
    near = np.linalg.norm(head.arteries.points_mm - head.arteries.points_mm[node], axis=1) < 4
    narrow = Finding("stenosis", slow.centre_mm, radius_factor=np.where(near, 0.4, 1.0))
    assert changed(head, narrow, "tof").min() < -0.3
    normal = simulate_patch(head, narrow, side_mm=24.0).truths["arteries"].data
    assert np.array_equal(normal, simulate_patch(head, slow, side_mm=24.0).truths["arteries"].data)


def test_old_blood_and_a_calcified_wall_darken_swi(head):
    arteries, node = head.arteries, middle_of(head, "M1_R")
    centre = arteries.points_mm[node]
    bleed = Finding("microbleed", centre, bleeds=((centre + np.array([0, 0, 5.0]), 1.5),))
    assert changed(head, bleed, "swi").min() < -0.05
    beside = arteries.points_mm[arteries.upstream(node)[:4]] + [0, 0, arteries.radius_mm[node] + 0.5]
    wall = Finding("calcified wall", centre, plaques=(Plaque(beside, np.full(4, 0.8), 1.0),))
    assert changed(head, wall, "swi").min() < -0.05
    fields = [simulate_patch(head, f, side_mm=24.0).scans["phase"].data for f in (bleed, wall)]
    plain = simulate_patch(head, Finding("open artery", centre), side_mm=24.0).scans["phase"].data
    above, below = (np.angle(np.exp(1j * (phase - plain))) for phase in fields)
    most = np.abs(above).argmax(), np.abs(below).argmax()
    assert np.sign(above.flat[most[0]]) != np.sign(below.flat[most[1]]), "one is paramagnetic, the other diamagnetic"


def test_noise_and_finding_follow_their_generator(head):
    findings = [clot_finding(np.random.default_rng(4), head.arteries, head.veins) for _ in range(2)]
    scans = [simulate_patch(head, f, side_mm=16.0, rng=np.random.default_rng(1)).scans["tof"].data for f in findings]
    assert np.array_equal(*scans)
    assert not np.array_equal(scans[0], simulate_patch(head, findings[0], side_mm=16.0).scans["tof"].data)


def test_a_clot_below_swi_is_simulated_on_tof(head, finding):
    whole = head.slices["swi"]
    above = replace(whole.stack, cover_mm=(finding.centre_mm[2] + 6.0, 90.0))
    raised = replace(head, slices={**head.slices, "swi": replace(whole, stack=above)})
    assert simulate_patch(head, finding, side_mm=24.0).reference == "swi"
    local = simulate_patch(raised, finding, side_mm=24.0)
    assert local.reference == "tof"
    assert "swi" in local.scans, "a part of the box lies within its field of view"
    assert local.truths["lumen"].data.max() > 0.5
    assert "lost" not in local.truths
