"""Predictions are paired with ground truth by name alone, so empty files suffice."""

from pathlib import Path

import pytest

from adumbra.cli.pairing import case_name, find_masks, pair_masks
from adumbra.core.errors import AmbiguousInput, MissingInput


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("sub-01_ses-02_label-lesion_mask.nii.gz", "sub-01_ses-02"),
        ("sub-strokecase0009_ses-0001_msk.nii.gz", "sub-strokecase0009_ses-0001"),
        ("sub-01_label-lesion_mask.nii.gz", "sub-01"),
        ("sub-01_acq-trace_ses-02_mask.nii", "sub-01_ses-02"),
        ("patient7_mask.nii.gz", "patient7"),
        ("patient7.mha", "patient7"),
        ("patient7_label-lesion_mask.nii.gz", "patient7"),
    ],
)
def test_case_name(name, case):
    assert case_name(Path(name), target="lesion") == case


def test_only_the_mask_of_the_target_is_used_from_a_prediction(tmp_path):
    names = ("label-lesion_mask", "label-lesion_probseg", "label-thrombus_mask", "desc-brain_mask")
    touch(tmp_path, *(f"sub-01/anat/sub-01_{name}.nii.gz" for name in names))
    masks = find_masks(tmp_path, target="lesion")
    assert {case: path.name for case, path in masks.items()} == {"sub-01": "sub-01_label-lesion_mask.nii.gz"}


def test_only_the_masks_are_used_from_an_isles_root(tmp_path):
    stem = "sub-strokecase0009/ses-0001/sub-strokecase0009_ses-0001"
    touch(tmp_path, f"rawdata/{stem}_dwi.nii.gz", f"derivatives/{stem}_msk.nii.gz", f"rawdata/{stem}_adc.nii.gz")
    masks = find_masks(tmp_path, target="lesion")
    assert list(masks) == ["sub-strokecase0009_ses-0001"]
    assert masks["sub-strokecase0009_ses-0001"].parts[-4] == "derivatives"


def test_a_plain_folder_of_masks(tmp_path):
    touch(tmp_path, "a.nii.gz", "b.nii", "notes.txt", ".a.nii.gz")
    assert set(find_masks(tmp_path, target="lesion")) == {"a", "b"}


def test_two_masks_of_one_case_are_refused(tmp_path):
    touch(tmp_path, "sub-1_run-1_label-lesion_mask.nii.gz", "sub-1_run-2_label-lesion_mask.nii.gz")
    with pytest.raises(AmbiguousInput, match=r"run-1.*run-2"):
        find_masks(tmp_path, target="lesion")


def test_a_place_without_masks(tmp_path):
    with pytest.raises(MissingInput, match="nothing there"):
        find_masks(tmp_path / "absent", target="lesion")
    with pytest.raises(MissingInput, match="no image"):
        find_masks(tmp_path, target="lesion")


def files(*cases):
    return {case: Path(f"{case}.nii.gz") for case in cases}


def test_files_of_the_same_case_are_paired_and_the_rest_is_listed():
    pairing = pair_masks(files("a", "b", "c"), files("b", "c", "d"))
    assert list(pairing.pairs) == ["b", "c"]
    assert pairing.without_truth == ("a",)
    assert pairing.without_prediction == ("d",)


def test_one_file_on_each_side_is_a_pair_whatever_the_names():
    assert list(pair_masks(files("a"), files("b")).pairs) == ["a"]


def test_a_missing_session_is_filled_in_where_there_is_only_one():
    pairing = pair_masks(files("sub-1", "sub-2"), files("sub-1_ses-1", "sub-2_ses-1", "sub-2_ses-2"))
    assert {case: truth.name for case, (_, truth) in pairing.pairs.items()} == {"sub-1": "sub-1_ses-1.nii.gz"}
    assert pairing.without_truth == ("sub-2",)
    assert pairing.without_prediction == ("sub-2_ses-1", "sub-2_ses-2")


def test_two_sessions_are_never_paired():
    pairing = pair_masks(files("sub-1_ses-1", "sub-2_ses-1"), files("sub-1_ses-2", "sub-2_ses-1"))
    assert list(pairing.pairs) == ["sub-2_ses-1"]
