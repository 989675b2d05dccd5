"""Calibrations: fits by hand and against scikit-learn, then properties of all of them."""

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from adumbra.core.errors import ImplausibleValues, InputRejected, WeightsRejected
from adumbra.core.references import citations
from adumbra.uncertainty.calibration.base import ProbabilityCalibration
from adumbra.uncertainty.calibration.calibrators import (
    CALIBRATIONS,
    CERTAIN,
    TEMPERATURES,
    Isotonic,
    LocalTemperature,
    Temperature,
    VectorScaling,
    fit_isotonic,
    fit_local_temperature,
    fit_temperature,
    fit_vector_scaling,
)
from adumbra.uncertainty.calibration.samples import Voxels

FITS = (fit_temperature, fit_vector_scaling, fit_isotonic, fit_local_temperature)
EXAMPLES = (
    Temperature(1.7, cases=("a", "b")),
    VectorScaling(0.5, -1.25, cases=("a",)),
    Isotonic((0.1, 0.4, 0.9), (0.05, 0.05, 0.6), cases=("a",)),
    LocalTemperature((0.5, 1.0, 2.0, 3.0, 4.0), cases=("a",)),
)


def voxels(p: list[float] | np.ndarray, y: list[int] | np.ndarray, w=None, band=None) -> Voxels:
    p, y = np.asarray(p, dtype=np.float64), np.asarray(y, dtype=bool)
    w = np.ones(p.size) if w is None else np.asarray(w, dtype=np.float64)
    band = np.zeros(p.size, dtype=np.int8) if band is None else np.asarray(band)
    return Voxels(p, y, w, band, ("one", "two"))


def simulated(n: int, *, gain: float, shift: float, seed: int = 0) -> Voxels:
    """Voxels whose logit z is such that the truth has the probability σ(gain z + shift)."""
    generator = np.random.default_rng(seed)
    z = generator.normal(-1.0, 2.5, n)
    return voxels(expit(z), generator.random(n) < expit(gain * z + shift))


def applied(calibration: ProbabilityCalibration, p: np.ndarray) -> np.ndarray:
    return calibration.apply(p, bands=np.ones(p.shape, dtype=np.int8))


def nll(p: np.ndarray, v: Voxels) -> float:
    p = np.clip(np.asarray(p, dtype=np.float64), CERTAIN, 1 - CERTAIN)
    return float(-(v.weight @ np.where(v.truth, np.log(p), np.log1p(-p))) / v.weight.sum())


def test_a_temperature_by_hand() -> None:
    """σ(ln 9 / T) is 0.9 at T = 1 and, ln 9 being 2 ln 3, 0.75 at T = 2."""
    p = np.array([0.9, 0.5, 0.1], dtype=np.float32)
    np.testing.assert_allclose(Temperature(2.0, cases=()).apply(p), [0.75, 0.5, 0.25], rtol=1e-6)
    np.testing.assert_allclose(Temperature(1.0, cases=()).apply(p), p, rtol=1e-6)


def test_a_temperature_is_fitted_by_hand() -> None:
    """Of four voxels at 0.9 three are true: 0.75 is what 0.9 should be, so T = 2. Those at 0.1 mirror them."""
    v = voxels([0.9] * 4 + [0.1] * 4, [1, 1, 1, 0, 1, 0, 0, 0])
    assert fit_temperature(v).temperature == pytest.approx(2.0, rel=1e-9)
    assert fit_temperature(v).cases == ("one", "two")


def test_a_gain_and_shift_by_hand() -> None:
    """0.9 must become 0.75 and 0.5 must become 0.25: ln 3 = a 2 ln 3 + b, -ln 3 = b, so a = 1."""
    v = voxels([0.9] * 4 + [0.5] * 4, [1, 1, 1, 0, 1, 0, 0, 0])
    result = fit_vector_scaling(v)
    assert (result.gain, result.shift) == pytest.approx((1.0, -np.log(3)), rel=1e-6)
    np.testing.assert_allclose(result.apply(np.array([0.9, 0.5], dtype=np.float32)), [0.75, 0.25], rtol=1e-6)


