from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from adumbra.core.case import Case, Scan
from adumbra.core.errors import WeightsRejected
from adumbra.core.geometry.grid import Grid
from adumbra.core.options import ComputeConfig
from adumbra.networks.registry import LoadedNetwork
from adumbra.networks.unet import UNet
from adumbra.networks.unet_config import UNetConfig
from adumbra.networks.weights import Card
from adumbra.posterior.mc_dropout import MCDropout
from adumbra.posterior.sampled_posterior import SampledPosterior

CONFIG = UNetConfig(modalities=("dwi", "adc"), widths=(8, 16, 16), dropout=0.3)


@pytest.fixture
def loaded():
    torch.manual_seed(0)
    network = UNet(CONFIG)
    for parameter in network.parameters():
        if parameter.ndim == 5:
            torch.nn.init.normal_(parameter, std=0.15)
    card = Card("random", "", "unet", CONFIG.as_json(), 2.0, 16, 0.5)
    return LoadedNetwork(network.eval().requires_grad_(False), card)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    grid = Grid((30, 26, 22), np.diag([2.0, 2.0, 2.0, 1.0]))
    brain = np.zeros(grid.shape, dtype=bool)
    brain[5:25, 5:21, 5:17] = True
    scans = {m: Scan(rng.normal(0, 1, grid.shape).astype(np.float32), grid, grid) for m in ("dwi", "adc")}
    return Case("random", scans, {"brain": Scan(brain, grid, grid)})


def dense_dropout(loaded, **options):
    return SampledPosterior(loaded, MCDropout(), compute=ComputeConfig(**options))


def draws(posterior, case, n=3, seed=0):
    return np.stack(list(posterior.draws(case, n, np.random.default_rng(seed))))


def test_dropout_is_on(loaded, case):
    first, second, third = draws(dense_dropout(loaded), case)
    assert np.abs(first - second).max() > 0.01
    assert np.abs(second - third).max() > 0.01


def test_a_network_without_dropout_is_refused(loaded, case):
    network = UNet(replace(CONFIG, dropout=0.0))
    with pytest.raises(WeightsRejected, match="trained with dropout"):
        dense_dropout(LoadedNetwork(network.eval(), loaded.card))


def test_a_draw_is_one_network_in_all_windows(loaded, case):
    """By hand: one sample of the masks for all windows, each window computed from its images, and the blend."""
    from adumbra.inference.model_input import model_input

    posterior = dense_dropout(loaded, precision="f32")
    masks = loaded.network.sample_dropout_masks(np.random.default_rng(4).spawn(1)[0])
    part = model_input(case, CONFIG, spacing_mm=2.0, side=16, overlap=0.25)
    assert len(part.windows.corners) > 1
    pieces = []
    for x, y, z in part.windows.boxes():
        window = torch.from_numpy(part.channels[None, :, x, y, z].copy())
        pieces.append(loaded.network(window, torch.ones(1, 2), masks).sigmoid()[0, 0].numpy())
    by_hand = part.restore(part.windows.blend(pieces))
    assert np.allclose(draws(posterior, case, 1, seed=4)[0], by_hand, atol=1e-5)


def test_features_beyond_the_cache_are_computed_again_bit_for_bit(loaded, case):
    assert np.array_equal(draws(dense_dropout(loaded), case), draws(dense_dropout(loaded, cache_gb=0.0), case))


@dataclass
class Counting(torch.nn.Module):
    """An encoder that counts its calls."""

    encoder: torch.nn.Module
    calls: int = 0

    def __post_init__(self):
        super().__init__()

    def __hash__(self):
        return id(self)

    def forward(self, x, present, masks=None):
        self.calls += 1
        return self.encoder(x, present, masks)


def test_the_encoder_is_computed_once_per_window(loaded, case):
    inner = loaded.network.encoder
    counting = torch.nn.Module.__new__(Counting)
    torch.nn.Module.__init__(counting)
    counting.encoder, counting.calls, counting.dropouts = inner, 0, inner.dropouts
    loaded.network.encoder = counting
    posterior = dense_dropout(loaded)
    draws(posterior, case, n=1)
    windows = counting.calls
    counting.calls = 0
    draws(posterior, case, n=6)
    assert counting.calls == windows > 1


def test_bf16_is_close_to_f32(loaded, case):
    exact, fast = (draws(dense_dropout(loaded, precision=p), case) for p in ("f32", "bf16"))
    assert np.abs(exact - fast).max() < 0.05
    assert not np.array_equal(exact, fast)


def test_sampling_does_not_change_the_modes_of_torch(loaded, case):
    stream = dense_dropout(loaded).draws(case, 2, np.random.default_rng(0))
    next(stream)
    assert not torch.is_inference_mode_enabled()
    assert not torch.is_autocast_enabled("cpu")


def test_errors_are_raised_at_the_call(loaded, case):
    with pytest.raises(ValueError, match="at least 1"):
        dense_dropout(loaded).draws(case, 0, np.random.default_rng(0))


def test_dropout_at_every_level_computes_the_encoder_for_every_draw(case):
    torch.manual_seed(0)
    network = UNet(replace(CONFIG, dropout=(0.2, 0.1, 0.3)))
    assert network.first_stochastic_stage == "encoder"
    assert [site.p for site in network.encoder.dropouts] == [0.2, 0.1]
    assert [site.p for site in network.decoder.dropouts] == [0.3, 0.3, 0.1, 0.2]
    card = Card("random", "", "unet", network.config.as_json(), 2.0, 16, 0.5)
    posterior = dense_dropout(LoadedNetwork(network.eval().requires_grad_(False), card))
    first, second = draws(posterior, case, 2)
    assert np.abs(first - second).max() > 0.01
