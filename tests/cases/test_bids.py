"""BIDS subjects, among them those that ``adumbra simulate`` writes."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.cases.registry import find_cases, open_case
from adumbra.core.errors import AmbiguousInput, MissingInput
from adumbra.core.ground_truth import GroundTruth
from adumbra.report.dataset import write_phantom


@pytest.fixture
def dataset(written, image, adc, lesion, tmp_path):
    """A data set as the phantom writes it, with one subject."""
    written("sub-01/dwi/sub-01_acq-b1000_trace.nii.gz", image, sidecar={"DiffusionBValue": 1000})
    written("sub-01/dwi/sub-01_ADC.nii.gz", adc)
    written("sub-01/dwi/sub-01_S0map.nii.gz", image * 3)
    written("sub-01/anat/sub-01_FLAIR.nii.gz", image + 1)
    written("derivatives/truth/sub-01/dwi/sub-01_label-lesion_mask.nii.gz", lesion, dtype=np.uint8)
    (tmp_path / "dataset_description.json").write_text('{"Name": "made", "BIDSVersion": "1.10.1"}')
    return tmp_path


def test_what_the_phantom_writes_comes_back(dataset):
    (location,) = find_cases(dataset)
    case = location.open()
    assert case.name == location.name == "sub-01"
    assert set(case.scans) == {"dwi", "adc", "b0", "flair"}
    assert case.masks["lesion"].data.sum() == 8
    assert case.scan("dwi").b_value == 1000
    assert not [note for note in case.provenance if note.warning]


@pytest.mark.parametrize("name", ["acq-b0_trace", "sbref", "acq-b0_sbref"])
def test_b0_by_other_names(dataset, name):
    (dataset / "sub-01/dwi/sub-01_S0map.nii.gz").rename(dataset / f"sub-01/dwi/sub-01_{name}.nii.gz")
    case = open_case(dataset / "sub-01")
    assert case.scan("b0").source == f"sub-01_{name}.nii.gz"
    assert case.scan("dwi").source == "sub-01_acq-b1000_trace.nii.gz"


def test_susceptibility_phase_and_angiography(dataset, written, image, phase, lesion):
    written("sub-01/anat/sub-01_acq-swan_part-mag_T2starw.nii.gz", image + 2)
    written("sub-01/anat/sub-01_acq-swan_part-phase_T2starw.nii.gz", phase)
    written("sub-01/anat/sub-01_acq-tof_angio.nii.gz", image + 4)
    written("sub-01/anat/sub-01_T1w.nii.gz", image + 5)
    written("derivatives/experts/sub-01/anat/sub-01_label-thrombus_mask.nii.gz", lesion, dtype=np.uint8)
    case = open_case(dataset / "sub-01")
    assert case.scan("swi").source == "sub-01_acq-swan_part-mag_T2starw.nii.gz"
    assert case.scan("phase").source == "sub-01_acq-swan_part-phase_T2starw.nii.gz"
    assert set(case.masks) == {"lesion", "thrombus"}
    written("sub-01/anat/sub-01_acq-swan_rec-swi_T2starw.nii.gz", image + 6)
    case = open_case(dataset / "sub-01")
    assert case.scan("swi").source == "sub-01_acq-swan_rec-swi_T2starw.nii.gz"
    assert any("was passed over" in note.what for note in case.provenance)


def test_a_series_with_one_weighted_volume_is_clear(written, image, adc, tmp_path):
    written("sub-02/dwi/sub-02_dwi.nii.gz", np.stack([image * 3, image], axis=-1))
    (tmp_path / "sub-02/dwi/sub-02_dwi.bval").write_text("0 1000")
    case = open_case(tmp_path / "sub-02")
    assert case.scan("dwi").b_value == 1000
    np.testing.assert_allclose(case.scan("b0").data, case.scan("dwi").data * 3)


def test_a_series_of_directions_is_not(written, image, tmp_path):
    written("sub-02/dwi/sub-02_dwi.nii.gz", np.stack([image, image, image], axis=-1))
    (tmp_path / "sub-02/dwi/sub-02_dwi.bval").write_text("0 1000 1000")
    with pytest.raises(AmbiguousInput, match="b-values 0, 1000, 1000"):
        open_case(tmp_path / "sub-02")


def test_sessions_and_their_masks(written, image, lesion, tmp_path):
    written("sub-03/ses-a/dwi/sub-03_ses-a_trace.nii.gz", image)
    written("sub-03/ses-b/dwi/sub-03_ses-b_trace.nii.gz", image)
    written("derivatives/truth/sub-03/ses-b/dwi/sub-03_ses-b_label-lesion_mask.nii.gz", lesion, dtype=np.uint8)
    assert [location.name for location in find_cases(tmp_path)] == ["sub-03_ses-a", "sub-03_ses-b"]
    assert [set(location.open().masks) for location in find_cases(tmp_path)] == [set(), {"lesion"}]


def test_a_data_set_written_by_the_simulator_comes_back(dataset, tmp_path_factory):
    out, original = tmp_path_factory.mktemp("simulated"), open_case(dataset)
    fraction = replace(original.masks["lesion"], data=original.masks["lesion"].data.astype(np.float32))
    truths = (
        GroundTruth("lesion", "dwi", "probseg", fraction),
        GroundTruth("lesion", "dwi", "mask", original.masks["lesion"]),
    )
    write_phantom(original, truths, {}, {"seed": 7}, out)
    case = find_cases(out)[0].open()
    assert case.name == original.name
    for modality, scan in original.scans.items():
        np.testing.assert_allclose(case.scan(modality).data, scan.data, rtol=1e-4, atol=0.02)
        assert case.scan(modality).grid.coincides(scan.grid)
    np.testing.assert_array_equal(case.masks["lesion"].data, original.masks["lesion"].data)
    assert case.scan("dwi").b_value == 1000


def test_a_predicted_mask_is_not_ground_truth(dataset, written, lesion):
    home, truth = "derivatives/adumbra/sub-01/dwi", dataset / "derivatives/truth/sub-01/dwi"
    written(f"{home}/sub-01_label-lesion_mask.nii.gz", lesion, dtype=np.uint8)
    with pytest.raises(AmbiguousInput, match="lesion mask"):
        open_case(dataset / "sub-01")
    probability = written(f"{home}/sub-01_label-lesion_probseg.nii.gz", lesion * 0.5)
    assert "lesion" in open_case(dataset / "sub-01").masks
    (truth / "sub-01_label-lesion_mask.nii.gz").unlink()
    assert not open_case(dataset / "sub-01").masks
    probability.rename(probability.with_name("sub-01_label-lesion_desc-entropy_uncertainty.nii.gz"))
    assert not open_case(dataset / "sub-01").masks


def test_a_mask_in_a_template_is_passed_over(dataset, written, lesion):
    written("derivatives/x/sub-01/anat/sub-01_space-MNI152_label-lesion_mask.nii.gz", lesion, dtype=np.uint8)
    assert open_case(dataset / "sub-01").masks["lesion"].source == "sub-01_label-lesion_mask.nii.gz"


def test_two_runs_are_refused(dataset, written, image):
    written("sub-01/anat/sub-01_run-1_FLAIR.nii.gz", image)
    with pytest.raises(AmbiguousInput, match="one flair file"):
        open_case(dataset / "sub-01")


def test_a_subject_without_a_known_suffix_is_refused(written, image, tmp_path):
    written("sub-04/anat/sub-04_T1w.nii.gz", image)
    with pytest.raises(MissingInput, match="T1w"):
        open_case(tmp_path / "sub-04")
