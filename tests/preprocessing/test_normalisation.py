"""Network units, checked by hand."""

import numpy as np
import pytest

from adumbra.core.case import Case, Scan
from adumbra.core.errors import ImplausibleValues, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.preprocessing.alignment import align
from adumbra.preprocessing.normalisation import normalise

GRID = Grid((7, 1, 1), np.eye(4))
BRAIN = np.array([1, 1, 1, 1, 1, 0, 0], dtype=bool)


def case_of(brain=BRAIN, valid_mask=None, **values):
    def scan(data, kind=np.float32, **metadata):
        return Scan(np.array(data, dtype=kind).reshape(GRID.shape), GRID, GRID, **metadata)

    valid = None if valid_mask is None else np.array(valid_mask, dtype=bool).reshape(GRID.shape)
    return Case("c", {m: scan(v, valid_mask=valid) for m, v in values.items()}, {"brain": scan(brain, bool)})


def test_magnitude_is_scaled_by_its_own_brain():
    # In the brain 10 20 30 40 50: median 30, quartiles 20 and 40, so one unit is 20 / 1.349.
    out = normalise(case_of(dwi=[10, 20, 30, 40, 50, 0, 1000])).scan("dwi").data.ravel()
    assert out[:6] == pytest.approx((np.array([10, 20, 30, 40, 50, 0]) - 30) * 1.349 / 20)
    assert out[6] == 12.0
    assert out.dtype == np.float32


def test_a_gain_and_an_offset_of_the_scanner_do_not_matter():
    values = np.array([10, 20, 30, 40, 50, 0, 70], dtype=np.float32)
    one, other = (normalise(case_of(flair=v)).scan("flair").data for v in (values, values * 37 + 5))
    assert one == pytest.approx(other, abs=1e-5)


def test_adc_is_absolute():
    out = normalise(case_of(adc=[0.8, 0.5, 1.1, 3.0, -2.0, 9.0, 0.62])).scan("adc").data.ravel()
    assert out == pytest.approx([0, -1, 1, 22 / 3, -4, 12, -0.6], abs=1e-5)


def test_phase_is_in_half_turns():
    out = normalise(case_of(phase=np.linspace(-np.pi, np.pi, 7))).scan("phase").data.ravel()
    assert out == pytest.approx(np.linspace(-1, 1, 7))


def test_invalid_voxels_are_zero_and_do_not_count():
    out = normalise(case_of(valid_mask=[1, 1, 1, 1, 1, 1, 0], brain=[1] * 7, dwi=[10, 20, 30, 40, 50, 30, 9e9]))
    assert out.scan("dwi").data.ravel()[6] == 0.0
    assert out.scan("dwi").data.ravel()[2] == 0.0
    assert out.scan("dwi").data.ravel()[0] == pytest.approx(-20 * 1.349 / 15)


def test_a_constant_image_is_refused():
    with pytest.raises(ImplausibleValues, match="vary in the brain"):
        normalise(case_of(dwi=[5] * 7))
    with pytest.raises(ImplausibleValues, match="0 valid brain voxels"):
        normalise(case_of(brain=[0] * 7, dwi=[1, 2, 3, 4, 5, 6, 7]))


def test_a_missing_brain_mask_is_refused():
    with pytest.raises(MissingInput, match="brain mask"):
        normalise(Case("c", {"dwi": case_of(dwi=range(7)).scan("dwi")}))


def test_scaling_is_recorded():
    notes = normalise(case_of(dwi=[10, 20, 30, 40, 50, 0, 1], adc=[0.8] * 7)).provenance
    assert [(n.subject, n.values["centre"]) for n in notes] == [("dwi", 30.0), ("adc", 0.8)]


def test_the_real_case_is_in_network_units(isles):
    out = normalise(align(isles, reference="dwi", registration="never"))
    brain = out.masks["brain"].data
    for modality in ("dwi", "flair"):
        inside = out.scan(modality).data[brain]
        assert np.median(inside) == pytest.approx(0.0, abs=1e-3)
        assert -4.0 <= inside.min() < inside.max() <= 12.0
    lesion = out.masks["lesion"].data
    assert out.scan("dwi").data[lesion].mean() > 2.0
    assert out.scan("adc").data[lesion].mean() < -0.3
