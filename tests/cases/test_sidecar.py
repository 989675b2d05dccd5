"""Where the b-value comes from, and what is said when sources disagree."""

import pytest

from adumbra.cases.scan import read_scan
from adumbra.core.errors import ImplausibleValues, UnreadableFile


def _warnings(notes):
    return [note.what for note in notes if note.warning]


@pytest.mark.parametrize(
    ("name", "b"), [("a_b1000_dwi", 1000), ("sub-1_acq-b800_trace", 800), ("a_dwi", None), ("club1000_dwi", None)]
)
def test_the_name_may_tell(written, image, name, b):
    scan, notes = read_scan(written(f"{name}.nii.gz", image), "dwi")
    assert scan.b_value == b
    assert not _warnings(notes)
    assert any(note.station == "cases.sidecar" for note in notes)


def test_the_side_car_counts_more_than_the_name_and_the_user_more_than_both(written, image):
    path = written("a_b1000_dwi.nii.gz", image, sidecar={"DiffusionBValue": 800.0})
    scan, notes = read_scan(path, "dwi")
    assert scan.b_value == 800
    assert "the file's name says 1000" in _warnings(notes)[0]
    assert read_scan(path, "dwi", b_value=900.0)[0].b_value == 900


def test_a_bval_beside_tells(written, image, tmp_path):
    path = written("a_dwi.nii.gz", image)
    (tmp_path / "a_dwi.bval").write_text("1200\n")
    assert read_scan(path, "dwi")[0].b_value == 1200


@pytest.mark.parametrize("b", [2500, 300])
def test_a_b_value_that_stroke_protocols_do_not_use_is_pointed_at(written, image, b):
    scan, notes = read_scan(written("a_dwi.nii.gz", image, sidecar={"DiffusionBValue": b}), "dwi")
    assert scan.b_value == b
    assert "outside the 500 to 1500" in _warnings(notes)[0]


def test_a_b_value_of_zero_is_not_believed_for_a_dwi(written, image):
    scan, notes = read_scan(written("a_dwi.nii.gz", image, sidecar={"DiffusionBValue": 0.0}), "dwi")
    assert scan.b_value is None
    assert "says b = 0" in _warnings(notes)[0]
    with pytest.raises(ImplausibleValues):
        read_scan(written("b_dwi.nii.gz", image), "dwi", b_value=0.0)


@pytest.mark.parametrize("text", ["{", "[1, 2]", "[" * 100_000])
def test_a_broken_side_car_is_refused(written, image, tmp_path, text):
    path = written("a_dwi.nii.gz", image)
    (tmp_path / "a_dwi.json").write_text(text)
    with pytest.raises(UnreadableFile, match=r"a_dwi\.json"):
        read_scan(path, "dwi")


def test_a_broken_bval_is_refused(written, image, tmp_path):
    path = written("a_dwi.nii.gz", image)
    (tmp_path / "a_dwi.bval").write_text("thousand")
    with pytest.raises(UnreadableFile, match=r"a_dwi\.bval"):
        read_scan(path, "dwi")
