"""Diffusion series with a .bval, in every layout alike: which volume is taken, and which files are refused."""

import json

import numpy as np
import pytest

from adumbra.cases.registry import open_case
from adumbra.cases.sidecar import read_bvals
from adumbra.core.errors import AmbiguousInput, InputRejected, UnreadableFile

LAYOUTS = {
    "folder": ("P1/p1_dwi.nii.gz", "P1"),
    "bids": ("sub-1/dwi/sub-1_dwi.nii.gz", "sub-1"),
    "isles22": ("sub-strokecase0001/ses-0001/x_dwi.nii.gz", "sub-strokecase0001"),
    "file": ("p1_dwi.nii.gz", "p1_dwi.nii.gz"),
    "name": ("p1_dwi.nii.gz", None),
    "manifest": ("P1/d.nii.gz", "cohort.csv"),
}


@pytest.fixture(params=LAYOUTS)
def opened(request, written, tmp_path):
    """``opened(volumes, bval)`` opens a DWI of these volumes with that .bval, in one of the layouts."""
    name, source = LAYOUTS[request.param]

    def open_series(volumes, bval, **options):
        path = written(name, np.stack(volumes, axis=-1) if isinstance(volumes, list) else volumes)
        path.with_name(path.name.replace(".nii.gz", ".bval")).write_bytes(bval)
        if request.param == "manifest":
            (tmp_path / source).write_text(f"case,dwi\nP1,{name}\n")
        return open_case({"dwi": path} if source is None else tmp_path / source, **options)

    return open_series


def test_the_only_weighted_volume_is_the_dwi_and_the_only_plain_one_the_b0(opened, image):
    case = opened([image * 3, image], b"0 1000\n")
    assert case.scan("dwi").b_value == 1000
    np.testing.assert_array_equal(case.scan("dwi").data, opened(image, b"1000").scan("dwi").data)
    np.testing.assert_allclose(case.scan("b0").data, 3 * case.scan("dwi").data)


@pytest.mark.parametrize(
    ("count", "bval", "message"),
    [
        (3, b"0 800", "3 volumes and 2 b-values"),
        (2, b"0 800 800", "2 volumes and 3 b-values"),
        (1, b"0 800", "1 volume and 2 b-values"),
        (3, b"800", "3 volumes and 1 b-value"),
    ],
)
def test_a_bval_of_another_length_is_refused_with_both_numbers(opened, image, count, bval, message):
    volumes = [image * 3, image * 3, image][-count:] if count > 1 else image
    for options in ({}, {"b_value": 800.0}):
        with pytest.raises(AmbiguousInput, match=message):
            opened(volumes, bval, **options)


def test_two_plain_volumes_leave_the_dwi_clear_and_the_b0_out(opened, image):
    case = opened([image * 3, image * 3 + 1, image], b"0 5 800")
    assert case.scan("dwi").b_value == 800
    assert set(case.scans) == {"dwi"}


def test_directions_are_refused(opened, image):
    with pytest.raises(AmbiguousInput, match="b-values 0, 1000, 1000"):
        opened([image * 3, image, image + 1], b"0 1000 1000")


@pytest.mark.parametrize(
    "bval",
    [b"0\t1000\n", b"0\r\n1000\r\n", b"0.0 1.0e+03  \n\n", b"0\n1000", b"\xef\xbb\xbf0 1000", b"0, 1000", b" 5;1E3 "],
)
def test_a_bval_in_any_form_is_read(opened, image, bval):
    assert opened([image * 3, image], bval).scan("dwi").b_value == 1000


@pytest.mark.parametrize(
    "bval",
    [b"", b" \n", b"nan 1000", b"0 inf", b"-5 1000", b"0 thousand", "0 1000".encode("utf-16"), b"0 " + b"9" * 400],
)
def test_a_bval_that_is_none_is_refused_by_name(opened, image, bval):
    with pytest.raises(UnreadableFile, match=r"\.bval"):
        opened([image * 3, image], bval)


def test_fourth_axis_of_one_volume(opened, image):
    case = opened([image], b"1000")
    assert case.scan("dwi").b_value == 1000
    assert case.scan("dwi").grid.shape == image.shape


