"""620·10⁻⁶ mm²/s, and a quarter of a turn, mean the same in whatever unit they were stored."""

import numpy as np
import pytest

from adumbra.cases.registry import open_case
from adumbra.cases.scan import read_scan
from adumbra.cases.units import PhaseUnitUnknown, adc_in_1e3_mm2_s, head_median, phase_in_radians, power_of
from adumbra.core.errors import AmbiguousInput, ImplausibleValues

TURN = 2 * np.pi


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


def test_noise_in_the_air_and_much_fluid_do_not_change_the_unit(rng):
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
def test_other_powers_of_ten_are_refused_with_advice(adc, scale):
    with pytest.raises(ImplausibleValues, match="median") as caught:
        adc_in_1e3_mm2_s(adc * scale, where="a_adc.nii.gz")
    assert caught.value.where == "a_adc.nii.gz"


def test_a_stated_unit_is_used_where_it_makes_sense(adc):
    converted, notes = adc_in_1e3_mm2_s(adc * 100, where="a", unit="10⁻⁵ mm²/s")
    np.testing.assert_allclose(converted, adc)
    assert "stated" in notes[0].what
    with pytest.raises(ImplausibleValues):
        adc_in_1e3_mm2_s(adc, where="a", unit="1e-6 mm2/s")


def test_wrapped_negatives_of_unsigned_files_are_a_warning(adc):
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


def test_a_unit_that_does_not_exist_is_refused():
    with pytest.raises(AmbiguousInput, match="furlong"):
        power_of("furlong", where="a")


# Phase


def wrapped(angle):
    return np.angle(np.exp(1j * np.asarray(angle, dtype=np.float64)))


def ramp(shape, steps, start=0.0):
    """Angles that rise by ``steps`` per voxel along each axis."""
    return start + sum(s * i for s, i in zip(steps, np.indices(shape), strict=True))


STEEP = wrapped(ramp((20, 20, 20), (0.9, 0.23, 0.041)))


@pytest.mark.parametrize(
    ("stored", "tolerance", "unit"),
    [
        (lambda angle: np.round((angle + np.pi) / TURN * 4095), 4e-3, "0…4095"),
        (lambda angle: np.round(angle / np.pi * 2047) * 2, 4e-3, "±4096"),
        (lambda angle: np.round(1000 * angle), 2e-3, "mrad"),
        (lambda angle: angle / np.pi * 0.003674377, 1e-3, "±0.0037"),
        (lambda angle: angle / TURN / 0.02, 1e-3, "Hz"),
        (lambda angle: np.round(angle / np.pi * 2048), 4e-3, "an unknown unit"),
        (lambda angle: angle / TURN / 0.015, 4e-3, "an unknown unit"),
    ],
    ids=["0 to 4095", "±4096", "milliradians", "±0.0037", "Hz", "±2048", "Hz of another echo"],
)
def test_a_unit_is_recognised_by_the_wraps(stored, tolerance, unit):
    angles, (note,) = phase_in_radians(stored(STEEP), where="a", echo_time_s=0.02)
    assert angles.dtype == np.float32
    assert np.abs(wrapped(angles - STEEP)).max() < tolerance
    assert note.values["unit"] == unit
    assert note.values["wraps"] > 100
    assert f"file in {unit}" in note.what
    assert not note.warning


@pytest.mark.parametrize(
    ("stored", "unit"), [(lambda angle: 2048 + angle / TURN * 4096, "0…4095"), (lambda angle: 1000 * angle, "mrad")]
)
def test_a_known_turn_need_not_be_reached(stored, unit):
    short = np.where(np.abs(STEEP) > 0.96 * np.pi, 0.96 * np.sign(STEEP) * np.pi, STEEP)
    angles, (note,) = phase_in_radians(stored(short), where="a")
    assert note.values["unit"] == unit
    assert np.abs(angles - short).max() < 1e-4


