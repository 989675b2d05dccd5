"""The sidecar is parsed once; where the b-value comes from, and the warnings when sources disagree."""

import json
from pathlib import Path

import pytest

from adumbra.cases.registry import open_case
from adumbra.cases.scan import read_scan
from adumbra.cases.sidecar import Sidecar, read_sidecar
from adumbra.core.errors import ImplausibleValues, UnreadableFile


def _warnings(notes):
    return [note.what for note in notes if note.warning]


@pytest.mark.parametrize(
    ("name", "b"), [("a_b1000_dwi", 1000), ("sub-1_acq-b800_trace", 800), ("a_dwi", None), ("club1000_dwi", None)]
)
def test_the_name_may_state_it(written, image, name, b):
    scan, notes = read_scan(written(f"{name}.nii.gz", image), "dwi")
    assert scan.b_value == b
    assert not _warnings(notes)
    assert any(note.stage == "cases.sidecar" for note in notes)


def test_the_sidecar_counts_more_than_the_name_and_the_user_more_than_both(written, image):
    path = written("a_b1000_dwi.nii.gz", image, sidecar={"DiffusionBValue": 800.0})
    scan, notes = read_scan(path, "dwi")
    assert scan.b_value == 800
    assert "the file's name says 1000" in _warnings(notes)[0]
    assert read_scan(path, "dwi", b_value=900.0)[0].b_value == 900


def test_a_bval_file_states_it(written, image, tmp_path):
    path = written("a_dwi.nii.gz", image)
    (tmp_path / "a_dwi.bval").write_text("1200\n")
    assert read_scan(path, "dwi")[0].b_value == 1200


@pytest.mark.parametrize("b", [2500, 300])
def test_the_size_of_a_b_value_is_no_warning_of_a_reader(written, image, b):
    """``preprocessing.input_flags`` compares it with the training; a second range would contradict the first."""
    scan, notes = read_scan(written("a_dwi.nii.gz", image, sidecar={"DiffusionBValue": b}), "dwi")
    assert scan.b_value == b
    assert any(note.values.get("b_value") == b for note in notes)
    assert not _warnings(notes)


def test_a_b_value_that_is_no_number_is_not_ignored_silently(written, image):
    scan, notes = read_scan(written("a_dwi.nii.gz", image, sidecar={"DiffusionBValue": "high"}), "dwi")
    assert scan.b_value is None
    assert any("'high'" in note.what and "--b-value" in note.what and note.warning for note in notes)
    scan, notes = read_scan(written("a_b1000_dwi.nii.gz", image, sidecar={"DiffusionBValue": [0, 1000]}), "dwi")
    assert scan.b_value == 1000
    assert any("[0, 1000]" in note.what and note.warning for note in notes)


def test_a_b_value_of_zero_is_not_used_for_a_dwi(written, image):
    scan, notes = read_scan(written("a_dwi.nii.gz", image, sidecar={"DiffusionBValue": 0.0}), "dwi")
    assert scan.b_value is None
    assert "says b = 0" in _warnings(notes)[0]
    with pytest.raises(ImplausibleValues):
        read_scan(written("b_dwi.nii.gz", image), "dwi", b_value=0.0)


@pytest.mark.parametrize("text", ["{", "[1, 2]", "[" * 100_000])
def test_a_broken_sidecar_is_refused(written, image, tmp_path, text):
    path = written("a_dwi.nii.gz", image)
    (tmp_path / "a_dwi.json").write_text(text)
    with pytest.raises(UnreadableFile, match=r"a_dwi\.json"):
        read_scan(path, "dwi")


def test_a_broken_bval_is_refused(written, image, tmp_path):
    path = written("a_dwi.nii.gz", image)
    (tmp_path / "a_dwi.bval").write_text("thousand")
    with pytest.raises(UnreadableFile, match=r"a_dwi\.bval"):
        read_scan(path, "dwi")


FIELDS = {"DiffusionBValue": [1000], "EchoTime": 0.03, "ImageType": ["DERIVED", "ADC_2"], "Manufacturer": "Adumbra"}


def test_a_sidecar_is_a_value_with_what_it_states(written, image):
    sidecar = read_sidecar(written("a_dwi.nii.gz", image, sidecar=FIELDS))
    assert sidecar == Sidecar(1000.0, 0.03, is_adc=True, is_phantom=True, fields=FIELDS)
    assert read_sidecar(written("b_dwi.nii.gz", image)) == Sidecar()
    unset = read_sidecar(written("c_dwi.nii.gz", image, sidecar={"DiffusionBValue": [0, 1000], "EchoTime": -1}))
    assert (unset.b_value, unset.echo_time_s, unset.is_adc, unset.is_phantom) == (None, None, False, False)


def test_every_sidecar_is_parsed_once(written, image, adc, phase, tmp_path, monkeypatch):
    fields = {"DiffusionBValue": 1000, "EchoTime": 0.02, "Manufacturer": "Adumbra"}
    files = {"dwi": image, "adc": adc, "flair": image + 1, "phase": phase}
    for modality, data in files.items():
        written(f"P7/p7_{modality}.nii.gz", data, sidecar=fields)
    parse, read = json.loads, Path.read_text
    parsed, opened = [], []
    monkeypatch.setattr(json, "loads", lambda text, **options: parsed.append(text) or parse(text, **options))
    monkeypatch.setattr(
        Path, "read_text", lambda self, *args, **options: opened.append(self.name) or read(self, *args, **options)
    )
    case = open_case(tmp_path / "P7")
    assert set(case.scans) == set(files)
    assert case.scan("dwi").b_value == 1000
    assert len(parsed) == len(files)
    assert sorted(opened) == sorted(f"p7_{modality}.json" for modality in files)
