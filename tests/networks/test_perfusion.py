"""The network of hypoperfusion: coherent draws, exceedance that falls with the delay, weights that come back."""

import numpy as np
import pytest
import torch

from adumbra.core.atlas.coarse_grid import ATLAS_GRID
from adumbra.core.errors import WeightsRejected
from adumbra.networks.perfusion import (
    THRESHOLDS_S,
    PerfusionConfig,
    PerfusionNetwork,
    load_perfusion,
    perfusion_facts,
)
from adumbra.networks.weights import save_weights

SMALL = PerfusionConfig(widths=(4, 6, 6, 8), rank=2)


@pytest.fixture(scope="module")
def channels():
    shape = (SMALL.channels, *ATLAS_GRID.shape)
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    torch.manual_seed(0)
    network = PerfusionNetwork(SMALL).eval()
    path = tmp_path_factory.mktemp("weights") / "own.safetensors"
    facts = {**perfusion_facts(SMALL), "spacing_mm": 4.0, "patch": 48, "threshold": 0.5, "training": {}}
    save_weights(path, network.state_dict(), facts)
    return path, network


def test_a_longer_delay_is_less_probable(saved, channels):
    with torch.inference_mode():
        output = saved[1](torch.from_numpy(channels)[None])
        latent = output.latent(torch.zeros(1, 1, SMALL.rank))
        levels = [float(output.exceedance_logits(latent, seconds).mean()) for seconds in THRESHOLDS_S]
    assert latent.shape == (1, 1, *ATLAS_GRID.shape)
    assert levels == sorted(levels, reverse=True)
    assert output.factors.shape == (1, SMALL.rank, *ATLAS_GRID.shape)


def test_stored_weights_give_the_same_draws(saved, channels):
    loaded = load_perfusion(saved[0])
    one, again = (loaded.sample(channels, np.random.default_rng(1)) for _ in range(2))
    other = loaded.sample(channels, np.random.default_rng(2))
    assert np.array_equal(one.latent, again.latent)
    assert not np.array_equal(one.latent, other.latent)
    assert one.closed == other.closed, "whether an artery is closed is no part of the sample"
    difference = other.latent - one.latent
    with torch.inference_mode():
        factors = loaded.network(torch.from_numpy(channels)[None]).factors[0].numpy()
    basis = factors.reshape(SMALL.rank, -1)
    weights, *_ = np.linalg.lstsq(basis.T, difference.ravel(), rcond=None)
    assert np.allclose(weights @ basis, difference.ravel(), atol=1e-4), "two draws differ by the factors alone"


def test_the_size_of_a_lesion_is_not_normalised_away(saved, channels):
    small, large = channels.copy(), channels.copy()
    small[1], large[1] = 0.0, 0.0
    small[1, 18:20, 20:22, 18:20] = 1.0
    large[1, 10:30, 15:35, 10:30] = 1.0
    loaded = load_perfusion(saved[0])
    rng = np.random.default_rng
    assert loaded.sample(small, rng(0)).closed != loaded.sample(large, rng(0)).closed


def test_weights_of_another_network_are_refused(tmp_path, saved):
    facts = {"architecture": "unet", "config": {}, "spacing_mm": 2.0, "patch": 48, "threshold": 0.5, "training": {}}
    path = tmp_path / "lesion.safetensors"
    save_weights(path, saved[1].state_dict(), facts)
    with pytest.raises(WeightsRejected, match="unet"):
        load_perfusion(path)
