"""Every layout through one function, and the cases of data sets."""

import pickle

import numpy as np
import pytest

from adumbra.cases.registry import READERS, CaseLocation, find_cases, open_case
from adumbra.core.errors import AmbiguousInput, MissingInput


def test_the_readers_have_names():
    assert list(READERS) == ["manifest", "isles22", "bids", "folder", "file"]


def test_a_folder_of_case_folders(written, image, tmp_path):
    for name in ("P2", "P1"):
        written(f"{name}/x_dwi.nii.gz", image)
    (tmp_path / "notes").mkdir()
    locations = find_cases(tmp_path)
    assert [location.name for location in locations] == ["P1", "P2"]
    with pytest.raises(AmbiguousInput, match="P1, P2"):
        open_case(tmp_path)


def test_a_location_can_be_sent_to_another_process(written, image, tmp_path):
    written("P1/x_0000.nii.gz", image)
    location = CaseLocation("P1", tmp_path / "P1", columns={"dwi": "0000"})
    again = pickle.loads(pickle.dumps(location))
    assert again == location
    np.testing.assert_array_equal(again.open().scan("dwi").data, location.open().scan("dwi").data)


def test_a_case_is_a_data_set_of_one(written, image, tmp_path):
    written("P1/x_dwi.nii.gz", image)
    assert [location.name for location in find_cases(tmp_path / "P1")] == ["P1"]
    assert open_case(tmp_path).name == "P1"


def test_cases_of_one_name_are_refused(written, image, tmp_path):
    written("P 1/x_dwi.nii.gz", image)
    written("P-1/x_dwi.nii.gz", image)
    with pytest.raises(AmbiguousInput, match="both be P-1"):
        find_cases(tmp_path)


def test_a_path_without_a_case_is_refused(tmp_path):
    for function in (open_case, find_cases):
        with pytest.raises(MissingInput, match="no such file or folder"):
            function(tmp_path / "gone")
        with pytest.raises(MissingInput, match="no case"):
            function(tmp_path)


def test_a_file_that_is_not_a_case_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(MissingInput):
        open_case(tmp_path / "a.txt")


def test_a_subject_whose_files_follow_no_standard_is_read_by_names(written, image, tmp_path):
    written("sub-07/ses-01/sub-07_swan.nii.gz", image)
    written("sub-07/ses-01/sub-07_dwi.nii.gz", image + 1)
    case = open_case(tmp_path / "sub-07")
    assert case.name == "sub-07_ses-01"
    assert set(case.scans) == {"swi", "dwi"}