@pytest.mark.parametrize(("gain", "shift"), [(1.0, 0.0), (0.3, 0.5), (3.0, -2.0), (0.6, -5.0)])
def test_the_fits_agree_with_logistic_regression(gain: float, shift: float) -> None:
    v = simulated(20_000, gain=gain, shift=shift)
    z = logit(v.probability)[:, None]
    plain = {"C": np.inf, "solver": "newton-cholesky", "tol": 1e-12, "max_iter": 500}
    with_shift, without_shift = (
        LogisticRegression(fit_intercept=intercept, **plain).fit(z, v.truth) for intercept in (True, False)
    )
    result = fit_vector_scaling(v)
    assert (result.gain, result.shift) == pytest.approx(
        (with_shift.coef_.item(), with_shift.intercept_.item()), rel=1e-6, abs=1e-6
    )
    assert result.gain == pytest.approx(gain, abs=0.12)
    assert result.shift == pytest.approx(shift, abs=0.35)
    if shift > -2:
        assert fit_temperature(v).temperature == pytest.approx(1 / without_shift.coef_.item(), rel=1e-8)


def test_weights_are_repetitions(rng: np.random.Generator) -> None:
    p, y, times = rng.random(60), rng.random(60) < 0.4, rng.integers(0, 5, 60)
    weighted = voxels(p, y, w=times)
    repeated = voxels(np.repeat(p, times), np.repeat(y, times))
    assert fit_temperature(weighted).temperature == pytest.approx(fit_temperature(repeated).temperature)
    a, b = fit_vector_scaling(weighted), fit_vector_scaling(repeated)
    assert (a.gain, a.shift) == pytest.approx((b.gain, b.shift), rel=1e-5)
    a, b = fit_isotonic(weighted), fit_isotonic(repeated)
    inside = (np.array(b.after) > 0.02) & (np.array(b.after) < 0.98)
    np.testing.assert_allclose(np.array(a.after)[inside], np.array(b.after)[inside], rtol=1e-12)


def test_an_isotonic_map_by_hand() -> None:
    """Shares 0, 1, 0, 1 at rising probabilities: the middle two are pooled to a half, and the ends are clipped."""
    result = fit_isotonic(voxels([0.2, 0.4, 0.6, 0.8], [0, 1, 0, 1]))
    assert result.before == (0.2, 0.4, 0.6, 0.8)
    assert result.after == pytest.approx((1 / 6, 0.5, 0.5, 5 / 6))
    p = np.array([0.1, 0.3, 0.5, 0.7, 0.9], dtype=np.float32)
    np.testing.assert_allclose(result.apply(p), [1 / 6, 1 / 3, 0.5, 2 / 3, 5 / 6], rtol=1e-6)


def test_isotonic_ties_are_one_observation() -> None:
    result = fit_isotonic(voxels([0.3, 0.3, 0.3, 0.7, 0.7], [0, 1, 0, 1, 0], w=[1, 2, 1, 1, 1]))
    assert result.before == (0.3, 0.7)
    assert result.after == pytest.approx((0.5, 0.5))


@pytest.mark.parametrize("ties", [True, False])
def test_an_isotonic_map_agrees_with_scikit_learn(rng: np.random.Generator, ties: bool) -> None:
    p = rng.random(3000) ** 2
    p = np.round(p, 2) if ties else p
    v = voxels(p, rng.random(3000) < p**1.5, w=rng.random(3000) + 0.1)
    peer = IsotonicRegression(out_of_bounds="clip").fit(v.probability, v.truth, sample_weight=v.weight)
    at = rng.random(5000).astype(np.float32)
    least = 1 / 3002
    expected = np.clip(peer.predict(at.astype(np.float64)), least, 1 - least)
    np.testing.assert_allclose(fit_isotonic(v).apply(at), expected, atol=2 * least)
    middle = (expected > 0.02) & (expected < 0.98)  # away from the clipped ends
    np.testing.assert_allclose(fit_isotonic(v).apply(at)[middle], expected[middle], rtol=1e-5)


def test_a_local_temperature_is_the_temperature_of_each_band() -> None:
    one = ([0.9] * 4 + [0.1] * 4, [1, 1, 1, 0, 1, 0, 0, 0])
    sharp = ([0.75] * 10 + [0.25] * 10, [1] * 9 + [0] + [1] + [0] * 9)  # 0.9 where 0.75 is predicted: T = 1/2
    background = ([0.02] * 5, [0] * 5)
    v = voxels(one[0] + sharp[0] + background[0], one[1] + sharp[1] + background[1], band=[0] * 8 + [1] * 20 + [2] * 5)
    result = fit_local_temperature(v, edges_mm=(0.0, 5.0, 9.0))
    pooled = fit_temperature(v).temperature
    assert result.temperatures == pytest.approx((2.0, 0.5, pooled, pooled))  # one class, and no voxel at all
    p = np.array([0.9, 0.75], dtype=np.float32)
    np.testing.assert_allclose(result.apply(p, bands=np.array([0, 1])), [0.75, 0.9], rtol=1e-6)


