import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from adumbra.blur.focused_blur import focused_blur
from adumbra.core.errors import GridMismatch, ImplausibleValues, InputRejected

ONE = (1.0, 1.0, 1.0)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """For products as small as these, synchronising a second thread takes longer than the product."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def exact(image, sigma_mm, spacing_mm):
    """The defining sum over each voxel's own Gaussian; beyond the borders the image is mirrored."""
    out = np.empty(image.shape)
    for at in np.ndindex(image.shape):
        lines = []
        for i, n, h in zip(at, image.shape, spacing_mm, strict=True):
            s = sigma_mm[at] / h
            weights = np.zeros(n)
            for j in range(-int(4 * s + 0.5), int(4 * s + 0.5) + 1):
                k = (i + j) % (2 * n)
                weights[min(k, 2 * n - 1 - k)] += math.exp(-0.5 * (j / s) ** 2) if j else 1.0
            lines.append(weights / weights.sum())
        out[at] = np.einsum("i,j,k,ijk", *lines, image)
    return out


def relative_error(blurred, truth):
    return np.linalg.norm(blurred - truth) / np.linalg.norm(truth)


def white_noise(rng, shape=(9, 8, 7), max_mm=2.5):
    """White noise, and an independent sigma for each voxel, 0 in a third of the voxels."""
    return rng.standard_normal(shape), np.maximum(rng.uniform(-0.5 * max_mm, max_mm, shape), 0.0)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.sampled_from([ONE, (0.7, 0.7, 3.0), (2.0, 1.0, 0.5)]))
def test_it_is_close_to_the_defining_sum(seed, spacing_mm):
    image, sigma = white_noise(np.random.default_rng(seed), (7, 6, 5))
    assert relative_error(focused_blur(image, sigma, spacing_mm=spacing_mm), exact(image, sigma, spacing_mm)) < 0.01


def test_a_smaller_tolerance_has_a_smaller_error(rng):
    image, sigma = white_noise(rng)
    errors = [
        relative_error(focused_blur(image, sigma, spacing_mm=ONE, tolerance=t), exact(image, sigma, ONE))
        for t in (0.05, 0.01, 0.002)
    ]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_one_voxel_by_hand():
    """At sigma 1 an isolated voxel retains the cube of 1 / (1 + 2 e^-½ + 2 e^-2 + …); at sigma 0 it is unchanged."""
    image, sigma = np.zeros((11, 11, 11)), np.zeros((11, 11, 11))
    image[5, 5, 5] = image[0, 0, 0] = 1.0
    sigma[5, 5, 5] = 1.0
    blurred = focused_blur(image, sigma, spacing_mm=ONE, tolerance=1e-3)
    whole = 1 + 2 * sum(math.exp(-n * n / 2) for n in (1, 2, 3, 4))
    assert blurred[5, 5, 5] == pytest.approx(whole**-3, rel=2e-3)
    assert blurred[0, 0, 0] == 1.0
    assert np.count_nonzero(blurred) == 2  # sigma is that of the output voxel, not of the input voxel


