"""What every posterior in the catalogue must do, whoever wrote it."""

import tracemalloc
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from adumbra.case import Case, Scan
from adumbra.errors import GridMismatch, MissingInput
from adumbra.networks.unet import UNet, UNetConfig
from adumbra.posterior.base import Posterior
from adumbra.posterior.catalogue import POSTERIORS
from adumbra.space.grid import Grid

CONFIG = UNetConfig(modalities=("dwi", "adc"), widths=(8, 16), dropout=0.2)
SHAPE = (28, 24, 20)


@dataclass(frozen=True)
class MadeCard:
    spacing_mm: float = 2.0
    patch: int = 16
    window: int = 0


@dataclass(frozen=True)
class Made:
    network: UNet
    card: MadeCard = MadeCard()


@pytest.fixture(params=POSTERIORS.values(), ids=POSTERIORS.keys())
def posterior(request):
    torch.manual_seed(0)
    return request.param(Made(UNet(CONFIG).eval().requires_grad_(False)))


def made_case(spacing_mm=2.0, *, brain=True, modalities=("dwi", "adc")):
    rng = np.random.default_rng(1)
    grid = Grid(SHAPE, np.diag([spacing_mm] * 3 + [1.0]))
    mask = np.zeros(SHAPE, dtype=bool)
    mask[8:20, 8:16, 7:13] = True
    scans = {m: Scan(rng.normal(0, 1, SHAPE).astype(np.float32), grid, grid) for m in modalities}
    return Case("made", scans, {"brain": Scan(mask, grid, grid)} if brain else {})


def draws(posterior, n, seed=0):
    return list(posterior.sample(made_case(), n, np.random.default_rng(seed)))


def test_it_is_a_posterior(posterior):
    assert isinstance(posterior, Posterior)


def test_draws_are_probability_volumes_on_the_cases_grid(posterior):
    volumes = draws(posterior, 3)
    assert len(volumes) == 3
    for volume in volumes:
        assert volume.shape == SHAPE
        assert volume.dtype == np.float32
        assert volume.min() >= 0.0
        assert 0.0 < volume.max() <= 1.0


def test_draws_differ(posterior):
    first, second = draws(posterior, 2)
    assert not np.array_equal(first, second)


def test_equal_generators_give_equal_bytes_and_others_do_not(posterior):
    one, same, other = (draws(posterior, 2, seed) for seed in (3, 3, 4))
    assert [v.tobytes() for v in one] == [v.tobytes() for v in same]
    assert one[0].tobytes() != other[0].tobytes()


def test_more_draws_begin_with_the_same_ones(posterior):
    assert np.array_equal(draws(posterior, 4)[1], draws(posterior, 2)[1])


def test_the_mean_of_the_draws_is_near_the_deterministic_volume(posterior):
    mean, certain = np.mean(draws(posterior, 30), axis=0), posterior.deterministic(made_case())
    assert np.abs(mean - certain).mean() < 0.02
    assert np.corrcoef(mean.ravel(), certain.ravel())[0, 1] > 0.95


def test_far_from_the_brain_nothing_is_probable(posterior):
    volume = draws(posterior, 1)[0]
    assert (volume[:3] == 0).all()
    assert volume[8:20, 8:16, 7:13].min() > 0


def test_a_missing_modality_is_no_error_but_none_at_all_is(posterior):
    rng = np.random.default_rng(0)
    assert next(iter(posterior.sample(made_case(modalities=("dwi",)), 1, rng))).shape == SHAPE
    with pytest.raises(MissingInput):
        posterior.sample(made_case(modalities=("tof",)), 1, rng)


def test_what_does_not_fit_is_refused_before_the_first_draw(posterior):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="at least 1"):
        posterior.sample(made_case(), 0, rng)
    with pytest.raises(GridMismatch):
        posterior.sample(made_case(spacing_mm=3.0), 1, rng)
    with pytest.raises(MissingInput):
        posterior.sample(made_case(brain=False), 1, rng)


def peak_of(posterior, n):
    """Peak of Python's own memory while draws are looked at and let go, in volumes."""
    tracemalloc.start()
    for volume in posterior.sample(made_case(), n, np.random.default_rng(0)):
        volume.sum()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / (4 * np.prod(SHAPE))


def test_memory_does_not_grow_with_the_number_of_draws(posterior):
    peak_of(posterior, 1)
    assert peak_of(posterior, 40) < peak_of(posterior, 5) + 3