def test_a_local_fit_is_no_less_likely_than_a_global_one() -> None:
    cold, hot = simulated(4000, gain=2.0, shift=0.0), simulated(4000, gain=0.4, shift=0.0, seed=1)
    p, y = np.r_[cold.probability, hot.probability], np.r_[cold.truth, hot.truth]
    v = voxels(p, y, band=np.repeat([0, 1], 4000))
    result, single = fit_local_temperature(v, edges_mm=(0.0,)), fit_temperature(v)
    assert result.temperatures == pytest.approx((0.5, 2.5), rel=0.1)
    assert nll(result.apply(v.probability, bands=v.band), v) < nll(single.apply(v.probability), v) - 0.005


@pytest.mark.parametrize("fit", FITS)
def test_a_fit_lowers_the_nll_of_its_own_voxels(fit) -> None:
    v = simulated(5000, gain=0.4, shift=0.0)
    assert nll(applied(fit(v), v.probability), v) < nll(v.probability, v) - 0.05


@pytest.mark.parametrize("fit", FITS)
def test_voxels_of_one_class_cannot_be_fitted(fit) -> None:
    for truth in ([0, 0, 0], [1, 1, 1]):
        with pytest.raises(ImplausibleValues, match="voxels of the target, and others"):
            fit(voxels([0.2, 0.5, 0.7], truth))
    with pytest.raises(ImplausibleValues):
        fit(voxels([0.2, 0.5, 0.7], [0, 0, 1], w=[1, 1, 0]))
    with pytest.raises(ImplausibleValues):
        fit(voxels([], []))


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("p", "y"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1]),  # separable
        ([0.9, 0.8, 0.2, 0.1], [0, 0, 1, 1]),  # the opposite of the truth
        ([0.5, 0.5, 0.5], [0, 1, 1]),  # one probability
        ([0.0, 0.0, 1.0, 1.0], [0, 1, 0, 1]),  # certain, and wrong
        ([0.3, 0.3, 0.3], [0, 0, 1]),
        ([1e-30, 1e-30, 1.0], [1, 0, 1]),
    ],
)
def test_degenerate_voxels_give_a_finite_calibration(fit, p: list[float], y: list[int]) -> None:
    result = fit(voxels(p, y))
    after = applied(result, np.linspace(0, 1, 101, dtype=np.float32))
    assert np.isfinite(after).all()
    assert (np.diff(after) >= 0).all()
    assert type(result).from_json(result.as_json()) == result


def test_without_a_maximum_of_the_likelihood_the_end_of_the_range_is_taken() -> None:
    assert fit_temperature(voxels([0.1, 0.9], [0, 1])).temperature == TEMPERATURES[0]
    assert fit_temperature(voxels([0.9, 0.1], [0, 1])).temperature == TEMPERATURES[1]
    assert fit_temperature(voxels([0.5, 0.5], [0, 1])).temperature == 1.0
    assert fit_vector_scaling(voxels([0.9, 0.1], [0, 1])).gain == pytest.approx(1 / TEMPERATURES[1])
    perfect = voxels([0.1, 0.9], [0, 1])
    assert nll(fit_vector_scaling(perfect).apply(perfect.probability), perfect) < 1e-6
    level = fit_vector_scaling(voxels([0.3, 0.3, 0.3, 0.3], [0, 0, 0, 1]))
    assert level.apply(np.array([0.3])).item() == pytest.approx(0.25)


@pytest.mark.parametrize("calibration", EXAMPLES, ids=lambda c: type(c).__name__)
def test_certain_voxels_stay_certain_and_the_shape_is_preserved(calibration: ProbabilityCalibration) -> None:
    p = np.array([[0.0, 1.0, 0.5], [1e-38, 1.0 - 2.0**-24, 0.2]], dtype=np.float32)
    after = applied(calibration, p)
    assert (after.shape, after.dtype) == (p.shape, np.float32)
    assert after[0, :2].tolist() == [0.0, 1.0]
    assert ((after >= 0) & (after <= 1)).all()
    assert applied(calibration, np.zeros((0, 3), dtype=np.float32)).shape == (0, 3)


