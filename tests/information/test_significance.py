"""Bootstrap, permutation test and extrapolation over patients, on tables that can be added by hand."""

import numpy as np
import pytest

from adumbra.core.errors import ImplausibleValues, InputRejected
from adumbra.information.significance import bootstrap, extrapolate_to_infinite_patients, permutation_test, pooled


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def information(p: np.ndarray) -> np.ndarray:
    """I(A; B) of tables (B, A, B), by its definition."""
    product = p.sum(axis=2, keepdims=True) * p.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log2(p / product), 0.0)
    return terms.sum(axis=(1, 2))


SAME, NONE = np.array([[40, 0], [0, 40]]), np.array([[20, 20], [20, 20]])


def test_patients_are_pooled_voxel_by_voxel() -> None:
    tables = np.stack([np.array([[1, 0], [0, 0]]), np.array([[0, 0], [0, 3]])])
    assert pooled(tables, np.array([[1, 1], [2, 0]])).tolist() == [[[0.25, 0], [0, 0.75]], [[1.0, 0], [0, 0]]]


def test_equal_patients_have_an_interval_of_zero_width() -> None:
    interval = bootstrap(np.stack([SAME] * 5), information, generator=rng(), resamples=50)
    assert (float(interval.value), float(interval.low), float(interval.high)) == pytest.approx((1.0, 1.0, 1.0))
    assert interval.patients == 5


def test_the_interval_depends_on_patients_and_not_on_the_number_of_voxels() -> None:
    tables = np.stack([SAME, NONE] * 4)
    small, large = (bootstrap(tables * n, information, generator=rng()) for n in (1, 1000))
    assert float(small.low) < float(small.value) - 0.05
    assert float(small.high) > float(small.value) + 0.05
    assert float(large.high - large.low) == pytest.approx(float(small.high - small.low)), (
        "the unit of sampling is the patient"
    )


def test_a_single_patient_has_no_interval() -> None:
    assert np.isnan(bootstrap(SAME[None], information, generator=rng()).low)


def test_a_measure_may_have_several_values() -> None:
    interval = bootstrap(np.stack([SAME, NONE]), lambda p: p.reshape(len(p), -1), generator=rng(), resamples=20)
    assert interval.value.shape == interval.low.shape == (4,)


def test_intervals_have_their_nominal_coverage() -> None:
    """The share of one cell, over patients whose shares scatter around 0.3."""
    generator, covered = np.random.default_rng(5), 0
    for _ in range(200):
        shares = np.clip(generator.normal(0.3, 0.1, 25), 0, 1)
        tables = np.stack([np.round([1000 * s, 1000 * (1 - s)]) for s in shares])
        interval = bootstrap(tables, lambda p: p[:, 0], generator=generator, resamples=200)
        covered += float(interval.low) <= 0.3 <= float(interval.high)
    assert 0.86 <= covered / 200 <= 0.98


def crossed(linked: bool) -> np.ndarray:
    """Images with full information about the own mask if linked, else none; and none about the mask of others."""
    tables = np.stack([np.stack([NONE] * 6)] * 6)
    if linked:
        tables[np.arange(6), np.arange(6)] = SAME
    return tables


def test_masks_of_other_patients_give_the_null_distribution() -> None:
    values, p = permutation_test(crossed(True), information, generator=rng(), resamples=99)
    assert values.max() == pytest.approx(0.0, abs=1e-12)
    assert float(p) == pytest.approx(0.01)
    assert float(permutation_test(crossed(False), information, generator=rng(), resamples=99)[1]) == 1.0


def test_no_patient_keeps_the_own_mask() -> None:
    """Two patients have one derangement: each takes the mask of the other."""
    tables = np.zeros((2, 2, 2, 2))
    tables[0, 1], tables[1, 0], tables[0, 0], tables[1, 1] = SAME, SAME, NONE, NONE
    values, p = permutation_test(tables, information, generator=rng(), resamples=9)
    assert values.tolist() == pytest.approx([1.0] * 9)
    assert float(p) == 1.0


def test_extrapolation_removes_terms_that_fall_with_the_number_of_patients() -> None:
    """A measure a + b / n + c / n², where n is the number of patients, is extrapolated to a."""
    tables = np.eye(16)[:, None, :]  # each patient has an own cell, so that patients can be counted
    extrapolated = extrapolate_to_infinite_patients(
        tables, lambda p: 2.0 + 3.0 / (p > 0).sum(axis=(1, 2)) + 5.0 / (p > 0).sum(axis=(1, 2)) ** 2, generator=rng()
    )
    assert float(extrapolated) == pytest.approx(2.0)


def test_extrapolation_lowers_the_bias() -> None:
    generator = np.random.default_rng(1)
    tables = generator.multinomial(200, np.full(64, 1 / 64), size=16).reshape(16, 8, 8)
    plain = float(bootstrap(tables, information, generator=rng(), resamples=2).value)
    assert abs(float(extrapolate_to_infinite_patients(tables, information, generator=rng()))) < 0.25 * plain


@pytest.mark.parametrize(
    ("tables", "named"),
    [(-np.ones((2, 2, 2)), "counts"), (np.zeros((2, 2, 2)), "at least one voxel"), (np.full((2, 2), np.nan), "counts")],
)
def test_tables_that_are_not_counts_are_refused(tables: np.ndarray, named: str) -> None:
    with pytest.raises(ImplausibleValues, match=named):
        bootstrap(tables, information, generator=rng())


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputRejected, match="level"):
        bootstrap(np.stack([SAME]), information, generator=rng(), level=1.0)
    with pytest.raises(InputRejected, match="resamples"):
        bootstrap(np.stack([SAME]), information, generator=rng(), resamples=0)
    with pytest.raises(InputRejected, match="two patients"):
        permutation_test(NONE[None, None], information, generator=rng())
    with pytest.raises(ImplausibleValues, match="pair"):
        permutation_test(np.stack([SAME] * 3), information, generator=rng())
    with pytest.raises(InputRejected, match="four patients"):
        extrapolate_to_infinite_patients(np.stack([SAME, SAME]), information, generator=rng())
