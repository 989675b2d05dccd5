"""From files to a case: the checks that need all of them."""

import numpy as np
import pytest

from adumbra.cases.files import files_by_modality
from adumbra.cases.registry import open_case
from adumbra.core.errors import AmbiguousInput, GridMismatch, MissingInput

SHIFTED = np.array([[-1.9966, -0.1161, 0.0031, 118.7], [-0.1142, 1.9527, -0.4171, -79.1],
                    [-0.0212, 0.4166, 1.956, 942.3], [0, 0, 0, 1]])  # fmt: skip


def test_files_by_modality(written, image, adc, lesion):
    case = open_case(
        {"adc": written("P7_adc.nii.gz", adc), "dwi": written("P7_b1000.nii.gz", image)},
        masks={"lesion": written("m.nii.gz", lesion, dtype=np.uint8)},
    )
    assert case.name == "P7"
    assert list(case.scans) == ["dwi", "adc"]
    assert case.scan("dwi").b_value == 1000
    assert case.masks["lesion"].data.sum() == 8
    assert case.scan("adc").source == "P7_adc.nii.gz"
    assert len(case.scan("adc").sha256) == 64
    assert {note.subject for note in case.provenance} == {"dwi", "adc"}


@pytest.mark.parametrize(
    ("names", "case"), [(["a_dwi.nii", "b_adc.nii"], "case"), (["x/p-1-dwi.nii.gz"], "p-1-dwi"), ([], "case")]
)
def test_the_case_is_named_after_what_the_file_names_share(names, case, tmp_path):
    assert files_by_modality(dict(zip(["dwi", "adc"], [tmp_path / name for name in names], strict=False))).name == case


def test_a_name_that_could_be_a_path_becomes_safe(written, image):
    assert open_case({"dwi": written("a.nii", image)}, name="../Patient n°7").name == "Patient-n-7"


def test_no_scan_or_a_key_that_is_not_a_modality_is_refused(written, image, lesion):
    path = written("a.nii", image)
    with pytest.raises(MissingInput, match="at least one scan"):
        open_case({})
    with pytest.raises(AmbiguousInput, match="'t1'"):
        files_by_modality({"t1": path})
    with pytest.raises(AmbiguousInput, match="'tumour'"):
        open_case({"dwi": path}, masks={"tumour": written("m.nii", lesion)})


def test_the_same_image_for_two_modalities_is_refused(written, image):
    path = written("a.nii", image)
    with pytest.raises(AmbiguousInput, match="same bytes"):
        open_case({"flair": path, "swi": path})


def test_a_mask_on_another_grid_keeps_it_and_is_noted(written, image, lesion):
    finer = np.repeat(np.repeat(lesion, 2, axis=0), 2, axis=1)
    affine = SHIFTED @ np.diag([0.5, 0.5, 1, 1])
    affine[2, 3] = -57.7
    mask = written("mask.nii.gz", finer, affine=affine, dtype=np.uint8)
    case = open_case({"dwi": written("a.nii.gz", image)}, masks={"lesion": mask})
    assert case.masks["lesion"].grid.shape == (24, 20, 8)
    assert case.masks["lesion"].data.sum() == 32
    note = case.provenance[-1]
    assert (note.stage, note.subject, note.warning) == ("cases.files", "lesion", False)
    assert "another grid" in note.what


def test_a_mask_of_the_same_shape_elsewhere_is_a_warning(written, image, lesion):
    affine = SHIFTED.copy()
    affine[2, 3] = -52.7
    mask = written("mask.nii.gz", lesion, affine=affine, dtype=np.uint8)
    case = open_case({"dwi": written("a.nii.gz", image)}, masks={"lesion": mask})
    assert case.provenance[-1].warning
    assert case.provenance[-1].values["apart_mm"] == pytest.approx(5.0, abs=0.01)


def test_a_mask_that_touches_its_image_nowhere_is_refused(written, image, lesion):
    mask = written("mask.nii.gz", lesion, affine=SHIFTED, dtype=np.uint8)
    with pytest.raises(GridMismatch, match=r"mask\.nii\.gz") as caught:
        open_case({"dwi": written("a.nii.gz", image)}, masks={"lesion": mask})
    assert "a.nii.gz" in caught.value.expected


def test_a_thrombus_is_compared_with_the_swi(written, image, lesion):
    scans = {"dwi": written("a_dwi.nii.gz", image), "swi": written("a_swi.nii.gz", image + 1, affine=SHIFTED)}
    mask = written("mask.nii.gz", lesion, affine=SHIFTED, dtype=np.uint8)
    case = open_case(scans, masks={"thrombus": mask})
    assert not [note for note in case.provenance if note.subject == "thrombus"]
    with pytest.raises(GridMismatch):
        open_case(scans, masks={"lesion": mask})


def test_an_adc_map_that_is_not_where_the_dwi_is(written, image, adc):
    near = SHIFTED.copy()
    near[2, 3] = -52.7
    dwi = written("a_dwi.nii.gz", image)
    case = open_case({"dwi": dwi, "adc": written("a_adc.nii.gz", adc, affine=near)})
    assert [note.values["apart_mm"] for note in case.provenance if note.subject == "adc" and note.warning] == [
        pytest.approx(5.0, abs=0.01)
    ]
    with pytest.raises(GridMismatch, match=r"b_adc\.nii\.gz"):
        open_case({"dwi": dwi, "adc": written("b_adc.nii.gz", adc, affine=SHIFTED)})
