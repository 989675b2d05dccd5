"""The ADC from two signals, checked by hand."""

import numpy as np
import pytest

from adumbra.core.case import Case, Scan
from adumbra.core.errors import GridMismatch, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.preprocessing.adc import adc_from, with_adc

GRID = Grid((5, 1, 1), np.eye(4))


def scan_of(values, grid=GRID, **metadata):
    return Scan(np.asarray(values, dtype=np.float32).reshape(grid.shape), grid, grid, **metadata)


def test_620_square_micrometres_per_second_at_any_b_value():
    for b in (800.0, 1000.0, 2500.0):
        b0 = scan_of([1000, 500, 100, 10, 1])
        dwi = scan_of(b0.data.ravel() * np.exp(-b * 620e-6))
        adc = adc_from(b0, dwi, b)
        assert adc.data == pytest.approx(0.620, abs=1e-5)
        assert adc.data.dtype == np.float32
        assert adc.valid_mask is None


def test_signals_that_are_not_positive_have_no_adc():
    adc = adc_from(scan_of([100, 0, -5, 100, 100]), scan_of([50, 50, 50, 0, -1]), 1000.0)
    assert adc.valid_mask.ravel().tolist() == [True, False, False, False, False]
    assert adc.data.ravel() == pytest.approx([np.log(2), 0, 0, 0, 0])


def test_noise_may_make_it_negative_and_that_is_preserved():
    assert adc_from(scan_of([10] * 5), scan_of([20] * 5), 1000.0).data == pytest.approx(-np.log(2))


def test_images_on_two_grids_are_refused():
    shifted = Grid((5, 1, 1), np.eye(4) + np.outer([3, 0, 0, 0], [0, 0, 0, 1]))
    with pytest.raises(GridMismatch, match="3 mm apart"):
        adc_from(scan_of([1] * 5, shifted), scan_of([1] * 5), 1000.0)


def test_a_missing_adc_is_computed_and_noted():
    case = Case("c", {"b0": scan_of([100] * 5), "dwi": scan_of([50] * 5, b_value=1000.0)})
    result = with_adc(case)
    assert result.scan("adc").data == pytest.approx(np.log(2))
    assert result.provenance[-1].values["b_value"] == 1000.0
    assert not result.provenance[-1].warning


def test_a_case_that_has_it_or_lacks_the_images_is_unchanged(isles):
    assert with_adc(isles) is isles
    only = Case("c", {"dwi": scan_of([50] * 5)})
    assert with_adc(only) is only


def test_a_missing_b_value_is_refused_with_its_option():
    case = Case("c", {"b0": scan_of([100] * 5), "dwi": scan_of([50] * 5, source="dwi.nii.gz")})
    with pytest.raises(MissingInput, match="--b-value") as raised:
        with_adc(case)
    assert raised.value.where == "dwi.nii.gz"


def test_a_b0_of_the_same_acquisition_with_a_rounded_header_is_used():
    rounded = Grid((5, 1, 1), np.eye(4) + np.outer([0.3, 0, 0, 0], [0, 0, 0, 1]))
    case = Case("c", {"b0": scan_of([100] * 5, rounded), "dwi": scan_of([50] * 5, b_value=1000.0)})
    result = with_adc(case)
    assert result.scan("adc").data == pytest.approx(np.log(2))
    assert not result.provenance[-1].warning