def test_a_bval_under_its_plural(written, image, tmp_path):
    path = written("a_dwi.nii.gz", image)
    (tmp_path / "a_dwi.bvals").write_text("1200")
    assert read_bvals(path) == (1200.0,)


def test_a_series_given_twice_is_the_dwi_and_the_b0(written, image, tmp_path):
    path = written("x.nii.gz", np.stack([image, image * 3], axis=-1))
    (tmp_path / "x.bval").write_text("800 0")
    case = open_case({"dwi": path, "b0": path})
    assert case.scan("dwi").b_value == 800
    np.testing.assert_allclose(case.scan("b0").data, 3 * case.scan("dwi").data)
    separate = written("plain.nii.gz", np.stack([image * 3 + 1, image], axis=-1))
    (tmp_path / "plain.bval").write_text("0 800")
    assert open_case({"dwi": path, "b0": separate}).scan("b0").source == "plain.nii.gz"


def test_the_user_wins_and_every_other_statement_is_named(written, image, tmp_path):
    written("a_b1000_dwi.nii.gz", image, sidecar={"DiffusionBValue": 1200})
    (tmp_path / "a_b1000_dwi.bval").write_text("0")
    (tmp_path / "cohort.csv").write_text("case,dwi,b\nP1,a_b1000_dwi.nii.gz,900\n")
    case = open_case(tmp_path / "cohort.csv", b_value=800.0)
    assert case.scan("dwi").b_value == 800
    (warning,) = case.warnings
    for statement in ("b = 800", "the user", "the manifest says 900", "the sidecar says 1200", "the .bval says 0",
                      "the file's name says 1000"):  # fmt: skip
        assert statement in warning
    assert open_case(tmp_path / "cohort.csv").scan("dwi").b_value == 900


def test_sources_that_agree_give_no_warning(written, image, tmp_path):
    path = written("a_b1000_dwi.nii.gz", image, sidecar={"DiffusionBValue": 1000})
    (tmp_path / "a_b1000_dwi.bval").write_text("1.0e3")
    assert not open_case({"dwi": path}, b_value=1000.0).warnings


def test_a_b0_whose_files_state_a_weighting_is_a_warning(written, image):
    plain, weighted = written("p.nii.gz", image * 3), written("q.nii.gz", image, sidecar={"DiffusionBValue": 1000})
    (warning,) = open_case({"dwi": plain, "b0": weighted}).warnings
    assert "q.nii.gz was read as b0, although the sidecar says b = 1000" in warning


@pytest.mark.parametrize("number", [10**400, 10**308 * 10, "1e999", float("inf")])
def test_a_sidecar_with_a_b_value_beyond_numbers_states_none(written, image, number):
    path = written("a_dwi.nii.gz", image)
    text = json.dumps({"DiffusionBValue": number})
    path.with_name("a_dwi.json").write_text(text)
    assert open_case({"dwi": path}).scan("dwi").b_value is None


@pytest.mark.parametrize("b_value", [0.0, 30.0, -1000.0, float("nan"), float("inf"), 1e400])
def test_an_impossible_b_value_of_the_user_is_refused_even_without_a_dwi(written, image, b_value):
    with pytest.raises(InputRejected, match="b-value of 50 to 10000"):
        open_case({"flair": written("f.nii.gz", image)}, b_value=b_value)


def test_options_that_have_no_effect_are_named(written, image, tmp_path):
    path = written("f.nii.gz", image)
    warnings = " ".join(open_case({"flair": path}, b_value=1000.0, adc_unit="1e-6 mm2/s").warnings)
    assert "1e-6 mm2/s has no effect" in warnings
    assert "1000 s/mm² has no effect" in warnings
    with pytest.raises(AmbiguousInput, match="adc_unit"):
        open_case({"flair": path}, adc_unit="x")
    with pytest.raises(AmbiguousInput, match="--row"):
        open_case({"flair": path}, row="P1")
    written("sub-1/anat/sub-1_FLAIR.nii.gz", image)
    with pytest.raises(AmbiguousInput, match="--column"):
        open_case(tmp_path / "sub-1", columns={"flair": "x"})
    written("P1/x_flair.nii.gz", image)
    with pytest.raises(AmbiguousInput, match="--row"):
        open_case(tmp_path / "P1", row="P1")
