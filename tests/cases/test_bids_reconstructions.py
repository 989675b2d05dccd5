"""BIDS subjects whose trace and ADC are reconstructions of ``_dwi``, as in OpenNeuro ds004889; and unused files."""

import numpy as np
import pytest

from adumbra.cases.registry import find_cases, open_case
from adumbra.cli.pairing import find_masks


@pytest.fixture
def soop(written, image, adc, lesion, tmp_path):
    """One subject: trace and ADC as series of one volume, FLAIR, and three lesion masks."""
    written("sub-1/dwi/sub-1_rec-TRACE_dwi.nii.gz", image[..., None])
    (tmp_path / "sub-1/dwi/sub-1_rec-TRACE_dwi.bval").write_text("1000\n")
    written("sub-1/dwi/sub-1_rec-ADC_dwi.nii.gz", adc[..., None] * 1000, dtype=np.int16)
    written("sub-1/anat/sub-1_FLAIR.nii.gz", image + 1)
    written("sub-1/anat/sub-1_T1w.nii.gz", image + 2)
    home = "derivatives/lesion_masks/sub-1/dwi/sub-1_space-TRACE_desc-"
    for part in ("lesion", "lesionAcute", "lesionChronic"):
        written(f"{home}{part}_mask.nii.gz", lesion * (part == "lesion") + 0, dtype=np.uint8)
    return tmp_path


def test_reconstructions_and_the_whole_lesion_are_read(soop):
    (location,) = find_cases(soop)
    case = location.open()
    assert set(case.scans) == {"dwi", "adc", "flair"}
    assert case.scan("dwi").source == "sub-1_rec-TRACE_dwi.nii.gz"
    assert case.scan("dwi").b_value == 1000
    assert case.scan("adc").data.max() == pytest.approx(3.0)
    assert case.masks["lesion"].source == "sub-1_space-TRACE_desc-lesion_mask.nii.gz"
    assert case.masks["lesion"].data.sum() == 8
    assert not case.warnings
    notes = " ".join(note.what for note in case.provenance)
    assert "desc-lesionAcute_mask.nii.gz shows a part" in notes
    assert "sub-1_T1w.nii.gz was not used" in notes


def test_a_part_of_the_lesions_is_used_on_request_only(soop):
    masks = soop / "derivatives/lesion_masks/sub-1/dwi"
    (masks / "sub-1_space-TRACE_desc-lesion_mask.nii.gz").unlink()
    case = open_case(soop / "sub-1")
    assert not case.masks
    assert any("desc-lesionAcute" in warning for warning in case.warnings)
    acute = masks / "sub-1_space-TRACE_desc-lesionAcute_mask.nii.gz"
    assert open_case(soop / "sub-1", masks={"lesion": acute}).masks["lesion"].source == acute.name


@pytest.mark.parametrize("name", ["acq-ADC_dwi", "rec-adc_dwi", "rec-ADCmap_dwi", "ADC", "acq-ADC_run-1_dwi"])
@pytest.mark.parametrize("trace", ["trace", "acq-TRACE_dwi", "rec-tracew_dwi", "dwi", "acq-b1000_dwi"])
def test_other_names_of_trace_and_adc(written, image, adc, tmp_path, name, trace):
    written(f"sub-3/dwi/sub-3_{trace}.nii.gz", image)
    written(f"sub-3/dwi/sub-3_{name}.nii.gz", adc)
    case = open_case(tmp_path / "sub-3")
    assert case.scan("dwi").source == f"sub-3_{trace}.nii.gz"
    assert case.scan("adc").source == f"sub-3_{name}.nii.gz"


@pytest.mark.parametrize("name", ["rec-expADC_dwi", "rec-eADC_dwi", "rec-FA_dwi", "desc-colFA_dwi"])
def test_maps_that_are_no_dwi_are_not_taken_for_one(written, image, adc, tmp_path, name):
    written("sub-3/dwi/sub-3_trace.nii.gz", image)
    written(f"sub-3/dwi/sub-3_{name}.nii.gz", image + 1)
    case = open_case(tmp_path / "sub-3")
    assert set(case.scans) == {"dwi"}
    assert any(f"sub-3_{name}.nii.gz was not used" in warning for warning in case.warnings)


def test_an_image_of_an_unknown_suffix_is_named(written, image, tmp_path):
    written("sub-3/dwi/sub-3_trace.nii.gz", image)
    written("sub-3/anat/sub-3_echo-1_part-mag_MEGRE.nii.gz", image + 1)
    (warning,) = open_case(tmp_path / "sub-3").warnings
    assert "sub-3_echo-1_part-mag_MEGRE.nii.gz was not used" in warning


def test_the_masks_of_the_data_set_are_paired_for_evaluation(soop):
    masks = find_masks(soop, target="lesion", predicted=False)
    assert {case: path.name for case, path in masks.items()} == {"sub-1": "sub-1_space-TRACE_desc-lesion_mask.nii.gz"}


def test_a_mask_in_another_space_is_passed_over(soop):
    masks = soop / "derivatives/lesion_masks/sub-1/dwi"
    mask = masks / "sub-1_space-TRACE_desc-lesion_mask.nii.gz"
    mask.rename(masks / "sub-1_space-MNI152NLin6Asym_desc-lesion_mask.nii.gz")
    assert not open_case(soop / "sub-1").masks