def test_radians_are_left_alone():
    values = STEEP.astype(np.float32)
    angles, (note,) = phase_in_radians(values, where="a")
    assert angles is values
    assert note.what == "Phase values taken as they are (file in radians)"


@pytest.mark.parametrize(
    "values",
    [ramp((9, 9, 9), (12.0, 3.0, 0.0)), np.zeros((9, 9, 9)), 5.0 * ramp((1, 1, 1), (0, 0, 0), 1.0)],
    ids=["Hz", "nothing", "one voxel"],
)
def test_an_image_without_wraps_has_no_unit(values):
    with pytest.raises(PhaseUnitUnknown, match="0 wraps") as raised:
        phase_in_radians(values, where="pha.nii")
    assert raised.value.where == "pha.nii"


def test_voxels_that_are_not_valid_do_not_count():
    valid_mask = np.ones(STEEP.shape, bool)
    valid_mask[3] = False
    angles, _ = phase_in_radians(np.where(valid_mask, STEEP * 1000, 1e6), where="a", valid_mask=valid_mask)
    assert np.abs(wrapped(angles - STEEP))[valid_mask].max() < 1e-2
    assert not angles[~valid_mask].any()


def test_the_echo_time_of_the_sidecar_identifies_hertz(written, phase):
    path = written("a_phase.nii", phase / TURN / 0.02, sidecar={"EchoTime": 0.02, "Units": "Hz"})
    scan, notes = read_scan(path, "phase")
    np.testing.assert_allclose(scan.data[::-1], phase, atol=1e-5)
    assert notes[-1].values["unit"] == "Hz"


def test_a_rescale_slope_to_milliradians_as_a_philips_scanner_writes_it(shared_data, written, phase):
    slice_ = (shared_data / "dicom" / "philips_swi_mixed" / "005.dcm").read_bytes()
    assert b"-3142 " in slice_
    assert b"1.53455433455433" in slice_
    path = written("a_phase.nii", np.round((1000 * phase + 3142) / 1.53455433455433), dtype=np.int16)
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([1.53455433455433, -3142], dtype="<f4").tobytes()
    path.write_bytes(content)
    scan, notes = read_scan(path, "phase")
    np.testing.assert_allclose(scan.data[::-1], phase, atol=2e-3)
    assert notes[-1].values["unit"] == "mrad"


def test_a_case_is_opened_without_a_phase_in_an_unknown_unit(written, image, tmp_path):
    written("P7/p7_dwi.nii.gz", image)
    filtered = written("P7/p7_swan_phase.nii.gz", image + 2)
    case = open_case(tmp_path / "P7")
    assert set(case.scans) == {"dwi"}
    (note,) = (note for note in case.provenance if note.subject == "phase")
    assert note.warning
    assert note.what.startswith("p7_swan_phase.nii.gz was left out: expected a phase image in radians")
    with pytest.raises(PhaseUnitUnknown):  # Nothing else is there to open.
        open_case({"phase": filtered})


def test_a_phase_that_cannot_be_read_is_still_refused(written, image, phase, tmp_path):
    written("P7/p7_dwi.nii.gz", image)
    written("P7/p7_phase.nii.gz", np.stack([phase, phase], axis=-1))
    with pytest.raises(AmbiguousInput, match="2 volumes"):
        open_case(tmp_path / "P7")


def test_a_real_crop_whose_unit_no_file_states(shared_data):
    path = shared_data / "swi" / "romeo" / "small" / "Phase.nii"
    for echo in range(3):
        scan, notes = read_scan(path, "phase", volume=echo)
        assert notes[-1].values["unit"] == "±0.0037"
        assert np.abs(scan.data).max() == pytest.approx(np.pi, abs=2e-3)


def test_a_real_crop_too_small_to_wrap_is_refused(shared_data):
    with pytest.raises(AmbiguousInput, match="0 wraps"):
        read_scan(shared_data / "swi" / "clearswi" / "small" / "Phase.nii", "phase", volume=0)