@settings(max_examples=20)
@given(st.floats(-1e3, 1e3), st.integers(0, 2**32 - 1))
def test_a_constant_stays_constant(value, seed):
    _, sigma = white_noise(np.random.default_rng(seed), (5, 4, 6), max_mm=9.0)
    blurred = focused_blur(np.full(sigma.shape, value), sigma, spacing_mm=(1.0, 2.0, 4.0))
    np.testing.assert_allclose(blurred, value, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_without_sigma_nothing_changes_bit_for_bit(dtype):
    image = torch.randn(2, 3, 6, 5, 4, generator=torch.Generator().manual_seed(1)).to(dtype)
    image[..., 0, 0, 0] = -0.0
    sigma = torch.zeros(2, 1, 6, 5, 4)
    sigma[0, 0, 3:] = 1.5
    blurred = focused_blur(image, sigma, spacing_mm=ONE)
    untouched = (sigma == 0).expand(image.shape)
    assert blurred.dtype == dtype
    assert torch.equal(blurred[untouched], image[untouched])
    assert torch.equal(blurred[untouched].signbit(), image[untouched].signbit())
    assert not torch.equal(blurred[~untouched], image[~untouched])
    assert torch.equal(focused_blur(image, torch.zeros(1), spacing_mm=ONE), image)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_blur_stays_within_the_range_of_the_image(seed):
    """Mixtures with negative shares would overshoot at an edge such as this one."""
    _, sigma = white_noise(np.random.default_rng(seed), (8, 5, 5), max_mm=4.0)
    image = np.broadcast_to((np.arange(8) > 3)[:, None, None], sigma.shape).astype(float)
    blurred = focused_blur(image, sigma, spacing_mm=ONE)
    assert blurred.min() >= 0.0
    assert blurred.max() <= 1.0 + 1e-12


@pytest.mark.parametrize("sigma", [0.2, 0.4, 0.55, 1.0, 2.3, 5.0])
def test_a_constant_sigma_is_the_uniform_blur(rng, sigma):
    image = rng.standard_normal((12, 9, 10))
    uniform = gaussian_filter(image, sigma)
    np.testing.assert_allclose(focused_blur(image, sigma, spacing_mm=ONE), uniform, atol=1e-13)
    everywhere = np.full(image.shape, sigma)
    assert (
        relative_error(focused_blur(image, everywhere, spacing_mm=ONE), uniform) < 0.015
    )  # 0.01, but for noise of 1080 voxels
    assert relative_error(focused_blur(image, everywhere, spacing_mm=ONE, tolerance=1e-3), uniform) < 1.5e-3


def test_millimetres_are_divided_by_the_spacing_of_each_axis(rng):
    image = rng.standard_normal((12, 9, 10))
    by_hand = image
    for axis, sigma in enumerate((3.0, 1.5, 0.5)):
        by_hand = gaussian_filter1d(by_hand, sigma, axis=axis)
    np.testing.assert_allclose(focused_blur(image, 1.5, spacing_mm=(0.5, 1.0, 3.0)), by_hand, atol=1e-13)
    mapped = focused_blur(image, np.full(image.shape, 1.5), spacing_mm=(0.5, 1.0, 3.0), tolerance=1e-3)
    assert relative_error(mapped, by_hand) < 1.5e-3


def test_other_units_change_nothing(rng):
    image, sigma = white_noise(rng)
    here, there = (focused_blur(image, sigma * u, spacing_mm=(u, u, 2 * u)) for u in (1.0, 8.0))
    np.testing.assert_allclose(here, there, atol=1e-12)


def test_a_voxel_depends_on_no_sigma_but_its_own(rng):
    """This holds even where a distant voxel is blurred so much that more sigma levels are needed."""
    image, sigma = white_noise(rng)
    other = sigma.copy()
    other[-1] = 8.0
    one, two = (focused_blur(image, s, spacing_mm=ONE) for s in (sigma, other))
    np.testing.assert_allclose(one[:-1], two[:-1], atol=1e-12)


def test_numpy_and_torch_agree(rng):
    image, sigma = (a.astype(np.float32) for a in white_noise(rng))
    tensors = [torch.from_numpy(a) for a in (image, sigma)]
    array, tensor = focused_blur(image, sigma, spacing_mm=ONE), focused_blur(*tensors, spacing_mm=ONE)
    assert isinstance(array, np.ndarray)
    assert isinstance(tensor, torch.Tensor)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, tensor.numpy())
    np.testing.assert_allclose(array, focused_blur(*(t.double() for t in tensors), spacing_mm=ONE), atol=2e-6)


def test_memory_layouts_of_image_files_are_accepted(rng):
    """Flipped, read-only, big-endian and Fortran-ordered arrays."""
    image, sigma = white_noise(rng)
    expected = focused_blur(image, sigma, spacing_mm=ONE)
    frozen = image.copy()
    frozen.setflags(write=False)
    flipped = image[::-1].copy()[::-1]
    for same in (frozen, flipped, image.astype(">f8"), np.asfortranarray(image)):
        np.testing.assert_array_equal(focused_blur(same, sigma, spacing_mm=ONE), expected)


def test_each_of_a_batch_has_its_own_map(rng):
    images, sigmas = rng.standard_normal((2, 3, 6, 5, 4)), rng.uniform(0, 2, (2, 1, 6, 5, 4))
    together = focused_blur(images, sigmas, spacing_mm=ONE)
    for b, c in itertools.product(range(2), range(3)):
        np.testing.assert_allclose(together[b, c], focused_blur(images[b, c], sigmas[b, 0], spacing_mm=ONE), atol=1e-12)


def test_a_map_may_be_one_for_all_or_lack_an_axis(rng):
    image, along_z = rng.standard_normal((2, 6, 5, 4)), rng.uniform(0, 2, 4)
    expected = focused_blur(image, np.broadcast_to(along_z, image.shape), spacing_mm=ONE)
    for shape in ((4,), (1, 4), (1, 1, 4), (1, 1, 1, 4)):
        np.testing.assert_allclose(focused_blur(image, along_z.reshape(shape), spacing_mm=ONE), expected, atol=1e-12)


