"""620·10⁻⁶ mm²/s mean the same however they were written down."""

import numpy as np
import pytest

from adumbra.cases.scan import read_scan
from adumbra.cases.units import adc_in_1e3_mm2_s, head_median, power_of
from adumbra.errors import AmbiguousInput, ImplausibleValues


@pytest.mark.parametrize(
    ("factor", "dtype"), [(1, "f4"), (1, "f8"), (1000, "i2"), (1000, "f4"), (1e-3, "f8"), (1e-3, "f4"), (1000, "i4")]
)
def test_the_three_units_that_files_come_in_mean_the_same(written, adc, factor, dtype):
    scan, notes = read_scan(written("a_adc.nii.gz", np.round(adc, 3) * factor * (1 + 1e-9), dtype=dtype), "adc")
    np.testing.assert_allclose(scan.data[::-1], np.round(adc, 3), atol=2e-3)
    (note,) = notes
    assert note.values["factor"] == pytest.approx(1 / factor)
    assert note.values["negative_voxels"] == 1
    assert "1 negative voxels kept" in note.what


def test_units_survive_a_rescale_slope(written, adc):
    path = written("a_adc.nii", np.round(adc * 100), dtype=np.int16)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([1e-5, 0], dtype="<f4").tobytes()  # to plain mm²/s
    path.write_bytes(content)
    np.testing.assert_allclose(read_scan(path, "adc")[0].data[::-1], adc, atol=0.006)


def test_noise_in_the_air_and_much_fluid_do_not_confuse(rng):
    values = rng.uniform(0, 4000, (30, 30, 20))  # air
    values[4:26, 4:26, 2:18] = rng.normal(850, 60, (22, 22, 16))
    values[11:19, 10:20, 6:14] = 3000  # wide ventricles: a fifth of the middle
    converted, _ = adc_in_1e3_mm2_s(values, where="a")
    assert np.median(converted[4:26, 4:26, 2:18]) == pytest.approx(0.86, abs=0.03)


def test_a_thin_head_in_a_sea_of_zeros():
    values = np.zeros((40, 40, 10))
    values[18:24, 18:24, 3:7] = 700
    assert head_median(values, where="a") == 700


@pytest.mark.parametrize("scale", [0.1, 10, 100, 10_000, 1e-2, 1e6])
def test_other_powers_of_ten_are_refused_with_the_way_out(adc, scale):
    with pytest.raises(ImplausibleValues, match="median") as caught:
        adc_in_1e3_mm2_s(adc * scale, where="a_adc.nii.gz")
    assert caught.value.where == "a_adc.nii.gz"


def test_a_stated_unit_is_used_where_it_makes_sense(adc):
    converted, notes = adc_in_1e3_mm2_s(adc * 100, where="a", unit="10⁻⁵ mm²/s")
    np.testing.assert_allclose(converted, adc)
    assert "stated" in notes[0].what
    with pytest.raises(ImplausibleValues):
        adc_in_1e3_mm2_s(adc, where="a", unit="1e-6 mm2/s")


def test_wrapped_negatives_of_unsigned_files_are_pointed_at(adc):
    values = np.round(adc * 1000).astype(np.int16).astype(np.uint16)
    assert values.max() == 65416
    _, notes = adc_in_1e3_mm2_s(values, where="a")
    assert notes[-1].warning
    assert notes[-1].values == {"voxels": 1}


def test_an_adc_without_a_voxel_above_zero_is_refused():
    with pytest.raises(ImplausibleValues, match="no voxel above zero"):
        adc_in_1e3_mm2_s(np.full((3, 3, 3), -1.0), where="a")


@pytest.mark.parametrize(
    ("unit", "power"),
    [("1e-3 mm2/s", -3), ("10⁻⁶ mm²/s", -6), ("mm2/s", 0), ("10^-6 mm^2/s", -6), ("um2/s", -6), ("µm²/ms", -3),
     ("1E-3", -3), ("x10-6 mm2/s", -6), ("·10⁻³mm²/s", -3)],
)  # fmt: skip
def test_units_as_people_write_them(unit, power):
    assert power_of(unit, where="a") == power


def test_a_unit_that_is_none_is_refused():
    with pytest.raises(AmbiguousInput, match="furlong"):
        power_of("furlong", where="a")
