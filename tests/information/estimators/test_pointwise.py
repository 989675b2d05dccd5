"""The map of pointwise mutual information: by hand, and its mean is the mutual information."""

import numpy as np
import pytest

from adumbra.core.errors import GridMismatch, ImplausibleValues
from adumbra.information.estimators.bias import FewSamples
from adumbra.information.estimators.binning import equal_width
from adumbra.information.estimators.mutual_information import binned_mutual_information
from adumbra.information.estimators.pointwise import pointwise_information_map


def images(seed: int = 0, shape: tuple[int, int, int] = (20, 20, 20)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    a = generator.normal(size=shape).astype(np.float32)
    b = (0.6 * a + generator.normal(size=shape)).astype(np.float32)
    return a, b, generator.random(shape) < 0.7


def test_by_hand() -> None:
    """Eight pairs: (0, 0) three times, (0, 1) once, and the mirror. p = 3/8 against 1/4: log2 3/2; 1/8: log2 1/2."""
    a = np.tile([0.0, 0, 0, 0, 1, 1, 1, 1], 5).reshape(8, 5, 1)
    b = np.tile([0.0, 0, 0, 1, 1, 1, 1, 0], 5).reshape(8, 5, 1)
    found = pointwise_information_map(a, b, within=np.ones(a.shape, dtype=bool), bins=2)
    np.testing.assert_allclose(found, np.where(a == b, np.log2(1.5), -1.0))


@pytest.mark.parametrize("binning", ["width", "frequency"])
@pytest.mark.parametrize("seed", range(5))
def test_the_mean_within_is_the_binned_information(seed: int, binning: str) -> None:
    a, b, within = images(seed)
    found = pointwise_information_map(a, b, within=within, bins=8, binning=binning)
    expected = binned_mutual_information(a[within], b[within], bins=8, binning=binning)
    assert found[within].mean() == pytest.approx(expected, abs=1e-13)


def test_values_outside_are_ignored_and_the_map_is_0_there() -> None:
    a, b, within = images()
    clean = pointwise_information_map(a, b, within=within, bins=8)
    a[~within], b[~within] = np.nan, 1e9
    found = pointwise_information_map(a, b, within=within, bins=8)
    assert found.dtype == np.float64
    assert (found[~within] == 0).all()
    np.testing.assert_array_equal(found, clean)


def test_given_bins_are_used() -> None:
    a, b, within = images()
    bins = equal_width(a, bins=5, limits=(-2.0, 2.0)), equal_width(b, bins=7, limits=(-2.0, 2.0))
    found = pointwise_information_map(a, b, within=within, bins=bins)
    assert found[within].mean() == pytest.approx(binned_mutual_information(a[within], b[within], bins=bins), abs=1e-13)


def test_few_voxels_raise_a_warning() -> None:
    a, b, within = images(shape=(4, 4, 4))
    with pytest.warns(FewSamples):
        pointwise_information_map(a, b, within=within)


def test_invalid_arguments_are_refused_by_name() -> None:
    a, b, within = images()
    with pytest.raises(ImplausibleValues, match=r"^within"):
        pointwise_information_map(a, b, within=np.zeros_like(within))
    with pytest.raises(ImplausibleValues, match=r"^within"):
        pointwise_information_map(a, b, within=within.astype(np.uint8))
    with pytest.raises(GridMismatch, match="shape of a"):
        pointwise_information_map(a, b, within=within[:-1])
    with pytest.raises(GridMismatch, match="shape of b"):
        pointwise_information_map(a, b[:-1], within=within)
    a[within] = np.nan
    with pytest.raises(ImplausibleValues, match=r"^a"):
        pointwise_information_map(a, b, within=within)
