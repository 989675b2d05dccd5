"""BIDS names, and the files of a data set, which must be new or our own."""

import json
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from adumbra.core.errors import InputRejected, OutputRefused
from adumbra.report.bids import bids_name, case_folder, dataset_files, json_bytes


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("sub-01", "sub-01"),
        ("sub-strokecase0009_ses-0001", "sub-strokecase0009_ses-0001"),
        ("sub-1_ses-2_acq-b1000_run-03", "sub-1_ses-2_acq-b1000_run-03"),
        ("patient 3", "sub-patient3"),
        ("sub-a_b", "sub-ab"),
        ("../../etc/passwd", "sub-etcpasswd"),
        ("Åse-Müller", "sub-AseMuller"),
        ("<script>alert(1)</script>", "sub-scriptalert1script"),
    ],
)
def test_names(given: str, name: str) -> None:
    assert bids_name(given) == name
    assert bids_name(name) == name


@pytest.mark.parametrize("nameless", ["", "..", "sub-", "患者"])
def test_a_name_without_letters_is_refused(nameless: str) -> None:
    with pytest.raises(InputRejected, match="letters or digits"):
        bids_name(nameless)


def test_folders() -> None:
    assert case_folder("sub-1_ses-2_run-3", "lesion") == "sub-1/ses-2/dwi"
    assert case_folder("sub-1", "thrombus") == "sub-1/anat"


def test_an_empty_folder_gets_all_files_and_our_own_none(tmp_path: Path) -> None:
    files = dataset_files(tmp_path)
    assert set(files) == {".bidsignore", "README.md", "dataset_description.json"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert dataset_files(tmp_path) == {}
    description = json.loads(files["dataset_description.json"])
    assert description["DatasetType"] == "derivative"
    assert description["GeneratedBy"][0]["Name"] == "Adumbra"


def test_lines_of_an_existing_bidsignore_stay(tmp_path: Path) -> None:
    (tmp_path / ".bidsignore").write_text("mine/\n*.html\n")
    lines = dataset_files(tmp_path)[".bidsignore"].decode().splitlines()
    assert lines[:2] == ["mine/", "*.html"]
    assert "*_uncertainty.nii.gz" in lines
    assert lines.count("*.html") == 1


@pytest.mark.parametrize("content", ['{"Name": "A raw data set", "BIDSVersion": "1.8.0"}', "{broken", "[]"])
def test_a_data_set_of_another_program_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "dataset_description.json").write_text(content)
    with pytest.raises(OutputRefused, match="another data set"):
        dataset_files(tmp_path)


def test_json_has_no_paths_and_no_undefined_numbers() -> None:
    value = {"a": np.float32(0.5), "b": float("nan"), "c": (1, np.array([2])), "d": PurePosixPath("x"), "é": None}
    assert json.loads(json_bytes(value)) == {"a": 0.5, "b": None, "c": [1, [2]], "d": "x", "é": None}
    assert json_bytes({"p": Path("/home/jane/scan.nii")}) == b'{\n  "p": "scan.nii"\n}\n'
