"""A folder of files whose names state what they are."""

import numpy as np
import pytest

from adumbra.cases.registry import open_case
from adumbra.core.errors import AmbiguousInput, MissingInput


def test_a_folder_is_read_by_its_names(written, image, adc, phase, lesion, tmp_path):
    written("P7/p7_DWI_b1000.nii.gz", image)
    written("P7/p7_ADC.nii.gz", adc * 1000, dtype=np.int16)
    written("P7/p7_SWAN.nii", image + 1)
    written("P7/p7_SWAN_PHASE.nii", phase)
    written("P7/p7_lesion_mask.nii.gz", lesion, dtype=np.uint8)
    written("P7/p7_T1w.nii.gz", image + 3)
    (tmp_path / "P7" / "notes.txt").write_text("hello")
    case = open_case(tmp_path / "P7")
    assert case.name == "P7"
    assert set(case.scans) == {"dwi", "adc", "swi", "phase"}
    assert set(case.masks) == {"lesion"}
    assert case.scan("adc").data.max() == pytest.approx(3.0)


def test_two_files_for_one_modality_are_refused_by_name(written, image, tmp_path):
    written("P7/a_dwi.nii.gz", image)
    written("P7/b_trace.nii.gz", image + 1)
    with pytest.raises(AmbiguousInput, match=r"a_dwi\.nii\.gz and b_trace\.nii\.gz"):
        open_case(tmp_path / "P7")
    assert open_case(tmp_path / "P7", columns={"dwi": "trace"}).scan("dwi").source == "b_trace.nii.gz"


def test_a_folder_without_a_known_name_lists_what_is_there_and_what_is_known(written, image, tmp_path):
    written("P7/a.nii.gz", image)
    with pytest.raises(MissingInput, match=r"a\.nii\.gz") as caught:
        open_case(tmp_path / "P7")
    assert "swi|swan" in caught.value.expected


def test_a_mask_named_dwi_is_not_taken_for_the_image(written, image, lesion, tmp_path):
    written("P7/sub_trace.nii.gz", image)
    written("P7/sub_dwi.nii.gz", lesion, dtype=np.uint8)
    case = open_case(tmp_path / "P7")
    assert case.scan("dwi").source == "sub_trace.nii.gz"
    assert case.masks["lesion"].source == "sub_dwi.nii.gz"
    assert case.provenance[0].warning


def test_a_folder_with_nothing_but_a_mask_named_dwi_has_no_image(written, lesion, tmp_path):
    written("P7/sub_dwi.nii.gz", lesion, dtype=np.uint8)
    with pytest.raises(MissingInput):
        open_case(tmp_path / "P7")


def test_channels_by_number_need_a_mapping(written, image, adc, tmp_path):
    written("P7/case_007_0000.nii.gz", image)
    written("P7/case_007_0001.nii.gz", adc)
    with pytest.raises(AmbiguousInput, match="nnU-Net"):
        open_case(tmp_path / "P7")
    case = open_case(tmp_path / "P7", columns={"dwi": "0000", "adc": "0001"})
    assert set(case.scans) == {"dwi", "adc"}


def test_channels_of_a_case_called_dwi_are_not_guessed(written, image, adc, tmp_path):
    written("P7/dwi_0000.nii.gz", image)
    written("P7/dwi_0001.nii.gz", adc)
    with pytest.raises(AmbiguousInput, match="nnU-Net"):
        open_case(tmp_path / "P7")
    assert open_case(tmp_path / "P7", columns={"dwi": "0000", "adc": "0001"}).scan("adc").data.max() == 3


def test_a_mapping_that_fits_no_file_is_refused(written, image, tmp_path):
    written("P7/a_dwi.nii.gz", image)
    with pytest.raises(MissingInput, match="'swan'"):
        open_case(tmp_path / "P7", columns={"swi": "swan"})
    with pytest.raises(AmbiguousInput, match="'t1'"):
        open_case(tmp_path / "P7", columns={"t1": "dwi"})


def test_a_mask_of_an_unknown_structure_is_refused(written, image, lesion, tmp_path):
    written("P7/a_swan.nii.gz", image)
    written("P7/a_swan_mask.nii.gz", lesion, dtype=np.uint8)
    with pytest.raises(AmbiguousInput, match="what it is a mask of"):
        open_case(tmp_path / "P7")


def test_one_image_is_a_case_where_its_name_states_the_modality(written, image):
    assert set(open_case(written("p_flair.nii.gz", image)).scans) == {"flair"}
    with pytest.raises(MissingInput, match="--dwi FILE"):
        open_case(written("p.nii.gz", image))