@pytest.mark.parametrize("shape", [(4, 3, 2), (2, 1, 4, 3, 2), (1, 1, 2)])
def test_gradients_agree_with_finite_differences(rng, shape):
    image = torch.from_numpy(rng.standard_normal((2, 2, 4, 3, 2))).requires_grad_()
    sigma = torch.from_numpy(rng.uniform(0.3, 2.5, shape)).requires_grad_()
    # Rows of the table are 1 / 128 apart; a finite difference across one would mix two slopes.
    with torch.no_grad():
        sigma.copy_(((sigma * 128).floor() + 0.5) / 128)
    by_map = partial(focused_blur, spacing_mm=(1.0, 1.0, 2.0))
    assert torch.autograd.gradcheck(by_map, (image, sigma), fast_mode=True)
    assert torch.autograd.gradcheck(lambda i: by_map(i, 0.8), (image,), fast_mode=True)


def test_the_gradient_by_sigma_is_near_that_of_the_exact_blur(rng):
    image, sigma = rng.standard_normal((9, 8, 7)), rng.uniform(0.3, 2.5, (9, 8, 7))
    # Away from the sigmas at which the truncated kernel grows by a voxel, where the exact sum is discontinuous.
    sigma = np.clip(sigma, *((np.floor(4 * sigma + 0.5) + e) / 4 for e in (-0.49, 0.49)))
    step = 1e-5
    true = (exact(image, sigma + step, ONE) - exact(image, sigma - step, ONE)) / (2 * step)
    along = torch.from_numpy(sigma).requires_grad_()
    focused_blur(torch.from_numpy(image), along, spacing_mm=ONE).sum().backward()
    assert relative_error(along.grad.numpy(), true) < 0.1


def test_only_the_requested_gradients_are_computed(rng):
    image, sigma = (torch.from_numpy(a) for a in white_noise(rng))
    both = [a.clone().requires_grad_() for a in (image, sigma)]
    focused_blur(*both, spacing_mm=ONE).square().sum().backward()
    for alone in ([both[0].detach().requires_grad_(), sigma], [image, both[1].detach().requires_grad_()]):
        focused_blur(*alone, spacing_mm=ONE).square().sum().backward()
        for one, two in zip(alone, both, strict=True):
            assert one.grad is None or torch.equal(one.grad, two.grad)
    assert focused_blur(image, both[1].detach(), spacing_mm=ONE).grad_fn is None


def test_autocast_does_not_round_it(rng):
    image, sigma = (torch.from_numpy(a).float().requires_grad_() for a in white_noise(rng))
    plain = focused_blur(image, sigma, spacing_mm=ONE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = focused_blur(image, sigma, spacing_mm=ONE)
    assert rounded.dtype == torch.float32
    assert torch.equal(plain, rounded)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_gpu_gives_the_same(rng):
    image, sigma = (torch.from_numpy(a).float() for a in white_noise(rng))
    on_gpu = focused_blur(image.cuda(), sigma.cuda(), spacing_mm=ONE)
    torch.testing.assert_close(on_gpu.cpu(), focused_blur(image, sigma, spacing_mm=ONE), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf"), 33.0])
def test_an_invalid_sigma_is_named(bad):
    image, sigma = np.ones((4, 4, 4)), np.ones((4, 4, 4))
    sigma[1, 2, 3] = bad
    for map_or_number in (sigma, bad):
        with pytest.raises(ImplausibleValues, match="sigma_mm") as raised:
            focused_blur(image, map_or_number, spacing_mm=ONE)
        assert raised.value.where == "sigma_mm"


@pytest.mark.parametrize("shape", [(4, 4, 5), (2, 4, 4, 4), (1, 1, 4, 4, 4), (0,)])
def test_a_map_of_another_grid_is_named(shape):
    with pytest.raises(GridMismatch, match="sigma_mm"):
        focused_blur(np.ones((4, 4, 4)), np.ones(shape), spacing_mm=ONE)


@pytest.mark.parametrize(
    "image",
    [np.ones((4, 4)), np.ones((4, 4, 4), dtype=np.int16), np.ones((4, 0, 4)), np.full((4, 4, 4), np.nan)],
)
def test_an_invalid_image_is_named(image):
    with pytest.raises(ImplausibleValues, match="image"):
        focused_blur(image, 1.0, spacing_mm=ONE)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, -2.0), (1.0, 1.0, float("nan"))])
def test_an_invalid_spacing_is_named(spacing_mm):
    with pytest.raises(InputRejected, match="spacing_mm"):
        focused_blur(np.ones((4, 4, 4)), 1.0, spacing_mm=spacing_mm)


@pytest.mark.parametrize("tolerance", [0.0, 0.2, float("nan")])
def test_a_tolerance_out_of_range_is_named(tolerance):
    with pytest.raises(InputRejected, match="tolerance"):
        focused_blur(np.ones((4, 4, 4)), 1.0, spacing_mm=ONE, tolerance=tolerance)
