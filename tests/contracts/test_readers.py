"""The contract of every reader: one suite, run over all layouts."""

import gzip
import json
import re
from dataclasses import FrozenInstanceError

import nibabel as nib
import numpy as np
import pytest

from adumbra.cases.registry import READERS, find_cases, open_case
from adumbra.core.errors import ImplausibleValues, UnreadableFile

OBLIQUE = np.array([[-2.0, 0, 0, 11], [0, 1.96, -0.398, -9], [0, 0.398, 1.96, -7], [0, 0, 0, 1]])
LAYOUTS = {
    "manifest": ("P1/d.nii.gz", "P1/a.nii.gz", "P1/m.nii.gz", "cohort.csv"),
    "isles22": (
        "rawdata/sub-strokecase0001/ses-0001/x_dwi.nii.gz",
        "rawdata/sub-strokecase0001/ses-0001/x_adc.nii.gz",
        "derivatives/sub-strokecase0001/ses-0001/x_msk.nii.gz",
        "rawdata/sub-strokecase0001",
    ),
    "bids": (
        "sub-01/dwi/sub-01_trace.nii.gz",
        "sub-01/dwi/sub-01_ADC.nii.gz",
        "derivatives/truth/sub-01/dwi/sub-01_label-lesion_mask.nii.gz",
        "sub-01",
    ),
    "folder": ("P1/x_dwi.nii.gz", "P1/x_adc.nii.gz", "P1/x_lesion.nii.gz", "P1"),
    "file": ("x_dwi.nii.gz", None, None, "x_dwi.nii.gz"),
}


@pytest.fixture(params=LAYOUTS)
def layout(request, tmp_path):
    """The same patient in each layout: where the case is, its DWI file and the RAS voxels that must come out."""
    rng = np.random.default_rng(4)
    dwi = np.round(300 + 60 * rng.standard_normal((9, 8, 7)))
    adc, lesion = 800 + 50 * rng.standard_normal((9, 8, 7)), np.zeros((9, 8, 7))
    lesion[3:5, 3:5, 3:5] = 1
    *files, source = LAYOUTS[request.param]
    for name, data in zip(files, (dwi, adc, lesion), strict=True):
        if name is not None:
            _write(tmp_path / name, data)
    if request.param == "manifest":
        (tmp_path / source).write_text(f"case,dwi,adc,lesion\nP1,{','.join(files)}\n")
    return request.param, tmp_path / source, tmp_path / files[0], dwi[::-1].astype(np.float32)


def _write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data.astype(np.float32), OBLIQUE)
    image.set_qform(OBLIQUE, code=1)
    nib.save(image, path)


def test_every_reader_is_under_this_contract():
    assert list(LAYOUTS) == list(READERS)


def test_the_reader_of_the_layout_recognises_it(layout):
    kind, source, _, _ = layout
    first = next(name for name, reader in READERS.items() if reader.recognises(source))
    assert first == kind


def test_the_case_holds_the_patient(layout):
    _, source, _, voxels = layout
    case = open_case(source)
    np.testing.assert_array_equal(case.scan("dwi").data, voxels)
    assert case.scan("dwi").data.dtype == np.float32
    assert case.scan("dwi").grid.axcodes == "RAS"
    assert case.scan("dwi").native.axcodes == "LAS"
    np.testing.assert_allclose(case.scan("dwi").native.affine, OBLIQUE, atol=1e-5)
    if "adc" in case.scans:
        assert np.median(case.scan("adc").data) == pytest.approx(0.8, abs=0.02)
        assert case.masks["lesion"].data.dtype == bool
        assert case.masks["lesion"].data.sum() == 8


def test_names_and_sources_are_no_paths(layout):
    case = open_case(layout[1])
    assert re.fullmatch(r"[\w.-]+", case.name)
    for scan in (*case.scans.values(), *case.masks.values()):
        assert "/" not in scan.source
        assert re.fullmatch("[0-9a-f]{64}", scan.sha256)


def test_every_conversion_is_a_sentence_with_numbers_that_json_can_hold(layout):
    case = open_case(layout[1])
    assert case.provenance
    for note in case.provenance:
        assert note.stage.startswith("cases.")
        assert note.subject in (*case.scans, *case.masks)
        assert note.what
        json.dumps(dict(note.values))


def test_a_case_cannot_be_changed(layout):
    case = open_case(layout[1])
    with pytest.raises(FrozenInstanceError):
        case.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        case.scan("dwi").data[0, 0, 0] = 1


def test_reading_twice_gives_the_same(layout):
    one, two = open_case(layout[1]), open_case(layout[1])
    assert one.provenance == two.provenance
    assert {m: s.sha256 for m, s in one.scans.items()} == {m: s.sha256 for m, s in two.scans.items()}


def test_a_location_and_its_case_have_the_same_name(layout):
    (location,) = find_cases(layout[1])
    assert location.open().name == location.name == open_case(layout[1]).name


def test_another_name_may_be_given(layout):
    assert open_case(layout[1], name="X1").name == "X1"


def test_a_cut_gzip_is_refused(layout):
    _, source, dwi, _ = layout
    dwi.write_bytes(dwi.read_bytes()[:-100])
    with pytest.raises(UnreadableFile, match=re.escape(dwi.name)):
        open_case(source)


def test_a_wrong_checksum_is_refused(layout):
    _, source, dwi, _ = layout
    content = bytearray(gzip.compress(gzip.decompress(dwi.read_bytes()), 0))
    content[-100] ^= 4
    dwi.write_bytes(content)
    with pytest.raises(UnreadableFile, match=re.escape(dwi.name)):
        open_case(source)


def test_holes_are_refused_or_filled_on_request(layout):
    _, source, dwi, voxels = layout
    data = voxels[::-1].copy()
    data[1, 2, 3] = np.nan
    _write(dwi, data)
    with pytest.raises(ImplausibleValues, match=re.escape(dwi.name)):
        open_case(source)
    scan = open_case(source, nan_to_zero=True).scan("dwi")
    assert np.flatnonzero(~scan.valid_mask.ravel()).tolist() == [np.ravel_multi_index((7, 2, 3), (9, 8, 7))]
