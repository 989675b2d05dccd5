"""A computed ADC is checked: b0 and DWI exchanged, and b-values that the images contradict.

Measured with ``benchmarks/input_flags.py --cases 220 --seed 71`` on diffusion phantoms (b from 800 to 1200, median of
tissue 0.76 to 1.24), the share of cases by the stated over the true b-value:

    stated/true   0.4   0.5   0.67  0.8   1     1.25  1.5   1.75  2     2.5   3.125
    refused, %    99    28    0     0     0     0     0     0     1     72    100
    warned of, %  1     72    56    4     0     1     32    87    96    28    0

Exchanged b0 and DWI are refused in all of them, whether the ADC is computed or a file.
"""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.case import Case, Scan
from adumbra.core.errors import ImplausibleValues
from adumbra.core.geometry.grid import Grid
from adumbra.preprocessing.adc import adc_from, fitted_b_value, tissue_median, with_adc

GRID = Grid((34, 36, 18), np.diag([2.0, 2.0, 4.0, 1.0]))


@pytest.fixture
def head(rng):
    """``head(b)``: b0, DWI and true ADC of a head with air, fluid and an infarct, with noise."""

    def build(b, *, tissue=0.8, stripped=False, infarct=0.0):
        adc = np.full(GRID.shape, tissue) + 0.08 * rng.standard_normal(GRID.shape)
        s0 = np.full(GRID.shape, 700.0)
        adc[14:18, 12:24, 7:11], s0[14:18, 12:24, 7:11] = 3.0, 2000.0
        adc[3 : 3 + round(24 * infarct)] = 0.4
        air = np.ones(GRID.shape, bool)
        air[3:-3, 3:-3, 2:-2] = False
        noise = 0.0 if stripped else 8.0
        signals = (np.where(air, 0.0, s0), np.where(air, 0.0, s0 * np.exp(-adc * b / 1000)))
        b0, dwi = (
            np.hypot(s + noise * rng.standard_normal(GRID.shape), noise * rng.standard_normal(GRID.shape))
            for s in signals
        )
        if stripped:
            b0, dwi = np.where(air, 0.0, b0), np.where(air, 0.0, dwi)
        as_scan = [Scan(v.astype(np.float32), GRID, GRID) for v in (b0, dwi)]
        truth = Scan(np.where(air, 0.0, adc).astype(np.float32), GRID, GRID)
        return replace(as_scan[0], source="x_b0.nii"), replace(as_scan[1], source="x_dwi.nii", b_value=b), truth

    return build


def warnings_of(case):
    return [note.what for note in case.provenance if note.warning]


@pytest.mark.parametrize("b", [800.0, 1000.0, 1500.0, 2500.0])
@pytest.mark.parametrize("stripped", [False, True])
def test_a_right_b_value_passes_without_a_word(head, b, stripped):
    b0, dwi, _ = head(b, stripped=stripped)
    case = with_adc(Case("c", {"b0": b0, "dwi": dwi}))
    assert not warnings_of(case)
    assert case.provenance[-1].values["median"] == pytest.approx(0.8, abs=0.05)


def test_a_hemisphere_of_dead_tissue_is_not_refused(head):
    b0, dwi, _ = head(1000.0, infarct=0.5)
    assert with_adc(Case("c", {"b0": b0, "dwi": dwi})).scan("adc")


def test_b0_and_dwi_exchanged_are_refused_with_the_adc_and_the_b_value(head):
    b0, dwi, _ = head(800.0)
    with pytest.raises(ImplausibleValues, match=r"x_dwi\.nii \(b0\) and x_b0\.nii \(dwi\)") as raised:
        with_adc(Case("c", {"b0": dwi, "dwi": replace(b0, b_value=800.0)}))
    assert raised.value.found.startswith("-0.8")
    assert "b = 800" in raised.value.found
    assert "without diffusion weighting as b0" in raised.value.do


