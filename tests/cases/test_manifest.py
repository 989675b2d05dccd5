"""A cohort in one table, under any headings."""

import csv

import numpy as np
import pytest

from adumbra.cases.registry import find_cases, open_case
from adumbra.core.errors import AdumbraError, AmbiguousInput, MissingInput, UnreadableFile

MATAR = {"case": "num_patient", "swi": "ax_swan_mag", "phase": "ax_swan_filtphase", "dwi": "ax_diff_b1000",
         "adc": "ax_diff_carte_adc", "tof": "ax_tof_willis", "thrombus": "roi_thr_swan", "lesion": "roi_les_diff",
         "b_value": "b", "adc_unit": "carte_adc_unite"}  # fmt: skip


@pytest.fixture
def table(tmp_path):
    def write(text, *, name="cohort.csv", encoding="utf-8"):
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    return write


@pytest.fixture
def scans(written, image, adc, lesion):
    """Files of two patients."""
    for patient in ("P1", "P2"):
        written(f"{patient}/dwi.nii.gz", image)
        written(f"{patient}/adc.nii.gz", adc)
        written(f"{patient}/swan.nii.gz", image + 1)
        written(f"{patient}/les.nii.gz", lesion, dtype=np.uint8)


@pytest.mark.parametrize(("separator", "mark"), [(",", ""), (";", "\ufeff"), ("\t", "")])
def test_known_headings_need_no_mapping(table, scans, separator, mark):
    rows = [["Patient", "DWI", "ADC", "SWAN", "FLAIR", "Lesion_mask", "b_value"],
            ["P1", "P1/dwi.nii.gz", "P1/adc.nii.gz", "P1/swan.nii.gz", "", "P1/les.nii.gz", "1200"],
            ["P2", "P2\\dwi.nii.gz", "P2/adc.nii.gz", "n/a", "", "", ""], [""] * 7]  # fmt: skip
    path = table(mark + "\r\n".join(separator.join(row) for row in rows))
    case = open_case(path, row="P1")
    assert case.name == "P1"
    assert set(case.scans) == {"dwi", "adc", "swi"}
    assert case.scan("dwi").b_value == 1200
    assert case.masks["lesion"].data.sum() == 8
    assert [location.name for location in find_cases(path)] == ["P1", "P2"]
    assert set(find_cases(path)[1].open().scans) == {"dwi", "adc"}


def test_a_mapping_reads_any_heading(table, scans):
    path = table("N°;Séquence SWAN;b1000 (diff)\nP1;P1/swan.nii.gz;P1/dwi.nii.gz\n", encoding="cp1252")
    columns = {"case": "N°", "swi": "Séquence SWAN", "dwi": "B1000 (DIFF)"}
    assert set(open_case(path, row="P1", columns=columns).scans) == {"swi", "dwi"}
    assert find_cases(path, columns=columns)[0].open().name == "P1"


def test_a_stated_unit_is_used(table, written, adc):
    written("P1/adc.nii.gz", adc * 100)
    path = table("case,adc,adc_unit\nP1,P1/adc.nii.gz,1e-5 mm2/s\n")
    np.testing.assert_allclose(open_case(path).scan("adc").data.max(), 3.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "row", "error", "message"),
    [
        ("case,dwi\nP1,P1/dwi.nii.gz\nP1,P2/dwi.nii.gz\n", "P1", AmbiguousInput, "lines 2 and 3"),
        ("case,dwi\nP1,P1/dwi.nii.gz\n", "P9", MissingInput, "row of P9"),
        ("case,dwi\nP1,P1/dwi.nii.gz\nP2,P2/dwi.nii.gz\n", None, AmbiguousInput, "--row ID"),
        ("case,dwi\nP1,P1/gone.nii.gz\n", "P1", MissingInput, r"line 2, column for dwi"),
        ("case,dwi\nP1,P1\n", "P1", MissingInput, "a folder"),
        ("case,dwi\n,P1/dwi.nii.gz\n", None, MissingInput, "line 2, column case"),
        ("name,dwi\nP1,P1/dwi.nii.gz\n", "P1", MissingInput, "a column for case"),
        ("case,t1\nP1,P1/dwi.nii.gz\n", "P1", MissingInput, "a column for one of dwi"),
        ("case,SWI,SWAN\nP1,a,b\n", "P1", AmbiguousInput, "'SWI' and 'SWAN'"),
        ("case,dwi\nP1,P1/dwi.nii.gz,extra\n", "P1", UnreadableFile, "3 cells"),
        ("case,dwi,b_value\nP1,P1/dwi.nii.gz,thousand\n", "P1", UnreadableFile, "line 2, column for b_value"),
        ('case,dwi\nP1,"P1/dwi\n', "P1", UnreadableFile, "line"),
        ("case,dwi\n", "P1", MissingInput, "0 rows"),
        ("case,dwi\nP1,\n", "P1", MissingInput, "at least one scan"),
        ("", "P1", MissingInput, "no headings"),
        ("case,dwi\0\n", "P1", UnreadableFile, "binary"),
    ],
)
def test_an_error_names_its_line_and_column(table, scans, text, row, error, message):
    with pytest.raises(AdumbraError, match=message) as caught:
        open_case(table(text), row=row)
    assert type(caught.value) is error


def test_a_mapping_that_cannot_be_followed_is_refused(table, scans):
    path = table("case,dwi\nP1,P1/dwi.nii.gz\n")
    with pytest.raises(MissingInput, match="'SWAN' for swi"):
        open_case(path, columns={"swi": "SWAN"})
    with pytest.raises(AmbiguousInput, match="'t1'"):
        open_case(path, columns={"t1": "dwi"})


@pytest.mark.parametrize(("name", "columns", "row"), [("chsf.csv", None, "CHSF-0012"), ("matar.csv", MATAR, "MTR-104")])
def test_the_manifests_of_the_documentation_are_read(
    project_root, tmp_path, written, image, adc, phase, lesion, name, columns, row
):
    example = project_root / "docs" / "how-to" / "manifests" / name
    (tmp_path / name).write_bytes(example.read_bytes())
    _write_what_it_names(tmp_path / name, written, image, adc, phase, lesion)
    locations = find_cases(tmp_path / name, columns=columns)
    assert len(locations) >= 3
    case = open_case(tmp_path / name, row=row, columns=columns)
    assert set(case.scans) == {"swi", "phase", "dwi", "adc", "tof"}
    assert set(case.masks) == {"thrombus", "lesion"}
    for location in locations:
        assert location.open().name == location.name


def _write_what_it_names(manifest, written, image, adc, phase, lesion):
    """Writes a small image for every file that the manifest names."""
    text = manifest.read_text(encoding="utf-8-sig")
    rows = list(csv.reader(text.splitlines(), delimiter=";" if ";" in text else ","))
    for number, cell in enumerate(cell for row in rows for cell in row if cell.endswith(".nii.gz")):
        lower = cell.lower()
        if "thr" in lower or "les" in lower:
            written(cell.replace("\\", "/"), lesion, dtype=np.uint8)
        elif "adc" in lower:
            written(cell.replace("\\", "/"), adc * (1000 if "chsf" in manifest.name else 1))
        elif "pha" in lower:
            written(cell.replace("\\", "/"), phase * (1 + number / 1e6))
        else:
            written(cell.replace("\\", "/"), image + number)
