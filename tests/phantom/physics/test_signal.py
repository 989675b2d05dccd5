"""Signals against their closed forms and limits, and recovery of the ADC by the fit."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from adumbra.phantom.physics import signal
from adumbra.phantom.physics.relaxation import FIELDS_TESLA, TISSUES, Relaxation

GREY = TISSUES[3.0]["grey"]
SWAN_TE_MS = (12.9, 19.0, 25.1, 31.2)
ALL = [pytest.param(tissue, id=f"{name} at {b0} T") for b0 in FIELDS_TESLA for name, tissue in TISSUES[b0].items()]


def volume(value: float) -> np.ndarray:
    return np.full((2, 2, 1), value, np.float32)


@pytest.mark.parametrize("b_value", [800.0, 1000.0, 1200.0, 2500.0])
@pytest.mark.parametrize("tissue", ALL)
def test_the_fit_recovers_the_adc_from_noiseless_images(tissue: Relaxation, b_value: float) -> None:
    b0, dwi = (volume(1000 * signal.spin_echo(tissue, te_ms=80.0, b_value=b)) for b in (0.0, b_value))
    assert signal.adc_fit(b0, dwi, b_value=b_value) == pytest.approx(tissue.adc, rel=1e-3)
    assert signal.adc_fit(dwi, b0, b_value=b_value) == pytest.approx(-tissue.adc, rel=1e-3)


@pytest.mark.parametrize("tissue", ALL)
def test_the_fit_recovers_the_adc_of_infarcted_tissue(tissue: Relaxation) -> None:
    infarcted = signal.altered(tissue, adc=0.55, t2=1.1)
    b0, dwi = (volume(signal.spin_echo(infarcted, te_ms=70.0, b_value=b)) for b in (0.0, 1000.0))
    assert signal.adc_fit(b0, dwi, b_value=1000.0) == pytest.approx(0.55 * tissue.adc, rel=1e-3)


def test_partial_volume_lowers_the_fitted_adc_below_the_mean() -> None:
    """Signals are summed, not constants: a mixture is nearer to grey matter, since fluid has lost its signal."""
    grey, csf = TISSUES[3.0]["grey"], TISSUES[3.0]["csf"]
    halves = [sum(0.5 * signal.spin_echo(t, te_ms=0.0, b_value=b) for t in (grey, csf)) for b in (0.0, 1000.0)]
    fitted = float(signal.adc_fit(volume(halves[0]), volume(halves[1]), b_value=1000.0)[0, 0, 0])
    assert grey.adc < fitted < (grey.adc + csf.adc) / 2


def test_where_there_is_no_signal_the_adc_is_nil() -> None:
    assert not signal.adc_fit(volume(0.0), volume(1.0), b_value=1000.0).any()
    assert not signal.adc_fit(volume(1.0), volume(0.0), b_value=1000.0).any()


def test_gradient_echo_is_the_closed_form() -> None:
    e1, alpha = np.exp(-35 / 1400), np.radians(15)
    expected = 0.82 * np.sin(alpha) * (1 - e1) / (1 - np.cos(alpha) * e1) * np.exp(-20 / 66)
    assert signal.gradient_echo(GREY, tr_ms=35.0, te_ms=20.0, flip_deg=15.0) == pytest.approx(expected)


@pytest.mark.parametrize("tissue", ALL)
def test_limits_of_the_gradient_echo(tissue: Relaxation) -> None:
    assert signal.gradient_echo(tissue, tr_ms=35.0, te_ms=20.0, flip_deg=0.0) == 0
    relaxed = signal.gradient_echo(tissue, tr_ms=1e6, te_ms=20.0, flip_deg=90.0)
    assert relaxed == pytest.approx(tissue.density * np.exp(-20 / tissue.t2_star_ms))
    saturated = signal.gradient_echo(tissue, tr_ms=35.0, te_ms=0.0, flip_deg=90.0)
    assert saturated == pytest.approx(tissue.density * (1 - np.exp(-35 / tissue.t1_ms)))


@pytest.mark.parametrize("tissue", ALL)
def test_the_gradient_echo_is_brightest_at_the_ernst_angle(tissue: Relaxation) -> None:
    def darkness(flip_deg: float) -> float:
        return -signal.gradient_echo(tissue, tr_ms=35.0, te_ms=5.0, flip_deg=float(flip_deg))

    brightest = minimize_scalar(darkness, bounds=(0, 90), method="bounded").x
    assert brightest == pytest.approx(signal.ernst_angle_deg(tissue, tr_ms=35.0), abs=0.01)


def test_the_ernst_angle_by_hand() -> None:
    """E1 = 1/2 at TR = T1·ln2: 60°."""
    assert signal.ernst_angle_deg(GREY, tr_ms=1400 * float(np.log(2))) == pytest.approx(60)
    assert signal.ernst_angle_deg(TISSUES[3.0]["grey"], tr_ms=1e6) == pytest.approx(90)


def test_steady_magnetisation_keeps_the_shape_and_is_whole_without_pulses() -> None:
    steady = signal.steady_magnetisation(np.array([[0.0, 90.0]]), tr_ms=100.0, t1_ms=1000.0)
    assert steady == pytest.approx(np.array([[1.0, 1 - np.exp(-0.1)]]))


@pytest.mark.parametrize("b0_tesla", FIELDS_TESLA)
def test_susceptibility_weighted_images_show_veins_red_clots_and_iron_dark(b0_tesla: float) -> None:
    """By T2* alone, before any dephasing; white clots are not darker than tissue."""
    bright = {
        name: np.mean([signal.gradient_echo(tissue, tr_ms=40.0, te_ms=te, flip_deg=15.0) for te in SWAN_TE_MS])
        for name, tissue in TISSUES[b0_tesla].items()
    }
    assert bright["red_thrombus"] < 0.75 * bright["grey"]
    assert bright["venous_blood"] < 0.95 * bright["arterial_blood"]
    assert bright["pallidum"] < bright["putamen"] < bright["grey"]
    assert bright["white_thrombus"] > 0.8 * bright["grey"]


@pytest.mark.parametrize("b0_tesla", FIELDS_TESLA)
@pytest.mark.parametrize("name", ["csf", "vitreous"])
def test_flair_nulls_fluid(name: str, b0_tesla: float) -> None:
    fluid = TISSUES[b0_tesla][name]
    null_ms = fluid.t1_ms * float(np.log(2))
    assert signal.inversion_recovery(fluid, te_ms=120.0, ti_ms=null_ms, tr_ms=1e6) == pytest.approx(0, abs=1e-9)
    grey = signal.inversion_recovery(TISSUES[b0_tesla]["grey"], te_ms=120.0, ti_ms=null_ms, tr_ms=1e6)
    assert grey > 0.1


def test_tissues_of_a_subject_share_their_calibration_and_vary_by_some_per_cent() -> None:
    subjects = [signal.sample_tissues(np.random.default_rng(seed), b0_tesla=3.0) for seed in range(300)]
    ratios = np.log([[d[name].adc / TISSUES[3.0][name].adc for name in ("grey", "white")] for d in subjects])
    assert ratios.mean() == pytest.approx(0, abs=0.01)
    assert ratios.std() == pytest.approx(np.hypot(0.055, 0.05), abs=0.01)
    assert 0.3 < np.corrcoef(ratios.T)[0, 1] < 0.6  # 0.05² of 0.05² + 0.055² is common to both


def test_a_spin_echo_by_hand() -> None:
    white = TISSUES[3.0]["white"]
    assert signal.spin_echo(white, te_ms=74.0, b_value=0.0) == pytest.approx(0.70 / np.e)
    assert signal.spin_echo(white, te_ms=0.0, b_value=1000.0) == pytest.approx(0.70 * np.exp(-0.72))
