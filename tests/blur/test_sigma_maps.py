import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adumbra.blur.sigma_maps import shuffled_sigma, sigma_from_uncertainty, uniform_sigma
from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected


def volume(*values):
    return np.array(values, dtype=np.float32).reshape(-1, 1, 1)


def test_sigma_from_uncertainty_by_hand():
    uncertainty = volume(0.0, 0.1, 0.4)
    np.testing.assert_allclose(sigma_from_uncertainty(uncertainty, max_mm=2.0), volume(0.0, 0.5, 2.0))
    np.testing.assert_allclose(sigma_from_uncertainty(uncertainty, max_mm=2.0, inverse=True), volume(2.0, 1.5, 0.0))
    assert sigma_from_uncertainty(uncertainty, max_mm=2.0).dtype == np.float32


@pytest.mark.parametrize("inverse", [False, True])
def test_each_volume_has_its_own_maximum_and_one_without_uncertainty_gives_zero(inverse):
    uncertainty = np.stack([volume(0.0, 0.2), volume(0.0, 0.0), volume(0.8, 0.2)])[:, None]
    sigma = sigma_from_uncertainty(uncertainty, max_mm=3.0, inverse=inverse)
    assert sigma.shape == uncertainty.shape
    assert sigma.max(axis=(1, 2, 3, 4)).tolist() == pytest.approx([3.0, 0.0, 2.25 if inverse else 3.0])


def test_tensors_agree_and_can_be_differentiated(rng):
    uncertainty = rng.uniform(0, 1, (2, 1, 3, 4, 5))
    tensor = torch.from_numpy(uncertainty).requires_grad_()
    np.testing.assert_allclose(
        sigma_from_uncertainty(tensor, max_mm=3.0).detach(), sigma_from_uncertainty(uncertainty, max_mm=3.0)
    )
    assert torch.autograd.gradcheck(lambda u: sigma_from_uncertainty(u, max_mm=3.0), (tensor,))
    assert sigma_from_uncertainty(tensor.half(), max_mm=3.0).dtype == torch.float16


def test_the_gradient_is_finite_where_there_is_no_uncertainty():
    none = torch.zeros(2, 2, 2, requires_grad=True)
    sigma_from_uncertainty(none, max_mm=3.0).sum().backward()
    assert none.grad.isfinite().all()


def test_uniform_by_hand():
    sigma = volume(1.0, 2.0, 6.0)
    np.testing.assert_allclose(uniform_sigma(sigma), volume(3.0, 3.0, 3.0))
    within = np.array([True, False, True]).reshape(-1, 1, 1)
    np.testing.assert_allclose(uniform_sigma(sigma, within=within), volume(3.5, 2.0, 3.5))
    np.testing.assert_allclose(uniform_sigma(sigma, within=np.zeros_like(within)), sigma)
    two = torch.from_numpy(np.stack([sigma, 2 * sigma]))
    np.testing.assert_allclose(
        uniform_sigma(two, within=torch.from_numpy(within)), uniform_sigma(two.numpy(), within=within)
    )


maps = arrays.arrays(np.float32, (2, 3, 4, 5), elements=st.floats(0, 10, width=32))


@given(maps, arrays.arrays(bool, (3, 4, 5)), st.integers(0, 2**32 - 1))
def test_shuffling_preserves_the_histogram_of_each_volume(sigma, within, seed):
    before = sigma.copy()
    moved = shuffled_sigma(sigma, generator=np.random.default_rng(seed), within=within)
    np.testing.assert_array_equal(sigma, before)
    np.testing.assert_array_equal(moved[:, ~within], sigma[:, ~within])
    np.testing.assert_array_equal(np.sort(moved[:, within]), np.sort(sigma[:, within]))
    again = shuffled_sigma(
        torch.from_numpy(sigma), generator=np.random.default_rng(seed), within=torch.from_numpy(within)
    )
    np.testing.assert_array_equal(again, moved)


def test_each_volume_is_shuffled_differently():
    sigma = np.broadcast_to(np.arange(60.0).reshape(3, 4, 5), (2, 3, 4, 5))
    one, two = shuffled_sigma(sigma, generator=np.random.default_rng(3))
    assert (one != sigma[0]).sum() > 50
    assert (one != two).sum() > 50


@pytest.mark.parametrize("max_mm", [-1.0, float("nan"), float("inf")])
def test_an_invalid_maximum_is_named(max_mm):
    with pytest.raises(InputRejected, match="max_mm"):
        sigma_from_uncertainty(np.ones((2, 2, 2)), max_mm=max_mm)


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf")])
def test_invalid_maps_are_named(bad):
    with pytest.raises(ImplausibleValues, match="uncertainty"):
        sigma_from_uncertainty(np.full((2, 2, 2), bad), max_mm=1.0)
    with pytest.raises(ImplausibleValues, match="sigma_mm"):
        uniform_sigma(np.full((2, 2, 2), bad))
    with pytest.raises(ImplausibleValues, match="sigma_mm"):
        shuffled_sigma(np.ones((2, 2)), generator=np.random.default_rng(0))


@pytest.mark.parametrize("within", [np.ones((2, 2, 3), dtype=bool), np.ones((2, 2, 2))])
def test_a_mask_that_does_not_fit_is_named(within):
    with pytest.raises(GridMismatch, match="within"):
        shuffled_sigma(np.ones((2, 2, 2)), generator=np.random.default_rng(0), within=within)