@given(
    arrays(np.float32, 30, elements=st.floats(0, 1, width=32)),
    st.floats(0.05, 20.0),
    st.floats(-20.0, 20.0),
)
def test_the_order_of_voxels_is_preserved(p: np.ndarray, gain: float, shift: float) -> None:
    p = np.sort(p)
    calibrations = (
        Temperature(gain, cases=()),
        VectorScaling(gain, shift, cases=()),
        EXAMPLES[2],
        LocalTemperature((1.0, gain, 1.0, 1.0, 1.0), cases=()),
    )
    for calibration in calibrations:
        after = applied(calibration, p)
        assert (np.diff(after) >= 0).all()
        assert ((after >= 0) & (after <= 1)).all()
    side = Temperature(gain, cases=()).apply(p)
    assert ((side > 0.5) <= (p > 0.5)).all()
    assert ((side < 0.5) <= (p < 0.5)).all()


@pytest.mark.parametrize("calibration", EXAMPLES, ids=lambda c: type(c).__name__)
def test_saved_and_read_it_is_the_same(calibration: ProbabilityCalibration) -> None:
    plain = json.loads(json.dumps(calibration.as_json()))
    assert CALIBRATIONS[plain["kind"]].from_json(plain) == calibration
    assert plain["cases"] == list(calibration.cases)


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"kind": "Isotonic", "temperature": 2.0, "cases": []},
        {"kind": "Temperature", "cases": []},
        {"kind": "Temperature", "temperature": -1.0, "cases": []},
        {"kind": "Temperature", "temperature": "warm", "cases": []},
        {"kind": "Temperature", "temperature": 1.0, "cases": [], "more": 1},
    ],
)
def test_a_damaged_calibration_is_refused(plain: dict) -> None:
    with pytest.raises(WeightsRejected, match="Temperature"):
        Temperature.from_json(plain)


@pytest.mark.parametrize("bad", [-0.1, 1.1, float("nan")])
@pytest.mark.parametrize("calibration", EXAMPLES, ids=lambda c: type(c).__name__)
def test_values_that_are_not_probabilities_are_refused(calibration: ProbabilityCalibration, bad: float) -> None:
    with pytest.raises(ImplausibleValues):
        applied(calibration, np.array([0.5, bad], dtype=np.float32))


@pytest.mark.parametrize(
    "impossible",
    [
        lambda: Temperature(0.0, cases=()),
        lambda: Temperature(float("nan"), cases=()),
        lambda: VectorScaling(-1.0, 0.0, cases=()),
        lambda: VectorScaling(1.0, float("inf"), cases=()),
        lambda: Isotonic((), (), cases=()),
        lambda: Isotonic((0.2, 0.1), (0.1, 0.2), cases=()),
        lambda: Isotonic((0.1, 0.2), (0.2, 0.1), cases=()),
        lambda: Isotonic((0.1, 0.2), (0.0, 0.5), cases=()),
        lambda: LocalTemperature((1.0, 1.0), (1.0, 2.0), cases=()),
        lambda: LocalTemperature((1.0, -1.0), (1.0,), cases=()),
        lambda: EXAMPLES[3].apply(np.array([0.5])),
        lambda: EXAMPLES[3].apply(np.array([0.5]), bands=np.array([7])),
        lambda: EXAMPLES[3].apply(np.array([0.5]), bands=np.array([-1])),
        lambda: fit_local_temperature(voxels([0.2, 0.4], [0, 1], band=[0, 3]), edges_mm=(0.0,)),
    ],
)
def test_impossible_calibrations_are_refused(impossible) -> None:
    with pytest.raises(InputRejected):
        impossible()


def test_only_the_isotonic_map_makes_ties() -> None:
    assert [calibration.strictly_increasing for calibration in EXAMPLES] == [True, True, False, True]
    assert "strictly_increasing" not in EXAMPLES[2].as_json()


def test_a_calibration_is_a_value() -> None:
    with pytest.raises(FrozenInstanceError):
        EXAMPLES[0].temperature = 3.0
    assert citations(Temperature, Isotonic, LocalTemperature) == ("Ding2021", "Guo2017", "Zadrozny2002")