@pytest.mark.parametrize(("stated", "suggested"), [(2500.0, 800), (3000.0, 800), (250.0, 800)])
def test_a_b_value_wrong_by_a_factor_of_three_is_refused_and_the_fitting_one_is_named(head, stated, suggested):
    b0, dwi, _ = head(800.0)
    with pytest.raises(ImplausibleValues, match=f"b = {stated:g}") as raised:
        with_adc(Case("c", {"b0": b0, "dwi": replace(dwi, b_value=stated)}))
    named = int(raised.value.do.split(": ")[1].split()[0])
    assert named == pytest.approx(suggested, rel=0.06)
    assert "--b-value" in raised.value.do


@pytest.mark.parametrize("stated", [1400.0, 430.0])
def test_a_b_value_wrong_by_the_factor_1_75_is_a_warning_with_both_numbers(head, stated):
    b0, dwi, _ = head(800.0)
    (warning,) = warnings_of(with_adc(Case("c", {"b0": b0, "dwi": replace(dwi, b_value=stated)})))
    assert f"b = {stated:g} s/mm²" in warning
    assert "would give 0.8" in warning


def test_a_b_value_of_1000_in_place_of_800_cannot_be_told_from_the_values_alone(head):
    b0, dwi, _ = head(800.0, tissue=0.9)
    case = with_adc(Case("c", {"b0": b0, "dwi": replace(dwi, b_value=1000.0)}))
    assert not warnings_of(case)
    assert case.provenance[-1].values["median"] == pytest.approx(0.72, abs=0.05)  # heads have such an ADC


@pytest.mark.parametrize("b0_scale", [1.0, 3.7])
def test_with_an_adc_file_it_can_be_told_whatever_the_scale_of_the_b0(head, b0_scale):
    b0, dwi, adc = head(800.0)
    b0 = replace(b0, data=b0.data * np.float32(b0_scale))
    b, correlation = fitted_b_value(b0, dwi, adc)
    assert b == pytest.approx(800, rel=0.08)
    assert correlation > 0.8
    right, wrong = (
        with_adc(Case("c", {"b0": b0, "dwi": replace(dwi, b_value=value), "adc": adc})) for value in (800.0, 1000.0)
    )
    assert not warnings_of(right)
    assert "b = 1000 s/mm² is stated" in warnings_of(wrong)[0]


def test_an_exchange_is_refused_beside_an_adc_file(head):
    b0, dwi, adc = head(800.0)
    with pytest.raises(ImplausibleValues, match="falls with it"):
        with_adc(Case("c", {"b0": dwi, "dwi": replace(b0, b_value=800.0), "adc": adc}))


def test_noise_around_the_head_changes_nothing(head):
    b0, dwi, _ = head(1000.0)
    padded = [
        Scan(np.pad(s.data, 12, constant_values=1e-3), *2 * (Grid((58, 60, 42), GRID.affine),)) for s in (b0, dwi)
    ]
    median, plain = (tissue_median(adc_from(*pair, 1000.0), *pair) for pair in (padded, (b0, dwi)))
    assert median == pytest.approx(plain, abs=0.1)


def test_images_without_a_common_voxel_have_no_median():
    b0 = Scan(np.zeros(GRID.shape, np.float32), GRID, GRID)
    dwi = replace(b0, b_value=1000.0)
    assert tissue_median(adc_from(b0, dwi, 1000.0), b0, dwi) is None
    assert fitted_b_value(b0, dwi, b0) is None


@pytest.mark.parametrize(
    ("stated", "outcome"), [(800.0, "passes"), (1000.0, "passes"), (1400.0, "warns"), (2500.0, "refuses")]
)
def test_a_real_case_whose_b0_is_computed(isles, stated, outcome):
    dwi, adc = isles.scan("dwi"), isles.scan("adc")
    b0 = replace(dwi, data=dwi.data * np.exp(0.8 * adc.data))
    case = Case("c", {"b0": b0, "dwi": replace(dwi, b_value=stated)})
    if outcome == "refuses":
        with pytest.raises(ImplausibleValues):
            with_adc(case)
    else:
        assert bool(warnings_of(with_adc(case))) == (outcome == "warns")
    with pytest.raises(ImplausibleValues, match="-"):
        with_adc(Case("c", {"b0": dwi, "dwi": replace(b0, b_value=stated)}))
