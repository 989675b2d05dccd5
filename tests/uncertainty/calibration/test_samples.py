"""Voxels of a fit, and their distance bands: by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected, MissingInput
from adumbra.core.geometry.grid import Grid
from adumbra.uncertainty.calibration.samples import Voxels, bands, pool_voxels, sample_voxels

P = np.array([0.1, 0.2, 0.8, 0.9, 0.5], dtype=np.float32)
Y = np.array([0, 0, 1, 1, 0], dtype=bool)


def test_all_voxels_of_a_region() -> None:
    within = np.array([1, 0, 1, 1, 1], dtype=bool)
    result = sample_voxels(P, Y, case="a", within=within, bands=np.arange(5))
    np.testing.assert_array_equal(result.probability, P[within].astype(np.float64))
    assert result.truth.tolist() == [False, True, True, False]
    assert result.weight.tolist() == [1.0] * 4
    assert result.band.tolist() == [0, 2, 3, 4]
    assert result.cases == ("a",)


def test_a_sample_of_voxels_has_the_weight_of_all() -> None:
    """1000 voxels of background and 10 of the target, at most 50 of each: all of the target, and 50 with weight 20."""
    probability = np.linspace(0, 1, 1010, dtype=np.float32)
    truth = np.arange(1010) >= 1000
    some = sample_voxels(probability, truth, case="a", most=100, generator=np.random.default_rng(1))
    assert some.truth.sum() == 10
    assert some.weight[some.truth].tolist() == [1.0] * 10
    assert some.weight[~some.truth].tolist() == [20.0] * 50
    assert some.weight.sum() == 1010
    assert len(set(some.probability.tolist())) == 60
    again = sample_voxels(probability, truth, case="a", most=100, generator=np.random.default_rng(1))
    np.testing.assert_array_equal(again.probability, some.probability)


def test_the_weighted_sum_of_a_sample_is_unbiased() -> None:
    probability = np.random.default_rng(0).random(400, dtype=np.float32) ** 3
    truth = probability > 0.5
    generator = np.random.default_rng(2)
    sums = []
    for _ in range(300):
        some = sample_voxels(probability, truth, case="a", most=40, generator=generator)
        sums.append(float(some.weight @ some.probability))
    error = float(np.std(sums)) / np.sqrt(300)
    assert abs(np.mean(sums) - probability.astype(np.float64).sum()) < 4 * error


def test_a_class_without_voxels_is_not_sampled() -> None:
    some = sample_voxels(P, np.zeros(5, dtype=bool), case="a", most=4, generator=np.random.default_rng(0))
    assert some.weight.tolist() == [2.5, 2.5]


def test_cases_are_pooled_once() -> None:
    both = pool_voxels(sample_voxels(P, Y, case="a"), sample_voxels(P[:2], Y[:2], case="b"))
    assert both.cases == ("a", "b")
    assert both.probability.size == 7
    with pytest.raises(InputRejected, match="a twice"):
        pool_voxels(sample_voxels(P, Y, case="a"), sample_voxels(P, Y, case="a"))
    with pytest.raises(MissingInput):
        pool_voxels()


def test_bands_by_hand() -> None:
    """Three voxels of the mask in a row of 2 mm: the middle one is 4 mm from the outside."""
    mask = np.array([0, 0, 0, 1, 1, 1, 0, 0], dtype=bool).reshape(8, 1, 1)
    result = bands(mask, Grid((8, 1, 1), np.diag([2.0, 2.0, 2.0, 1.0])), edges_mm=(-3.0, 0.0, 3.0, 5.0))
    assert result.ravel().tolist() == [4, 3, 2, 1, 0, 1, 2, 3]


def test_bands_of_an_empty_and_of_a_full_mask() -> None:
    grid = Grid((3, 3, 3), np.eye(4))
    assert (bands(np.zeros((3, 3, 3), dtype=bool), grid) == 4).all()
    assert (bands(np.ones((3, 3, 3), dtype=bool), grid) == 0).all()


@given(arrays(bool, (6, 5, 3)), st.sampled_from([(0.0,), (-2.0, 0.0, 2.0), (-9.0, -1.5), (2.5, 4.0)]))
def test_bands_agree_with_brute_force(mask: np.ndarray, edges_mm: tuple[float, ...]) -> None:
    grid = Grid((6, 5, 3), np.diag([1.0, 1.3, 4.0, 1.0]))
    at = np.argwhere(np.ones_like(mask)) * grid.spacing_mm
    apart = np.linalg.norm(at[:, None] - at[None], axis=-1)
    inside = mask.ravel()
    far = [np.inf, *apart.ravel()]
    signed = np.array([
        sign * min([np.inf, *apart[k][inside != inside[k]]])
        for k, sign in enumerate(np.where(inside, -1, 1))
    ])  # fmt: skip
    assert len(far) > 1
    np.testing.assert_array_equal(bands(mask, grid, edges_mm=edges_mm).ravel(), np.digitize(signed, edges_mm))


@pytest.mark.parametrize("edges", [(), (1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)])
def test_edges_must_increase(edges: tuple[float, ...]) -> None:
    with pytest.raises(InputRejected, match="edges_mm"):
        bands(np.ones((2, 2, 2), dtype=bool), Grid((2, 2, 2), np.eye(4)), edges_mm=edges)


def test_invalid_voxels_are_refused() -> None:
    one = np.ones(3)
    with pytest.raises(GridMismatch, match="arrays of one length"):
        Voxels(one, one[:2] > 0, one, one, ("a",))
    with pytest.raises(ImplausibleValues, match="boolean"):
        Voxels(one, one, one, one, ("a",))
    with pytest.raises(ImplausibleValues, match="weight"):
        Voxels(one, one > 0, np.array([1.0, -1.0, 0.0]), one, ("a",))
    with pytest.raises(ImplausibleValues, match="probabilities"):
        Voxels(one * 2, one > 0, one, one, ("a",))
    with pytest.raises(GridMismatch, match="within"):
        sample_voxels(P, Y, case="a", within=Y[:3])
    with pytest.raises(InputRejected, match="generator"):
        sample_voxels(P, Y, case="a", most=4)
