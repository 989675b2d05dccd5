"""Draws at uncertain voxels only, compared with draws everywhere."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.errors import WeightsRejected
from adumbra.core.options import ComputeConfig
from adumbra.posterior.registry import posterior_of
from adumbra.posterior.sampled_posterior import SampledPosterior
from adumbra.posterior.selective_dropout import SelectiveMCDropout
from contracts.test_posteriors import CONFIG, random_case, random_network, trained_network

DEEP = replace(CONFIG, widths=(8, 8, 8, 8))


def draws(posterior, n=3, seed=0):
    return list(posterior.draws(random_case(), n, np.random.default_rng(seed)))


@pytest.fixture
def weights():
    return trained_network(random_network(DEEP))


def test_dropout_is_selective_where_the_network_supports_it(weights):
    assert isinstance(posterior_of([weights]), SelectiveMCDropout)
    assert isinstance(posterior_of([weights], compute=ComputeConfig(dense_draws=True)), SampledPosterior)
    dropout_everywhere = trained_network(random_network(replace(DEEP, dropout=(0.1, 0.1, 0.1, 0.1))))
    assert isinstance(posterior_of([dropout_everywhere]), SampledPosterior)
    with pytest.raises(WeightsRejected, match="dense_draws=True"):
        SelectiveMCDropout(dropout_everywhere)


def test_without_uncertain_voxels_every_draw_is_deterministic(weights):
    """No entropy exceeds ln 2."""
    posterior = SelectiveMCDropout(weights, least_entropy=0.7)
    certain = posterior.deterministic(random_case())
    assert all(np.allclose(volume, certain, atol=1e-6) for volume in draws(posterior))


def test_only_uncertain_voxels_differ_between_draws(weights):
    certain = posterior_of([weights]).deterministic(random_case()).astype(np.float64)
    entropy = -(certain * np.log(certain + 1e-12) + (1 - certain) * np.log(1 - certain + 1e-12))
    level = float(np.median(entropy[certain > 0]))
    spread = np.std(draws(SelectiveMCDropout(weights, least_entropy=level), 4), axis=0)
    assert (spread[entropy < level - 1e-4] < 1e-7).all()
    assert (spread[entropy > level + 1e-4] > 0).mean() > 0.95


def test_a_draw_is_close_to_the_draw_everywhere(weights):
    selective, dense = (
        draws(SelectiveMCDropout(weights, least_entropy=0.0), 6),
        draws(posterior_of([weights], compute=ComputeConfig(dense_draws=True)), 6),
    )
    certain = posterior_of([weights]).deterministic(random_case())
    inside = certain > 0
    changes = [[volume[inside] - certain[inside] for volume in volumes] for volumes in (selective, dense)]
    assert np.corrcoef(np.ravel(changes[0]), np.ravel(changes[1]))[0, 1] > 0.8


def test_windows_beyond_the_cache_are_computed_again_bit_for_bit(weights):
    cached, again = (draws(SelectiveMCDropout(weights, compute=ComputeConfig(cache_gb=gb))) for gb in (1.0, 0.0))
    assert all(np.array_equal(a, b) for a, b in zip(cached, again, strict=True))
