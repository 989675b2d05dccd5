"""Alignment of a case: which scans are registered, which follow another scan, and what is recorded."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.case import Case, Scan
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid, respaced
from adumbra.core.geometry.resampling import resample
from adumbra.preprocessing import alignment
from adumbra.preprocessing.alignment import align
from adumbra.preprocessing.registration import Registration


def shifted(grid, *by_mm):
    affine = np.array(grid.affine)
    affine[:3, 3] += by_mm
    return Grid(grid.shape, affine)


def relabelled(scan, grid):
    """The same voxels under another header."""
    return Scan(scan.data, grid, grid, source=scan.source)


@pytest.fixture(scope="module")
def scan(head, grid_around):
    grid = grid_around((50, 60, 32), (4.0, 4.0, 5.0))
    return Scan(head(grid)[0], grid, grid, source="dwi.nii.gz")


@pytest.fixture(scope="module")
def brain(head, scan):
    return Scan(head(scan.grid)[1], scan.grid, scan.grid)


@pytest.fixture
def registered(monkeypatch):
    """Replaces every registration by a shift of 4 mm to the right, and lists the scans that were registered."""
    moving_scans = []
    shift = np.eye(4)
    shift[0, 3] = 4.0

    def shift_right(fixed, moving, *, seed=0, fixed_mask=None):
        moving_scans.append(moving)
        return Registration(shift, 0.1, 0.2, True, 0.0, 4.0, "mutual information rose")

    monkeypatch.setattr(alignment, "register_rigid", shift_right)
    return moving_scans


def notes_of(case, name):
    return [note for note in case.provenance if note.stage == f"preprocessing.{name}"]


def test_scans_on_one_grid_count_as_aligned(scan, registered):
    case = Case("c", {"dwi": scan, "adc": scan, "flair": scan})
    out = align(case, reference="dwi")
    assert not registered
    assert out.grid.coincides(scan.grid)
    assert all(np.array_equal(out.scan(m).data, scan.data) for m in case.scans)
    assert out.masks["brain"].data.any()
    assert [note.stage for note in out.provenance] == ["preprocessing.brain_mask"]


def test_a_scan_on_another_grid_is_registered_and_moved(scan, brain, registered):
    flair = relabelled(scan, shifted(scan.grid, 4.0, 0, 0))
    out = align(Case("c", {"dwi": scan, "flair": flair}), reference="dwi", brain_mask=brain)
    assert len(registered) == 1
    assert np.array_equal(out.scan("flair").data, scan.data)
    assert out.scan("flair").native is flair.native
    (note,) = notes_of(out, "registration")
    assert note.values["translation_mm"] == 4.0
    assert [n.subject for n in notes_of(out, "resampling")] == ["flair"]


def test_registration_can_be_disabled(scan, brain, registered):
    flair = relabelled(scan, shifted(scan.grid, 4.0, 0, 0))
    out = align(Case("c", {"dwi": scan, "flair": flair}), reference="dwi", registration="never", brain_mask=brain)
    assert not registered
    assert np.array_equal(out.scan("flair").data[1:], scan.data[:-1])
    assert not notes_of(out, "registration")
    assert out.scan("flair").valid_mask is not None


def test_scans_that_share_a_grid_share_one_registration(scan, brain, registered):
    other = shifted(scan.grid, 4.0, 0, 0)
    scans = {"dwi": scan} | {m: relabelled(scan, other) for m in ("adc", "flair", "swi")}
    out = align(Case("c", scans), reference="dwi", brain_mask=brain)
    assert len(registered) == 1
    assert registered[0] is scans["flair"]
    assert np.array_equal(out.scan("adc").data, out.scan("swi").data)


def test_a_rounded_header_of_one_acquisition_is_only_resampled(scan, brain, registered):
    adc = relabelled(scan, shifted(scan.grid, 0.6, 0, 0))
    out = align(Case("c", {"dwi": scan, "adc": adc}), reference="dwi", brain_mask=brain)
    assert not registered
    assert not np.array_equal(out.scan("adc").data, scan.data)
    assert [n.subject for n in notes_of(out, "resampling")] == ["adc"]


def test_an_adc_whose_header_is_off_is_registered(scan, brain):
    adc = relabelled(scan, shifted(scan.grid, 7.0, -5.0, 0))
    out = align(Case("c", {"dwi": scan, "adc": adc}), reference="dwi", brain_mask=brain)
    (note,) = notes_of(out, "registration")
    assert note.values["accepted"]
    assert note.values["translation_mm"] == pytest.approx(np.hypot(7, 5), abs=0.3)
    inside = brain.data
    assert np.corrcoef(out.scan("adc").data[inside], scan.data[inside])[0, 1] > 0.98


def test_phase_follows_its_magnitude(scan, brain, registered):
    grid = shifted(scan.grid, 4.0, 0, 0)
    angle = np.where(np.indices(scan.grid.shape)[0] % 2, np.pi - 0.01, -np.pi + 0.01).astype(np.float32)
    scans = {"dwi": scan, "swi": relabelled(scan, grid), "phase": Scan(angle, grid, grid)}
    out = align(Case("c", scans), reference="dwi", brain_mask=brain)
    assert registered == [scans["swi"]]
    assert out.scan("phase").data == pytest.approx(angle, abs=1e-5)
    assert not any(note.warning for note in out.provenance)


def test_phase_alone_shows_no_anatomy_to_register_by(scan, brain, registered):
    grid = shifted(scan.grid, 3.0, 0, 0)
    angle = np.full(scan.grid.shape, np.pi, dtype=np.float32)
    out = align(Case("c", {"dwi": scan, "phase": Scan(angle, grid, grid)}), reference="dwi", brain_mask=brain)
    assert not registered
    (note,) = (n for n in out.provenance if n.subject == "phase" and n.stage == "preprocessing.resampling")
    assert not note.warning


def test_a_mask_moves_with_the_scan_it_was_drawn_on(scan, brain, registered):
    flair = relabelled(scan, shifted(scan.grid, 4.0, 0, 0))
    spot = np.zeros(scan.grid.shape, dtype=bool)
    spot[20, 30, 15] = True
    masks = {"lesion": Scan(spot, flair.grid, flair.grid), "thrombus": Scan(spot, scan.grid, scan.grid)}
    out = align(Case("c", {"dwi": scan, "flair": flair}, masks), reference="dwi", brain_mask=brain)
    assert np.argwhere(out.masks["lesion"].data).tolist() == [[20, 30, 15]]
    assert np.argwhere(out.masks["thrombus"].data).tolist() == [[20, 30, 15]]
    values = {n.subject: n.values for n in notes_of(out, "resampling")}
    assert values["lesion"]["from_ml"] == values["lesion"]["to_ml"] == pytest.approx(0.08)


def test_a_mask_on_a_grid_of_its_own_is_placed_by_its_header(scan, brain, registered):
    spot = np.zeros(scan.grid.shape, dtype=bool)
    spot[20, 30, 15] = True
    mask = Scan(spot, shifted(scan.grid, 8.0, 0, 0), scan.grid)
    out = align(Case("c", {"dwi": scan}, {"lesion": mask}), reference="dwi", brain_mask=brain)
    assert np.argwhere(out.masks["lesion"].data).tolist() == [[22, 30, 15]]


def test_a_given_brain_is_used(scan, brain):
    for case, given in ((Case("c", {"dwi": scan}, {"brain": brain}), None), (Case("c", {"dwi": scan}), brain)):
        out = align(case, reference="dwi", brain_mask=given)
        assert np.array_equal(out.masks["brain"].data, brain.data)
        assert notes_of(out, "brain_mask")[0].what == "Brain mask given"


def test_the_brain_comes_from_the_dwi_when_the_reference_shows_it_badly(scan, brain, head, registered, monkeypatch):
    looked_at = []
    monkeypatch.setattr(alignment, "extract_brain", lambda data, _: looked_at.append(data) or data > 350)
    swi = relabelled(scan, shifted(scan.grid, -4.0, 0, 0))
    out = align(Case("c", {"swi": swi, "dwi": scan}), reference="swi")
    assert notes_of(out, "brain_mask")[0].what == "Brain mask found in dwi"
    assert any(data is scan.data for data in looked_at)
    # dwi was measured 4 mm to the right of swi, and its registration says so: the masks fall together.
    assert np.array_equal(out.masks["brain"].data[:-1], (scan.data > 350)[:-1])


def test_where_the_dwi_begins_inside_the_brain_the_reference_shows_the_rest(scan, registered, monkeypatch):
    monkeypatch.setattr(alignment, "extract_brain", lambda data, _: data > 350)
    first = 12
    upper = shifted(scan.grid, 0, 0, first * scan.grid.spacing_mm[2])
    upper = Grid((*scan.grid.shape[:2], scan.grid.shape[2] - first), upper.affine)
    dwi = Scan(np.ascontiguousarray(scan.data[:, :, first:]), upper, upper)
    erring = scan.data.copy()
    erring[:2] = 400  # the reference errs at its border, also beside the DWI
    swi = replace(scan, data=erring)
    out = align(Case("c", {"swi": swi, "dwi": dwi}), reference="swi", registration="never")
    below, beside = out.masks["brain"].data[:, :, :first], out.masks["brain"].data[:, :, first:]
    assert np.array_equal(below, swi.data[:, :, :first] > 350)
    assert np.array_equal(beside, scan.data[:, :, first:] > 350)
    assert below.any()
    assert notes_of(out, "brain_mask")[0].what == "Brain mask found in dwi, and beyond its field of view in swi"


def test_b0_adds_what_is_dark_on_dwi(scan, brain, head):
    old = np.zeros(scan.grid.shape, dtype=bool)
    old[10:17, 25:35, 15:19] = True
    dwi = replace(scan, data=np.where(old, np.float32(20), scan.data))
    alone = align(Case("c", {"dwi": dwi}), reference="dwi").masks["brain"].data
    adc = replace(scan, data=np.ones_like(scan.data))
    both = align(Case("c", {"dwi": dwi, "b0": scan, "adc": adc}), reference="dwi").masks["brain"].data
    lost = old & brain.data & ~alone
    assert lost.any()
    assert (both & lost).sum() > 0.9 * lost.sum()


def test_a_missing_adc_is_computed(scan, brain):
    dwi = replace(scan, data=scan.data * np.float32(0.5), b_value=1000.0)
    out = align(Case("c", {"dwi": dwi, "b0": scan}), reference="dwi", brain_mask=brain)
    assert out.scan("adc").data[brain.data] == pytest.approx(np.log(2), abs=1e-4)
    assert notes_of(out, "adc")


def test_a_missing_reference_is_named(scan):
    with pytest.raises(MissingInput, match="a swi scan"):
        align(Case("c", {"dwi": scan}), reference="swi")


def test_fields_of_view_that_do_not_overlap_are_refused_with_their_distance(scan):
    far = replace(relabelled(scan, shifted(scan.grid, 0, 0, 300.0)), source="flair.nii.gz")
    with pytest.raises(GridMismatch) as raised:
        align(Case("c", {"dwi": scan, "flair": far}), reference="dwi")
    assert raised.value.where == "flair.nii.gz and dwi.nii.gz"
    # 300 mm between the grids, less the 31 slice distances of 5 mm that each spans.
    assert "145.0 mm apart" in raised.value.found


def test_a_mask_that_lies_elsewhere_is_refused_too(scan, brain):
    spot = Scan(np.ones(scan.grid.shape, dtype=bool), shifted(scan.grid, 900, 0, 0), scan.grid, source="m.nii")
    with pytest.raises(GridMismatch, match=r"m\.nii and dwi\.nii\.gz"):
        align(Case("c", {"dwi": scan}, {"lesion": spot}), reference="dwi", brain_mask=brain)


def test_an_implausible_brain_is_a_warning(scan, brain):
    assert align(Case("c", {"dwi": scan}), reference="dwi", brain_mask=brain).warnings == ()
    upper = replace(brain, data=brain.data & (np.arange(32) > 22))
    (warning,) = align(Case("c", {"dwi": scan}), reference="dwi", brain_mask=upper).warnings
    assert warning.startswith("brain: The brain mask may be wrong, for its volume of 0.")


def test_a_scan_that_covers_little_is_a_warning(scan, brain, registered):
    low = Scan(scan.data[:, :, :12], Grid((50, 60, 12), scan.grid.affine), scan.grid)
    out = align(Case("c", {"dwi": scan, "flair": low}), reference="dwi", registration="never", brain_mask=brain)
    (note,) = notes_of(out, "alignment")
    assert note.subject == "flair"
    assert note.warning
    assert note.values["share"] < 0.5


def test_the_real_case(isles):
    out = align(isles, reference="dwi")
    dwi = isles.scan("dwi")
    assert out.grid.coincides(dwi.grid)
    assert np.array_equal(out.scan("dwi").data, dwi.data)
    assert np.array_equal(out.masks["lesion"].data, isles.masks["lesion"].data)
    (note,) = notes_of(out, "registration")
    values = note.values
    assert values["mutual_information_after_nats"] > values["mutual_information_before_nats"] or not values["accepted"]
    assert 1200 < notes_of(out, "brain_mask")[0].values["volume_ml"] < 1700
    # The stripped FLAIR fills the stripped DWI's brain.
    brain = out.masks["brain"].data
    assert (out.scan("flair").data[brain] > 0).mean() > 0.97
    back = resample(out.scan("dwi").data, out.grid, out.scan("dwi").native)
    assert back.shape == dwi.native.shape
    again = resample(back, dwi.native, out.grid)
    assert np.array_equal(again, dwi.data)


def test_the_same_case_gives_the_same_bytes(isles):
    coarse = respaced(isles.scan("flair").grid, (1.8, 1.8, 5.0))
    flair = resample(isles.scan("flair").data, isles.scan("flair").grid, coarse)
    case = Case("c", {"dwi": isles.scan("dwi"), "flair": Scan(flair, coarse, coarse)})
    first, second = (align(case, reference="dwi").scan("flair").data.tobytes() for _ in range(2))
    assert first == second
