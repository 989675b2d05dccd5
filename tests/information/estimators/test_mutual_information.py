"""Mutual information by any estimator: by hand, by identities, and invalid arguments."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected
from adumbra.information.estimators.bias import FewSamples
from adumbra.information.estimators.binning import Bins, equal_width
from adumbra.information.estimators.gaussian_copula import (
    gaussian_copula_mutual_information,
    gaussian_mutual_information,
)
from adumbra.information.estimators.ksg import ksg_mutual_information
from adumbra.information.estimators.mutual_information import (
    ESTIMATORS,
    binned_mutual_information,
    joint_table,
    mutual_information,
    normalised_mutual_information,
)

LN2 = np.log(2.0)
QUIET = pytest.mark.filterwarnings(
    "ignore::adumbra.information.estimators.bias.FewSamples"
)  # a dozen samples are intended
LEVELS = arrays(np.float64, 12, elements=st.sampled_from([0.0, 1.0, 2.0, 5.0]))


def correlated(samples: int, r: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    x, noise = np.random.default_rng(seed).normal(size=(2, samples))
    return x, r * x + (1 - r * r) ** 0.5 * noise


def test_by_hand() -> None:
    """A coin and its copy share 1 bit, two coins none; each pair occurs five times."""
    a, b = np.tile([0.0, 0, 1, 1], 5), np.tile([0.0, 1, 0, 1], 5)
    assert mutual_information(a, 7 - 3 * a, bins=2) == 1.0
    assert mutual_information(a, b, bins=2) == 0.0
    assert mutual_information(a, b, given=np.abs(a - b), bins=2) == 1.0
    assert mutual_information(a, a, given=a, bins=2) == 0.0
    assert normalised_mutual_information(a, a, by="joint", bins=2) == 1.0


@QUIET
def test_gaussians_are_near_their_closed_form() -> None:
    """32 bins lose some hundredths of a bit; copula and equal frequency are invariant under monotone maps."""
    x, y = correlated(100_000, 0.6)
    truth = gaussian_mutual_information(np.array([[1, 0.6], [0.6, 1]]), [0], [1])
    assert mutual_information(x, y) == pytest.approx(truth, abs=0.02)
    by_rank = mutual_information(x, y, binning="frequency", correction="miller-madow")
    assert by_rank == pytest.approx(truth, abs=0.02)
    assert mutual_information(np.exp(x), y**3, binning="frequency", bins=16) == pytest.approx(
        mutual_information(x, y, binning="frequency", bins=16), abs=1e-12
    )
    assert mutual_information(x, y, estimator="copula") == pytest.approx(truth, abs=0.01)
    assert mutual_information(x[:20_000], y[:20_000], estimator="ksg") == pytest.approx(truth, abs=0.03)


@QUIET
@given(LEVELS, LEVELS, st.sampled_from(["width", "frequency"]))
def test_it_is_symmetric_and_not_negative_and_the_entropy_of_a_copy(a: np.ndarray, b: np.ndarray, binning: str) -> None:
    found = mutual_information(a, b, bins=4, binning=binning)
    assert found >= 0
    assert found == pytest.approx(mutual_information(b, a, bins=4, binning=binning), abs=1e-12)
    of_itself = mutual_information(a, a, bins=64)
    shares = np.unique(a, return_counts=True)[1] / a.size
    assert of_itself == pytest.approx(-(shares * np.log2(shares)).sum(), abs=1e-12)


@QUIET
@given(LEVELS, LEVELS, LEVELS)
def test_the_chain_rule(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    """I(A; (B, C)) = I(A; C) + I(A; B | C), with the pair (B, C) as one variable of its own bins."""
    pair = Bins(np.arange(-0.5, 36.5))
    both = mutual_information(a, 6 * b + c, bins=(pair, pair))
    of_c, of_b = mutual_information(a, c, bins=64), mutual_information(a, b, given=c, bins=64)
    assert both == pytest.approx(of_c + of_b, abs=1e-12)


def test_estimators_are_selected_by_name(rng: np.random.Generator) -> None:
    x, y = correlated(600, 0.5)
    z = rng.normal(size=600)
    assert mutual_information(x, y, estimator="copula", correct=False) == gaussian_copula_mutual_information(
        x, y, correct=False
    )
    assert mutual_information(x, y, estimator="ksg", neighbours=5) == ksg_mutual_information(x, y, neighbours=5)
    assert mutual_information(x, y, bins=4) == binned_mutual_information(x, y, bins=4)
    for estimator, options in (("copula", {}), ("ksg", {}), ("binned", {"bins": 4})):
        assert estimator in ESTIMATORS
        found = mutual_information(x, y, estimator=estimator, given=z, **options)
        assert 0.0 < found < 0.6


def test_corrections() -> None:
    """For independent variables the bias is 7 · 7 / (2 N ln 2), and nearly 0 once corrected."""
    a, b = np.random.default_rng(3).random((2, 2000))
    plain = binned_mutual_information(a, b, bins=8)
    assert plain == pytest.approx(49 / (4000 * LN2), rel=0.5)
    assert binned_mutual_information(a, b, bins=8, correction="miller-madow") == pytest.approx(
        plain - 49 / (4000 * LN2)
    )
    by_parts = binned_mutual_information(a, b, bins=8, correction="quadratic", generator=np.random.default_rng(0))
    assert abs(by_parts) < 0.5 * plain
    third = np.random.default_rng(4).random(2000)
    corrected = binned_mutual_information(a, b, given=third, bins=4, correction="miller-madow")
    assert abs(corrected) < binned_mutual_information(a, b, given=third, bins=4)


def test_only_few_samples_raise_a_warning() -> None:
    a, b = np.random.default_rng(3).random((2, 400))
    with pytest.warns(FewSamples, match="400 samples"):
        mutual_information(a, b)
    with pytest.warns(FewSamples):
        normalised_mutual_information(a, b, by="max")
    mutual_information(a, b, bins=4)


def test_the_same_bins_for_every_patient() -> None:
    """With bins of the first image, the brighter half of the second falls into the last bin."""
    first, second = np.linspace(0, 1, 100), np.linspace(0.5, 1.5, 100)
    bins = equal_width(first, bins=2)
    np.testing.assert_array_equal(joint_table(first, first, bins=(bins, bins)), [[50, 0], [0, 50]])
    np.testing.assert_array_equal(joint_table(second, second, bins=(bins, bins)), [[0, 0], [0, 100]])
    assert joint_table(first, first, given=second, bins=3).shape == (3, 3, 3)


def test_within_a_region_only_its_voxels_count() -> None:
    a = np.random.default_rng(1).random((6, 6, 6)).astype(np.float32)
    b, within = 1 - a, np.zeros((6, 6, 6), dtype=bool)
    within[1:5, 1:5, 1:5] = True
    b[~within] = np.nan
    assert mutual_information(a, b, within=within, bins=2) == mutual_information(a[within], b[within], bins=2)
    assert mutual_information(a, b, within=within, estimator="ksg") > 2.0
    vectors = np.stack([a, a * a], axis=-1)
    assert mutual_information(vectors, a, within=within, estimator="copula") > 2.0


def test_normalised_of_constants_is_undefined() -> None:
    constant, other = np.ones(20), np.tile([0.0, 1.0], 10)
    assert np.isnan(normalised_mutual_information(constant, constant, by="mean"))
    assert normalised_mutual_information(constant, other, by="min") == 0.0


def test_bad_values_are_refused_by_name() -> None:
    fine, holes = np.arange(30.0), np.arange(30.0)
    holes[3] = np.nan
    for estimator in ESTIMATORS:
        with pytest.raises(ImplausibleValues, match=r"^a"):
            mutual_information(holes, fine, estimator=estimator)
        with pytest.raises(ImplausibleValues, match=r"^b"):
            mutual_information(fine, holes, estimator=estimator)
        with pytest.raises(ImplausibleValues, match=r"^given"):
            mutual_information(fine, fine, given=holes, estimator=estimator)
        with pytest.raises(ImplausibleValues, match=r"^a"):
            mutual_information(fine[:0], fine[:0], estimator=estimator)
        with pytest.raises(InputRejected, match=r"^b"):
            mutual_information(fine, fine[:-1], estimator=estimator)
        with pytest.raises(InputRejected, match=r"^given"):
            mutual_information(fine, fine, given=fine[:-1], estimator=estimator)


def test_bad_regions_and_options_are_refused_by_name() -> None:
    a = np.random.default_rng(1).random((4, 4, 4))
    with pytest.raises(ImplausibleValues, match=r"^within"):
        mutual_information(a, a, within=np.zeros(a.shape, dtype=bool))
    with pytest.raises(ImplausibleValues, match=r"^within"):
        mutual_information(a, a, within=np.ones(a.shape))
    with pytest.raises(GridMismatch, match=r"^within"):
        mutual_information(a, a, within=np.ones((4, 4, 3), dtype=bool))
    with pytest.raises(GridMismatch, match="shape of b"):
        mutual_information(a, a[:3], within=np.ones((4, 4, 4), dtype=bool))
    with pytest.raises(InputRejected, match=r"^bins"):
        mutual_information(a, a, bins=0)
    with pytest.raises(InputRejected, match=r"^bins"):
        mutual_information(a, a, given=a, bins=(equal_width(a, bins=2),) * 2)
    with pytest.raises(InputRejected, match=r"^generator"):
        mutual_information(a, a, bins=2, correction="quadratic")
    with pytest.raises(TypeError, match="neighbours"):
        mutual_information(a, a, neighbours=3)
