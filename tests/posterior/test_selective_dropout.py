"""Draws where there is doubt, against draws everywhere."""

from dataclasses import replace

import numpy as np
import pytest

from adumbra.core.errors import WeightsRejected
from adumbra.inference.windowed_inference import InferenceConfig
from adumbra.posterior.registry import posterior_of
from adumbra.posterior.sampled_posterior import SampledPosterior
from adumbra.posterior.selective_dropout import SelectiveMCDropout
from contracts.test_posteriors import CONFIG, made, made_case, made_network

DEEP = replace(CONFIG, widths=(8, 8, 8, 8))


def drawn(posterior, n=3, seed=0):
    return list(posterior.draws(made_case(), n, np.random.default_rng(seed)))


@pytest.fixture
def weights():
    return made(made_network(DEEP))


def test_it_is_what_dropout_becomes_where_it_can(weights):
    assert isinstance(posterior_of([weights]), SelectiveMCDropout)
    assert isinstance(posterior_of([weights], inference=InferenceConfig(dense_draws=True)), SampledPosterior)
    dense_draws = made(made_network(replace(DEEP, dropout=(0.1, 0.1, 0.1, 0.1))))
    assert isinstance(posterior_of([dense_draws]), SampledPosterior)
    with pytest.raises(WeightsRejected, match="dense_draws=True"):
        SelectiveMCDropout(dense_draws)


def test_where_nothing_is_doubted_every_draw_is_the_network_itself(weights):
    """Ln 2 is the most that an entropy can be; nothing reaches more."""
    posterior = SelectiveMCDropout(weights, doubt=0.7)
    certain = posterior.deterministic(made_case())
    assert all(np.allclose(volume, certain, atol=1e-6) for volume in drawn(posterior))


def test_only_doubted_voxels_differ_from_draw_to_draw(weights):
    certain = posterior_of([weights]).deterministic(made_case()).astype(np.float64)
    entropy = -(certain * np.log(certain + 1e-12) + (1 - certain) * np.log(1 - certain + 1e-12))
    level = float(np.median(entropy[certain > 0]))
    spread = np.std(drawn(SelectiveMCDropout(weights, doubt=level), 4), axis=0)
    assert (spread[entropy < level - 1e-4] < 1e-7).all()
    assert (spread[entropy > level + 1e-4] > 0).mean() > 0.95


def test_a_draw_is_nearly_the_draw_everywhere(weights):
    cheap, whole = (
        drawn(SelectiveMCDropout(weights, doubt=0.0), 6),
        drawn(posterior_of([weights], inference=InferenceConfig(dense_draws=True)), 6),
    )
    certain = posterior_of([weights]).deterministic(made_case())
    inside = certain > 0
    changes = [[volume[inside] - certain[inside] for volume in volumes] for volumes in (cheap, whole)]
    assert np.corrcoef(np.ravel(changes[0]), np.ravel(changes[1]))[0, 1] > 0.8


def test_what_is_not_kept_is_computed_again(weights):
    kept, again = (drawn(SelectiveMCDropout(weights, inference=InferenceConfig(kept_gb=gb))) for gb in (1.0, 0.0))
    assert all(np.array_equal(a, b) for a, b in zip(kept, again, strict=True))
