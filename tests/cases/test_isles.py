"""ISLES'22: the real case, and the other layout in use."""

import nibabel as nib
import numpy as np
import pytest

from adumbra.cases.registry import find_cases, open_case
from adumbra.core.errors import AmbiguousInput


def test_the_real_case(isles_case_dir):
    case = open_case(isles_case_dir)
    assert case.name == "sub-strokecase0009_ses-0001"
    assert {m: s.data.shape for m, s in case.scans.items()} == {
        "dwi": (112, 112, 73),
        "adc": (112, 112, 73),
        "flair": (512, 512, 29),
    }
    assert case.scan("dwi").b_value == 800
    assert case.scan("adc").data.min() == pytest.approx(-0.3053, abs=1e-4)
    assert case.scan("adc").data.max() == pytest.approx(4.8225, abs=1e-4)
    assert int(case.masks["lesion"].data.sum()) == 523
    assert case.masks["lesion"].grid.coincides(case.scan("dwi").grid)
    assert case.scan("flair").grid.obliquity_deg == pytest.approx(12.4, abs=0.5)
    assert all(scan.grid.axcodes == "RAS" for scan in case.scans.values())
    assert [note.what for note in case.provenance if note.warning] == []


def test_turned_to_ras_every_voxel_stays_where_it_was(isles_case_dir):
    stored = nib.load(isles_case_dir / "sub-strokecase0009_ses-0001_dwi.nii.gz")
    scan = open_case(isles_case_dir).scan("dwi")
    for index in [(0, 0, 0), (30, 40, 50), (111, 111, 72)]:
        turned = np.rint(scan.grid.index(stored.affine[:3, :3] @ index + stored.affine[:3, 3])).astype(int)
        assert scan.data[tuple(turned)] == np.float32(stored.dataobj[index])


def test_the_subject_and_the_data_set_lead_to_the_same_case(isles_case_dir, shared_data):
    (location,) = find_cases(shared_data / "isles22")
    assert location.name == "sub-strokecase0009_ses-0001"
    for source in (isles_case_dir.parent, shared_data / "isles22", shared_data / "isles22" / "rawdata"):
        assert open_case(source).name == location.name
        assert "lesion" in open_case(source).masks


def test_the_other_layout_in_use(written, image, adc, lesion, tmp_path):
    home = "sub-strokecase0001/ses-0001"
    written(f"{home}/dwi/sub-strokecase0001_ses-0001_dwi.nii.gz", image)
    written(f"{home}/dwi/sub-strokecase0001_ses-0001_adc.nii.gz", adc)
    written(f"{home}/anat/sub-strokecase0001_ses-0001_FLAIR.nii.gz", image + 1)
    written(f"derivatives/{home}/sub-strokecase0001_ses-0001_msk.nii.gz", lesion, dtype=np.uint16)
    case = open_case(tmp_path / "sub-strokecase0001")
    assert set(case.scans) == {"dwi", "adc", "flair"}
    assert case.masks["lesion"].data.sum() == 8
    assert [location.name for location in find_cases(tmp_path)] == ["sub-strokecase0001_ses-0001"]


def test_one_of_several_sessions_must_be_named(written, image, tmp_path):
    for session in ("ses-0001", "ses-0002"):
        written(f"sub-strokecase0001/{session}/sub-strokecase0001_{session}_dwi.nii.gz", image)
    with pytest.raises(AmbiguousInput, match="ses-0002"):
        open_case(tmp_path / "sub-strokecase0001")
    assert open_case(tmp_path / "sub-strokecase0001" / "ses-0002").name == "sub-strokecase0001_ses-0002"
    assert len(find_cases(tmp_path / "sub-strokecase0001")) == len(find_cases(tmp_path)) == 2


def test_two_masks_are_refused(written, image, lesion, tmp_path):
    written("sub-strokecase0001/ses-0001/a_dwi.nii.gz", image)
    written("sub-strokecase0001/ses-0001/a_msk.nii.gz", lesion, dtype=np.uint8)
    written("derivatives/sub-strokecase0001/ses-0001/a_msk.nii.gz", lesion, dtype=np.uint8)
    with pytest.raises(AmbiguousInput, match="lesion mask"):
        open_case(tmp_path / "sub-strokecase0001")
